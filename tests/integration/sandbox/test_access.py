"""How the sandbox is reached: behind a reverse proxy, under public names, with a login."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests
from lxml import etree, html
from requests.auth import HTTPBasicAuth

from tests.support.raw_http import exchange, written
from tests.support.reverse_proxy import reverse_proxy
from yunxin_soap import Client
from yunxin_soap.operation import PROTOCOLS
from yunxin_soap.sandbox import Access, Login, Sandbox
from yunxin_soap.sandbox.asmx.handler import PATH

NAME = "sms.staging.example.com"
LOGIN = Login("ops", "口令 with spaces")
CREDENTIALS = HTTPBasicAuth(LOGIN.user.encode(), LOGIN.password.encode())


def _origin(sandbox: Sandbox) -> str:
    return "/".join(sandbox.url.split("/")[:3])


@pytest.mark.parametrize("keeps_prefix", [True, False])
def test_behind_a_proxy_all_addresses_have_its_scheme_name_and_path(
    keeps_prefix: bool, tls: ssl.SSLContext, authority_file: Path
) -> None:
    """Service, WSDL, page, REST and events work under a proxy's path, kept or removed by it."""
    access = Access(allowed_hosts=(".example.com",), base_path="/sms/", login=LOGIN)
    with (
        Sandbox(access=access) as sandbox,
        reverse_proxy(_origin(sandbox), "/sms", tls, keeps_prefix=keeps_prefix) as proxy,
        requests.Session() as browser,
    ):
        browser.trust_env = False  # which may name other authorities
        browser.verify, browser.auth = str(authority_file), CREDENTIALS
        browser.headers.update({"Host": NAME, "Origin": f"https://{NAME}"})
        endpoint = f"{proxy}/sms{PATH}"
        for protocol in PROTOCOLS:
            with Client(
                "demo",
                "demo",
                channel=37,
                endpoint=endpoint,
                protocol=protocol,
                verify=str(authority_file),
            ) as client:
                client.send("13900000000", f"{protocol}【签名】")
        assert [each.protocol for each in sandbox.inbox] == list(PROTOCOLS)

        wsdl = etree.fromstring(browser.get(f"{endpoint}?WSDL", timeout=20).content)
        shown = {each for each in wsdl.xpath("//@location") if isinstance(each, str)}
        assert {re.sub("/sendMesExt$", "", each) for each in shown if "://" in each} == {
            f"https://{NAME}/sms{PATH}"
        }
        form = html.fromstring(browser.get(f"{endpoint}?op=sendMesExt", timeout=20).text).forms[0]
        assert form.action == f"https://{NAME}/sms{PATH}/sendMesExt"

        page = browser.get(f"{proxy}/sms/", timeout=20)
        links = html.fromstring(page.text).xpath("//script/@src | //link[@rel='stylesheet']/@href")
        assert links
        for link in links:
            assert browser.get(urljoin(page.url, str(link)), timeout=20).status_code == 200

        api = f"{proxy}/sms/api/v1"
        assert browser.get(f"{api}/openapi.json", timeout=20).json()["servers"] == [{"url": "/sms"}]
        # An unread fault leaves the inbox reachable, whatever the proxy's path.
        fault = {"kind": "close", "when": "unread"}
        assert browser.post(f"{api}/faults", json=fault, timeout=20).status_code == 201
        assert browser.delete(f"{api}/faults", timeout=20).status_code == 200
        with browser.get(f"{api}/events", stream=True, timeout=20) as events:
            assert events.headers["X-Accel-Buffering"] == "no"
            assert next(events.iter_lines()) == b"retry: 1000"


@pytest.mark.parametrize(
    ("target", "location"),
    [("/sms", "/sms/"), ("/sms?lang=en", "/sms/?lang=en"), ("http://x/sms", "/sms/")],
)
def test_base_path_without_a_slash_is_redirected(target: str, location: str) -> None:
    """The page's relative links need the slash at the end."""
    with Sandbox(access=Access(base_path="/sms")) as sandbox:
        assert sandbox.url == f"{_origin(sandbox)}/sms{PATH}"
        reply = exchange(sandbox, written("GET", target))
        assert (reply.status, reply.headers["Location"]) == (308, location)
        assert exchange(sandbox, written("GET", f"http://x/sms{PATH}")).status == 200
        assert exchange(sandbox, written("GET", f"/smsx{PATH}")).status == 404


@pytest.mark.parametrize("path", ["/", "/api/v1/arrivals", "/api/v1/openapi.json", "/api/v1/none"])
def test_login_is_asked_for_by_page_and_rest(path: str) -> None:
    """Without the right login, page and REST answer 401 and show nothing."""
    with Sandbox(access=Access(login=LOGIN)) as sandbox:
        url = _origin(sandbox) + path
        for wrong in (None, ("ops", "wrong"), ("root", LOGIN.password), ("ops", "")):
            auth = wrong and HTTPBasicAuth(*(each.encode() for each in wrong))
            refused = requests.get(url, auth=auth, timeout=20)
            assert refused.status_code == 401
            assert refused.headers["WWW-Authenticate"].startswith("Basic realm=")
            assert LOGIN.password not in refused.text
        assert requests.get(url, auth=CREDENTIALS, timeout=20).status_code in (200, 404)


def test_login_is_not_asked_for_by_service_and_health() -> None:
    """The service has its own account, and orchestrators probe `/health` by any name."""
    with Sandbox(access=Access(login=LOGIN)) as sandbox:
        with Client("demo", "demo", channel=37, endpoint=sandbox.url) as client:
            client.send("13900000000", "x【签名】")
        assert requests.get(f"{sandbox.url}?WSDL", timeout=20).status_code == 200
        with sandbox.inject_fault("hang", when="unread", times=None):
            for method, host in (("GET", NAME), ("HEAD", "10.0.0.7:8080")):
                reply = exchange(sandbox, written(method, "/health", Host=host))
                assert (reply.status, reply.headers["Cache-Control"]) == (200, "no-store")
                assert reply.body == (b'{"status":"ok"}' if method == "GET" else b"")
        assert exchange(sandbox, written("POST", "/health")).status == 405
        assert len(sandbox.arrivals) == 1
