"""Provide ``client.service``: zeep's own typed operation over the client's transport."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import zeep
from zeep.proxy import OperationProxy, ServiceProxy

from yunxin_soap import wsdl
from yunxin_soap.message import check_characters
from yunxin_soap.results import parse_result
from yunxin_soap.transport.base import Request
from yunxin_soap.wire.codec import Fields
from yunxin_soap.wire.zeep_adapter import CapturingTransport

if TYPE_CHECKING:
    from yunxin_soap.core import Core
    from yunxin_soap.transport.base import AsyncTransport, Response, Transport


def bind(core: Core, transport: Transport) -> ServiceProxy:
    """Return zeep's service, which sends its requests through ``transport``."""
    return _Service(core, lambda service: _Operation(service, core, transport))


def bind_async(core: Core, transport: AsyncTransport) -> ServiceProxy:
    """Return zeep's service, whose operation is a coroutine function."""
    return _Service(core, lambda service: _AsyncOperation(service, core, transport))


class _Service(ServiceProxy):
    def __init__(self, core: Core, operation: Callable[[_Service], _OperationBase]) -> None:
        # zeep builds the request. The transport sends it to the client's endpoint, whatever address
        # zeep took from the WSDL.
        client = zeep.Client(core.document, transport=CapturingTransport())
        binding = wsdl.binding(core.document, core.settings.protocol)
        super().__init__(client, binding, address="")  # type: ignore[no-untyped-call]
        self._operations = {wsdl.OPERATION: operation(self)}


class _OperationBase(OperationProxy):
    """Sends an omitted field as empty, and decodes the response as the client does.

    zeep itself would send an omitted field as the word ``None`` on http-post, and omit it on
    http-get, which ASP.NET rejects. And zeep would return None for an empty response.
    """

    _signature = Signature(
        [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=None) for name in wsdl.FIELDS]
    )

    def __init__(self, service: _Service, core: Core) -> None:
        super().__init__(service, wsdl.OPERATION)  # type: ignore[no-untyped-call]
        self._core = core

    @contextmanager
    def _calling(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Request]:
        """Yield the request of one call, and annotate the errors raised meanwhile."""
        # On http-get, zeep accepts any argument and drops the unknown ones.
        given = self._signature.bind(*args, **kwargs).arguments
        values = {name: "" if given.get(name) is None else given[name] for name in wsdl.FIELDS}
        fields = Fields(**{name: str(value) for name, value in values.items()})
        numbers = fields.DesNo.count(",") + 1 if fields.DesNo else 0
        core = self._core
        try:
            core.mask(fields.userPass)
            for name, value in fields._asdict().items():
                check_characters(value, name)
            core.protocol.encode(fields)  # raises for what the protocol cannot carry
            request = self._capture(values)
            core.log_request(fields)
            yield request
        except BaseException as raised:
            core.attempted(raised, numbers, fields.Channel)
            raise

    def _read(self, response: Response) -> str:
        self._core.log_response(response)
        result = self._core.protocol.decode(response)
        return result if result.strip() else parse_result(result)

    def _capture(self, values: dict[str, Any]) -> Request:
        """Return the request that zeep builds."""
        call = super().__call__
        captured = CapturingTransport.capture(lambda: call(**values))  # type: ignore[no-untyped-call]
        path = self._core.protocol.path
        if isinstance(captured.content, dict):
            return Request("GET", path, {}, query=urlencode(captured.content))
        content = captured.content
        body = content.encode() if isinstance(content, str) else content
        return Request("POST", path, captured.headers, body=body)


class _Operation(_OperationBase):
    def __init__(self, service: _Service, core: Core, transport: Transport) -> None:
        super().__init__(service, core)
        self._transport = transport

    def __call__(self, *args: str | None, **kwargs: str | None) -> str:
        with self._calling(args, kwargs) as request:
            return self._read(self._transport.send(request))


class _AsyncOperation(_OperationBase):
    def __init__(self, service: _Service, core: Core, transport: AsyncTransport) -> None:
        super().__init__(service, core)
        self._transport = transport

    async def __call__(self, *args: str | None, **kwargs: str | None) -> str:
        with self._calling(args, kwargs) as request:
            return self._read(await self._transport.send(request))
