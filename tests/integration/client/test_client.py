"""`Client` against the sandbox over real sockets, on all four ports."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.support.client_matrix import BlockingAsyncClient, client_class, protocol_name
from yunxin_soap import (
    Client,
    ConfigurationError,
    InvalidRequest,
    OutcomeUnknown,
    Rejected,
    ResultCode,
    wsdl,
)
from yunxin_soap.codes import DOCUMENTED
from yunxin_soap.sandbox import Account, Sandbox
from yunxin_soap.sandbox.gateway import ACCEPTED_THEN_ERROR, ERROR

TEXTS = [
    "您的验证码是1234",
    "😀👨‍👩‍👧 emoji 𠮷",
    "&<>\"'",
    "a & b &amp; c &lt; <b> &#65;",
    "]]> <![CDATA[x]]>",
    "line\nline\r\nline\rline",
    "  edges  ",
    "\t tabs \t",
    "100% + 1 = ?&x=y#z;%41%u60a8",
    "-6:x",
]


def build(sandbox: Sandbox, protocol: str = "soap", **more: Any) -> Client | BlockingAsyncClient:
    settings = {"channel": "37", "signature": "签名", "endpoint": sandbox.url, **more}
    return client_class(protocol)("demo", "demo", protocol=protocol_name(protocol), **settings)


@pytest.mark.parametrize("text", TEXTS)
def test_the_gateway_gets_exactly_the_six_values(
    sandbox: Sandbox, protocol: str, text: str
) -> None:
    password = "p&<w>;+% 密"
    if protocol.startswith("http") and any(part in text for part in ("<b", "<!", "&#")):
        with build(sandbox, protocol) as client, pytest.raises(InvalidRequest, match="'soap'"):
            client.send("13900000000", text)
        assert sandbox.inbox == ()
        return
    if protocol.startswith("http"):
        password = password.replace("<w", "< w")
    sandbox.add_account(Account("用户&1", password))
    with client_class(protocol)(
        "用户&1",
        password,
        channel=37,
        signature="签名",
        extension="08",
        endpoint=sandbox.url,
        protocol=protocol_name(protocol),
    ) as client:
        receipt = client.send(["13900000001", "13900000000"], text)
    (submission,) = sandbox.inbox
    assert submission.batch_no == receipt.batch_no
    assert submission.user_code == "用户&1"
    assert submission.recipients == ("13900000001", "13900000000") == receipt.recipients
    assert submission.message == f"{text}【签名】" == receipt.message
    assert (submission.channel, submission.extension) == ("37", "08")
    assert submission.protocol == protocol == receipt.protocol
    assert len(receipt.batch_no) == 19


@pytest.mark.parametrize("protocol", ["soap", "soap12", "http-post"])
def test_500_numbers_in_one_submit(sandbox: Sandbox, protocol: str) -> None:
    numbers = [str(13900010000 + i) for i in range(500)]
    with build(sandbox, protocol) as client:
        receipt = client.send(numbers, "x")
    (submission,) = sandbox.inbox
    assert submission.recipients == tuple(numbers) == receipt.recipients


def test_500_numbers_do_not_fit_a_get(sandbox: Sandbox) -> None:
    numbers = [str(13900010000 + i) for i in range(500)]
    with build(sandbox, "http-get") as client:
        with pytest.raises(InvalidRequest, match=r"fewer than 2048.*'http-post'"):
            client.send(numbers, "x")
        assert client.send(numbers[:100], "x").batch_no
    assert [len(each.recipients) for each in sandbox.inbox] == [100]


@pytest.mark.parametrize("code", [*ResultCode, -99], ids=int)
def test_every_code_comes_back_as_itself(sandbox: Sandbox, protocol: str, code: int) -> None:
    with build(sandbox, protocol) as client, pytest.raises(Rejected) as caught:
        client.send(f"139000010{-int(code):02}", "x")
    error = caught.value
    assert error.code == code
    assert error.keyword == ("促销" if code == -6 else None)
    known = DOCUMENTED.get(code)
    if known is not None:
        assert error.category is known.category
        if code == ResultCode.BANNED_WORD:
            assert error.description_zh == "含有关键字“促销”"
            assert error.description_en == "the text contains the banned word '促销'"
        else:
            assert error.description_zh == known.description_zh
            assert error.description_en == known.description_en
    assert error.request is not None
    assert (error.request.endpoint, error.request.protocol) == (sandbox.url, protocol)
    assert (error.request.recipients, error.request.channel) == (1, "37")
    assert sandbox.inbox == ()


@pytest.mark.parametrize(("number", "accepted"), [(ACCEPTED_THEN_ERROR, 1), (ERROR, 0)])
def test_a_method_that_throws_leaves_the_outcome_unknown(
    sandbox: Sandbox, protocol: str, number: str, accepted: int
) -> None:
    with build(sandbox, protocol) as client, pytest.raises(OutcomeUnknown) as caught:
        client.send(number, "x")
    assert not caught.value.safe_to_resend
    assert caught.value.http_status == 500
    assert len(sandbox.inbox) == accepted


def test_the_service_is_zeeps_own_operation(sandbox: Sandbox, protocol: str) -> None:
    with build(sandbox, protocol) as client:
        batch_no = client.service.sendMesExt(
            userCode="demo",
            userPass="demo",
            DesNo="13900000000",
            Msg="您 & 好\n【签名】",
            Channel="37",
            ExeNo="1",
        )
        positional = client.service.sendMesExt(
            "demo", "demo", "13900000000", "x【签名】", "37", None
        )
        left_out = client.service.sendMesExt("demo", "demo", DesNo="13900000000", Msg="x【签名】")
        assert client.service is client.service
    first, second = sandbox.inbox
    assert (batch_no, positional) == (first.batch_no, second.batch_no)
    assert (first.message, first.extension, first.protocol) == ("您 & 好\n【签名】", "1", protocol)
    assert (second.extension, left_out) == ("", "-8")


def test_the_service_has_the_clients_safety(sandbox: Sandbox, protocol: str) -> None:
    with build(sandbox, protocol) as client:
        service = client.service
        with pytest.raises(OutcomeUnknown) as caught:
            service.sendMesExt("demo", "demo", ACCEPTED_THEN_ERROR, "x【签名】", "37", "")
        assert caught.value.request is not None
        assert caught.value.request.recipients == 1
        with pytest.raises(TypeError):
            service.sendMesExt("demo", userCode="demo")
        with pytest.raises(TypeError):
            service.sendMesExt(*"1234567")
    assert len(sandbox.inbox) == 1


@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING])
def test_what_the_port_cannot_carry_stops_the_service_too(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, level: int
) -> None:
    caplog.set_level(level)
    for protocol in wsdl.PROTOCOLS:
        with build(sandbox, protocol) as client, pytest.raises(InvalidRequest) as caught:
            client.service.sendMesExt("demo", "demo", "13900000000", "a\x01【签名】", "37")
        assert "Msg contains U+0001" in str(caught.value)
    with build(sandbox, "http-get") as client, pytest.raises(InvalidRequest, match="fewer than"):
        client.service.sendMesExt("demo", "demo", "13900000000", "长" * 300 + "【签名】", "37")
    assert sandbox.inbox == ()


def test_debug_logging_masks_the_password_and_the_numbers(
    sandbox: Sandbox, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    password = "s3cr3t+密&码"
    sandbox.add_account(Account("logged", password))
    caplog.set_level(logging.DEBUG)
    with client_class(protocol)(
        "logged", password, channel=37, endpoint=sandbox.url, protocol=protocol_name(protocol)
    ) as client:
        receipt = client.send(["13900000000", "13900000001"], "hello【签名】")
        client.service.sendMesExt("logged", password, "13900000002", "x【签名】", "37", "")
    ours = [each.getMessage() for each in caplog.records if each.name == "yunxin_soap"]
    assert len(ours) == 4
    assert "hello" in ours[0]
    assert "139****0000" in ours[0]
    assert "***" in ours[0]
    assert receipt.batch_no in ours[1]
    for word in ("s3cr3t", "13900000000", "13900000001", "13900000002"):
        assert word not in caplog.text


def test_the_callers_channel_and_extension_come_first(sandbox: Sandbox) -> None:
    with build(sandbox, extension="5") as client:
        client.send("13900000000", "x", extension="6")
        client.send("13900000000", "x", extension="")
        with pytest.raises(Rejected) as caught:
            client.send("13900000000", "x", channel=38)
    assert caught.value.code == -8
    assert [each.extension for each in sandbox.inbox] == ["6", ""]


def test_check_sends_nothing(sandbox: Sandbox) -> None:
    with build(sandbox) as client:
        submit = client.check("+86 139 0000 0000", "x")
        assert submit.recipients == ("13900000000",)
        assert (submit.message, submit.channel, submit.extension) == ("x【签名】", "37", "")
        with pytest.raises(InvalidRequest):
            client.check("1", "x")
    assert sandbox.inbox == ()


def test_a_channel_has_to_come_from_somewhere(sandbox: Sandbox) -> None:
    with (
        build(sandbox, channel=None) as client,
        pytest.raises(InvalidRequest, match="YUNXIN_CHANNEL"),
    ):
        client.send("13900000000", "x")


def test_up_to_1000_numbers_by_setting(sandbox: Sandbox) -> None:
    numbers = [str(13900010000 + i) for i in range(1000)]
    with build(sandbox, max_recipients=1000) as client:
        assert len(client.send(numbers, "x").recipients) == 1000


def test_a_client_from_the_environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "USER_CODE": "demo",
        "USER_PASS": "demo",
        "CHANNEL": "37",
        "SIGNATURE": "环境",
        "EXTENSION": "9",
        "ENDPOINT": sandbox.url,
        "PROTOCOL": "http-post",
        "TIMEOUT": "2.5",
        "PROXY": "",
    }.items():
        monkeypatch.setenv(f"YUNXIN_{name}", value)
    with Client.from_env() as client:
        receipt = client.send("13900000000", "x")
    assert (receipt.message, receipt.extension, receipt.protocol) == ("x【环境】", "9", "http-post")
    with Client.from_env(protocol="soap", signature=None) as client:
        assert client.protocol == "soap"
    monkeypatch.setenv("YUNXIN_TIMEOUT", "soon")
    with pytest.raises(ConfigurationError, match="YUNXIN_TIMEOUT='soon'"):
        Client.from_env()
    monkeypatch.delenv("YUNXIN_TIMEOUT")
    monkeypatch.delenv("YUNXIN_USER_PASS")
    with pytest.raises(ConfigurationError, match=r"user_pass is missing.*YUNXIN_USER_PASS"):
        Client.from_env()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"user_code": ""}, "user_code is missing"),
        ({"user_pass": ""}, "user_pass is missing"),
        ({"user_pass": None}, "user_pass must be a string"),
        ({"user_pass": "a\x00"}, r"user_pass contains U\+0000 at character 2"),
        ({"user_pass": "hidden<b", "protocol": "http-post"}, "user_pass contains characters"),
        ({"user_code": "a&#1", "protocol": "http-get"}, "user_code contains characters"),
        ({"channel": "x"}, "channel"),
        ({"extension": "x"}, "extension"),
        ({"signature": "【】"}, "signature"),
        ({"protocol": "soap13"}, "soap, soap12, http-get, http-post"),
        ({"endpoint": "gateway.example"}, "must start with http"),
        ({"endpoint": "ftp://gateway.example/"}, "must start with http"),
        ({"endpoint": "http://"}, "endpoint"),
        ({"endpoint": "http://h/x?WSDL"}, "remove"),
        ({"endpoint": "http://h/x?userPass=hidden"}, "remove"),
        ({"endpoint": "http://h/x#y"}, "remove"),
        ({"endpoint": "http://h:0/x"}, "port 0"),
        ({"endpoint": "http://u:hidden@h/x"}, "user name"),
        ({"endpoint": "http://h:99999/x"}, "endpoint"),
        ({"endpoint": None}, "endpoint"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": "30"}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"connect_timeout": -1}, "connect_timeout"),
        ({"total_timeout": 10}, "total_timeout=10 is shorter"),
        ({"retries": -1}, "retries"),
        ({"retries": True}, "retries"),
        ({"max_recipients": 1001}, "1 to 1000"),
        ({"max_recipients": 0}, "1 to 1000"),
        ({"proxy": "socks5://h:1"}, "only http and https"),
        ({"proxy": "u:hidden@h"}, "proxy"),
        ({"recipient_pattern": "("}, "regular expression"),
        ({"recipient_pattern": b"1"}, "regular expression"),
        ({"signature": 5}, "signature must be a string"),
        ({"wsdl": 5}, "wsdl=5"),
        ({"verify": None}, "verify=None"),
        ({"trust_env": "false"}, "trust_env"),
        ({"timeout": 1e12}, "up to a day"),
        ({"connect_timeout": float("nan")}, "up to a day"),
        ({"endpoint": "http://h/MsgSend.asmx/sendMesExt"}, "continues after the page"),
        ({"endpoint": "http://h/MsgSend.asmx/"}, "continues after the page"),
        ({"verify": "/nonexistent.pem", "endpoint": "https://h/x"}, "verify"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_is_sent(
    settings: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named) as caught:
        Client(**{"user_code": "demo", "user_pass": "demo", **settings})
    assert "hidden" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_repr_shows_the_password(sandbox: Sandbox) -> None:
    with Client("demo", "s3cr3t", endpoint=sandbox.url, proxy="http://u:s3cr3t@h:1") as client:
        shown = repr(client) + repr(client.settings) + repr(client.service)
    assert "s3cr3t" not in shown
    assert sandbox.url in shown
