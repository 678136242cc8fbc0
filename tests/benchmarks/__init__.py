"""What a submit costs beside others and beside the bare exchange: ``python -m tests.benchmarks``."""
