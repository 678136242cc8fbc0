"""Coverage-guided fuzzing: ``python -m tests.fuzz`` runs it."""
