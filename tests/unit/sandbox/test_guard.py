"""The guard against other web sites, without a server."""

from __future__ import annotations

import pytest

from yunxin_soap.sandbox.access import Access
from yunxin_soap.sandbox.inbox.errors import ApiError
from yunxin_soap.sandbox.inbox.guard import reject_cross_site


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "sandbox:8080",
        "127.0.0.1:8080",
        "10.0.0.7",
        "[::1]:8080",
        "sms.localhost",
        "printer.local",
        "host.docker.internal",
        "sms.test:80",
        "nas.home.arpa",
        "sms.example.com:8080",
    ],
)
def test_reject_cross_site_private_or_own_host_passes(host: str) -> None:
    """Private names, addresses and the name that the server listens on are allowed."""
    reject_cross_site({"Host": host, "Origin": f"http://{host}"}, "sms.example.com", Access())


@pytest.mark.parametrize(
    "host",
    ["sms.example.com", "localhost.evil.example", "127.0.0.1.evil.example", "evil.localhost.com"],
)
def test_reject_cross_site_public_host_is_rejected(host: str) -> None:
    """A public name can resolve to this address: DNS rebinding."""
    with pytest.raises(ApiError) as caught:
        reject_cross_site({"Host": host}, "127.0.0.1", Access())
    assert caught.value.status == 403
    assert host in str(caught.value)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "https://localhost"},
        {"Origin": "http://localhost:81"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_reject_cross_site_other_origin_is_rejected(headers: dict[str, str]) -> None:
    """Scheme, host and port of the origin must be this site's."""
    with pytest.raises(ApiError) as caught:
        reject_cross_site({"Host": "localhost"} | headers, "127.0.0.1", Access())
    assert caught.value.status == 403


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_reject_cross_site_same_origin_or_typed_address_passes(site: str) -> None:
    """The page's own requests, and addresses that a person typed, are allowed."""
    reject_cross_site({"Host": "localhost", "Sec-Fetch-Site": site}, "127.0.0.1", Access())


def test_reject_cross_site_allowed_host_passes() -> None:
    """An allowed public name passes, with the scheme that the proxy tells."""
    access = Access(allowed_hosts=(".example.com",))
    headers = {"Host": "sms.example.com", "Origin": "https://sms.example.com"}
    reject_cross_site(headers | {"X-Forwarded-Proto": "https"}, "127.0.0.1", access)
    for wrong in ({}, {"X-Forwarded-Proto": "http"}, {"X-Forwarded-Host": "evil.example"}):
        with pytest.raises(ApiError, match="must pass on the Host header"):
            reject_cross_site(headers | wrong, "127.0.0.1", access)
    with pytest.raises(ApiError, match=r"--allow-host evil\.example"):
        reject_cross_site(
            {"Host": "evil.example", "X-Forwarded-Host": "sms.example.com"}, "127.0.0.1", access
        )
