"""Failing on purpose: which submits, how often, and how; no I/O."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Literal

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sandbox.asmx.handler import Fields
from yunxin_soap.sandbox.tables import build
from yunxin_soap.wsdl import ProtocolName


class Kind(str, Enum):
    """What goes wrong."""

    DELAY = "delay"
    """The right answer, late."""
    CLOSE = "close"
    """The connection is closed without an answer."""
    RESET = "reset"
    """The connection is reset without an answer."""
    HANG = "hang"
    """No answer; the connection stays open."""
    CUT = "cut"
    """Half an answer, and then the connection is closed."""
    GARBLE = "garble"
    """An answer whose body is noise."""
    TRICKLE = "trickle"
    """The right answer, byte by byte, with `Fault.seconds` between two."""
    CONTENT_TYPE = "content-type"
    """The right answer under the wrong Content-Type."""
    HTML = "html"
    """A page as a proxy shows it, with `Fault.status`."""
    ERROR = "error"
    """The method throws: a SOAP Server fault, or HTTP 500 on the HTTP ports."""
    CODE = "code"
    """A refusal with `Fault.code`."""
    BALANCE = "balance"
    """-7 once `Fault.left` numbers were accepted."""
    REFUSE = "refuse"
    """No new connection is accepted for `Fault.seconds`."""


When = Literal["unread", "before", "after"]
_ALLOWED: dict[Kind, tuple[str, ...]] = dict.fromkeys(Kind, ("after",)) | {
    # These need no answer of the gateway's to work on, and the first three no request.
    Kind.HTML: ("before", "after"),
    Kind.ERROR: ("before", "after"),
    Kind.CLOSE: ("unread", "before", "after"),
    Kind.RESET: ("unread", "before", "after"),
    Kind.HANG: ("unread", "before", "after"),
}
_LATE = frozenset({Kind.DELAY, Kind.TRICKLE, Kind.REFUSE})
_OF_SOME: dict[str, frozenset[Kind]] = {
    "seconds": _LATE,
    "jitter": _LATE,
    "status": frozenset({Kind.HTML}),
    "code": frozenset({Kind.CODE}),
    "left": frozenset({Kind.BALANCE}),
}
"""The options that only some kinds have."""

_CODE = re.compile(r"-[1-9][0-9]{0,8}(:[^\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]*)?")
NUMBER = re.compile(r"\+?[0-9]{1,20}")


@dataclass(frozen=True)
class Fault:
    """One rule. A submit meets the first that fits it, and no other.

    Raises:
        ConfigurationError: a value is out of its range, or makes no sense for the kind.
    """

    kind: Kind
    when: When = "after"
    """``after`` the gateway has decided, and kept what it accepted; ``before`` it sees the submit;
    ``unread``: the request is not even read, so that nothing in it can be asked for."""
    seconds: float = 0.0
    """For a delay, a trickle and a refusal to accept; the first and the last need it."""
    jitter: float = 0.0
    """Up to so many seconds more."""
    status: int = 502
    code: str = "-1"
    """As the gateway answers it, such as ``-6:促销``."""
    left: int = 0
    """Numbers that can still be paid for."""
    numbers: tuple[str, ...] = ()
    """Only submits with one of these numbers."""
    user_code: str | None = None
    """Only this account's."""
    port: ProtocolName | None = None
    """Only submits over this port."""
    text: str = ""
    """Only submits whose text holds this."""
    skip: int = 0
    """So many that fit are spared first."""
    times: int | None = None
    """So many are met; None is all."""
    probability: float = 1.0
    """How likely each that fits is met."""
    seed: int = 0
    """The same seed meets the same submits."""

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        self._check_options()
        self._check_values()
        self._check_choice()

    def _check_options(self) -> None:
        for each in fields(self):
            kinds, value = _OF_SOME.get(each.name), getattr(self, each.name)
            if kinds and self.kind not in kinds and value != each.default:
                names = ", ".join(kind.value for kind in Kind if kind in kinds)
                raise ConfigurationError(
                    f"{each.name}={value!r} makes no sense for a fault of the kind"
                    f" {self.kind.value!r}: it is for {names}."
                )

    def _check_values(self) -> None:
        kind = self.kind.value
        if self.kind in (Kind.DELAY, Kind.REFUSE) and not self.seconds + self.jitter:
            raise ConfigurationError(f"{kind!r} needs seconds, as in seconds=2, or jitter.")
        if not _CODE.fullmatch(self.code):
            raise ConfigurationError(f"code={self.code!r} must be as in -14 or -6:促销.")
        wrong = {
            "seconds": not 0 <= self.seconds <= 86400,
            "jitter": not 0 <= self.jitter <= 86400,
            "status": not 400 <= self.status <= 599,
            "left": self.left < 0,
            "skip": self.skip < 0,
            "times": self.times is not None and self.times < 1,
            "probability": not 0 < self.probability <= 1,
            "when": self.when not in _ALLOWED[self.kind],
        }
        for name, bad in wrong.items():
            if bad:
                raise ConfigurationError(
                    f"{name}={getattr(self, name)!r} makes no sense for a fault of the kind"
                    f" {kind!r}."
                )

    def _check_choice(self) -> None:
        odd = next((each for each in self.numbers if not NUMBER.fullmatch(each)), None)
        if odd is not None:
            raise ConfigurationError(f"numbers: {odd!r} is no number.")
        for name in ("user_code", "text"):
            if any("\ud800" <= char <= "\udfff" for char in getattr(self, name) or ""):
                raise ConfigurationError(f"{name} has half a character in it: remove it.")
        if self.kind is Kind.HTML and self.status < 500 and self.when == "after":
            raise ConfigurationError(
                f"status={self.status} says that nothing was sent: give when='before', or a status"
                " from 500."
            )
        for name in ("numbers", "user_code", "port", "text"):
            if self.when == "unread" and getattr(self, name):
                raise ConfigurationError(
                    f"when='unread' and {name} exclude each other: who is asked for is not known"
                    " before the request is read."
                )
        chosen = self.numbers or self.user_code or self.port or self.text or self.skip
        if self.kind is Kind.REFUSE and (chosen or self.probability < 1):
            raise ConfigurationError(
                "'refuse' shuts the port for all: it takes seconds and jitter, and no choice of"
                " submits."
            )

    def asks_for(self, fields: Fields, port: ProtocolName) -> bool:
        """Whether it is meant for such a submit."""
        numbers = (fields.get("DesNo") or "").split(",")
        return (
            (not self.numbers or not set(self.numbers).isdisjoint(numbers))
            and self.user_code in (None, fields.get("userCode"))
            and self.port in (None, port)
            and self.text in (fields.get("Msg") or "")
        )


def fault(kind: str, /, **options: Any) -> Fault:
    """Make a fault of what a caller gave.

    Raises:
        ConfigurationError: the kind or an option is not known, or makes no sense.
    """
    try:
        known = Kind(kind)
    except ValueError:
        kinds = ", ".join(each.value for each in Kind)
        raise ConfigurationError(f"There is no fault {kind!r}: use one of {kinds}.") from None
    code = options.get("code")
    if isinstance(code, int) and not isinstance(code, bool):
        options["code"] = str(code)  # a number everywhere else
    if isinstance(options.get("numbers"), str):
        options["numbers"] = options["numbers"].split(",")  # as recipients everywhere else
    return build(Fault, options, f"fault {kind!r}", kind=known)


def parse(text: str) -> Fault:
    """Make a fault of one line, as in ``close:when=before,probability=0.1``.

    Several numbers are joined by ``+``, as in ``code:code=-14,numbers=13900000000+13900000001``.

    Raises:
        ConfigurationError: it cannot be read, or makes no sense.
    """
    kind, _, rest = text.partition(":")
    types = {each.name: str(each.type) for each in fields(Fault)}
    options: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        name, equals, value = part.strip().partition("=")
        if not equals:
            raise ConfigurationError(
                f"fault {kind!r}: {part!r} must be NAME=VALUE; + joins several numbers."
            )
        if name in options:
            raise ConfigurationError(f"fault {kind!r}: {name} is there twice.")
        try:
            options[name] = _READERS.get(types.get(name, ""), str)(value)
        except ValueError:
            raise ConfigurationError(f"fault {kind!r}: {part!r} must be a number.") from None
    return fault(kind, **options)


_READERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "int | None": int,
    "float": float,
    "tuple[str, ...]": lambda value: value.split("+"),
}
