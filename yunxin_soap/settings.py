"""The settings of a client, validated once, when they are built."""

from __future__ import annotations

import math
import os
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from inspect import Parameter
from typing import TYPE_CHECKING, Any, TypedDict, cast

from yunxin_soap import message
from yunxin_soap.environment import read_variable
from yunxin_soap.errors import ConfigurationError, InvalidRequest
from yunxin_soap.operation import PROTOCOLS, ProtocolName
from yunxin_soap.redact import clear_frames
from yunxin_soap.sentences import Sentence, text_of

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

DEFAULT_ENDPOINT = "http://112.124.24.5/api/MsgSend.asmx"
"""The vendor's service."""

DEFAULT_MAX_CONNECTIONS = 100
MAX_CONNECTIONS = 10_000
"""More than a process may have open files, usually."""

Verify = bool | str | os.PathLike[str] | ssl.SSLContext
"""How to check the certificate of an ``https`` endpoint; see `Client`."""

ENV_NAMES = (
    "user_code",
    "user_pass",
    "channel",
    "signature",
    "extension",
    "endpoint",
    "protocol",
    "timeout",
    "proxy",
    "max_segments",
)
"""The settings that have a ``YUNXIN_*`` variable."""
_Validator = Callable[[str, Any], Any]
"""Takes a setting's name and value; returns the normalised value or raises ConfigurationError."""


@dataclass(frozen=True)
class Endpoint:
    """The parsed address of the service's page. No request goes to any other address."""

    url: str
    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        """The address without its path."""
        return self.url[: -len(self.path)]


class ClientOptions(TypedDict, total=False):
    """The optional arguments of `Client` and `AsyncClient`; `Client` documents them."""

    channel: str | int | None
    signature: str | None
    extension: str | int
    endpoint: str | Endpoint
    protocol: ProtocolName
    timeout: float
    connect_timeout: float
    total_timeout: float | None
    retries: int
    proxy: str | None
    trust_env: bool
    verify: Verify
    recipient_pattern: str | re.Pattern[str] | None
    max_recipients: int
    max_segments: int
    max_connections: int
    wsdl: str | os.PathLike[str] | None
    log_messages: bool


class ClientArguments(ClientOptions, total=False):
    """All arguments of `Client` and `AsyncClient`, as `Client.from_env` takes them."""

    user_code: str
    user_pass: str


def parse_endpoint(url: str | Endpoint) -> Endpoint:
    """Parse the address of the service's page.

    Raises:
        ConfigurationError: it is not a plain ``http`` or ``https`` address.
    """
    from urllib3.exceptions import LocationParseError
    from urllib3.util import parse_url

    if isinstance(url, Endpoint):
        return url
    try:
        parsed = parse_url(url)
    except (LocationParseError, TypeError, AttributeError):
        parsed = None
    if parsed is None:
        # Raised outside the handler: __context__ would quote an address that may hold a password.
        raise ConfigurationError(
            Sentence(
                "endpoint is not a URL: give the address of the page, such as {default_endpoint}",
                default_endpoint=DEFAULT_ENDPOINT,
            )
        )
    if parsed.auth is not None:
        # Not quoted: it contains a password.
        raise ConfigurationError("endpoint contains a user name: remove the part before @.")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigurationError(
            Sentence(
                "endpoint={url} must start with http:// or https:// and name a host.", url=repr(url)
            )
        )
    if parsed.query is not None or parsed.fragment is not None:
        # Not quoted: the query of a pasted request contains a password.
        raise ConfigurationError(
            "endpoint has a query or a fragment: remove everything from ? or #."
        )
    if parsed.port == 0:
        raise ConfigurationError(
            Sentence("endpoint={url} names port 0: give the gateway's port.", url=repr(url))
        )
    path = parsed.path or "/"
    if re.search(r"/sendMesExt/?$|\.asmx/", path, re.IGNORECASE):
        raise ConfigurationError(
            Sentence(
                "endpoint={url} continues after the page: end it in .asmx for every protocol.",
                url=repr(url),
            )
        )
    port = parsed.port or {"http": 80, "https": 443}[parsed.scheme]
    return Endpoint(
        f"{parsed.scheme}://{parsed.netloc}{path}", parsed.scheme, parsed.host, port, path
    )


def _endpoint(_name: str, value: Any) -> Endpoint:
    return parse_endpoint(value)


def _credential(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(
            Sentence("{name} must be a string, not {kind}.", name=name, kind=type(value).__name__)
        )
    if not value:
        raise ConfigurationError(
            Sentence(
                "{name} is missing: pass it, or set YUNXIN_{name2}.", name=name, name2=name.upper()
            )
        )
    try:
        message.check_characters(value, name)
    except InvalidRequest as error:
        raise ConfigurationError(text_of(error)) from None
    return value


def _by_rule(normalise: Callable[[Any], str]) -> _Validator:
    """Validate a setting by the rule for the same argument of `Client.send`."""

    def validate(_name: str, value: Any) -> str:
        try:
            return normalise(value)
        except InvalidRequest as error:
            raise ConfigurationError(text_of(error)) from None

    return validate


def _optional(validate: _Validator) -> _Validator:
    return lambda name, value: None if value is None else validate(name, value)


def _protocol(name: str, value: Any) -> Any:
    if value not in PROTOCOLS:
        raise ConfigurationError(
            Sentence(
                "{name}={value} is not known: use one of {protocols}.",
                name=name,
                value=repr(value),
                protocols=", ".join(PROTOCOLS),
            )
        )
    return value


def _seconds(name: str, value: Any) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # A socket accepts no more than about 290 years, and nobody waits for more than a day.
    if not is_number or not 0 < value <= 86400:
        raise ConfigurationError(
            Sentence(
                "{name}={value} must be a number of seconds, above 0 and up to a day (86400).",
                name=name,
                value=repr(value),
            )
        )
    return value


def _must_be(allowed: str, name: str, value: Any) -> ConfigurationError:
    """Return the error about a value that is not what its setting allows."""
    return ConfigurationError(
        Sentence("{name}={value} must be {allowed}.", name=name, value=repr(value), allowed=allowed)
    )


def _integer(minimum: int, maximum: float, allowed: str) -> _Validator:
    def validate(name: str, value: Any) -> Any:
        is_integer = isinstance(value, int) and not isinstance(value, bool)
        if not is_integer or not minimum <= value <= maximum:
            raise _must_be(allowed, name, value)
        return value

    return validate


def _instance(kinds: type | tuple[type, ...], allowed: str) -> _Validator:
    def validate(name: str, value: Any) -> Any:
        if not isinstance(value, kinds):
            raise _must_be(allowed, name, value)
        return value

    return validate


def is_proxy_address(value: Any) -> bool:
    """Return whether a value is the address of an http or https proxy, and no more.

    What looks like a path may be the end of a password: in ``http://user:12/34@proxy``, the host
    would be ``user``.
    """
    from urllib3.exceptions import LocationParseError
    from urllib3.util import parse_url

    try:
        parsed = parse_url(value)
    except (LocationParseError, TypeError, AttributeError):
        return False
    has_more = parsed.path not in (None, "/") or parsed.query or parsed.fragment
    return parsed.scheme in ("http", "https") and bool(parsed.host) and not has_more


def _proxy(name: str, value: Any) -> Any:
    if not is_proxy_address(value):
        # Not quoted: it may contain a password.
        raise ConfigurationError(
            Sentence(
                "{name} must be an address such as http://proxy.example:3128; only http and "
                "https proxies are supported. Percent-encode the characters / ? # @ and % of a "
                "user name or password: / is %2F.",
                name=name,
            )
        )
    return value


def _pattern(name: str, value: Any) -> re.Pattern[str]:
    if value is None:
        return message.MAINLAND_MOBILE
    try:
        compiled: re.Pattern[str] = re.compile(value)
        compiled.fullmatch("")
    except (re.error, TypeError, OverflowError, RecursionError) as error:
        raise ConfigurationError(
            Sentence(
                "{name}={value} is not a regular expression ({error}): fix it.",
                name=name,
                value=repr(value),
                error=error,
            )
        ) from None
    return compiled


def _setting(validate: _Validator, default: object = MISSING, *, secret: bool = False) -> Any:
    return field(repr=not secret, metadata={"validate": validate, "default": default})


@dataclass(frozen=True, init=False)
class Settings:
    """All settings of a client, validated and normalised.

    The arguments, their types and their meaning are those of `Client`. Numbers are read back as
    digits, the signature without its brackets, the endpoint as an `Endpoint` and the total timeout
    in seconds.

    Raises:
        ConfigurationError: a setting is missing or wrong; the message names it.
    """

    user_code: str = _setting(_credential)
    user_pass: str = _setting(_credential, secret=True)
    channel: str | None = _setting(_optional(_by_rule(message.normalise_channel)), None)
    signature: str | None = _setting(_optional(_by_rule(message.normalise_signature)), None)
    extension: str = _setting(_by_rule(message.normalise_extension), "")
    endpoint: Endpoint = _setting(_endpoint, DEFAULT_ENDPOINT)
    protocol: ProtocolName = _setting(_protocol, "soap")
    timeout: float = _setting(_seconds, 30.0)
    connect_timeout: float = _setting(_seconds, 5.0)
    total_timeout: float = _setting(_optional(_seconds), None)
    retries: int = _setting(_integer(0, math.inf, "a whole number from 0"), 2)
    proxy: str | None = _setting(_optional(_proxy), None, secret=True)
    trust_env: bool = _setting(_instance(bool, "True or False"), False)
    verify: Verify = _setting(
        _instance((bool, str, os.PathLike, ssl.SSLContext), "a bool, a path or an SSLContext"), True
    )
    recipient_pattern: re.Pattern[str] = _setting(_pattern, None)
    max_recipients: int = _setting(
        _integer(1, message.MAX_RECIPIENTS, f"a whole number from 1 to {message.MAX_RECIPIENTS}"),
        message.DEFAULT_MAX_RECIPIENTS,
    )
    max_segments: int = _setting(
        _integer(1, message.MAX_SEGMENTS, f"a whole number from 1 to {message.MAX_SEGMENTS}"),
        message.DEFAULT_MAX_SEGMENTS,
    )
    max_connections: int = _setting(
        _integer(1, MAX_CONNECTIONS, f"a whole number from 1 to {MAX_CONNECTIONS}"),
        DEFAULT_MAX_CONNECTIONS,
    )
    wsdl: str | os.PathLike[str] | None = _setting(
        _optional(_instance((str, os.PathLike), "a path")), None
    )
    log_messages: bool = _setting(_instance(bool, "True or False"), False)

    def __init__(self, user_code: str, user_pass: str, **options: Unpack[ClientOptions]) -> None:
        given: dict[str, Any] = {**options, "user_code": user_code, "user_pass": user_pass}
        # An error keeps this frame: it must not keep a password.
        del user_pass, options
        try:
            self._validate(given)
        except BaseException as error:
            clear_frames(error)
            raise
        finally:
            del given

    def _validate(self, given: dict[str, Any]) -> None:
        for each in fields(self):
            value = given.pop(each.name, each.metadata["default"])
            self._set(each.name, each.metadata["validate"](each.name, value))
        if given:
            raise TypeError(f"A client has no argument {next(iter(given))!r}.")
        self._complete_total_timeout()
        self._check_request_validation()

    def __repr__(self) -> str:
        """Omit the password and the proxy, whose address may contain one."""
        # A debugger also shows settings whose validation failed halfway.
        shown = [each.name for each in fields(self) if each.repr and hasattr(self, each.name)]
        return f"Settings({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _complete_total_timeout(self) -> None:
        one_attempt = self.timeout + self.connect_timeout
        total: float | None = self.total_timeout
        if total is None:
            self._set("total_timeout", 2 * one_attempt)
        elif total < one_attempt:
            raise ConfigurationError(
                Sentence(
                    "total_timeout={total} is shorter than timeout + connect_timeout "
                    "({one_attempt} s): increase it, or decrease the other two.",
                    total=f"{total:g}",
                    one_attempt=f"{one_attempt:g}",
                )
            )

    def _check_request_validation(self) -> None:
        if not self.protocol.startswith("http-"):
            return
        try:
            for name in ("user_code", "user_pass"):
                message.check_request_validation(getattr(self, name), name, secret=True)
        except InvalidRequest as error:
            raise ConfigurationError(text_of(error)) from None

    @classmethod
    def from_env(cls, environ: Mapping[str, str], **overrides: Unpack[ClientArguments]) -> Self:
        """Build settings from the ``YUNXIN_*`` variables; see `Client.from_env`.

        Args:
            environ: the environment.
            overrides: arguments of `Client` that take precedence.

        Raises:
            ConfigurationError: a setting is missing or wrong.
        """
        arguments: dict[str, Any] = {"user_code": "", "user_pass": ""}
        try:
            arguments |= {**arguments_from_env(environ), **overrides}
            return cls(**arguments)
        except BaseException as error:
            clear_frames(error)
            raise
        finally:
            # An error keeps this frame: it must not keep a password.
            del environ, overrides, arguments


def arguments_from_env(environ: Mapping[str, str]) -> ClientArguments:
    """Return the arguments of `Client` that the ``YUNXIN_*`` variables set.

    A blank variable counts as unset.

    Raises:
        ConfigurationError: a value is in quotes or no text, or ``YUNXIN_TIMEOUT`` or
            ``YUNXIN_MAX_SEGMENTS`` is not a number.
    """
    found: dict[str, Any] = {
        name: value for name in ENV_NAMES if (value := read_variable(name.upper(), environ))
    }
    for name, kind, what in (("timeout", float, "of seconds"), ("max_segments", int, "such as 10")):
        if name in found:
            try:
                found[name] = kind(found[name])
            except ValueError:
                raise ConfigurationError(
                    Sentence(
                        "YUNXIN_{name}={found} must be a number {what}.",
                        name=name.upper(),
                        found=repr(found[name]),
                        what=what,
                    )
                ) from None
    return cast(ClientArguments, found)


def parameters() -> list[Parameter]:
    """Return the arguments of a client with their defaults, for `inspect.signature`."""
    return [
        Parameter(each.name, Parameter.POSITIONAL_OR_KEYWORD)
        if each.metadata["default"] is MISSING
        else Parameter(each.name, Parameter.KEYWORD_ONLY, default=each.metadata["default"])
        for each in fields(Settings)
    ]
