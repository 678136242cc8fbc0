"""Learn the wire format from zeep: its requests as templates, and the path to a result.

zeep's own ``sendMesExt`` is called over a transport that captures the request instead of sending
it. So every byte that goes out has zeep as its source.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from yunxin_soap.operation import FIELDS, OPERATION

if TYPE_CHECKING:
    from lxml import etree
    from zeep.wsdl import Document
    from zeep.wsdl.definitions import Binding


class CapturedRequest(Exception):
    """Leaves zeep with the request that it was about to send."""

    def __init__(self, address: str, headers: Mapping[str, str], content: Any) -> None:
        super().__init__()
        self.address, self.headers = address, headers
        self.content = content
        """The envelope or the form as zeep would send it, or a dictionary of the query's fields."""


class CapturingTransport:
    """Replaces zeep's transport: captures each request instead of sending it."""

    def post_xml(
        self, address: str, envelope: etree._Element, headers: Mapping[str, str]
    ) -> NoReturn:
        """Capture a SOAP request."""
        from zeep.wsdl.utils import etree_to_string

        raise CapturedRequest(address, headers, etree_to_string(envelope))

    def post(self, address: str, message: Any, headers: Mapping[str, str]) -> NoReturn:
        """Capture a request of HTTP GET or POST."""
        raise CapturedRequest(address, headers, message)

    get = post

    @staticmethod
    def capture(call: Callable[[], Any]) -> CapturedRequest:
        """Return the request that a call of zeep's operation makes."""
        try:
            call()
        except CapturedRequest as captured:
            return captured
        raise AssertionError("zeep sent nothing")


def capture(document: Document, binding: Binding) -> CapturedRequest:
    """Return the request that zeep makes for one binding, with a marker in each field."""
    import zeep

    client = zeep.Client(document, transport=CapturingTransport())
    operation = client.create_service(binding.name.text, address="")[OPERATION]
    return CapturingTransport.capture(lambda: operation(**{name: f"@@{name}@@" for name in FIELDS}))


def parse_template(envelope: str) -> tuple[list[str], list[int]]:
    """Split an envelope at its markers.

    Returns:
        The parts, of which every second one is a field's name, and the index of each of these
        fields in `FIELDS`.
    """
    parts = re.split(r"@@(\w+)@@", envelope)
    return parts, [FIELDS.index(name) for name in parts[1::2]]


def result_path(binding: Binding) -> list[str]:
    """Return the tags from the root of a response down to the element with the result."""
    output: Any = binding.get(OPERATION).output
    if hasattr(output, "nsmap"):
        namespace = output.nsmap["soap-env"]
        result = output.body.type.elements[0][1]
        tags = [output.body.qname.text, result.qname.text]
        return [f"{{{namespace}}}Envelope", f"{{{namespace}}}Body", *tags]
    (part,) = output.abstract.parts.values()
    return [part.element.qname.text]
