"""What every exchange decides alike: when to try again, whom to trust, which proxy to use."""

from __future__ import annotations

import os
import random
import ssl
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from urllib3.exceptions import InsecureRequestWarning, LocationParseError
from urllib3.util import make_headers, parse_url

from yunxin_soap._version import __version__
from yunxin_soap.errors import ConfigurationError, NotSent, OutcomeUnknown

if TYPE_CHECKING:
    from yunxin_soap.settings import Settings, Verify

MAX_ANSWER = 1 << 20
"""Bytes, after any content encoding is undone; a real answer has a few hundred."""
USER_AGENT = f"yunxin_soap/{__version__}"

_BACKOFF = 0.2


class TooLong(Exception):
    """An answer went beyond `MAX_ANSWER`; the text says so as a reason."""

    def __init__(self) -> None:
        super().__init__(f"its answer is longer than {MAX_ANSWER} bytes and was refused")


class Attempts:
    """Decides how often and when one call may connect again; it knows no I/O.

    A retry begins only if its connection and the whole wait for its answer still fit into the
    deadline, so that a late retry is never cut short into an unknown.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._clock, self._jitter = clock, jitter
        self._left = settings.retries
        self._backoff = _BACKOFF
        self._last_start = (
            clock() + settings.total_timeout - settings.timeout - settings.connect_timeout
        )

    def next_pause(self) -> float | None:
        """Return the seconds to wait before the next attempt; None if there is none left."""
        if self._left <= 0:
            return None
        pause = self._backoff * (0.5 + self._jitter() / 2)
        if self._clock() + pause > self._last_start:
            return None
        self._left -= 1
        self._backoff *= 2
        return pause


def tls_context(verify: Verify) -> ssl.SSLContext:
    """Return the TLS context for ``verify``: the system's authorities, or those it names.

    Raises:
        ConfigurationError: it names no readable certificates.
    """
    if isinstance(verify, ssl.SSLContext):
        return verify
    if isinstance(verify, bool):
        context = ssl.create_default_context()
        if not verify:
            warnings.warn(
                "verify=False: the gateway's certificate is not checked, and whoever stands in"
                " between can read the password.",
                InsecureRequestWarning,
                stacklevel=2,
            )
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
    name = os.fspath(verify)
    try:
        if os.path.isdir(name):  # noqa: PTH112 - ssl takes the name
            return ssl.create_default_context(capath=name)
        return ssl.create_default_context(cafile=name)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"verify={name!r} has no readable certificates ({error}): name a PEM file or a"
            " directory of them."
        ) from None


def proxy_for(settings: Settings) -> str | None:
    """Return the proxy to use: the argument's, or the environment's if that is trusted.

    Raises:
        ConfigurationError: the environment's is no HTTP proxy.
    """
    if settings.proxy is not None or not settings.trust_env:
        return settings.proxy
    from requests.utils import get_environ_proxies, prepend_scheme_if_needed, select_proxy

    url = settings.endpoint.url
    found = select_proxy(url, get_environ_proxies(url, no_proxy=None))
    if not found:
        return None
    try:
        proxy: str = prepend_scheme_if_needed(found, "http")
        known = parse_url(proxy).scheme in ("http", "https")
    except LocationParseError:
        known = False
    if not known:
        # Not quoted: it may hold a password.
        raise ConfigurationError(
            "The environment's proxy is not one of those that are spoken to, http and https:"
            " pass proxy=, or trust_env=False."
        )
    return proxy


def proxy_headers(proxy: str) -> dict[str, str]:
    """Return the header that carries the user name and password in a proxy's address."""
    # To latin-1, which make_headers encodes again: so the octets go out as they are.
    auth = unquote(parse_url(proxy).auth or "", "latin-1")
    return make_headers(proxy_basic_auth=auth) if auth else {}


def not_sent(reason: str) -> NotSent:
    """Return the error for a connection that was not made."""
    return NotSent(f"Nothing was sent: {reason}. It may be sent again.")


def outcome_unknown(reason: str, http_status: int | None) -> OutcomeUnknown:
    """Return the error for an exchange that broke once the request may have left."""
    return OutcomeUnknown(
        f"The request may have reached the gateway, but {reason}: whether the SMS was sent is"
        " unknown. Check with the vendor before you send it again.",
        http_status=http_status,
    )
