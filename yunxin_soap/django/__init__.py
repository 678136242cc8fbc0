"""SMS in a Django project: one setting, and the ledger in one of its databases (extra ``django``).

    INSTALLED_APPS = [..., "yunxin_soap.django"]
    YUNXIN = {"channel": 37, "signature": "小店"}  # the account: YUNXIN_USER_CODE, _USER_PASS

::

    from django.db import transaction
    from yunxin_soap.django import get_ledger

    with transaction.atomic():
        order = Order.objects.create(...)
        get_ledger().once.enqueue(f"order-{order.pk}", order.mobile, "订单已收到")

The order and its notice are committed together, or neither is. ``manage.py yunxin worker`` sends
what is queued, each at most once. In tests, nothing is sent: `outbox` has it.
"""

from __future__ import annotations

try:
    import django  # noqa: F401 - checked before any part of the package needs it
except ModuleNotFoundError as error:
    from yunxin_soap.extras import missing_extra
    from yunxin_soap.sentences import Sentence

    raise missing_extra(Sentence("The Django app needs Django"), "django") from error

from yunxin_soap.django.ledger import DjangoLedger, DjangoOnceSends
from yunxin_soap.django.process import get_client, get_ledger, setup_celery
from yunxin_soap.django.testing import Outbox, OutboxMessage, outbox

__all__ = [
    "DjangoLedger",
    "DjangoOnceSends",
    "Outbox",
    "OutboxMessage",
    "get_client",
    "get_ledger",
    "outbox",
    "setup_celery",
]
