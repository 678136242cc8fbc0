"""zeep's own typed operation, bound to the pinned endpoint, with the client's safety."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import zeep
from lxml import etree
from requests import Response as RequestsResponse
from zeep.proxy import OperationProxy, ServiceProxy
from zeep.wsdl.utils import etree_to_string

from yunxin_soap import wsdl
from yunxin_soap.protocol import Fields, Request
from yunxin_soap.results import read_answer

if TYPE_CHECKING:
    from yunxin_soap.client import Core
    from yunxin_soap.exchange import Exchange
    from yunxin_soap.protocol import Response


def bind(core: Core, exchange: Exchange) -> ServiceProxy:
    """Return zeep's service whose requests go through ``exchange``."""
    client = zeep.Client(core.document, transport=_Transport(core, exchange))
    binding = wsdl.binding(core.document, core.settings.protocol)
    return _Service(client, binding, address=core.settings.endpoint.url)


class _Operation(OperationProxy):
    """Sends a field that is left out as empty.

    zeep itself would write it as the word ``None`` on the HTTP POST port, and leave it out on
    HTTP GET, which ASP.NET refuses.
    """

    _signature = Signature(
        [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=None) for name in wsdl.FIELDS]
    )

    def __call__(self, *args: str | None, **kwargs: str | None) -> Any:
        # zeep's HTTP GET port would take any arguments, and drop those it does not know.
        given = self._signature.bind(*args, **kwargs).arguments
        values = {name: given.get(name) or "" for name in wsdl.FIELDS}
        return super().__call__(**values)  # type: ignore[no-untyped-call]


class _Service(ServiceProxy):
    def __init__(self, client: zeep.Client, binding: Any, **options: Any) -> None:
        super().__init__(client, binding, **options)  # type: ignore[no-untyped-call]
        self._operations = {
            name: _Operation(self, name)  # type: ignore[no-untyped-call]
            for name in binding.all()
        }


class _Transport:
    """zeep's seam to HTTP; the address that zeep passes is not used."""

    def __init__(self, core: Core, exchange: Exchange) -> None:
        self._core, self._exchange = core, exchange

    def post_xml(
        self, address: str, envelope: etree._Element, headers: Mapping[str, str]
    ) -> RequestsResponse:
        texts = {etree.QName(node).localname: node.text for node in envelope.iter("{*}*")}
        request = Request("POST", self._path, headers, body=etree_to_string(envelope))
        return self._send(request, texts)

    def post(self, address: str, message: str, headers: Mapping[str, str]) -> RequestsResponse:
        texts = dict(parse_qsl(message, keep_blank_values=True))
        return self._send(Request("POST", self._path, headers, body=message.encode()), texts)

    def get(
        self, address: str, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> RequestsResponse:
        return self._send(Request("GET", self._path, {}, query=urlencode(params)), params)

    @property
    def _path(self) -> str:
        return self._core.protocol.path

    def _send(self, request: Request, texts: Mapping[str, str | None]) -> RequestsResponse:
        fields = Fields(*(texts.get(name) or "" for name in wsdl.FIELDS))
        numbers = fields.DesNo.count(",") + 1 if fields.DesNo else 0
        with self._core.attempting(numbers, fields.Channel):
            self._core.mask(fields.userPass)
            self._core.log_request(fields)
            response = self._exchange.send(request)
            self._core.log_response(response)
            # zeep would let a page that is no answer pass, and give None for an empty result.
            answer = self._core.protocol.decode(response)
            if not answer.strip():
                read_answer(answer)
        return _for_zeep(response)


def _for_zeep(response: Response) -> RequestsResponse:
    made = RequestsResponse()
    made.status_code = response.status
    made.headers["Content-Type"] = response.content_type
    made._content = response.body
    return made
