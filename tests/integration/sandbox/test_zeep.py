"""A plain zeep client, made from the sandbox's WSDL, over all four protocols."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import zeep

from yunxin_soap.operation import FIELDS, PROTOCOLS, ProtocolName
from yunxin_soap.sandbox import Sandbox

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


def _send(client: zeep.Client, protocol: ProtocolName, **fields: str) -> Any:
    service = client.bind("MsgSend", PORT_NAMES[protocol])
    good = {"DesNo": "13900000000", "Msg": "您好【签名】", "Channel": "37", "ExeNo": ""}
    return service.sendMesExt(userCode="demo", userPass="demo", **good | fields)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("message", MESSAGES)
def test_zeep_message_arrives_unchanged(
    sandbox: Sandbox, client: zeep.Client, protocol: ProtocolName, message: str
) -> None:
    """Each message arrives unchanged over each protocol."""
    if protocol.startswith("http") and "<c>" in message:
        # Over HTTP GET and POST, ASP.NET's request validation rejects markup.
        with pytest.raises(zeep.exceptions.Fault):
            _send(client, protocol, Msg=message)
        assert not sandbox.inbox
        return

    batch_no = _send(client, protocol, Msg=message, ExeNo="08")

    (submission,) = sandbox.inbox
    assert submission.message == message
    assert submission.batch_no == batch_no
    assert (submission.protocol, submission.user_code) == (protocol, "demo")
    assert (submission.channel, submission.extension) == ("37", "08")
    assert submission.recipients == ("13900000000",)


@pytest.mark.parametrize("protocol", ["soap", "soap12", "http-post"])
def test_zeep_500_numbers_arrive(
    sandbox: Sandbox, client: zeep.Client, protocol: ProtocolName
) -> None:
    """500 numbers arrive in their order, except over http-get."""
    numbers = tuple(f"1391000{each:04}" for each in range(500))

    _send(client, protocol, DesNo=",".join(numbers))

    (submission,) = sandbox.inbox
    assert submission.recipients == numbers


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_zeep_rejection_is_the_result(
    sandbox: Sandbox, client: zeep.Client, protocol: ProtocolName
) -> None:
    """A rejection is the code as text."""
    assert _send(client, protocol, Msg="no signature") == "-5"
    assert not sandbox.inbox


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_zeep_throwing_method_is_a_fault(
    sandbox: Sandbox, client: zeep.Client, protocol: ProtocolName
) -> None:
    """An exception of the method is a Fault for zeep."""
    with pytest.raises(zeep.exceptions.Fault) as raised:
        _send(client, protocol, DesNo="15499991000")

    message = raised.value.message
    # Over HTTP GET and POST, zeep gives the raw body.
    text = message.decode() if isinstance(message, bytes) else message
    assert text.strip().endswith("Object reference not set to an instance of an object.")
    assert len(sandbox.inbox) == 1


def test_zeep_wsdl_has_four_ports_and_six_strings(client: zeep.Client) -> None:
    """zeep reads the four ports and six string parameters."""
    assert list(client.wsdl.services["MsgSend"].ports) == list(PORT_NAMES.values())
    parameters = client.get_element("{http://tempuri.org/}sendMesExt").type.elements
    assert [(name, each.type.name) for name, each in parameters] == [
        (name, "string") for name in FIELDS
    ]
