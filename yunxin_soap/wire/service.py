"""zeep's own typed operation, bound to the pinned endpoint, with the client's safety."""

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
from yunxin_soap.wire.zeep_adapter import Recorder

if TYPE_CHECKING:
    from yunxin_soap.core import Core
    from yunxin_soap.transport.base import AsyncTransport, Response, Transport


def bind(core: Core, transport: Transport) -> ServiceProxy:
    """Return zeep's service whose requests go through ``transport``."""
    return _Service(core, lambda service: _Operation(service, core, transport))


def bind_async(core: Core, transport: AsyncTransport) -> ServiceProxy:
    """Return zeep's service whose operation is a coroutine function."""
    return _Service(core, lambda service: _AsyncOperation(service, core, transport))


class _Service(ServiceProxy):
    def __init__(self, core: Core, operation: Callable[[_Service], _OperationBase]) -> None:
        # zeep makes the request, and the exchange sends it: to the path of the client's endpoint,
        # whatever address zeep has for it.
        client = zeep.Client(core.document, transport=Recorder())
        binding = wsdl.binding(core.document, core.settings.protocol)
        super().__init__(client, binding, address="")  # type: ignore[no-untyped-call]
        self._operations = {wsdl.OPERATION: operation(self)}


class _OperationBase(OperationProxy):
    """Sends a field that is left out as empty, and returns the answer as the client reads it.

    zeep itself would write such a field as the word ``None`` on the HTTP POST port, and leave it
    out on HTTP GET, which ASP.NET refuses; and it would return None for an answer that is none.
    """

    _signature = Signature(
        [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=None) for name in wsdl.FIELDS]
    )

    def __init__(self, service: _Service, core: Core) -> None:
        super().__init__(service, wsdl.OPERATION)  # type: ignore[no-untyped-call]
        self._core = core

    @contextmanager
    def _calling(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Request]:
        """Give the request of one call; what is raised meanwhile says what was attempted."""
        # zeep's HTTP GET port would take any arguments, and drop those it does not know.
        given = self._signature.bind(*args, **kwargs).arguments
        values = {name: "" if given.get(name) is None else given[name] for name in wsdl.FIELDS}
        fields = Fields(**{name: str(value) for name, value in values.items()})
        numbers = fields.DesNo.count(",") + 1 if fields.DesNo else 0
        core = self._core
        try:
            core.mask(fields.userPass)
            for name, value in fields._asdict().items():
                check_characters(value, name)
            core.protocol.encode(fields)  # refuses what the port cannot carry
            request = self._record(values)
            core.log_request(fields)
            yield request
        except BaseException as raised:
            core.attempted(raised, numbers, fields.Channel)
            raise

    def _read(self, response: Response) -> str:
        self._core.log_response(response)
        answer = self._core.protocol.decode(response)
        return answer if answer.strip() else parse_result(answer)

    def _record(self, values: dict[str, Any]) -> Request:
        """Have zeep make the request."""
        call = super().__call__
        recorded = Recorder.record(lambda: call(**values))  # type: ignore[no-untyped-call]
        path = self._core.protocol.path
        if isinstance(recorded.content, dict):
            return Request("GET", path, {}, query=urlencode(recorded.content))
        content = recorded.content
        body = content.encode() if isinstance(content, str) else content
        return Request("POST", path, recorded.headers, body=body)


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
