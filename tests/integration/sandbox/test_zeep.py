"""A bare zeep client, made from the sandbox's own WSDL, sends through all four ports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import zeep

from yunxin_soap.sandbox import Sandbox
from yunxin_soap.wsdl import FIELDS, PROTOCOLS, ProtocolName

PORT_NAMES: dict[ProtocolName, str] = {
    "soap": "MsgSendSoap",
    "soap12": "MsgSendSoap12",
    "http-get": "MsgSendHttpGet",
    "http-post": "MsgSendHttpPost",
}
MESSAGES = [
    pytest.param("您好，验证码１２３４【签名】", id="Chinese"),
    pytest.param("😀👨‍👩‍👧𠮷【签名】", id="emoji"),
    pytest.param("&>\"' &amp; < 1 %41 + # ; = ?【签名】", id="signs"),
    pytest.param("a]]>b<![CDATA[<c>&#13;【签名】", id="markup"),
    pytest.param("]]>【签名】", id="end of CDATA"),
    pytest.param("a\r\nb\nc\rd\te【签名】", id="line breaks"),
    pytest.param("  a  b  【签名】", id="edge spaces"),
    pytest.param("\u00a0\u200b\ufeff【签名】", id="invisible"),
]


@pytest.fixture(scope="module")
def client(_running_sandbox: Sandbox) -> Iterator[zeep.Client]:
    with zeep.Client(f"{_running_sandbox.url}?WSDL") as client:
        yield client


def _send(client: zeep.Client, port: ProtocolName, **fields: str) -> Any:
    service = client.bind("MsgSend", PORT_NAMES[port])
    good = {"DesNo": "13900000000", "Msg": "您好【签名】", "Channel": "37", "ExeNo": ""}
    return service.sendMesExt(userCode="demo", userPass="demo", **good | fields)


@pytest.mark.parametrize("port", PROTOCOLS)
@pytest.mark.parametrize("message", MESSAGES)
def test_message_arrives_as_it_was_given(
    sandbox: Sandbox, client: zeep.Client, port: ProtocolName, message: str
) -> None:
    if port.startswith("http") and "<c>" in message:
        # ASP.NET refuses markup on these ports, and so a zeep user gets a fault.
        with pytest.raises(zeep.exceptions.Fault):
            _send(client, port, Msg=message)
        assert not sandbox.inbox
        return

    batch_no = _send(client, port, Msg=message, ExeNo="08")

    (submission,) = sandbox.inbox
    assert submission.message == message
    assert submission.batch_no == batch_no
    assert (submission.protocol, submission.user_code) == (port, "demo")
    assert (submission.channel, submission.extension) == ("37", "08")
    assert submission.recipients == ("13900000000",)


@pytest.mark.parametrize("port", ["soap", "soap12", "http-post"])
def test_500_numbers(sandbox: Sandbox, client: zeep.Client, port: ProtocolName) -> None:
    numbers = tuple(f"1391000{each:04}" for each in range(500))

    _send(client, port, DesNo=",".join(numbers))

    (submission,) = sandbox.inbox
    assert submission.recipients == numbers


@pytest.mark.parametrize("port", PROTOCOLS)
def test_refusal_comes_back_as_text(
    sandbox: Sandbox, client: zeep.Client, port: ProtocolName
) -> None:
    assert _send(client, port, Msg="no signature") == "-5"
    assert not sandbox.inbox


@pytest.mark.parametrize("port", PROTOCOLS)
def test_method_that_throws_is_a_fault(
    sandbox: Sandbox, client: zeep.Client, port: ProtocolName
) -> None:
    with pytest.raises(zeep.exceptions.Fault) as raised:
        _send(client, port, DesNo="13900002000")

    message = raised.value.message
    # On the HTTP ports zeep gives the body as it came.
    text = message.decode() if isinstance(message, bytes) else message
    assert text.strip().endswith("Object reference not set to an instance of an object.")
    assert len(sandbox.inbox) == 1


def test_wsdl_has_the_four_ports_and_six_strings(client: zeep.Client) -> None:
    assert list(client.wsdl.services["MsgSend"].ports) == list(PORT_NAMES.values())
    parameters = client.get_element("{http://tempuri.org/}sendMesExt").type.elements
    assert [(name, each.type.name) for name, each in parameters] == [
        (name, "string") for name in FIELDS
    ]
