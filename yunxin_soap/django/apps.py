"""The Django app."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class YunxinConfig(AppConfig):
    """SMS through the Yunxin gateway, and its ledger."""

    name = "yunxin_soap.django"
    label = "yunxin"
    verbose_name = "SMS (云信短信)"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks."""
        from yunxin_soap.django import checks  # noqa: F401 - it registers them

        post_migrate.connect(_empty_in_tests, sender=self)


def _empty_in_tests(using: str, **_: Any) -> None:
    """Empty the ledger after a test that was not in a transaction.

    Django empties the tables that it manages, and sends this signal.
    """
    from yunxin_soap.django.testing import in_tests

    if in_tests():
        from yunxin_soap.django.tables import empty_tables

        empty_tables(using)
