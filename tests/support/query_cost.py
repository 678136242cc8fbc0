"""How many rows a query reads, by what the database itself counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa


def rows_read(connection: sa.Connection, sql: str, values: Mapping[str, Any]) -> int:
    """Run a query, and return how many rows of tables and indexes it read.

    SQLite counts no rows: its steps of the virtual machine, ten for each row, are counted instead.

    Args:
        connection: to the database.
        sql: the query.
        values: its parameters.
    """
    count = {
        "sqlite": _sqlite_rows,
        "postgresql": _postgresql_rows,
        "mysql": _mysql_rows,
        "mariadb": _mysql_rows,
    }
    return count[connection.dialect.name](connection, sa.text(sql), values)


def _sqlite_rows(connection: sa.Connection, query: sa.TextClause, values: Mapping[str, Any]) -> int:
    driver: Any = connection.connection.driver_connection
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    driver.set_progress_handler(count, 10)
    try:
        connection.execute(query, values).all()
    finally:
        driver.set_progress_handler(None, 0)
    return steps


def _postgresql_rows(
    connection: sa.Connection, query: sa.TextClause, values: Mapping[str, Any]
) -> int:
    explained = sa.text(f"EXPLAIN (ANALYZE, FORMAT JSON) {query.text}")
    (plan,) = connection.execute(explained, values).scalar_one()
    return sum(
        int(node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)))
        for node in _nodes(plan["Plan"])
        if "Scan" in node["Node Type"]
    )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from _nodes(each)


def _mysql_rows(connection: sa.Connection, query: sa.TextClause, values: Mapping[str, Any]) -> int:
    def read() -> int:
        rows = connection.execute(sa.text("SHOW SESSION STATUS LIKE 'Handler_read%'"))
        return sum(int(count) for name, count in rows if "tmp" not in name)

    before = read()
    connection.execute(query, values).all()
    return read() - before
