"""The outbox: what a test of a Django project sends and queues, without a network."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload
from urllib.parse import parse_qsl

from django.apps import apps
from django.core import mail
from lxml import etree

from yunxin_soap.operation import NAMESPACE
from yunxin_soap.transport.base import Request, Response

_FIRST_BATCH_NO = 2114355899380234221
_SOAP12 = "http://www.w3.org/2003/05/soap-envelope"


@dataclass(frozen=True)
class OutboxMessage:
    """A message that a test has sent or queued."""

    recipients: tuple[str, ...]
    message: str
    channel: str
    extension: str = ""
    key: str | None = None
    """The key that it is queued with; None if it was sent."""


class Outbox(Sequence[OutboxMessage]):
    """What the running test has sent and queued, in that order; empty at the start of each test.

    It works as ``django.core.mail.outbox`` does. What was queued in a transaction that was rolled
    back is not in it.
    """

    def __init__(self) -> None:
        self._found: list[tuple[str, OutboxMessage]] = []
        self._mail: object = None

    def add_sent(self, message: OutboxMessage) -> None:
        """Add what the client has sent."""
        self._begin()
        self._found.append(("", message))

    def add_queued(self, key: str, alias: str) -> None:
        """Add what was queued with a key, in a database of ``DATABASES``."""
        self._begin()
        # A key that was rolled back may be used again.
        self._found = [each for each in self._found if each[1].key != key]
        self._found.append((alias, OutboxMessage((), "", "", key=key)))

    def clear(self) -> None:
        """Empty it, as at the start of a test."""
        self._found.clear()

    def _begin(self) -> None:
        """Empty it if another test runs: Django gives each test a new outbox for mail."""
        if (current := getattr(mail, "outbox", None)) is not self._mail:
            self.clear()
            self._mail = current

    def _messages(self) -> list[OutboxMessage]:
        self._begin()
        queued = {alias: _queued(alias, self._keys(alias)) for alias, _ in self._found if alias}
        return [
            queued[alias][message.key] if message.key else message
            for alias, message in self._found
            if not alias or message.key in queued[alias]
        ]

    def _keys(self, alias: str) -> list[str]:
        return [message.key for each, message in self._found if each == alias and message.key]

    @overload
    def __getitem__(self, index: int) -> OutboxMessage: ...
    @overload
    def __getitem__(self, index: slice) -> list[OutboxMessage]: ...
    def __getitem__(self, index: int | slice) -> OutboxMessage | list[OutboxMessage]:
        """Return a message, or several."""
        return self._messages()[index]

    def __len__(self) -> int:
        """Return how many messages there are."""
        return len(self._messages())

    def __iter__(self) -> Iterator[OutboxMessage]:
        """Yield each message."""
        return iter(self._messages())

    def __eq__(self, other: object) -> bool:
        """Compare the messages, also with those of a list."""
        return isinstance(other, (Outbox, list)) and self._messages() == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show the messages."""
        return repr(self._messages())


outbox = Outbox()


def _queued(alias: str, keys: list[str]) -> dict[str | None, OutboxMessage]:
    """Return what is queued with some of the keys, as the transaction of the test sees it."""
    model: Any = apps.get_model("yunxin", "Submission")
    rows = model.objects.using(alias).filter(key__in=keys, state="pending")
    return {
        row.key: OutboxMessage(
            tuple(row.recipients.numbers.split(",")),
            row.content.message,
            row.content.channel,
            row.content.extension,
            row.key,
        )
        for row in rows.select_related("content", "recipients")
    }


def in_tests() -> bool:
    """Return whether a test runs: Django's test runner or pytest-django has set it up.

    ``mail.outbox`` would not tell: a server whose mail goes to the memory has it, too.
    """
    utils: Any = sys.modules.get("django.test.utils")
    return utils is not None and hasattr(utils._TestState, "saved_data")


class OutboxTransport:
    """Keeps what a client sends in an outbox, and answers as a gateway that accepts it.

    Args:
        kept_in: the outbox.
    """

    def __init__(self, kept_in: Outbox) -> None:
        self._outbox = kept_in

    def send(self, request: Request, *, valid_until: float | None = None) -> Response:
        """Keep the submission of a request, and return the response with a batch number."""
        fields, envelope = _read(request)
        numbers = tuple(fields.get("DesNo", "").split(","))
        self._outbox.add_sent(
            OutboxMessage(
                numbers, fields.get("Msg", ""), fields.get("Channel", ""), fields.get("ExeNo", "")
            )
        )
        return _accept(envelope, str(next(_batch_numbers)))

    def close(self) -> None:
        """Do nothing: there is no connection."""


_batch_numbers = itertools.count(_FIRST_BATCH_NO)


def _read(request: Request) -> tuple[dict[str, str], str]:
    """Return the fields of a request, and the namespace of its SOAP envelope, if it has one."""
    body = (request.body or b"").lstrip()
    if not body.startswith(b"<"):
        return dict(parse_qsl(body.decode() or request.query, keep_blank_values=True)), ""
    root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True))
    fields = {etree.QName(each).localname: each.text or "" for each in root.iter("{*}*")}
    return fields, str(etree.QName(root).namespace)


def _accept(envelope: str, batch_no: str) -> Response:
    """Return the response of ASP.NET with a batch number."""
    head = '<?xml version="1.0" encoding="utf-8"?>'
    content_type = "text/xml"
    if not envelope:
        text = f'{head}<string xmlns="{NAMESPACE}">{batch_no}</string>'
    else:
        content_type = "application/soap+xml" if envelope == _SOAP12 else content_type
        text = (
            f'{head}<soap:Envelope xmlns:soap="{envelope}"><soap:Body>'
            f'<sendMesExtResponse xmlns="{NAMESPACE}"><sendMesExtResult>{batch_no}'
            "</sendMesExtResult></sendMesExtResponse></soap:Body></soap:Envelope>"
        )
    return Response(200, f"{content_type}; charset=utf-8", text.encode())
