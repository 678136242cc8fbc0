"""The TLS context and the proxy of a transport."""

from __future__ import annotations

import os
import ssl
import warnings
from typing import TYPE_CHECKING
from urllib.parse import unquote

from urllib3.exceptions import InsecureRequestWarning, LocationParseError
from urllib3.util import make_headers, parse_url

from yunxin_soap._version import __version__
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sentences import Sentence
from yunxin_soap.settings import is_proxy_address

if TYPE_CHECKING:
    from yunxin_soap.settings import Verify
    from yunxin_soap.transport.base import NetworkSettings

USER_AGENT = f"yunxin_soap/{__version__}"


def tls_context(verify: Verify) -> ssl.SSLContext:
    """Return the TLS context for ``verify``: the system's authorities, or the named ones.

    Raises:
        ConfigurationError: ``verify`` names no readable certificates.
    """
    if isinstance(verify, ssl.SSLContext):
        return verify
    if isinstance(verify, bool):
        context = ssl.create_default_context()
        if not verify:
            warnings.warn(
                "verify=False: the gateway's certificate is not checked. Anyone between this"
                " machine and the gateway can read the password.",
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
            Sentence(
                "verify={name} has no readable certificates ({error}): name a PEM file or a "
                "directory of PEM files.",
                name=repr(name),
                error=error,
            )
        ) from None


def select_proxy(settings: NetworkSettings) -> str | None:
    """Return the proxy to use: the argument's, or the environment's with ``trust_env=True``.

    Raises:
        ConfigurationError: the environment names a proxy that is neither http nor https.
    """
    if settings.proxy is not None or not settings.trust_env:
        return settings.proxy
    from requests.utils import get_environ_proxies, prepend_scheme_if_needed
    from requests.utils import select_proxy as select_for_url

    url = settings.endpoint.url
    found = select_for_url(url, get_environ_proxies(url, no_proxy=None))
    if not found:
        return None
    try:
        proxy: str = prepend_scheme_if_needed(found, "http")
    except LocationParseError:
        proxy = ""
    if not is_proxy_address(proxy):
        # The message does not quote the address, which may hold a password.
        raise ConfigurationError(
            "The proxy in the environment is neither an http nor an https proxy: pass proxy=, or"
            " trust_env=False."
        )
    return proxy


def proxy_secrets(proxy: str | None) -> list[str]:
    """Return what must not be shown of a proxy's address: its password, alone and with the user.

    A user name without a password may be a token, so it is a secret, too.
    """
    auth = parse_url(proxy).auth if proxy else None
    if not auth:
        return []
    password = auth.partition(":")[2]
    secrets = (password, auth) if password else (auth.removesuffix(":"),)
    # `Redactor` reads octets as Latin-1; those of UTF-8 it finds in both forms.
    return [unquote(secret, each) for secret in secrets for each in ("utf-8", "latin-1")]


def proxy_headers(proxy: str) -> dict[str, str]:
    """Return the header with the user name and password of a proxy's address, if it has any."""
    # make_headers encodes to latin-1: decoding from latin-1 keeps the octets as they are.
    auth = unquote(parse_url(proxy).auth or "", "latin-1")
    return make_headers(proxy_basic_auth=auth) if auth else {}
