"""What a submit costs, beside others and the bare exchange: ``python -m tests.benchmarks``."""
