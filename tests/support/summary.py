"""Tables that tests fill and that are printed at the end of a run."""

from __future__ import annotations

import pytest

_Table = dict[str, dict[str, str]]
_TABLES = pytest.StashKey[dict[str, _Table]]()


def note(config: pytest.Config, title: str, row: str, column: str, text: str) -> None:
    """Fill one cell of the table of that title."""
    tables = config.stash.setdefault(_TABLES, {})
    tables.setdefault(title, {}).setdefault(row, {})[column] = text


def tables(config: pytest.Config) -> dict[str, _Table]:
    """Return all tables by title."""
    return config.stash.get(_TABLES, {})


def show(reporter: pytest.TerminalReporter) -> None:
    """Print all tables. Rows and columns are sorted, because tests run in any order."""
    for title, table in tables(reporter.config).items():
        columns = sorted({column for row in table.values() for column in row})
        widths = [
            max(len(column), *(len(row.get(column, "")) for row in table.values()))
            for column in columns
        ]
        first = max(map(len, table))
        lines = [("", columns)]
        lines += [
            (name, [row.get(column, "") for column in columns])
            for name, row in sorted(table.items())
        ]
        reporter.section(title)
        for name, cells in lines:
            padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
            reporter.write_line("  ".join([name.ljust(first), *padded]).rstrip())
