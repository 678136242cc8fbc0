"""Pydantic models that report a mistake as a `ConfigurationError` of one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails
from typing_extensions import dataclass_transform

from yunxin_soap.errors import ConfigurationError

_T = TypeVar("_T")

# An input can be a password, so no error quotes one.
_CONFIG = ConfigDict(extra="forbid", hide_input_in_errors=True)
_EXPECTED = {
    "string_type": "a string",
    "string_unicode": "text without half a character (a lone surrogate)",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "time_type": "a time such as 08:00:00",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
}


def _encodable(text: str) -> str:
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("contains half a character (a lone surrogate): remove it")
    return text


Text = Annotated[str, Field(strict=True), AfterValidator(_encodable)]
"""A string that UTF-8 can encode."""


@dataclass_transform(frozen_default=True, field_specifiers=(Field,))
def model(*, kw_only: bool = False) -> Callable[[type[_T]], type[_T]]:
    """Make a class a frozen pydantic dataclass that raises `ConfigurationError`.

    Args:
        kw_only: whether the fields are keyword arguments only.
    """

    def decorate(cls: type[_T]) -> type[_T]:
        made: Any = dataclass(frozen=True, kw_only=kw_only, config=_CONFIG)(cls)
        validate = made.__init__

        @wraps(validate)
        def initialize(self: Any, /, *args: Any, **kwargs: Any) -> None:
            try:
                validate(self, *args, **kwargs)
            except ValidationError as error:
                mistake = _describe(error, type(self), type(self).__name__)
            else:
                return
            # The traceback keeps this frame, and the arguments can hold a password.
            del args, kwargs
            raise ConfigurationError(mistake)

        made.__init__ = initialize
        return made  # type: ignore[no-any-return]

    return decorate


def from_table(made: type[_T], table: Mapping[str, Any], where: str) -> _T:
    """Validate a table, as TOML and JSON have it, and return the model.

    Args:
        made: the model's class.
        table: values by field name; nested models are tables too.
        where: where the table comes from. Error messages begin with it.

    Raises:
        ConfigurationError: a key is unknown or missing, or a value is invalid.
    """
    try:
        return TypeAdapter(made).validate_python(table)
    except ValidationError as error:
        mistake = _describe(error, made, where)
    # The traceback keeps this frame, and the table can hold a password.
    del table
    raise ConfigurationError(mistake)


def from_strings(made: type[_T], values: Mapping[str, str], where: str) -> _T:
    """Parse strings, as a command line has them, and return the model.

    Args:
        made: the model's class.
        values: the text of each value by field name.
        where: where the values come from. Error messages begin with it.

    Raises:
        ConfigurationError: a key is unknown or missing, or a value is invalid.
    """
    try:
        return TypeAdapter(made).validate_strings(values)
    except ValidationError as error:
        raise ConfigurationError(_describe(error, made, where)) from None


def _describe(error: ValidationError, made: type, where: str) -> str:
    """Return one sentence about the first mistake."""
    mistakes = error.errors(include_url=False, include_input=False)
    # A mistyped key is also missing under its right name: report the typing mistake.
    mistakes.sort(key=lambda each: each["type"] == "missing")
    first = mistakes[0]
    place, owner, name, item = _locate(made, first)
    prefix = ": ".join([where, *place])
    if first["type"] == "missing":
        parent = first["loc"][:-1]
        absent = [
            str(each["loc"][-1])
            for each in mistakes
            if each["type"] == "missing" and each["loc"][:-1] == parent
        ]
        return f"{prefix}: {' and '.join(absent)} must be given."
    if first["type"] == "unexpected_keyword_argument":
        known = ", ".join(sorted(each.name for each in fields(owner)))
        return f"{prefix}: unknown key {name!r}; the known keys are {known}."
    if first["type"] == "unexpected_positional_argument":
        return f"{prefix}: there are too many positional arguments."
    if first["type"] == "multiple_argument_values":
        return f"{prefix}: {name} is given twice."
    context = {key: _plain(value) for key, value in first.get("ctx", {}).items()}
    if first["type"] == "value_error":
        subject = f"{name}{item} " if name else ""
        return f"{prefix}: {subject}{context['error']}."
    if first["type"] in ("literal_error", "enum"):
        expected = context["expected"].replace("'", "").replace(" or ", ", ")
        choices = "" if "," not in expected else "one of "
        return f"{prefix}: {name} must be {choices}{expected}."
    if item or first["type"] == "tuple_type":
        expected = "an array of tables" if _nested(owner, name) else "an array of strings"
        return f"{prefix}: {name} must be {expected}."
    if first["type"] in _EXPECTED:
        return f"{prefix}: {name} must be {_EXPECTED[first['type']].format(**context)}."
    return f"{prefix}: {first['msg']}."


def _plain(value: Any) -> Any:
    """Return a limit as people write it: 0 for 0.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _locate(made: type, mistake: ErrorDetails) -> tuple[list[str], Any, str, str]:
    """Return the path of a mistake's table, the table's class, the field's name and the item.

    The name is empty if the mistake is about the table, the item unless it is about one item of
    the field.
    """
    place: list[str] = []
    owner: Any = made
    name = item = ""
    for part in mistake["loc"]:
        if isinstance(part, int):
            item = f"[{part}]"
            continue
        if name:
            place.append(name + item)
            owner = _nested(owner, name)
        name, item = part, ""
    inside = item and mistake["type"] not in ("dataclass_type", "dataclass_exact_type")
    if inside and (nested := _nested(owner, name)) is not None:
        return [*place, name + item], nested, "", ""
    return place, owner, name, item


def _nested(owner: Any, name: str) -> Any:
    """Return the model that a field holds, or None."""
    pending = [get_type_hints(owner).get(name)]
    while pending:
        hint = pending.pop()
        if isinstance(hint, type) and is_dataclass(hint):
            return hint
        pending.extend(get_args(hint))
    return None
