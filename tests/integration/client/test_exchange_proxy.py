"""Proxies: the argument's is used, and the environment's only with ``trust_env=True``."""

from __future__ import annotations

import base64
import ssl
import traceback
from pathlib import Path

import pytest

from tests.support.checked_client import CheckedClient
from tests.support.client_matrix import BOTH_CLIENTS
from tests.support.scripted_server import ScriptedServer, proxy_url, read_then_close, reply_with
from tests.support.secret_detector import PROXY_AUTHORIZATION, PROXY_USER
from tests.support.wire_samples import http_response, result_response
from yunxin_soap import ConfigurationError, NotSent, OutcomeUnknown
from yunxin_soap.errors import ConfigurationRejected


def test_proxy_request_line_has_the_full_address(protocol: str) -> None:
    """A proxy gets the full address in the request line, and no more headers."""
    with (
        ScriptedServer(reply_with(result_response(protocol))) as proxy,
        CheckedClient(
            "http://sms.example/api/MsgSend.asmx", protocol, proxy=proxy_url(proxy)
        ) as checked,
    ):
        checked.assert_accepted()
        checked.assert_accepted()
    first, second = proxy.requests
    assert (first.connection, second.connection) == (1, 1)
    path = "/api/MsgSend.asmx" + ("/sendMesExt" if protocol.startswith("http-") else "")
    assert first.target.partition("?")[0] == f"http://sms.example{path}"
    assert ("userPass" in first.target) is (protocol == "http-get")
    assert first.headers["host"] == "sms.example"
    assert "proxy-authorization" not in first.headers


def test_proxy_with_user_gets_its_authorization(protocol: str) -> None:
    """A proxy's user name and password are sent to it."""
    with (
        ScriptedServer(reply_with(result_response(protocol))) as proxy,
        CheckedClient(
            "http://sms.example/x", protocol, proxy=proxy_url(proxy, PROXY_USER)
        ) as checked,
    ):
        checked.assert_accepted()
    assert proxy.requests[0].headers["proxy-authorization"] == PROXY_AUTHORIZATION


def test_proxy_password_outside_ascii_is_sent_as_utf_8() -> None:
    """A proxy's password outside ASCII is sent as UTF-8."""
    with (
        ScriptedServer(reply_with(result_response("soap"))) as proxy,
        CheckedClient("http://sms.example/x", proxy=proxy_url(proxy, "user:口令")) as checked,
    ):
        checked.assert_accepted()
    expected = base64.b64encode("user:口令".encode()).decode()
    assert proxy.requests[0].headers["proxy-authorization"] == f"Basic {expected}"


def test_proxy_that_refuses_the_connection_is_not_sent(protocol: str) -> None:
    """A proxy that refuses the connection: not sent."""
    with (
        ScriptedServer(reply_with(b""), listening=False) as proxy,
        CheckedClient(
            "http://sms.example/x", protocol, proxy=proxy_url(proxy, PROXY_USER), retries=0
        ) as checked,
    ):
        error = checked.assert_fails(NotSent)
    assert f"to sms.example:80 through the proxy 127.0.0.1:{proxy.port} (Connection" in str(error)


def test_proxy_with_unresolved_host_name_is_not_sent(protocol: str) -> None:
    """A proxy whose name cannot be resolved: not sent."""
    with CheckedClient(
        "http://sms.example/x", protocol, proxy=f"http://{PROXY_USER}@nothing.invalid", retries=0
    ) as checked:
        error = checked.assert_fails(NotSent)
    assert "the host name of the proxy nothing.invalid:80 cannot be resolved" in str(error)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("407 Proxy Authentication Required", ConfigurationRejected),
        ("502 Bad Gateway", OutcomeUnknown),
        ("504 Gateway Timeout", OutcomeUnknown),
    ],
)
def test_proxy_that_responds_itself_ends_by_its_status(
    protocol: str, status: str, kind: type[ConfigurationRejected | OutcomeUnknown]
) -> None:
    """A proxy's own response ends as its status says."""
    with (
        ScriptedServer(reply_with(http_response("No", status, "text/html"))) as proxy,
        CheckedClient(
            "http://sms.example/x", protocol, proxy=proxy_url(proxy, PROXY_USER)
        ) as checked,
    ):
        error = checked.assert_fails(kind)
    assert error.http_status == int(status[:3])
    assert len(proxy.requests) == 1


def test_proxy_that_closes_is_unknown_and_not_retried(protocol: str) -> None:
    """A proxy that closes without a response: unknown, and not sent again."""
    with (
        ScriptedServer(read_then_close) as proxy,
        CheckedClient(
            "http://sms.example/x", protocol, proxy=proxy_url(proxy, PROXY_USER)
        ) as checked,
    ):
        checked.assert_fails(OutcomeUnknown)
    assert len(proxy.requests) == 1


# --- the environment's proxy


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_environment_proxy_is_ignored_by_default(
    protocol: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment's proxy is ignored by default."""
    with (
        ScriptedServer(reply_with(result_response(protocol))) as proxy,
        ScriptedServer(reply_with(result_response(protocol))) as server,
    ):
        monkeypatch.setenv(name, proxy_url(proxy, PROXY_USER))
        with CheckedClient(server, protocol) as checked:
            checked.assert_accepted()
    assert proxy.connections == 0
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_environment_proxy_with_trust_env_is_used(
    protocol: str, name: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``trust_env=True`` uses the environment's proxy, with or without a scheme."""
    with ScriptedServer(reply_with(result_response(protocol))) as proxy:
        monkeypatch.setenv(name, proxy_url(proxy, PROXY_USER).replace("http://", scheme))
        with CheckedClient("http://sms.example/x", protocol, trust_env=True) as checked:
            checked.assert_accepted()
    assert len(proxy.requests) == 1
    assert proxy.requests[0].headers["proxy-authorization"] == PROXY_AUTHORIZATION


@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
def test_environment_proxy_over_tls_is_used(
    protocol: str, tls: ssl.SSLContext, authority_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment's proxy may be an https proxy."""
    with ScriptedServer(reply_with(result_response(protocol)), tls=tls) as proxy:
        monkeypatch.setenv("http_proxy", proxy.origin)
        with CheckedClient(
            "http://sms.example/x", protocol, trust_env=True, verify=authority_file
        ) as checked:
            checked.assert_accepted()
    assert len(proxy.requests) == 1


def test_proxy_argument_precedes_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """``proxy=`` takes precedence over the environment."""
    with (
        ScriptedServer(reply_with(result_response("soap"))) as proxy,
        ScriptedServer(reply_with(result_response("soap"))) as other,
    ):
        monkeypatch.setenv("http_proxy", proxy_url(other))
        with CheckedClient(
            "http://sms.example/x", proxy=proxy_url(proxy), trust_env=True
        ) as checked:
            checked.assert_accepted()
    assert len(proxy.requests) == 1
    assert other.connections == 0


def test_environment_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """``no_proxy`` in the environment is honoured."""
    with (
        ScriptedServer(reply_with(result_response("soap"))) as proxy,
        ScriptedServer(reply_with(result_response("soap"))) as server,
    ):
        monkeypatch.setenv("http_proxy", proxy_url(proxy))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with CheckedClient(server, trust_env=True) as checked:
            checked.assert_accepted()
    assert proxy.connections == 0
    assert len(server.requests) == 1


def test_environment_proxy_for_the_other_scheme_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``https_proxy`` is not used for an http endpoint."""
    with (
        ScriptedServer(reply_with(result_response("soap"))) as proxy,
        ScriptedServer(reply_with(result_response("soap"))) as server,
    ):
        monkeypatch.setenv("https_proxy", proxy_url(proxy))
        with CheckedClient(server, trust_env=True) as checked:
            checked.assert_accepted()
    assert proxy.connections == 0
    assert len(server.requests) == 1


def test_environment_proxy_of_another_kind_is_invalid(monkeypatch: pytest.MonkeyPatch) -> None:
    """A SOCKS proxy in the environment is invalid, and its password is not shown."""
    monkeypatch.setenv("all_proxy", f"socks5://{PROXY_USER}@127.0.0.1:9")
    with pytest.raises(ConfigurationError, match="neither an http nor an https proxy") as caught:
        CheckedClient("http://sms.example/x", trust_env=True)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
@pytest.mark.parametrize(
    "address", ["http://{}@[::1", "http://{}@127.0.0.1:port", "http://{}@a:b:c"]
)
def test_environment_proxy_that_cannot_be_parsed_is_not_shown(
    protocol: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy address that cannot be parsed is invalid, and its password is not shown."""
    monkeypatch.setenv("http_proxy", address.format(PROXY_USER))
    with pytest.raises(ConfigurationError, match="proxy in the environment") as caught:
        CheckedClient("http://sms.example/x", protocol, trust_env=True)
    assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))
