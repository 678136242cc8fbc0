"""Proxies: the one that is named is used, and the environment's only if that is asked for."""

from __future__ import annotations

import base64

import pytest

from tests.support.scripted_server import (
    PROXY_AUTHORIZATION,
    PROXY_USER,
    Caller,
    Server,
    answer,
    page,
    reading_and_closing,
    replying,
    through,
)
from yunxin_soap import ConfigurationError, NotSent, OutcomeUnknown
from yunxin_soap.errors import ConfigurationRejected


def test_a_proxy_is_given_the_whole_address(protocol: str) -> None:
    with (
        Server(replying(answer(protocol))) as proxy,
        Caller("http://sms.example/api/MsgSend.asmx", protocol, proxy=through(proxy)) as caller,
    ):
        caller.accepted()
        caller.accepted()
    first, second = proxy.requests
    assert (first.connection, second.connection) == (1, 1)
    path = "/api/MsgSend.asmx" + ("/sendMesExt" if protocol.startswith("http-") else "")
    assert first.target.partition("?")[0] == f"http://sms.example{path}"
    assert ("userPass" in first.target) is (protocol == "http-get")
    assert first.headers["host"] == "sms.example"
    assert "proxy-authorization" not in first.headers


def test_a_proxy_is_told_who_asks(protocol: str) -> None:
    with (
        Server(replying(answer(protocol))) as proxy,
        Caller("http://sms.example/x", protocol, proxy=through(proxy, PROXY_USER)) as caller,
    ):
        caller.accepted()
    assert proxy.requests[0].headers["proxy-authorization"] == PROXY_AUTHORIZATION


def test_a_proxy_password_outside_ascii_is_sent_as_utf_8() -> None:
    with (
        Server(replying(answer("soap"))) as proxy,
        Caller("http://sms.example/x", proxy=through(proxy, "user:口令")) as caller,
    ):
        caller.accepted()
    expected = base64.b64encode("user:口令".encode()).decode()
    assert proxy.requests[0].headers["proxy-authorization"] == f"Basic {expected}"


def test_a_proxy_that_refuses_the_connection_is_not_sent_to(protocol: str) -> None:
    with (
        Server(replying(b""), listening=False) as proxy,
        Caller(
            "http://sms.example/x", protocol, proxy=through(proxy, PROXY_USER), retries=0
        ) as caller,
    ):
        error = caller.fails(NotSent)
    assert "proxy" in str(error)


def test_a_proxy_without_an_address_is_not_sent_to(protocol: str) -> None:
    with Caller(
        "http://sms.example/x", protocol, proxy=f"http://{PROXY_USER}@nothing.invalid", retries=0
    ) as caller:
        error = caller.fails(NotSent)
    assert "proxy" in str(error)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("407 Proxy Authentication Required", ConfigurationRejected),
        ("502 Bad Gateway", OutcomeUnknown),
        ("504 Gateway Timeout", OutcomeUnknown),
    ],
)
def test_a_proxy_that_answers_for_itself(
    protocol: str, status: str, kind: type[ConfigurationRejected | OutcomeUnknown]
) -> None:
    with (
        Server(replying(page("No", status, "text/html"))) as proxy,
        Caller("http://sms.example/x", protocol, proxy=through(proxy, PROXY_USER)) as caller,
    ):
        error = caller.fails(kind)
    assert error.http_status == int(status[:3])
    assert len(proxy.requests) == 1


def test_a_proxy_that_closes_is_not_tried_again(protocol: str) -> None:
    with (
        Server(reading_and_closing) as proxy,
        Caller("http://sms.example/x", protocol, proxy=through(proxy, PROXY_USER)) as caller,
    ):
        caller.fails(OutcomeUnknown)
    assert len(proxy.requests) == 1


# --- the environment's proxy


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_the_environments_proxy_is_ignored(
    protocol: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(replying(answer(protocol))) as proxy, Server(replying(answer(protocol))) as server:
        monkeypatch.setenv(name, through(proxy, PROXY_USER))
        with Caller(server, protocol) as caller:
            caller.accepted()
    assert proxy.connections == 0
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_the_environments_proxy_is_used_if_trusted(
    protocol: str, name: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(replying(answer(protocol))) as proxy:
        monkeypatch.setenv(name, through(proxy, PROXY_USER).replace("http://", scheme))
        with Caller("http://sms.example/x", protocol, trust_env=True) as caller:
            caller.accepted()
    assert len(proxy.requests) == 1
    assert proxy.requests[0].headers["proxy-authorization"] == PROXY_AUTHORIZATION


def test_the_argument_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(replying(answer("soap"))) as proxy, Server(replying(answer("soap"))) as other:
        monkeypatch.setenv("http_proxy", through(other))
        with Caller("http://sms.example/x", proxy=through(proxy), trust_env=True) as caller:
            caller.accepted()
    assert len(proxy.requests) == 1
    assert other.connections == 0


def test_the_environments_exceptions_are_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(replying(answer("soap"))) as proxy, Server(replying(answer("soap"))) as server:
        monkeypatch.setenv("http_proxy", through(proxy))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with Caller(server, trust_env=True) as caller:
            caller.accepted()
    assert proxy.connections == 0
    assert len(server.requests) == 1


def test_a_proxy_for_the_other_scheme_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(replying(answer("soap"))) as proxy, Server(replying(answer("soap"))) as server:
        monkeypatch.setenv("https_proxy", through(proxy))
        with Caller(server, trust_env=True) as caller:
            caller.accepted()
    assert proxy.connections == 0
    assert len(server.requests) == 1


def test_a_proxy_that_is_not_spoken_to_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", f"socks5://{PROXY_USER}@127.0.0.1:9")
    with pytest.raises(ConfigurationError, match="neither an http nor an https proxy") as caught:
        Caller("http://sms.example/x", trust_env=True)
    assert "s3cr3t" not in str(caught.value)
