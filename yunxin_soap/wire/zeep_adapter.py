"""What zeep would send, kept: the source of every byte that goes out.

zeep's own ``sendMesExt`` is called over a transport that keeps the request instead of sending it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from yunxin_soap import wsdl

if TYPE_CHECKING:
    from lxml import etree
    from zeep.wsdl import Document
    from zeep.wsdl.definitions import Binding


class Recorded(Exception):
    """Leaves zeep with the request that it was about to send."""

    def __init__(self, address: str, headers: Mapping[str, str], content: Any) -> None:
        super().__init__()
        self.address, self.headers = address, headers
        self.content = content
        """The envelope or form as it would be sent, or a dictionary of the query's fields."""


class Recorder:
    """Stands where zeep wants a transport, and keeps the request instead of sending it."""

    def post_xml(
        self, address: str, envelope: etree._Element, headers: Mapping[str, str]
    ) -> NoReturn:
        """Keep a SOAP request."""
        from zeep.wsdl.utils import etree_to_string

        raise Recorded(address, headers, etree_to_string(envelope))

    def post(self, address: str, message: Any, headers: Mapping[str, str]) -> NoReturn:
        """Keep a request of the HTTP ports."""
        raise Recorded(address, headers, message)

    get = post

    @staticmethod
    def record(call: Callable[[], Any]) -> Recorded:
        """Return the request that a call of zeep's operation makes."""
        try:
            call()
        except Recorded as recorded:
            return recorded
        raise AssertionError("zeep sent nothing")


def record(document: Document, binding: Binding) -> Recorded:
    """Return the request that zeep makes for one port, with a marker in each field."""
    import zeep

    client = zeep.Client(document, transport=Recorder())
    operation = client.create_service(binding.name.text, address="")[wsdl.OPERATION]
    return Recorder.record(lambda: operation(**{name: _marker(name) for name in wsdl.FIELDS}))


def _marker(name: str) -> str:
    return f"@@{name}@@"


def split(template: str) -> tuple[list[str], list[int]]:
    """Cut the envelope at its markers: the odd places are fields, in the order given beside."""
    parts = re.split(r"@@(\w+)@@", template)
    return parts, [wsdl.FIELDS.index(name) for name in parts[1::2]]
