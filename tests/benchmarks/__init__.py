"""Measures a submission beside other clients: run ``python -m tests.benchmarks``."""
