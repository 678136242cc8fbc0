"""The inbox's page in a real browser."""
