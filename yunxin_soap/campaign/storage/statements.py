"""Statements that are compiled once, and take many rows as one parameter."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from yunxin_soap.campaign.storage.dialects import dialect_of

Columns = Mapping[str, sa.ColumnElement[Any]]
"""The expressions for columns, by their names."""
_ROWS = "given_rows"


class RowSource:
    """Many rows as the parameter of one statement, so that their count costs no round trips.

    A server gets them as one JSON text. SQLite has no round trips, and executes a statement once
    for each row.

    Args:
        dialect: the database.
        types: the names and types of the columns.
    """

    def __init__(self, dialect: sa.Dialect, types: Mapping[str, sa.types.TypeEngine[Any]]) -> None:
        self._table = dialect_of(dialect).rows_of_json(sa.bindparam(_ROWS, type_=sa.Text()), types)
        self.columns: Columns
        """What stands for the columns in a statement."""
        if self._table is None:
            self.columns = {name: sa.bindparam(name, type_=types[name]) for name in types}
        else:
            self.columns = {name: self._table.c[name] for name in types}

    def parameters(self, rows: Sequence[Mapping[str, Any]]) -> Any:
        """Return these rows as `CompiledStatement.execute` takes them."""
        return rows if self._table is None else {_ROWS: json.dumps(rows, ensure_ascii=False)}


class CompiledStatement:
    """A statement that is compiled once: to compile one takes longer than to run it.

    Args:
        statement: its values need no conversion by their types, and none of them is a list.
        dialect: the database.
    """

    def __init__(self, statement: sa.ClauseElement, dialect: sa.Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self.text = str(compiled)
        self._fixed = {
            name: bound.value for name, bound in compiled.binds.items() if not bound.required
        }
        self._order = compiled.positiontup

    def execute(
        self, connection: sa.Connection, values: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    ) -> sa.CursorResult[Any]:
        """Execute it, once for each of the mappings."""
        if isinstance(values, Mapping):
            return connection.exec_driver_sql(self.text, self._arranged(values))
        return connection.exec_driver_sql(self.text, [self._arranged(each) for each in values])

    def replace(self, mark: str, text: str) -> CompiledStatement:
        """Return this statement with another text in place of a mark, without compiling it."""
        changed = copy.copy(self)
        changed.text = self.text.replace(mark, text)
        return changed

    def _arranged(self, values: Mapping[str, Any]) -> Any:
        merged = {**self._fixed, **values}
        return merged if self._order is None else tuple(merged[name] for name in self._order)


def insert_selected(table: sa.Table, values: Columns, *where: sa.ColumnElement[bool]) -> sa.Insert:
    """Return what inserts a row for each row of what the values come from."""
    return table.insert().from_select([*values], sa.select(*values.values()).where(*where))
