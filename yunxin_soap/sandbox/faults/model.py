"""The kinds of faults and their options: the one list that every interface of the sandbox uses.

Python, the command line, REST, the OpenAPI document and the page's form take the options,
their limits and their descriptions from the classes here. No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Annotated, Any, Literal, TypedDict, Union, cast, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    StrictInt,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from typing_extensions import Self

from yunxin_soap.codes import REJECTED_STATUSES
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.operation import ProtocolName
from yunxin_soap.sandbox.asmx.handler import Fields
from yunxin_soap.sandbox.strict_models import Text, from_strings, from_table, model
from yunxin_soap.sentences import Sentence

FaultKind = Literal[
    "delay",
    "close",
    "reset",
    "hang",
    "cut",
    "garble",
    "trickle",
    "content-type",
    "html",
    "error",
    "code",
    "balance",
    "refuse",
]
FaultStage = Literal["unread", "before", "after"]

_CODE = r"-[1-9][0-9]{0,8}(:[^\x00-\x1f\x7f\ufffe\uffff]*)?"
_NUMBER = r"\+?[0-9]{1,20}"
PHONE_NUMBER = re.compile(_NUMBER)


def _check_code(code: str) -> str:
    if not re.fullmatch(_CODE, code):
        raise ValueError(Sentence("must look like -14 or -6:促销, not {code}", code=repr(code)))
    return code


def _check_number(number: str) -> str:
    if not PHONE_NUMBER.fullmatch(number):
        raise ValueError(
            Sentence(
                "must be 1 to 20 digits after an optional +, not {number}", number=repr(number)
            )
        )
    return number


def _code_to_str(code: object) -> object:
    # Everywhere else a code is an int.
    return str(code) if isinstance(code, int) and not isinstance(code, bool) else code


def _split_numbers(numbers: object) -> object:
    # Recipients may be one string everywhere else too.
    return numbers.split(",") if isinstance(numbers, str) else numbers


_WHEN = (
    "after the gateway has decided and recorded the submission, before the gateway sees it, or"
    " unread: before the request is read."
)
_OnlyAfter = Annotated[Literal["after"], Field(description=_WHEN)]
_BeforeOrAfter = Annotated[Literal["before", "after"], Field(description=_WHEN)]
_AnyStage = Annotated[FaultStage, Field(description=_WHEN)]
Seconds = Annotated[float, Field(strict=True, ge=0, le=86400, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)]
Count = Annotated[StrictInt, Field(ge=0)]
Code = Annotated[
    Text,
    AfterValidator(_check_code),
    BeforeValidator(_code_to_str),
    WithJsonSchema({"type": "string", "pattern": f"^{_CODE}$"}),
]
PhoneNumber = Annotated[
    Text,
    AfterValidator(_check_number),
    WithJsonSchema({"type": "string", "pattern": f"^{_NUMBER}$"}),
]


def _require_seconds(schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
    """Return a kind's JSON schema, which requires seconds or jitter as its validator does."""
    described = handler(schema)
    handler.resolve_ref_schema(described)["anyOf"] = [
        {"properties": {name: {"exclusiveMinimum": 0}}, "required": [name]}
        for name in ("seconds", "jitter")
    ]
    return described


@model(kw_only=True)
class Fault:
    """A fault to inject: what goes wrong, for which submissions, how often.

    A submission triggers the first fault that matches it, and no other.
    """

    kind: FaultKind
    when: _AnyStage = "after"
    times: Annotated[StrictInt, Field(ge=1)] | None = Field(
        None,
        description="How many submissions the fault hits; without a number, every one that"
        " matches.",
    )
    seed: StrictInt = Field(
        0, description="Seed of the random choices: the same seed hits the same submissions."
    )

    @staticmethod
    def from_options(kind: object, /, **options: Any) -> Fault:
        """Return a validated fault.

        Args:
            kind: one of `FaultKind`.
            options: the options of that kind.

        Raises:
            ConfigurationError: the kind or an option is unknown, or a value is invalid.
        """
        made = _class_of(kind, options)
        return from_table(made, options, _place_of(kind))

    @staticmethod
    def from_text(text: str) -> Fault:
        """Parse a fault from one line, such as ``close:when=before,probability=0.1``.

        ``+`` joins several numbers, as in ``code:code=-14,numbers=13900000000+13900000001``.

        Args:
            text: ``KIND`` or ``KIND:NAME=VALUE,...``.

        Raises:
            ConfigurationError: the text cannot be parsed, or the fault is invalid.
        """
        kind, _, rest = text.partition(":")
        where = _place_of(kind)
        options: dict[str, str] = {}
        for part in filter(None, rest.split(",")):
            name, equals, value = part.strip().partition("=")
            if not equals:
                raise ConfigurationError(
                    Sentence(
                        "{where}: {part} must be NAME=VALUE; + joins several numbers.",
                        where=where,
                        part=repr(part),
                    )
                )
            if name in options:
                raise ConfigurationError(
                    Sentence("{where}: {name} is given twice.", where=where, name=name)
                )
            options[name] = value.replace("+", ",") if name == "numbers" else value
        return from_strings(_class_of(kind, options), options, where)


@model(kw_only=True)
class SubmissionFault(Fault):
    """A fault that can be limited to some submissions."""

    numbers: Annotated[tuple[PhoneNumber, ...], BeforeValidator(_split_numbers)] = Field(
        (), description="Only submissions to one of these numbers."
    )
    user_code: Text | None = Field(None, description="Only submissions of this account.")
    protocol: ProtocolName | None = Field(None, description="Only submissions over this protocol.")
    text: Text = Field("", description="Only messages that contain this text.")
    skip: Count = Field(
        0, description="How many matching submissions pass before the fault hits one."
    )
    probability: Share = Field(1.0, description="How likely the fault hits a matching submission.")

    @model_validator(mode="after")
    def _check_selection(self) -> Self:
        for name in ("numbers", "user_code", "protocol", "text"):
            if self.when == "unread" and getattr(self, name):
                raise ValueError(
                    Sentence(
                        "when='unread' and {name} exclude each other, because the submission is"
                        " unknown until the request is read",
                        name=name,
                    )
                )
        return self

    def matches(self, fields: Fields, protocol: ProtocolName) -> bool:
        """Return whether the fault applies to a submission with these fields."""
        numbers = (fields.get("DesNo") or "").split(",")
        return (
            (not self.numbers or not set(self.numbers).isdisjoint(numbers))
            and self.user_code in (None, fields.get("userCode"))
            and self.protocol in (None, protocol)
            and self.text in (fields.get("Msg") or "")
        )


@model(kw_only=True)
class DelayFault(SubmissionFault):
    """The correct response, late."""

    kind: Literal["delay"] = "delay"
    when: _OnlyAfter = "after"
    seconds: Seconds = Field(0.0, description="Seconds to wait.")
    jitter: Seconds = Field(0.0, description="Random extra delay: 0 to this many seconds.")

    @model_validator(mode="after")
    def _check_seconds(self) -> Self:
        if not self.seconds + self.jitter:
            raise ValueError(Sentence("seconds or jitter must be given, as in seconds=2"))
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return _require_seconds(schema, handler)


@model(kw_only=True)
class CloseFault(SubmissionFault):
    """The connection closes without a response."""

    kind: Literal["close"] = "close"
    when: _AnyStage = "after"


@model(kw_only=True)
class ResetFault(SubmissionFault):
    """The connection is reset without a response."""

    kind: Literal["reset"] = "reset"
    when: _AnyStage = "after"


@model(kw_only=True)
class HangFault(SubmissionFault):
    """No response; the connection stays open."""

    kind: Literal["hang"] = "hang"
    when: _AnyStage = "after"


@model(kw_only=True)
class CutFault(SubmissionFault):
    """Half a response, then the connection closes."""

    kind: Literal["cut"] = "cut"
    when: _OnlyAfter = "after"


@model(kw_only=True)
class GarbleFault(SubmissionFault):
    """A response whose body is random bytes."""

    kind: Literal["garble"] = "garble"
    when: _OnlyAfter = "after"


@model(kw_only=True)
class TrickleFault(SubmissionFault):
    """The correct response, byte by byte."""

    kind: Literal["trickle"] = "trickle"
    when: _OnlyAfter = "after"
    seconds: Seconds = Field(0.0, description="Seconds between two bytes.")
    jitter: Seconds = Field(
        0.0,
        description="Random extra delay: 0 to this many seconds, the same for all bytes of a"
        " response.",
    )


@model(kw_only=True)
class ContentTypeFault(SubmissionFault):
    """The correct response with the wrong Content-Type."""

    kind: Literal["content-type"] = "content-type"
    when: _OnlyAfter = "after"


@model(kw_only=True)
class HtmlFault(SubmissionFault):
    """An error page, as a proxy shows one."""

    kind: Literal["html"] = "html"
    when: _BeforeOrAfter = "after"
    status: StrictInt = Field(
        502,
        ge=400,
        le=599,
        description="The HTTP status. One that rejects, such as 404, says that nothing was sent,"
        " so it needs when=before. After any other, such as 408, the outcome is unknown.",
    )

    @model_validator(mode="after")
    def _check_status(self) -> Self:
        if self.status in REJECTED_STATUSES and self.when == "after":
            raise ValueError(
                Sentence(
                    "status={status} means that nothing was sent: use when='before', or a status"
                    " that leaves the outcome unknown, such as 408 or 502",
                    status=self.status,
                )
            )
        return self


@model(kw_only=True)
class ErrorFault(SubmissionFault):
    """The method throws: a SOAP Server fault, or else HTTP 500."""

    kind: Literal["error"] = "error"
    when: _BeforeOrAfter = "after"


@model(kw_only=True)
class CodeFault(SubmissionFault):
    """The gateway rejects the submission with a code."""

    kind: Literal["code"] = "code"
    when: _OnlyAfter = "after"
    code: Code = Field("-1", description="The result of the method, such as -14 or -6:促销.")


@model(kw_only=True)
class BalanceFault(SubmissionFault):
    """The gateway answers -7 once the balance is used up."""

    kind: Literal["balance"] = "balance"
    when: _OnlyAfter = "after"
    left: Count = Field(0, description="How many numbers can still be paid for.")


@model(kw_only=True)
class RefuseFault(Fault):
    """The TCP port is closed to everybody, also the page and REST."""

    kind: Literal["refuse"] = "refuse"
    when: _OnlyAfter = "after"
    seconds: Seconds = Field(0.0, description="Seconds until the port opens again.")
    jitter: Seconds = Field(0.0, description="Random extra delay: 0 to this many seconds.")

    @model_validator(mode="after")
    def _check_seconds(self) -> Self:
        if not self.seconds + self.jitter:
            raise ValueError(Sentence("seconds or jitter must be given, as in seconds=2"))
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return _require_seconds(schema, handler)


AnyFault = Annotated[
    Union[  # noqa: UP007 - get_args needs it
        DelayFault,
        CloseFault,
        ResetFault,
        HangFault,
        CutFault,
        GarbleFault,
        TrickleFault,
        ContentTypeFault,
        HtmlFault,
        ErrorFault,
        CodeFault,
        BalanceFault,
        RefuseFault,
    ],
    Field(discriminator="kind"),
]
"""Every kind, for JSON schemas."""

FAULT_TYPES: dict[FaultKind, type[Fault]] = {
    each.kind: each for each in get_args(get_args(AnyFault)[0])
}


# The options as keyword arguments, for type checkers: an option of another kind is a mistake, too.


class SubmissionOptions(TypedDict, total=False):
    """The options that say which submissions a fault hits."""

    seed: int
    numbers: Sequence[str]
    user_code: str | None
    protocol: ProtocolName | None
    text: str
    skip: int
    probability: float


class LossOptions(SubmissionOptions, total=False):
    """The options of the kinds without a response: close, reset and hang."""

    when: FaultStage


class ErrorOptions(SubmissionOptions, total=False):
    """The options of the kind error."""

    when: Literal["before", "after"]


class HtmlOptions(ErrorOptions, total=False):
    """The options of the kind html."""

    status: int


class ResponseOptions(SubmissionOptions, total=False):
    """The options of the kinds that change the response: cut, garble and content-type."""

    when: Literal["after"]


class SlowOptions(ResponseOptions, total=False):
    """The options of the kinds delay and trickle."""

    seconds: float
    jitter: float


class CodeOptions(ResponseOptions, total=False):
    """The options of the kind code."""

    code: str | int


class BalanceOptions(ResponseOptions, total=False):
    """The options of the kind balance."""

    left: int


class RefuseOptions(TypedDict, total=False):
    """The options of the kind refuse."""

    when: Literal["after"]
    seed: int
    seconds: float
    jitter: float


def _place_of(kind: object) -> Sentence:
    """Return what begins a text about a mistake in a fault."""
    return Sentence("fault {kind}", kind=repr(kind))


def option_names(kind: FaultKind) -> list[str]:
    """Return the names of a kind's options, in their order."""
    return [each.name for each in fields(cast("Any", FAULT_TYPES[kind])) if each.name != "kind"]


def _class_of(kind: object, options: dict[str, Any]) -> type[Fault]:
    """Return the class of a kind, if it has all these options."""
    if not isinstance(kind, str) or kind not in FAULT_TYPES:
        kinds = ", ".join(FAULT_TYPES)
        raise ConfigurationError(
            Sentence("There is no fault {kind}: use one of {kinds}.", kind=repr(kind), kinds=kinds)
        )
    known = option_names(kind)
    for name in options:
        if name in known:
            continue
        others = [other for other in FAULT_TYPES if name in option_names(other)]
        elsewhere = Sentence(", which is for {kinds}", kinds=", ".join(others)) if others else ""
        raise ConfigurationError(
            Sentence(
                "{where}: unknown option {name}{elsewhere}; the options of {kind} are {options}.",
                where=_place_of(kind),
                name=repr(name),
                elsewhere=elsewhere,
                kind=repr(kind),
                options=", ".join(known),
            )
        )
    return FAULT_TYPES[kind]
