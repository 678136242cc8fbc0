"""Both clients against the sandbox over real sockets, and `Client` over transports of tests."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

import yunxin_soap
from tests.support.checked_client import CheckedClient
from tests.support.client_matrix import (
    BOTH_CLIENTS,
    BlockingAsyncClient,
    client_class,
    protocol_name,
)
from tests.support.scripted_server import ScriptedServer, reply_with
from tests.support.secret_detector import NUMBERS, PASSWORD
from tests.support.wire_samples import XML, http_response, result_response, result_xml
from yunxin_soap import (
    AsyncClient,
    Client,
    ConfigurationError,
    InvalidRequest,
    OutcomeUnknown,
    ProtocolName,
    Rejected,
    Request,
    Response,
    ResultCode,
)
from yunxin_soap.campaign import preview
from yunxin_soap.codes import DOCUMENTED
from yunxin_soap.operation import PROTOCOLS
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
def test_send_gateway_receives_the_six_fields_unchanged(
    sandbox: Sandbox, protocol: str, text: str
) -> None:
    """Every text, password and user name arrives as it was given, over every protocol."""
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


@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
def test_send_literal_text_arrives_as_it_is(sandbox: Sandbox, protocol: str) -> None:
    """An alert may have braces that are no placeholder."""
    text = "disk ${HOME} is {full}"
    with build(sandbox, protocol) as client:
        with pytest.raises(InvalidRequest, match="literal=True"):
            client.send("13900000000", text)
        assert client.check("13900000000", text, literal=True).message == f"{text}【签名】"
        client.send("13900000000", text, literal=True)
    (submission,) = sandbox.inbox
    assert submission.message == f"{text}【签名】"


@pytest.mark.parametrize("protocol", BOTH_CLIENTS)
def test_send_marketing_keeps_both_rules(
    sandbox: Sandbox, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An opt-out is wanted, and China's day."""
    noon, night = 1_800_000_000.0 - 1_800_000_000 % 86400 + 4 * 3600, 0.0
    clock = [noon]
    for module in ("client", "async_client"):
        monkeypatch.setattr(f"yunxin_soap.{module}.wall_clock", lambda: clock[0])
    with build(sandbox, protocol) as client:
        with pytest.raises(InvalidRequest, match="marketing without an opt-out"):
            client.send("13900000000", "全场五折", marketing=True)
        text = "全场五折，拒收请回复R"
        client.send("13900000000", text, marketing=True)
        clock[0] = night - 3600  # 07:00 in China
        with pytest.raises(InvalidRequest, match="and it is 07:00 there"):
            client.send("13900000000", text, marketing=True)
        assert client.check("13900000000", text, marketing=True).message.startswith(text)
    (submission,) = sandbox.inbox
    assert submission.message == f"{text}【签名】"


@pytest.mark.parametrize("protocol", ["soap", "soap12", "http-post"])
def test_send_500_numbers_is_one_submission(sandbox: Sandbox, protocol: str) -> None:
    """Five hundred numbers are one submission and one receipt."""
    numbers = [str(13900010000 + i) for i in range(500)]
    with build(sandbox, protocol) as client:
        receipt = client.send(numbers, "x")
    (submission,) = sandbox.inbox
    assert submission.recipients == tuple(numbers) == receipt.recipients


def test_send_500_numbers_over_http_get_is_invalid(sandbox: Sandbox) -> None:
    """A query that ASP.NET would reject is an error here; a shorter list is sent."""
    numbers = [str(13900010000 + i) for i in range(500)]
    with build(sandbox, "http-get") as client:
        with pytest.raises(InvalidRequest, match=r"fewer than 2048.*'http-post'"):
            client.send(numbers, "x")
        assert client.send(numbers[:100], "x").batch_no
    assert [len(each.recipients) for each in sandbox.inbox] == [100]


@pytest.mark.parametrize("code", [*ResultCode, -99], ids=int)
def test_send_every_code_raises_its_typed_error(sandbox: Sandbox, protocol: str, code: int) -> None:
    """Every code of the manual, and one that is not in it, raises its error with the request."""
    with build(sandbox, protocol) as client, pytest.raises(Rejected) as caught:
        client.send(f"154999900{-int(code):02}", "x")
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
def test_send_server_fault_is_unknown(
    sandbox: Sandbox, protocol: str, number: str, accepted: int
) -> None:
    """A fault of the method is unknown, whether or not the SMS was accepted before."""
    with build(sandbox, protocol) as client, pytest.raises(OutcomeUnknown) as caught:
        client.send(number, "x")
    assert not caught.value.safe_to_resend
    assert caught.value.http_status == 500
    assert len(sandbox.inbox) == accepted


def test_service_returns_the_result_as_it_is(sandbox: Sandbox, protocol: str) -> None:
    """The typed operation takes the six fields by position or name and returns the bare result."""
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


def test_service_fault_is_unknown_and_wrong_arguments_raise(
    sandbox: Sandbox, protocol: str
) -> None:
    """A fault is unknown as in ``send``; wrong arguments raise before anything is sent."""
    with build(sandbox, protocol) as client:
        service = client.service
        with pytest.raises(OutcomeUnknown) as caught:
            service.sendMesExt("demo", "demo", ACCEPTED_THEN_ERROR, "x【签名】", "37", "")
        assert caught.value.request is not None
        assert caught.value.request.recipients == 1
        with pytest.raises(TypeError):
            service.sendMesExt("demo", userCode="demo")  # type: ignore[misc] # the mistake
        with pytest.raises(TypeError):
            service.sendMesExt(*"1234567")
    assert len(sandbox.inbox) == 1


@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING])
def test_service_field_that_the_protocol_cannot_carry_is_invalid(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture, level: int
) -> None:
    """A control character or too long a query raises before anything is sent."""
    caplog.set_level(level)
    for protocol in PROTOCOLS:
        with build(sandbox, protocol) as client, pytest.raises(InvalidRequest) as caught:
            client.service.sendMesExt("demo", "demo", "13900000000", "a\x01【签名】", "37")
        assert "Msg contains U+0001" in str(caught.value)
    with build(sandbox, "http-get") as client, pytest.raises(InvalidRequest, match="fewer than"):
        client.service.sendMesExt("demo", "demo", "13900000000", "长" * 300 + "【签名】", "37")
    assert sandbox.inbox == ()


def test_debug_log_masks_the_password_and_the_numbers(
    sandbox: Sandbox, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG the log shows the batch number, but no password, no whole number and no text."""
    password = "s3cr3t+密&码"
    sandbox.add_account(Account("logged", password))
    caplog.set_level(logging.DEBUG)
    with client_class(protocol)(
        "logged", password, channel=37, endpoint=sandbox.url, protocol=protocol_name(protocol)
    ) as client:
        receipt = client.send(["13900000000", "13900000001"], "hello【签名】")
        client.service.sendMesExt("logged", password, "13900000002", "code 4711【签名】", "37", "")
    ours = [each.getMessage() for each in caplog.records if each.name == "yunxin_soap"]
    assert len(ours) == 6
    assert "139****0000" in ours[0]
    assert "***" in ours[0]
    assert receipt.batch_no in ours[2]
    for word in ("s3cr3t", "13900000000", "13900000001", "13900000002", "hello", "4711"):
        assert word not in caplog.text


def test_send_arguments_override_channel_and_extension(sandbox: Sandbox) -> None:
    """The channel and the extension of a call replace the client's."""
    with build(sandbox, extension="5") as client:
        client.send("13900000000", "x", extension="6")
        client.send("13900000000", "x", extension="")
        with pytest.raises(Rejected) as caught:
            client.send("13900000000", "x", channel=38)
    assert caught.value.code == -8
    assert [each.extension for each in sandbox.inbox] == ["6", ""]


def test_check_returns_the_submission_and_sends_nothing(sandbox: Sandbox) -> None:
    """``check`` validates and normalises, and sends nothing."""
    with build(sandbox) as client:
        submission = client.check("+86 139 0000 0000", "x")
        assert submission.recipients == ("13900000000",)
        assert (submission.message, submission.channel, submission.extension) == (
            "x【签名】",
            "37",
            "",
        )
        with pytest.raises(InvalidRequest):
            client.check("1", "x")
    assert sandbox.inbox == ()


def test_check_warns_of_a_long_message(sandbox: Sandbox) -> None:
    """Beyond 1,000 characters, the warning points at the caller and has no text in it."""
    with build(sandbox, max_segments=20) as client:
        assert client.check("13900000000", "长" * 996).notes == ()
        with pytest.warns(UserWarning, match="1002 characters, more than 1000") as caught:
            submission = client.check("13900000000", "长" * 998)
    assert [str(each.message) for each in caught] == list(submission.notes)
    assert caught[0].filename == __file__
    assert "长" not in submission.notes[0]


def test_check_refuses_a_message_of_too_many_segments(sandbox: Sandbox) -> None:
    """The limit is 10 segments unless a setting says another; the error has the count."""
    with build(sandbox) as client:
        assert client.check("13900000000", "长" * 666).segments == 10
        for call in (client.check, client.send):
            with pytest.raises(InvalidRequest, match=r"has 11 segments .* max_segments=10"):
                call("13900000000", "长" * 667)
    with build(sandbox, max_segments=1) as client:
        assert client.check("13900000000", "长" * 66).segments == 1
        with pytest.raises(InvalidRequest, match=r"has 2 segments .* max_segments=1"):
            client.check("13900000000", "长" * 67)
    assert sandbox.inbox == ()


def test_segments_are_the_same_everywhere(sandbox: Sandbox) -> None:
    """The client, its receipt, a plan and the sandbox count by one function."""
    for text in ("您好", "😀" * 67, "x" * 66 + "😀" * 67):
        with build(sandbox) as client:
            submission = client.check("13900000000", text)
            receipt = client.submit(submission)
        planned = preview("a", ["13900000000"], submission.message, channel=37).plan.segments
        origin = sandbox.url.removesuffix("/api/MsgSend.asmx")
        (shown,) = requests.get(f"{origin}/api/v1/arrivals?limit=1", timeout=20).json()["arrivals"]
        assert submission.segments == receipt.segments == planned == shown["segments"]


def test_send_without_channel_is_invalid(sandbox: Sandbox) -> None:
    """Without a channel, the error names the argument and the variable."""
    with (
        build(sandbox, channel=None) as client,
        pytest.raises(InvalidRequest, match="YUNXIN_CHANNEL"),
    ):
        client.send("13900000000", "x")


def test_send_1000_numbers_if_max_recipients_allows(sandbox: Sandbox) -> None:
    """``max_recipients`` raises the limit to 1000."""
    numbers = [str(13900010000 + i) for i in range(1000)]
    with build(sandbox, max_recipients=1000) as client:
        assert len(client.send(numbers, "x").recipients) == 1000


def test_from_env_reads_the_variables_and_overrides_them(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every variable is read, an empty one is unset, and an argument takes precedence."""
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
        ({"user_pass": "hidden<b", "protocol": "http-post"}, "user_pass contains characters that"),
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
        ({"max_segments": 0}, "1 to 255"),
        ({"max_segments": 256}, "1 to 255"),
        ({"proxy": "socks5://h:1"}, "only http and https"),
        ({"proxy": "u:hidden@h"}, "proxy"),
        ({"proxy": "http://u:hid/den@h:1"}, "Percent-encode .* / is %2F"),
        ({"proxy": "http://u:12/hidden@h:1"}, "Percent-encode"),
        ({"proxy": "http://u:12?hidden@h:1"}, "Percent-encode"),
        ({"proxy": "http://u:12#hidden@h:1"}, "Percent-encode"),
        ({"max_connections": "5"}, "max_connections='5' must be a whole number from 1 to 10000"),
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
def test_client_invalid_setting_raises_and_is_named(settings: dict[str, Any], named: str) -> None:
    """An invalid setting raises one line that names it and quotes no secret."""
    with pytest.raises(ConfigurationError, match=named) as caught:
        Client(**{"user_code": "demo", "user_pass": "demo", **settings})
    assert "hidden" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_client_repr_omits_the_password(sandbox: Sandbox) -> None:
    """No ``repr`` shows the password or that of the proxy."""
    with Client("demo", "s3cr3t", endpoint=sandbox.url, proxy="http://u:s3cr3t@h:1") as client:
        shown = repr(client) + repr(client.settings) + repr(client.service)
    assert "s3cr3t" not in shown
    assert sandbox.url in shown
    # A debugger shows the client whose constructor raised.
    assert repr(Client.__new__(Client)) == "<Client without settings>"


class FixedTransport:
    """Returns one response to every request, and keeps the requests."""

    def __init__(self, response: Response) -> None:
        self.response = response
        self.requests: list[Request] = []
        self.closed = 0

    def send(self, request: Request, *, valid_until: float | None = None) -> Response:
        self.requests.append(request)
        return self.response

    def close(self) -> None:
        self.closed += 1


def xml_response(protocol: str, result: str) -> Response:
    return Response(200, XML, result_xml(protocol, result).encode())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_transport_carries_every_request_and_is_closed(protocol: ProtocolName) -> None:
    """A transport of the caller's own replaces the network; the client closes it."""
    transport = FixedTransport(xml_response(protocol, "7"))
    with Client(
        "demo",
        "demo",
        channel=37,
        signature="签名",
        endpoint="http://gateway.invalid/x.asmx",
        protocol=protocol,
        transport=transport,
    ) as client:
        assert client.send("13900000000", "您好").batch_no == "7"
        assert client.service.sendMesExt("demo", "demo", "13900000000", "x【签名】", "37") == "7"
        assert transport.closed == 0
    assert transport.closed == 1
    for call in (client.send, partial(client.service.sendMesExt, "demo", "demo")):
        with pytest.raises(RuntimeError, match="client is closed"):
            call("13900000000", "您好【签名】")
    first, second = transport.requests
    assert (first.method, first.path) == (second.method, second.path)
    assert first.path.startswith("/x.asmx")


def test_from_settings_builds_an_equal_client() -> None:
    """The settings of one client build another; both fit either kind of client."""
    transport = FixedTransport(xml_response("soap", "7"))
    with Client("demo", "s3cr3t", channel=37, signature="【签名】", timeout=7) as client:
        settings = client.settings
    with Client.from_settings(settings, transport=transport) as other:
        assert other.settings is settings
        assert other.send("13900000000", "您好").message == "您好【签名】"
        assert (other.endpoint, other.protocol) == (client.endpoint, client.protocol)
        assert other.total_timeout == client.total_timeout == 24.0
    assert AsyncClient.from_settings(settings).settings is settings


def test_from_env_takes_a_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client from the environment takes a transport as the constructor does."""
    monkeypatch.setenv("YUNXIN_USER_CODE", "demo")
    monkeypatch.setenv("YUNXIN_USER_PASS", "demo")
    transport = FixedTransport(xml_response("soap", "7"))
    with Client.from_env(transport=transport, channel=37, signature="签名") as client:
        assert client.send("13900000000", "您好").batch_no == "7"


def test_client_unknown_argument_is_a_type_error() -> None:
    """An argument that does not exist is named, as Python does for any function."""
    with pytest.raises(TypeError, match="'chanel'"):
        Client("demo", "demo", chanel=37)  # type: ignore[call-arg]


def test_banned_word_that_equals_the_password_is_masked() -> None:
    """A gateway that returns the password as the banned word does not get it into an error."""
    transport = FixedTransport(xml_response("soap", "-6:s3cr3t"))
    with (
        Client("demo", "s3cr3t", channel=37, signature="签名", transport=transport) as client,
        pytest.raises(Rejected) as caught,
    ):
        client.send("13900000000", "您好")
    assert caught.value.keyword == "***"
    assert "s3cr3t" not in f"{caught.value} {caught.value.to_dict()}"


@pytest.mark.parametrize("through_service", [False, True], ids=["send", "service"])
def test_error_frames_have_no_password(protocol: str, through_service: bool) -> None:
    """No local variable of the package's frames that an error keeps shows the password."""

    def call() -> object:
        if through_service:
            return checked.client.service.sendMesExt(
                "user", PASSWORD, ",".join(NUMBERS), "x【签名】", "37"
            )
        return checked.send()

    with (
        ScriptedServer(reply_with(http_response("", "502 Bad Gateway"))) as server,
        CheckedClient(server, protocol) as checked,
    ):
        error = checked.assert_fails(OutcomeUnknown, call)
    package = str(Path(yunxin_soap.__file__).parent)
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    own = [each for each in frames if each.f_code.co_filename.startswith(package)]
    assert len(own) > 2
    for frame in own:
        for name, value in frame.f_locals.items():
            assert PASSWORD not in repr(value), f"{frame.f_code.co_name}: {name}"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_service_type_error_frames_have_no_password(kind: type[Client | AsyncClient]) -> None:
    """The same holds for the type error that a mistyped argument of the operation is."""

    async def call() -> None:
        operation = kind("demo", "s3cr3t").service["sendMesExt"]
        result = operation(userPass="s3cr3t", mobile="1")
        if isinstance(result, Awaitable):
            await result

    with pytest.raises(TypeError, match="mobile") as caught:
        asyncio.run(call())
    package = str(Path(yunxin_soap.__file__).parent)
    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    own = [each for each in frames if each.f_code.co_filename.startswith(package)]
    for frame in own:
        for name, value in frame.f_locals.items():
            assert "s3cr3t" not in repr(value), f"{frame.f_code.co_name}: {name}"


@pytest.mark.parametrize("result", ["", " \n"])
def test_service_empty_result_is_unknown(protocol: str, result: str) -> None:
    """An empty result is not returned: whether the SMS was sent is unknown."""

    def call() -> object:
        return checked.client.service.sendMesExt(
            "user", PASSWORD, ",".join(NUMBERS), "x【签名】", "37"
        )

    with (
        ScriptedServer(reply_with(result_response(protocol, result))) as server,
        CheckedClient(server, protocol) as checked,
    ):
        assert checked.assert_fails(OutcomeUnknown, call).excerpt == ""
