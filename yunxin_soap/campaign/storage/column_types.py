"""A column type that checks what is read: SQLite keeps any value in any column."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import Any

import sqlalchemy as sa

from yunxin_soap.errors import LedgerError
from yunxin_soap.redact import quote

_FIRST_TIME, _LAST_TIME = -6e10, 2.5e11
"""What a `datetime` can show, about, in seconds since 1970."""
_FOUND = {bytes: "a BLOB", str: "a text", type(None): "NULL"}


class Checked(sa.types.TypeDecorator[Any]):
    """A type whose values are checked when they are read, so that damage is one clear error.

    Args:
        stored: the type in the database.
        column: the names of its table and of the column, for the error.
        nullable: whether null is allowed.
        known: the only values that there are, if they are few.
    """

    impl: sa.types.TypeEngine[Any] | type[sa.types.TypeEngine[Any]] = sa.Text
    cache_ok = True

    def __init__(
        self,
        stored: sa.types.TypeEngine[Any],
        column: str,
        *,
        nullable: bool,
        known: frozenset[str] | None = None,
    ) -> None:
        super().__init__()
        self.impl = stored  # so that its operators are the stored type's
        self.stored, self.column, self.nullable, self.known = stored, column, nullable, known

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Return the type in one database."""
        return self.stored.dialect_impl(dialect)

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any]:
        """Return the check; it raises `LedgerDamaged`."""
        nullable, is_boolean = self.nullable, isinstance(self.stored, sa.Boolean)
        is_valid = self._is_valid()

        def check(value: Any) -> Any:
            if value is None:
                if nullable:
                    return None
            elif is_valid(value):
                return bool(value) if is_boolean else value
            # Another text may be numbers, or a message.
            shown = quote(value) if self.known and isinstance(value, str) else None
            raise damaged(f"{self.column} is {shown or _FOUND.get(type(value), 'another number')}")

        return check

    def _is_valid(self) -> Callable[[Any], bool]:
        """Return what tells whether a value that is not null is valid."""
        if self.known is not None:
            return self.known.__contains__
        if isinstance(self.stored, sa.Boolean):
            return (0, 1).__contains__
        if isinstance(self.stored, sa.Double):
            return _is_time
        if isinstance(self.stored, sa.Integer):
            return _is_whole
        return _is_text


def one_of(kind: type[Enum]) -> frozenset[str]:
    """Return the values of an enumeration."""
    return frozenset(each.value for each in kind)


class LedgerDamaged(LedgerError):
    """The ledger has something in it that this package never writes."""


def damaged(found: str) -> LedgerDamaged:
    """Return the error of a ledger with something that this package never writes."""
    return LedgerDamaged(
        f"The ledger is damaged: {found}. Correct that in the database while nothing runs. (An"
        " older copy of the ledger would send again what was sent since.)"
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_whole(value: Any) -> bool:
    # A sum is a decimal on some servers. Nothing that is stored has more than 64 bits.
    return isinstance(value, int | Decimal)


def _is_time(value: Any) -> bool:
    return isinstance(value, float | int) and _FIRST_TIME < value < _LAST_TIME
