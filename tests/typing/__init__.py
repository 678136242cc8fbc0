"""Files that only type checkers read."""
