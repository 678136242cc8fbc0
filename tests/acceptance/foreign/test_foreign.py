"""Each client sends each case; what arrived is compared with what was meant."""

from __future__ import annotations

import pytest

from tests.acceptance.foreign.cases import CASES
from tests.acceptance.foreign.peers import PEERS, Ask, Peer
from yunxin_soap.sandbox import Sandbox


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("asking", PEERS, indirect=True, ids=lambda peer: peer.name)
def test_a_client_that_nobody_here_wrote(
    asking: tuple[Peer, Ask], case: str, gateway: Sandbox
) -> None:
    peer, ask = asking
    fields = {
        "userCode": "demo",
        "userPass": "demo",
        "DesNo": "13900000000",
        "Msg": "您好【签名】",
        "Channel": "37",
        "ExeNo": "",
        **CASES[case],
    }
    if case == "no ExeNo":
        del fields["ExeNo"]
    gateway.clear()
    answer = ask(fields)
    if case == "-3":
        assert (answer, gateway.inbox) == ("-3", ())
        return
    on_http = peer.port.startswith("http")
    if case == "500" and peer.port == "http-get":
        # The query is too long, for IIS too.
        assert gateway.inbox == ()
        assert "400" in answer
        return
    if case == "no ExeNo" and on_http and peer.left_out_as is None:
        assert gateway.inbox == ()
        assert "Missing parameter: ExeNo." in answer
        return
    (submission,) = gateway.inbox
    assert answer == submission.batch_no
    assert submission.port == peer.port
    message = fields["Msg"] if peer.keeps_cr else fields["Msg"].replace("\r\n", "\n")
    assert submission.message == message
    assert ",".join(submission.recipients) == fields["DesNo"]
    assert submission.extension == fields.get("ExeNo", peer.left_out_as or "")
