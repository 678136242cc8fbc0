"""Each client sends each case; the test compares what arrived with what the client was given."""

from __future__ import annotations

import pytest

from tests.acceptance.foreign.cases import CASES
from tests.acceptance.foreign.peers import PEERS, Call, Peer
from yunxin_soap.sandbox import Sandbox


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("running_peer", PEERS, indirect=True, ids=lambda peer: peer.name)
def test_sandbox_foreign_client_case_arrives_unchanged(
    running_peer: tuple[Peer, Call], case: str, gateway: Sandbox
) -> None:
    """A client of another project can use the sandbox unchanged, and its fields arrive as given."""
    peer, call = running_peer
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
    result = call(fields)
    if case == "-3":
        assert (result, gateway.inbox) == ("-3", ())
        return
    on_http = peer.protocol.startswith("http")
    if case == "500" and peer.protocol == "http-get":
        # IIS, too, rejects a query of this length.
        assert gateway.inbox == ()
        assert "400" in result
        return
    if case == "no ExeNo" and on_http and peer.left_out_as is None:
        assert gateway.inbox == ()
        assert "Missing parameter: ExeNo." in result
        return
    (submission,) = gateway.inbox
    assert result == submission.batch_no
    assert submission.protocol == peer.protocol
    message = fields["Msg"] if peer.keeps_cr else fields["Msg"].replace("\r\n", "\n")
    assert submission.message == message
    assert ",".join(submission.recipients) == fields["DesNo"]
    assert submission.extension == fields.get("ExeNo", peer.left_out_as or "")
