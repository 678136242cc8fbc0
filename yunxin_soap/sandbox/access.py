"""How the sandbox is reached: its host names, its path behind a proxy, its login. No I/O."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sentences import Sentence

_HOST_NAME = re.compile(r"\.?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_BASE_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)*")
_OWN_PATHS = re.compile(r"/(?:api|health|static)(?:/|\Z)")
"""The sandbox's own paths, which could not be told from a base path."""


@dataclass(frozen=True)
class Login:
    """The user name and the password that the inbox and the REST API ask for."""

    user: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        """Check both.

        Raises:
            ConfigurationError: one is empty, or the user name has a colon.
        """
        if not self.user or ":" in self.user:
            raise ConfigurationError(
                "The login needs a user name without a colon: give another one."
            )
        if not self.password:
            raise ConfigurationError("The login needs a password: give one.")

    def accepts(self, authorization: str | None) -> bool:
        """Return whether an Authorization header has this login; takes the same time if not."""
        scheme, _, encoded = (authorization or "").partition(" ")
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except ValueError:
            given = b""
        expected = f"{self.user}:{self.password}".encode()
        # Digests, because the comparison would tell the length.
        same = hmac.compare_digest(*(hashlib.sha256(each).digest() for each in (given, expected)))
        return same and scheme.lower() == "basic"


@dataclass(frozen=True)
class Access:
    """How clients and browsers reach the sandbox."""

    allowed_hosts: tuple[str, ...] = ()
    """Public host names under which the page and the REST API may be used. One that starts with a
    dot allows the name behind it, too, and every name below that."""
    base_path: str = ""
    """The path in front of all paths, as a proxy has it, such as ``/sms``. The sandbox serves the
    paths without it, too, because some proxies remove it."""
    login: Login | None = None
    """The login of the page and the REST API; the gateway's own service and ``/health`` ask for
    none."""

    def __post_init__(self) -> None:
        """Check and normalise the values.

        Raises:
            ConfigurationError: a host name or the base path is invalid.
        """
        hosts = tuple(each.lower() for each in self.allowed_hosts)
        for each in hosts:
            if not _HOST_NAME.fullmatch(each):
                raise ConfigurationError(
                    Sentence(
                        "The allowed host {name} is no host name: write it without a scheme, a"
                        " port or a path, as in sms.example.com, or .example.com for all names"
                        " below it.",
                        name=repr(each),
                    )
                )
        path = self.base_path.rstrip("/")
        if not _BASE_PATH.fullmatch(path) or _OWN_PATHS.match(path):
            raise ConfigurationError(
                Sentence(
                    "The base path {path} must be a path such as /sms, of letters, digits and"
                    " -._~, that does not begin with /api, /health or /static.",
                    path=repr(self.base_path),
                )
            )
        object.__setattr__(self, "allowed_hosts", hosts)
        object.__setattr__(self, "base_path", path)

    def allows_host(self, name: str) -> bool:
        """Return whether a host name, in lower case, is one of the allowed ones."""
        return any(
            name == each.removeprefix(".") or (each[0] == "." and name.endswith(each))
            for each in self.allowed_hosts
        )


def scheme_of(headers: Mapping[str, str]) -> str:
    """Return the scheme that the client used, which a proxy tells in a header."""
    forwarded = headers.get("X-Forwarded-Proto", "").partition(",")[0].strip().lower()
    return "https" if forwarded == "https" else "http"
