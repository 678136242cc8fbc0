"""The settings of a client: checked once, when it is built, whoever builds it."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from yunxin_soap import message
from yunxin_soap.errors import ConfigurationError, InvalidRequest
from yunxin_soap.wsdl import PROTOCOLS, ProtocolName

DEFAULT_ENDPOINT = "http://112.124.24.5/api/MsgSend.asmx"

Verify = bool | str | os.PathLike[str] | ssl.SSLContext


@dataclass(frozen=True)
class Endpoint:
    """The address that the caller configured, taken apart; no other is ever used."""

    url: str
    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        """The address without its path."""
        return self.url[: -len(self.path)]


@dataclass(frozen=True)
class Settings:
    """Everything that a client knows; the arguments are those of `Client`.

    Raises:
        ConfigurationError: a setting is missing or wrong; it is named.
    """

    user_code: str
    user_pass: str = field(repr=False)
    channel: str | None
    signature: str | None
    extension: str
    endpoint: Endpoint
    protocol: ProtocolName
    timeout: float
    connect_timeout: float
    total_timeout: float
    retries: int
    proxy: str | None = field(repr=False)
    """May hold the proxy's password."""
    trust_env: bool
    verify: Verify
    recipient_pattern: re.Pattern[str]
    max_recipients: int
    wsdl: str | os.PathLike[str] | None

    @classmethod
    def build(
        cls,
        user_code: str,
        user_pass: str,
        *,
        channel: str | int | None,
        signature: str | None,
        extension: str | int,
        endpoint: str,
        protocol: str,
        timeout: float,
        connect_timeout: float,
        total_timeout: float | None,
        retries: int,
        proxy: str | None,
        trust_env: bool,
        verify: Verify,
        recipient_pattern: str | re.Pattern[str] | None,
        max_recipients: int,
        wsdl: str | os.PathLike[str] | None,
    ) -> Settings:
        """Check and normalise what a caller gave."""
        if protocol not in PROTOCOLS:
            raise ConfigurationError(
                f"protocol={protocol!r} is not known: use one of {', '.join(PROTOCOLS)}."
            )
        for name, seconds in (("timeout", timeout), ("connect_timeout", connect_timeout)):
            _check_seconds(name, seconds)
        if total_timeout is None:
            total_timeout = 2 * (timeout + connect_timeout)
        else:
            _check_seconds("total_timeout", total_timeout)
        if total_timeout < timeout + connect_timeout:
            raise ConfigurationError(
                f"total_timeout={total_timeout:g} is shorter than timeout + connect_timeout"
                f" ({timeout + connect_timeout:g} s): lengthen it, or shorten those."
            )
        if not isinstance(trust_env, bool):
            raise ConfigurationError(f"trust_env={trust_env!r} must be True or False.")
        if wsdl is not None and not isinstance(wsdl, (str, os.PathLike)):
            raise ConfigurationError(f"wsdl={wsdl!r} must be a path.")
        if not isinstance(verify, (bool, str, os.PathLike, ssl.SSLContext)):
            raise ConfigurationError(f"verify={verify!r} must be a bool, a path or a context.")
        if not _is_int(retries) or retries < 0:
            raise ConfigurationError(f"retries={retries!r} must be a whole number from 0.")
        if not _is_int(max_recipients) or not 1 <= max_recipients <= message.MAX_RECIPIENTS:
            raise ConfigurationError(
                f"max_recipients={max_recipients!r} must be from 1 to {message.MAX_RECIPIENTS}."
            )
        return cls(
            user_code=_credential("user_code", user_code, protocol),
            user_pass=_credential("user_pass", user_pass, protocol),
            channel=None
            if channel is None
            else _normalise_setting(message.normalise_channel, channel),
            signature=(
                None
                if signature is None
                else _normalise_setting(message.normalise_signature, signature)
            ),
            extension=_normalise_setting(message.normalise_extension, extension),
            endpoint=parse_endpoint(endpoint),
            protocol=protocol,
            timeout=timeout,
            connect_timeout=connect_timeout,
            total_timeout=total_timeout,
            retries=retries,
            proxy=None if proxy is None else _check_proxy(proxy),
            trust_env=trust_env,
            verify=verify,
            recipient_pattern=_pattern(recipient_pattern),
            max_recipients=max_recipients,
            wsdl=wsdl,
        )


def from_env(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the client arguments that the ``YUNXIN_*`` variables hold; empty ones are ignored.

    Raises:
        ConfigurationError: ``YUNXIN_TIMEOUT`` is not a number.
    """
    names = (
        "user_code",
        "user_pass",
        "channel",
        "signature",
        "extension",
        "endpoint",
        "protocol",
        "timeout",
        "proxy",
    )
    found: dict[str, Any] = {
        name: value for name in names if (value := environ.get(f"YUNXIN_{name.upper()}"))
    }
    if "timeout" in found:
        try:
            found["timeout"] = float(found["timeout"])
        except ValueError:
            raise ConfigurationError(
                f"YUNXIN_TIMEOUT={found['timeout']!r} must be a number of seconds."
            ) from None
    return found


def parse_endpoint(url: str) -> Endpoint:
    """Take the address of the service's page apart.

    Raises:
        ConfigurationError: it is no plain ``http`` or ``https`` address.
    """
    from urllib3.exceptions import LocationParseError
    from urllib3.util import parse_url

    try:
        parsed = parse_url(url)
    except (LocationParseError, TypeError, AttributeError):
        raise ConfigurationError(
            "endpoint is not a URL: give the page's address, such as " + DEFAULT_ENDPOINT
        ) from None
    if parsed.auth is not None:
        # Not quoted: it holds a password.
        raise ConfigurationError("endpoint has a user name in it: remove the part before @.")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigurationError(
            f"endpoint={url!r} must start with http:// or https:// and name a host."
        )
    if parsed.query is not None or parsed.fragment is not None:
        # Not quoted: a query that was pasted whole holds a password.
        raise ConfigurationError(
            "endpoint has a part behind the page's address: remove ? or # and what follows."
        )
    if parsed.port == 0:
        raise ConfigurationError(f"endpoint={url!r} names port 0: give the gateway's.")
    path = parsed.path or "/"
    if re.search(r"/sendMesExt/?$|\.asmx/", path, re.IGNORECASE):
        raise ConfigurationError(
            f"endpoint={url!r} goes on behind the page: end it in .asmx, also for the HTTP ports."
        )
    port = parsed.port or {"http": 80, "https": 443}[parsed.scheme]
    return Endpoint(
        f"{parsed.scheme}://{parsed.netloc}{path}", parsed.scheme, parsed.host, port, path
    )


def _check_proxy(proxy: str) -> str:
    from urllib3.exceptions import LocationParseError
    from urllib3.util import parse_url

    try:
        parsed = parse_url(proxy)
    except (LocationParseError, TypeError, AttributeError):
        parsed = None
    if parsed is None or parsed.scheme not in ("http", "https") or not parsed.host:
        # Not quoted: it may hold a password.
        raise ConfigurationError(
            "proxy must be an address such as http://proxy.example:3128; only http and https"
            " proxies are spoken to."
        )
    return proxy


def _credential(name: str, value: str, protocol: str) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a string, not {type(value).__name__}.")
    if not value:
        raise ConfigurationError(f"{name} is missing: pass it, or set YUNXIN_{name.upper()}.")
    try:
        message.check_characters(value, name)
        if protocol.startswith("http-"):
            message.check_request_validation(value, name, secret=True)
    except InvalidRequest as error:
        raise ConfigurationError(str(error)) from None
    return value


def _normalise_setting(normalise: Any, value: Any) -> str:
    """Normalise a setting by the rule for requests; a mistake in it is one of configuration."""
    try:
        normalised: str = normalise(value)
    except InvalidRequest as error:
        raise ConfigurationError(str(error)) from None
    return normalised


def _pattern(pattern: str | re.Pattern[str] | None) -> re.Pattern[str]:
    if pattern is None:
        return message.MAINLAND_MOBILE
    try:
        compiled = re.compile(pattern)
        compiled.fullmatch("")
    except (re.error, TypeError) as error:
        raise ConfigurationError(
            f"recipient_pattern={pattern!r} is not a regular expression ({error})."
        ) from None
    return compiled


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_seconds(name: str, value: object) -> None:
    # A socket takes no more than some 290 years; nobody waits for more than a day.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 86400:
        raise ConfigurationError(
            f"{name}={value!r} must be a number of seconds, above 0 and up to a day (86400)."
        )
