"""Makes dataclasses of tables that people wrote, in TOML or JSON; a mistake in one is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from datetime import time
from typing import Any, TypeVar

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.wsdl import PROTOCOLS

_T = TypeVar("_T")


def tables(value: Any, where: str) -> list[Mapping[str, Any]]:
    """Return an array of tables as it is.

    Raises:
        ConfigurationError: it is none.
    """
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise ConfigurationError(f"{where} must be an array of tables.")
    return value


_WANTED: dict[str, tuple[type | tuple[type, ...], str]] = {
    "str": (str, "a string"),
    "str | None": (str, "a string"),
    "int": (int, "a whole number"),
    "int | None": (int, "a whole number"),
    "float": ((int, float), "a number"),
    "bool": (bool, "true or false"),
    "time": (time, "a time such as 08:00:00"),
    "tuple[str, ...]": ((list, tuple), "an array of strings"),
    "ProtocolName | None": (str, f"one of {', '.join(PROTOCOLS)}"),
    "When": (str, "unread, before or after"),
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "ProtocolName | None": PROTOCOLS,
    "When": ("unread", "before", "after"),
}


def build(made: type[_T], table: Mapping[str, Any], where: str, /, **more: Any) -> _T:
    """Make a dataclass of a table, each value checked against the type of its field.

    Args:
        made: the dataclass.
        table: its fields by name.
        where: stands before the mistake.
        more: fields that are right already, and may not be in the table.

    Raises:
        ConfigurationError: a key is not known or missing, or a value is of the wrong type.
    """
    types = {
        each.name: str(each.type)
        for each in fields(made)  # type: ignore[arg-type]
        if each.name not in more
    }
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in types:
            known = ", ".join(sorted(types))
            raise ConfigurationError(f"{where}: {key!r} is not known; known are {known}.")
        if value is None and types[key].endswith("| None"):
            continue
        wanted, description = _WANTED.get(types[key], ((list, tuple), "an array"))
        right = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
        if types[key] == "tuple[str, ...]":
            right = right and all(isinstance(each, str) for each in value)
        if types[key] in _CHOICES:
            right = right and value in _CHOICES[types[key]]
        if not right:
            raise ConfigurationError(f"{where}: {key} must be {description}.")
        values[key] = tuple(value) if isinstance(value, list) else value
    missing = [
        each.name
        for each in fields(made)  # type: ignore[arg-type]
        if each.default is MISSING and each.name not in values and each.name not in more
    ]
    if missing:
        raise ConfigurationError(f"{where}: {' and '.join(missing)} must be given.")
    return made(**values, **more)
