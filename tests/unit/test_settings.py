"""`Settings`: validated once, frozen, and read from the environment."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
import ssl
from typing import Any

import pytest

from yunxin_soap import ConfigurationError, Endpoint, Settings
from yunxin_soap.message import MAINLAND_MOBILE
from yunxin_soap.settings import DEFAULT_ENDPOINT, arguments_from_env, parse_endpoint


def test_settings_defaults_are_the_documented_ones() -> None:
    """Without options, each setting has the default that `Client` documents."""
    settings = Settings("demo", "secret")
    assert {**dataclasses.asdict(settings), "recipient_pattern": None} == {
        "user_code": "demo",
        "user_pass": "secret",
        "channel": None,
        "signature": None,
        "extension": "",
        "endpoint": {
            "url": DEFAULT_ENDPOINT,
            "scheme": "http",
            "host": "112.124.24.5",
            "port": 80,
            "path": "/api/MsgSend.asmx",
        },
        "protocol": "soap",
        "timeout": 30.0,
        "connect_timeout": 5.0,
        "total_timeout": 70.0,
        "retries": 2,
        "proxy": None,
        "trust_env": False,
        "verify": True,
        "recipient_pattern": None,
        "max_recipients": 500,
        "max_segments": 10,
        "max_connections": 100,
        "wsdl": None,
        "log_messages": False,
    }
    assert settings.recipient_pattern is MAINLAND_MOBILE


@pytest.mark.parametrize(
    ("name", "given", "normalised"),
    [
        ("channel", 37, "37"),
        ("extension", 8, "8"),
        ("signature", "【签名】", "签名"),
        ("recipient_pattern", "[0-9]+", re.compile("[0-9]+")),
        ("endpoint", "https://h/x", Endpoint("https://h/x", "https", "h", 443, "/x")),
        ("endpoint", "http://h", Endpoint("http://h/", "http", "h", 80, "/")),
        ("total_timeout", None, 70.0),
        ("total_timeout", 35, 35),
        ("retries", 0, 0),
        ("max_recipients", 1, 1),
        ("max_recipients", 1000, 1000),
        ("max_segments", 1, 1),
        ("max_segments", 255, 255),
        ("timeout", 86400, 86400),
        ("wsdl", "x.wsdl", "x.wsdl"),
        ("proxy", "http://u:p@h:1", "http://u:p@h:1"),
    ],
)
def test_settings_argument_is_normalised(name: str, given: Any, normalised: Any) -> None:
    """A setting is read back in its normalised form."""
    options: dict[str, Any] = {name: given}
    if name == "timeout":
        options["total_timeout"] = None
    assert getattr(Settings("demo", "demo", **options), name) == normalised


def test_settings_are_frozen_and_can_be_replaced() -> None:
    """A setting cannot be changed; a changed copy is validated like a new one."""
    settings = Settings("demo", "demo", channel=37, signature="签名")
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.timeout = 1  # type: ignore[misc]
    changed = dataclasses.replace(settings, timeout=1.0)
    assert (changed.timeout, changed.channel, changed.endpoint) == (1.0, "37", settings.endpoint)
    with pytest.raises(ConfigurationError, match="timeout"):
        dataclasses.replace(settings, timeout=-1.0)


def test_settings_copied_are_equal() -> None:
    """Settings survive copy and pickle, unless they contain a TLS context."""
    settings = Settings("demo", "demo", channel=37, protocol="http-get", verify="/ca.pem")
    assert pickle.loads(pickle.dumps(settings)) == copy.deepcopy(settings) == settings
    context = ssl.create_default_context()
    assert Settings("demo", "demo", verify=context).verify is context


def test_settings_repr_omits_the_passwords() -> None:
    """Neither the password nor the proxy, whose address may contain one, is shown."""
    shown = repr(Settings("demo", "s3cr3t", proxy="http://u:hidden@h:1"))
    assert "demo" in shown
    assert "s3cr3t" not in shown
    assert "hidden" not in shown


def test_settings_total_timeout_covers_one_attempt() -> None:
    """The total timeout is at least one attempt, which an error says in seconds."""
    assert Settings("u", "p", timeout=10, connect_timeout=5, total_timeout=15).total_timeout == 15
    with pytest.raises(ConfigurationError, match=r"total_timeout=14 .* \(15 s\)"):
        Settings("u", "p", timeout=10, connect_timeout=5, total_timeout=14)


def test_settings_unknown_argument_is_a_type_error() -> None:
    """An argument that does not exist is named."""
    with pytest.raises(TypeError, match="'chanel'"):
        Settings("demo", "demo", chanel=37)  # type: ignore[call-arg]


def test_settings_from_env_overrides_take_precedence() -> None:
    """An argument replaces a variable; an empty variable is unset."""
    environ = {
        "YUNXIN_USER_CODE": "demo",
        "YUNXIN_USER_PASS": "demo",
        "YUNXIN_CHANNEL": "37",
        "YUNXIN_PROTOCOL": "",
        "YUNXIN_TIMEOUT": "2.5",
        "YUNXIN_RETRIES": "9",
        "OTHER": "x",
    }
    settings = Settings.from_env(environ, channel=38, user_code="other")
    assert (settings.user_code, settings.channel, settings.protocol) == ("other", "38", "soap")
    assert (settings.timeout, settings.retries) == (2.5, 2)
    assert set(arguments_from_env(environ)) == {"user_code", "user_pass", "channel", "timeout"}


def test_settings_from_env_reads_numbers() -> None:
    """A variable that is no number is named, with what it has."""
    base = {"YUNXIN_USER_CODE": "demo", "YUNXIN_USER_PASS": "demo"}
    assert Settings.from_env({**base, "YUNXIN_MAX_SEGMENTS": "20"}).max_segments == 20
    for name, value, error in [
        ("MAX_SEGMENTS", "2.5", "must be a number such as 10"),
        ("TIMEOUT", "long", "must be a number of seconds"),
    ]:
        with pytest.raises(ConfigurationError, match=f"YUNXIN_{name}='{value}' {error}"):
            Settings.from_env({**base, f"YUNXIN_{name}": value})


def test_parse_endpoint_takes_a_parsed_endpoint() -> None:
    """A parsed endpoint is returned as it is; its origin has no path."""
    endpoint = parse_endpoint("http://h:8080/api/x.asmx")
    assert parse_endpoint(endpoint) is endpoint
    assert endpoint.origin == "http://h:8080"
