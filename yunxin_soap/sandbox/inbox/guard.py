"""Protect the inbox from other web sites: cross-site requests, DNS rebinding, injected content."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from yunxin_soap.sandbox.access import Access, scheme_of
from yunxin_soap.sandbox.inbox.errors import ApiError
from yunxin_soap.sentences import Sentence

SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""Headers of every response: no scripts or styles but the page's own, no frames, no cache.

The page's files alone may be kept, see ``static_files``.
"""
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".test", ".home.arpa")
"""Endings of host names that no public web site can have."""


def reject_cross_site(headers: Mapping[str, str], listening_host: str, access: Access) -> None:
    """Reject cross-site requests and DNS rebinding.

    A browser on this machine can reach the API, and may know its login. So a page of another site
    must not use the API through that browser, also not under a name of its own that resolves to
    this address.

    Args:
        headers: the headers of the request.
        listening_host: the host that the server listens on.
        access: the host names that are allowed in addition.

    Raises:
        ApiError: 403, the request comes from another site or uses a public host name.
    """
    host = headers.get("Host", "")
    name = urlsplit(f"//{host}").hostname or ""
    # A name without a dot is a machine's or a container's; no public web site has one.
    if "." in name and not (_is_private(name, listening_host) or access.allows_host(name)):
        raise ApiError(
            403,
            Sentence(
                "Rejected, because the host name {name} could be used for DNS rebinding: use the"
                " sandbox's IP address, a host name without a dot, or one that ends in {suffixes}"
                " or {last_suffix}. If it is the sandbox's own name, start it with --allow-host"
                " {name}.",
                name=name,
                suffixes=", ".join(_PRIVATE_SUFFIXES[:-1]),
                last_suffix=_PRIVATE_SUFFIXES[-1],
            ),
        )
    site = headers.get("Sec-Fetch-Site", "none")
    own = f"{scheme_of(headers)}://{host}"
    if site not in ("same-origin", "none") or headers.get("Origin", own) != own:
        raise ApiError(
            403,
            Sentence(
                "Requests from other web sites are not allowed. A proxy in front of the sandbox"
                " must pass on the Host header, and set X-Forwarded-Proto."
            ),
        )


def _is_private(name: str, listening_host: str) -> bool:
    return name == listening_host or name.endswith(_PRIVATE_SUFFIXES) or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
