"""System checks: what is wrong in ``YUNXIN``, and what is allowed but seldom meant."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004
from django.core.exceptions import ImproperlyConfigured

from yunxin_soap.campaign.storage.engine import file_of
from yunxin_soap.django import configuration
from yunxin_soap.django.language import translate
from yunxin_soap.django.process import keeps_outbox
from yunxin_soap.errors import ConfigurationError, LedgerError
from yunxin_soap.sentences import Sentence, text_of
from yunxin_soap.settings import Settings

_Apps = Sequence[AppConfig] | None


@register()
def check_setting(app_configs: _Apps, **_: Any) -> list[CheckMessage]:
    """Check ``YUNXIN``: E001 to E003, and the warnings W001, W002, W004, W005 and W006."""
    return _in_active_language(_check_setting())


def _check_setting() -> Iterator[CheckMessage]:
    try:
        found = configuration.read()
        client = configuration.client_settings(needs_account=False)
        if not keeps_outbox():
            file_of(configuration.ledger_url(found))
    except ImproperlyConfigured as error:
        yield Error(text_of(error), id="yunxin.E001")
    except LedgerError as error:
        text = Sentence("The ledger cannot be in YUNXIN['database']: {error}", error=error)
        yield Error(text, id="yunxin.E003")
    except ConfigurationError as error:
        is_ledger = "DATABASES" in str(error)
        yield Error(text_of(error), id="yunxin.E003" if is_ledger else "yunxin.E002")
    else:
        yield from _warnings(client)
        yield from _celery_warnings(client)


@register(Tags.security, deploy=True)
def check_transport(app_configs: _Apps, **_: Any) -> list[CheckMessage]:
    """Warn of an endpoint that is not encrypted: W003, with ``check --deploy``."""
    try:
        client = configuration.client_settings(needs_account=False)
    except (ImproperlyConfigured, ConfigurationError):
        return []  # `check_setting` says so
    if client.endpoint.scheme == "https" or not _is_elsewhere(client):
        return []
    text = Sentence(
        "The endpoint {url} is http: everybody on the way can read the password, the numbers and"
        " the texts.",
        url=client.endpoint.url,
    )
    hint = Sentence(
        "The vendor's own address is http. Reach it through a VPN or a TLS proxy of yours, and set"
        " YUNXIN['endpoint'] to that, or silence yunxin.W003."
    )
    return _in_active_language([Warning(text, hint=hint, id="yunxin.W003")])


def _in_active_language(messages: Iterable[CheckMessage]) -> list[CheckMessage]:
    """Return messages in Chinese if that is Django's active language, and else in English."""
    found = list(messages)
    for each in found:
        each.msg = translate(each.msg)
        each.hint = translate(each.hint or "") or None
    return found


def _warnings(client: Settings) -> Iterator[CheckMessage]:
    if client.signature is None:
        yield Warning(
            Sentence("There is no signature: each message must end in its own 【…】."),
            hint=Sentence("Set YUNXIN['signature'], such as '小店', or YUNXIN_SIGNATURE."),
            id="yunxin.W001",
        )
    if client.channel is None:
        yield Warning(
            Sentence("There is no channel: each call must pass one."),
            hint=Sentence("Set YUNXIN['channel'], such as 37, or YUNXIN_CHANNEL."),
            id="yunxin.W002",
        )
    if not configuration.has_account() and not keeps_outbox():
        yield Warning(
            Sentence("There is no account: this process can queue messages, and cannot send."),
            hint=Sentence("Set YUNXIN_USER_CODE and YUNXIN_USER_PASS."),
            id="yunxin.W004",
        )
    if settings.DEBUG and _is_elsewhere(client) and not keeps_outbox():
        yield Warning(
            Sentence(
                "DEBUG is on, and the endpoint {url} is no sandbox on this machine: what you try"
                " out is sent to real people.",
                url=client.endpoint.url,
            ),
            hint=Sentence(
                "Run yunxin-soap sandbox, and set YUNXIN_ENDPOINT to the address that it prints."
            ),
            id="yunxin.W005",
        )


def _celery_warnings(client: Settings) -> Iterator[CheckMessage]:
    celery = sys.modules.get("yunxin_soap.celery")
    if celery is None:
        return
    for app in celery.applications():
        for problem in celery.configuration_problems(app, client.total_timeout):
            text = Sentence("A Celery worker will not start: {problem}", problem=problem)
            yield Warning(text, id="yunxin.W006")


def _is_elsewhere(client: Settings) -> bool:
    """Return whether the gateway is not on this machine, nor a container without a domain."""
    host = client.endpoint.host.strip("[]")
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return "." in host
