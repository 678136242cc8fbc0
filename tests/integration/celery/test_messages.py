"""What brokers see: names and keys, and never a number, a text or a password."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import Callable

from celery import Celery

from tests.integration.campaign.killing.processes import wait_until
from tests.integration.celery.workers import Deployment, Worker
from tests.support.brokers import BrokerProxy
from tests.support.secret_detector import NUMBERS, PASSWORD
from yunxin_soap.campaign import CampaignState, Ledger, State
from yunxin_soap.sandbox import Account, Sandbox

TEXT = "您的取件码是886644【签名】"


def decoded(messages: list[bytes]) -> str:
    """Return all that messages contain, also in base64 and in escape sequences, as one text."""
    found = b"".join(messages)
    for piece in re.findall(rb"[A-Za-z0-9+/]{12,}={0,2}", found):
        with contextlib.suppress(binascii.Error):  # it only looks like base64
            found += b"\n" + base64.b64decode(piece + b"=" * (-len(piece) % 4))
    text = found.decode("utf-8", errors="replace")
    escaped = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    octets = re.sub(r"\\x([0-9a-fA-F]{2})", lambda match: chr(int(match[1], 16)), text)
    return "\n".join(
        (text, escaped, octets.encode("latin-1", errors="ignore").decode(errors="replace"))
    )


def test_messages_contain_no_number_text_or_password(
    deployment: Deployment,
    start: Callable[..., Worker],
    ledger: Ledger,
    sandbox: Sandbox,
) -> None:
    """Of all tasks, retries, results and events of a deployment, nothing tells what was sent."""
    sandbox.add_account(Account("demo", PASSWORD))
    deployment.password = PASSWORD
    proxy = BrokerProxy(deployment.broker_url)
    deployment.broker_url = proxy.url
    is_redis = proxy.url.startswith("redis:")
    backend = proxy.url if is_redis else "rpc://"
    deployment.conf = {"result_backend": backend, "result_expires": 60}
    app = Celery("web", set_as_current=False)
    app.conf.update(deployment.settings)
    try:
        ledger.plan("june", NUMBERS, TEXT, channel=37, max_recipients=1)
        ledger.start("june", workers=2)
        for key in ("order-1", "order-2", "order-3"):
            ledger.once.enqueue(key, NUMBERS[0], f"{key}{TEXT}", channel=37)
        start("--pool", "threads", "-c", "2", "-E")
        app.send_task("yunxin_soap.run_campaign", ["june"])
        wait_until(lambda: ledger.status("june").state is CampaignState.DONE, "june is done")
        sandbox.inject_fault("code", code="-8")
        for key in ("order-1", "order-2"):
            app.send_task("yunxin_soap.send", [key])
        app.send_task("yunxin_soap.sweep")
        wait_until(lambda: ledger.once.counts()[State.ACCEPTED] == 2, "the single sends have ended")
    finally:
        proxy.stop()
    text = decoded(proxy.passed)
    for expected in ("yunxin_soap.work", "yunxin_soap.send", "june", "order-3", "task-succeeded"):
        assert expected in text
    for secret in (*NUMBERS, "s3cr3t", "密码", "取件码", "886644", "签名"):
        assert secret not in text
