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
from yunxin_soap.sentences import Sentence, joined_by_and, text_of

_T = TypeVar("_T")

# An input can be a password, so no error quotes one.
_CONFIG = ConfigDict(extra="forbid", hide_input_in_errors=True)
_CHOICES = ("literal_error", "enum")
_EXPECTED = {
    "string_type": Sentence("a string"),
    "string_unicode": Sentence("text without half a character (a lone surrogate)"),
    "int_type": Sentence("a whole number"),
    "int_parsing": Sentence("a whole number"),
    "int_parsing_size": Sentence("a whole number"),
    "float_type": Sentence("a number"),
    "float_parsing": Sentence("a number"),
    "finite_number": Sentence("a number"),
    "bool_type": Sentence("true or false"),
    "time_type": Sentence("a time such as 08:00:00"),
}


def _encodable(text: str) -> str:
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError(Sentence("contains half a character (a lone surrogate): remove it"))
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


def _describe(error: ValidationError, made: type, where: str) -> Sentence:
    """Return one sentence about the first mistake."""
    mistakes = error.errors(include_url=False, include_input=False)
    # A mistyped key is also missing under its right name: report the typing mistake.
    mistakes.sort(key=lambda each: each["type"] == "missing")
    place, owner, name, item = _locate(made, mistakes[0])
    return Sentence(
        "{where}: {place}{mistake}.",
        where=where,
        place="".join(f"{each}: " for each in place),
        mistake=_mistake(mistakes, owner, name, item),
    )


def _mistake(mistakes: list[ErrorDetails], owner: Any, name: str, item: str) -> str:
    """Return what is wrong with a field or a table: the first of all mistakes.

    Args:
        mistakes: all mistakes.
        owner: the class of the table, as `_locate` returns it.
        name: the field's name, as `_locate` returns it.
        item: the item of the field, as `_locate` returns it.
    """
    first = mistakes[0]
    kind = first["type"]
    if kind == "missing":
        parent = first["loc"][:-1]
        absent = [
            str(each["loc"][-1])
            for each in mistakes
            if each["type"] == "missing" and each["loc"][:-1] == parent
        ]
        return Sentence("{names} must be given", names=joined_by_and(absent))
    if kind == "unexpected_keyword_argument":
        known = ", ".join(sorted(each.name for each in fields(owner)))
        return Sentence(
            "unknown key {name}; the known keys are {known}", name=repr(name), known=known
        )
    if kind == "unexpected_positional_argument":
        return Sentence("there are too many positional arguments")
    if kind == "multiple_argument_values":
        return Sentence("{name} is given twice", name=name)
    if kind == "value_error":
        problem = text_of(first["ctx"]["error"])
        return Sentence("{name} {problem}", name=name + item, problem=problem) if name else problem
    if kind not in _CHOICES and (item or kind == "tuple_type"):
        if _nested(owner, name):
            return Sentence("{name} must be an array of tables", name=name)
        return Sentence("{name} must be an array of strings", name=name)
    return _wrong_value(first, name)


def _wrong_value(mistake: ErrorDetails, name: str) -> str:
    """Return what the value of a field must be."""
    kind = mistake["type"]
    context = {key: _plain(value) for key, value in mistake.get("ctx", {}).items()}
    if kind in _CHOICES:
        expected = context["expected"].replace("'", "").replace(" or ", ", ")
        if "," not in expected:
            return Sentence("{name} must be {value}", name=name, value=expected)
        return Sentence("{name} must be one of {values}", name=name, values=expected)
    if kind == "greater_than":
        return Sentence("{name} must be more than {limit}", name=name, limit=context["gt"])
    if kind == "greater_than_equal":
        return Sentence("{name} must be at least {limit}", name=name, limit=context["ge"])
    if kind == "less_than_equal":
        return Sentence("{name} must be at most {limit}", name=name, limit=context["le"])
    if kind in _EXPECTED:
        return Sentence("{name} must be {expected}", name=name, expected=_EXPECTED[kind])
    return mistake["msg"]


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
