"""Provide ``client.service``: zeep's own typed operation over the client's transport."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import zeep
from zeep.proxy import OperationProxy, ServiceProxy

from yunxin_soap import wsdl
from yunxin_soap.message import check_characters
from yunxin_soap.operation import FIELDS, OPERATION
from yunxin_soap.redact import clear_frames
from yunxin_soap.transport.base import Request
from yunxin_soap.wire.codec import Codec, Fields
from yunxin_soap.wire.zeep_adapter import CapturingTransport

if TYPE_CHECKING:
    from zeep.wsdl import Document

Send = Callable[[Fields, Callable[[], Request]], Any]
"""Sends one call and returns its result, or a coroutine that does.

It builds the request itself, with the given function, so that it can annotate every error.
"""


def bind(document: Document, codec: Codec, send: Send) -> ServiceProxy:
    """Return zeep's service, whose operation passes its calls to ``send``."""
    # zeep builds the request. The transport sends it to the client's endpoint, whatever address
    # zeep took from the WSDL.
    client = zeep.Client(document, transport=CapturingTransport())
    service = ServiceProxy(client, wsdl.binding(document, codec.protocol), address="")
    service._operations = {OPERATION: _Operation(service, codec, send)}
    return service


class _Operation(OperationProxy):
    """Sends an omitted field as empty, and decodes the response as the client does.

    zeep itself would send an omitted field as the word ``None`` on http-post, and omit it on
    http-get, which ASP.NET rejects. And zeep would return None for an empty response.
    """

    _signature = Signature(
        [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=None) for name in FIELDS]
    )

    def __init__(self, service: ServiceProxy, codec: Codec, send: Send) -> None:
        super().__init__(service, OPERATION)  # type: ignore[no-untyped-call]
        self._codec = codec
        self._send = send

    def __call__(self, *args: str | None, **kwargs: str | None) -> Any:
        # On http-get, zeep accepts any argument and drops the unknown ones.
        try:
            given = self._signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            del args, kwargs
            clear_frames(error)
            raise
        values = [given.get(name) for name in FIELDS]
        fields = Fields(*("" if value is None else str(value) for value in values))
        # An error keeps this frame: it must not keep the password, which Fields never shows.
        del args, kwargs, given, values
        return self._send(fields, lambda: self._build_request(fields))

    def _build_request(self, fields: Fields) -> Request:
        """Return the request that zeep builds.

        Raises:
            InvalidRequest: the protocol cannot carry a field.
        """
        for name, value in fields._asdict().items():
            check_characters(value, name)
        self._codec.encode(fields)  # raises for what the protocol cannot carry
        call = super().__call__
        captured = CapturingTransport.capture(
            lambda: call(**fields._asdict())  # type: ignore[no-untyped-call]
        )
        path = self._codec.path
        if isinstance(captured.content, dict):
            return Request("GET", path, {}, query=urlencode(captured.content))
        content = captured.content
        body = content.encode() if isinstance(content, str) else content
        return Request("POST", path, captured.headers, body=body)
