"""The errors of the package. The first split is the outcome, the second the cause.

::

    YunxinError
    ├── ConfigurationError      a wrong setting, a WSDL that does not fit, a missing extra
    ├── LedgerError             the ledger of campaigns cannot do what was asked
    │   ├── ContentConflict     the name or key belongs to other content
    │   └── NotInLedger         no such campaign, key or submission
    └── SendError               a submission was not accepted
        ├── InvalidRequest      not sent: an argument breaks a rule (also a ValueError)
        │   └── RecipientsSuppressed  a number is on the ledger's do-not-send list
        ├── NotSent             not sent: nothing can have reached the gateway
        ├── SendExpired         not sent: its time was up, and it never will be
        ├── Rejected            rejected, by cause:
        │   ├── CredentialsRejected
        │   ├── ContentRejected
        │   ├── BalanceRejected
        │   ├── ChannelRejected
        │   ├── RecipientsRejected
        │   ├── ConfigurationRejected
        │   └── GatewayRejected
        └── OutcomeUnknown      unknown: the SMS may have been sent

``str(error)`` is one line: what happened, whether the SMS may have been sent, and what to do.

``safe_to_resend`` and ``retryable`` are False unless the raising layer set them. Pickle, `copy` and
``to_dict()`` with ``from_dict()`` keep them. So does an error that is rebuilt from its ``args``, as
the result backends of task queues do: the second of them is the dictionary. Without it, as from the
text alone, both are False.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, ClassVar, TypeVar

from yunxin_soap.codes import DOCUMENTED, Category, ResultCode
from yunxin_soap.redact import quote, truncate_printable
from yunxin_soap.sentences import Sentence

_T = TypeVar("_T")


class Outcome(str, Enum):
    """How a submission ended."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class RequestInfo:
    """The request that an error belongs to. It contains no secret, number or text."""

    endpoint: str
    protocol: str
    """``soap``, ``soap12``, ``http-get`` or ``http-post``."""
    recipients: int
    """How many numbers the submission had."""
    channel: str


class YunxinError(Exception):
    """Base of every error that this package raises on purpose."""

    def to_dict(self) -> dict[str, Any]:
        """Return the error as a dictionary of JSON types, for `from_dict`.

        A subclass that you defined is written as its base class from this package.
        """
        kind = next(each for each in type(self).__mro__ if each.__module__ == __name__)
        return {"type": kind.__name__, "message": str(self)}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> YunxinError:
        """Rebuild the error that `to_dict` wrote.

        An absent or invalid entry takes its default; ``safe_to_resend`` and ``retryable`` are then
        False. Unknown entries are ignored.

        Args:
            data: the dictionary, from JSON for example.

        Raises:
            ValueError: ``type`` does not name an error of this package.
        """
        name = str(data.get("type"))
        kind = _kinds().get(name)
        if kind is None:
            raise ValueError(f"{name!r} is not an error of yunxin_soap.")
        message = str(data.get("message", ""))
        return kind(message, data) if issubclass(kind, SendError) else kind(message)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with all attributes, whatever the constructor takes."""
        return _restore, (type(self), super().args, self.__dict__)


def _restore(cls: type[YunxinError], args: tuple[Any, ...], state: dict[str, Any]) -> YunxinError:
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error


def _kinds() -> dict[str, type[YunxinError]]:
    """Return the errors of this module by name."""
    return {
        name: value
        for name, value in globals().items()
        if isinstance(value, type) and issubclass(value, YunxinError)
    }


def _request_info(data: object) -> RequestInfo | None:
    if not isinstance(data, Mapping):
        return None
    return RequestInfo(
        _get(data, "endpoint", str) or "",
        _get(data, "protocol", str) or "",
        _get(data, "recipients", int) or 0,
        _get(data, "channel", str) or "",
    )


def _get(data: Mapping[str, Any], name: str, kind: type[_T]) -> _T | None:
    value = data.get(name)
    # True is an int for Python.
    return value if type(value) is kind else None


class ConfigurationError(YunxinError):
    """The settings, the WSDL or the installation are wrong. Nothing was sent."""


class LedgerError(YunxinError):
    """The ledger cannot do what was asked. Nothing was sent that is not recorded."""


class ContentConflict(LedgerError):
    """A campaign of that name, or a single send of that key, exists with other content."""


class NotInLedger(LedgerError):
    """No such campaign or key, or no submission in the state that the operation needs."""


class SendError(YunxinError):
    """A submission was not accepted; ``outcome`` says how it ended.

    Args:
        message: one line: what happened, whether the SMS may have been sent, and what to do.
        data: what `to_dict` wrote; it decides every attribute, and what it lacks has its default.
            Every error below takes it, since ``args`` of an error ends in it: so task queues
            that keep ``args`` as JSON rebuild the error as it was.
        safe_to_resend: whether no second copy can result from sending again.
        retryable: whether the same request may succeed if it is repeated unchanged.
    """

    outcome: ClassVar[Outcome]
    safe_to_resend: bool
    """Whether no second copy can result from sending again. False unless it was set."""
    retryable: bool
    """Whether the same request may succeed if it is repeated unchanged. False unless it was set."""
    request: RequestInfo | None
    """The request; None if there was none yet."""

    def __init__(
        self,
        message: str,
        data: Mapping[str, Any] | None = None,
        /,
        *,
        safe_to_resend: bool = False,
        retryable: bool = False,
    ) -> None:
        super().__init__(message)
        self.safe_to_resend = safe_to_resend
        self.retryable = retryable
        self.request = None
        self._take(data)

    @property
    def args(self) -> tuple[Any, ...]:
        """The arguments of a constructor that makes the same error, of JSON types."""
        # A subclass with a constructor of its own takes what that one passed on.
        return (*super().args, self.to_dict()) if self._is_ours() else super().args

    @args.setter
    def args(self, values: tuple[Any, ...]) -> None:
        Exception.__init__(self, *(values[:1] if self._is_ours() else values))

    @classmethod
    def _is_ours(cls) -> bool:
        """Return whether the constructor is one of this module."""
        return cls.__init__.__module__ == __name__

    def _take(self, data: Mapping[str, Any] | None) -> None:
        """Set every attribute to what a dictionary says, if there is one."""
        if data is not None:
            vars(self).update(self._attributes(data))

    def to_dict(self) -> dict[str, Any]:
        """Return the error as a dictionary of JSON types, for `YunxinError.from_dict`."""
        return {
            **super().to_dict(),
            "outcome": self.outcome.value,
            "safe_to_resend": self.safe_to_resend,
            "retryable": self.retryable,
            "request": None if self.request is None else asdict(self.request),
        }

    @classmethod
    def _attributes(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the attributes that `to_dict` wrote; an invalid entry counts as absent."""
        return {
            "safe_to_resend": data.get("safe_to_resend") is True,
            "retryable": data.get("retryable") is True,
            "request": _request_info(data.get("request")),
        }


class InvalidRequest(SendError, ValueError):
    """An argument breaks a rule that this package checks. Nothing was sent."""

    outcome = Outcome.NOT_SENT


class RecipientsSuppressed(InvalidRequest):
    """A number is on the do-not-send list of the ledger. Nothing was sent or recorded."""


class NotSent(SendError):
    """Nothing of the request can have reached the gateway."""

    outcome = Outcome.NOT_SENT


class SendExpired(SendError):
    """A queued send was not sent before it expired, so it was cancelled. It never will be sent."""

    outcome = Outcome.NOT_SENT


class Rejected(SendError):
    """The gateway rejected the submission: by a code, or before it ran the service.

    It is safe to send again once the cause is fixed, with two exceptions: -1, which may be raised
    after the SMS was queued, and a code that the manual does not list.

    Of the HTTP statuses only 400, 401, 403, 404, 405, 407, 411, 413, 414, 415, 417, 426, 429 and
    431 reject. After any other the outcome is unknown, also after another 4xx such as 408. So it is
    if the rest of the response contradicts the rejection.

    Args:
        message: one line: what happened, whether the SMS may have been sent, and what to do.
        code: the gateway's negative code; None if HTTP or SOAP rejected the request.
        category: what to fix.
        description_zh: the vendor's Chinese words, or what the rejecting side said.
        description_en: the same in English.
        keyword: the banned word of -6, printable and at most 100 characters of it; None for any
            other code, empty if the gateway named none.
        http_status: the HTTP status; None if the gateway answered with a code.
        temporary: whether the cause may pass without a fix (-8, -23, HTTP 429); ``retryable`` is
            the same.
        safe_to_resend: whether no second copy can result from sending again.
    """

    outcome = Outcome.REJECTED

    def __init__(
        self,
        message: str,
        data: Mapping[str, Any] | None = None,
        /,
        *,
        code: int | None = None,
        category: Category = Category.GATEWAY,
        description_zh: str = "",
        description_en: str = "",
        keyword: str | None = None,
        http_status: int | None = None,
        temporary: bool = False,
        safe_to_resend: bool = False,
    ) -> None:
        super().__init__(message, safe_to_resend=safe_to_resend, retryable=temporary)
        self.code = code
        self.category = category
        self.description_zh = description_zh
        self.description_en = description_en
        self.keyword = keyword
        self.http_status = http_status
        self.temporary = temporary
        self._take(data)

    def to_dict(self) -> dict[str, Any]:
        """Return the error as a dictionary of JSON types, for `YunxinError.from_dict`."""
        return {
            **super().to_dict(),
            "code": self.code,
            "category": self.category.value,
            "description_zh": self.description_zh,
            "description_en": self.description_en,
            "keyword": self.keyword,
            "http_status": self.http_status,
            "temporary": self.temporary,
        }

    @classmethod
    def _attributes(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        category = data.get("category")
        known = category in [each.value for each in Category]
        temporary = data.get("temporary") is True
        return {
            **super()._attributes(data),
            # Only what may pass by itself can be repeated unchanged.
            "retryable": temporary and data.get("retryable") is True,
            "code": _get(data, "code", int),
            "category": Category(category) if known else Category.GATEWAY,
            "description_zh": _get(data, "description_zh", str) or "",
            "description_en": _get(data, "description_en", str) or "",
            "keyword": _get(data, "keyword", str),
            "http_status": _get(data, "http_status", int),
            "temporary": temporary,
        }


class CredentialsRejected(Rejected):
    """The gateway rejected the account: name, password or IP address (-3, -13)."""


class ContentRejected(Rejected):
    """The gateway rejected the text (-5, -6, -12, -20)."""


class BalanceRejected(Rejected):
    """The balance of the account is too low (-7)."""


class ChannelRejected(Rejected):
    """The channel cannot be used, or not now (-8, -19)."""


class RecipientsRejected(Rejected):
    """The gateway rejected the numbers (-9, -10, -11, -14, -15, -16, -17)."""


class ConfigurationRejected(Rejected):
    """A setting at the vendor (-18, -21, -22) or the endpoint (HTTP, SOAP) is wrong."""


class GatewayRejected(Rejected):
    """The gateway failed (-1), was asked too often (-23), or returned a code not in the manual."""


class OutcomeUnknown(SendError):
    """The SMS may have been sent: no response came, or none that shows the outcome.

    That includes every response that contradicts itself, such as a rejection that also contains a
    batch number. Never send it again automatically. A person, or the vendor's delivery report,
    decides.

    Args:
        message: one line: what happened, and what to do.
        excerpt: the start of the response, redacted; None if no response came.
        http_status: the HTTP status; None if no response came, or if the result in a response was
            neither a batch number nor a code.
    """

    outcome = Outcome.UNKNOWN

    def __init__(
        self,
        message: str,
        data: Mapping[str, Any] | None = None,
        /,
        *,
        excerpt: str | None = None,
        http_status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.excerpt = excerpt
        self.http_status = http_status
        self._take(data)

    def to_dict(self) -> dict[str, Any]:
        """Return the error as a dictionary of JSON types, for `YunxinError.from_dict`."""
        return {**super().to_dict(), "excerpt": self.excerpt, "http_status": self.http_status}

    @classmethod
    def _attributes(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **super()._attributes(data),
            # No entry makes an unknown outcome safe.
            "safe_to_resend": False,
            "retryable": False,
            "excerpt": _get(data, "excerpt", str),
            "http_status": _get(data, "http_status", int),
        }


def invalid_request(message: str) -> InvalidRequest:
    """Return the error for an argument that breaks a rule; nothing was sent, so it is safe."""
    return InvalidRequest(message, safe_to_resend=True)


_MAX_KEYWORD = 100
"""Characters of a banned word that an error has. It comes from outside, and may be a page."""

_BY_CATEGORY: dict[Category, type[Rejected]] = {
    Category.CREDENTIALS: CredentialsRejected,
    Category.CONTENT: ContentRejected,
    Category.BALANCE: BalanceRejected,
    Category.CHANNEL: ChannelRejected,
    Category.RECIPIENTS: RecipientsRejected,
    Category.CONFIGURATION: ConfigurationRejected,
    Category.GATEWAY: GatewayRejected,
}

_REMEDIES: dict[Category, Sentence] = {
    Category.CREDENTIALS: Sentence("check the account with the vendor"),
    Category.CONTENT: Sentence("change the text"),
    Category.BALANCE: Sentence("top up the account"),
    Category.CHANNEL: Sentence("check the channel number, or wait for its hours"),
    Category.RECIPIENTS: Sentence("fix the recipients"),
    Category.CONFIGURATION: Sentence("ask the vendor to change the setting, or do without it"),
    Category.GATEWAY: Sentence("ask the vendor before you send it again"),
}


def rejected_by_code(code: int, keyword: str | None = None) -> Rejected:
    """Return the typed error for a negative result, documented or not.

    Args:
        code: the result.
        keyword: the banned word of -6, redacted. The error has at most 100 characters of it.
    """
    if keyword is not None:
        keyword = truncate_printable(keyword, _MAX_KEYWORD)
    known = DOCUMENTED.get(code)
    if known is None:
        return GatewayRejected(
            Sentence(
                "The gateway rejected the submission with {code}, a code that is not in the "
                "vendor's manual: ask the vendor before you send it again.",
                code=code,
            ),
            code=code,
            description_zh="未知错误码",
            description_en="a code that is not in the vendor's manual",
        )
    description_zh, description_en = known.description_zh, known.description_en
    if known is ResultCode.BANNED_WORD:
        description_zh, description_en = _describe_banned_word(keyword)
    remedy = _REMEDIES[known.category]
    if known.temporary:
        remedy = Sentence("{remedy}; the cause may pass by itself", remedy=remedy)
    return _BY_CATEGORY[known.category](
        Sentence(
            "The gateway rejected the submission with {code} {description_zh}"
            " ({description_en}): {remedy}.",
            code=code,
            description_zh=description_zh,
            description_en=description_en,
            remedy=remedy,
        ),
        code=code,
        category=known.category,
        description_zh=description_zh,
        description_en=description_en,
        keyword=keyword,
        temporary=known.temporary,
        safe_to_resend=known.safe_to_resend,
    )


def _describe_banned_word(keyword: str | None) -> tuple[str, str]:
    """Name the word where the manual has a placeholder."""
    if not keyword:
        return "含有关键字", "the text contains a banned word, which the gateway did not name"
    return (
        f"含有关键字“{truncate_printable(keyword, 40)}”",
        f"the text contains the banned word {quote(keyword)}",
    )
