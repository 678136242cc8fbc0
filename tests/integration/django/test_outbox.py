"""The outbox: what tests send is kept, whichever the protocol, and each test has its own."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.core import mail
from django.test import override_settings

from yunxin_soap import InvalidRequest, ProtocolName
from yunxin_soap.django import OutboxMessage, get_client, outbox
from yunxin_soap.operation import PROTOCOLS

TO = ("13900000000", "13900000001")


@pytest.mark.usefixtures("_environment")
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_outbox_has_what_this_test_has_sent(protocol: ProtocolName) -> None:
    """All but the wire runs: the text is signed and checked, and the receipt is read."""
    given = {"protocol": protocol, "channel": 37, "signature": "小店", "extension": "5"}
    with override_settings(YUNXIN=given):
        receipt = get_client().send(TO, "1 < 2 & 你好+1%")
        with pytest.raises(InvalidRequest):
            get_client().send("123", "您好")
        assert (len(receipt.batch_no), receipt.protocol) == (19, protocol)
        assert outbox == [OutboxMessage(TO, "1 < 2 & 你好+1%【小店】", "37", "5")]
        assert outbox[0].key is None
        assert outbox[:] == list(outbox)
        # Django's own runner gives each test a new list for mail.
        mail.outbox = []
        assert len(outbox) == 0
        get_client().send(TO, "再见")
        assert len(outbox) == 1  # which the next test does not have


def test_outbox_is_none_of_a_server_whose_mail_is_kept() -> None:
    """Only a test has it: a server with mail in memory sends its SMS."""
    script = """
import django
from django.conf import settings
settings.configure(
    EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend", ALLOWED_HOSTS=["testserver"]
)
django.setup()
import django.test
from django.core import mail
mail.send_mail("a", "b", "a@example.com", ["b@example.com"])
assert len(mail.outbox) == 1
from yunxin_soap.django import testing
print(testing.in_tests())
from django.test.utils import setup_test_environment
setup_test_environment()
print(testing.in_tests())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\nTrue\n", "")
