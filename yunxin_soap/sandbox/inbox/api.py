"""The inbox: its page, and the REST API that tests in any language can use."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from aiohttp import web
from pydantic_core import to_json

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sandbox.access import Access
from yunxin_soap.sandbox.arrivals.models import Arrival, StorageError
from yunxin_soap.sandbox.faults.injector import FaultStatus
from yunxin_soap.sandbox.faults.model import PHONE_NUMBER, Fault
from yunxin_soap.sandbox.inbox import export, schemas, search
from yunxin_soap.sandbox.inbox.errors import ApiError
from yunxin_soap.sandbox.inbox.events import EventQueue, call_threadsafe
from yunxin_soap.sandbox.inbox.guard import SECURITY_HEADERS, reject_cross_site
from yunxin_soap.sandbox.inbox.openapi import API, OPERATIONS, document
from yunxin_soap.sandbox.inbox.page import render_page
from yunxin_soap.sandbox.inbox.query_params import (
    ListQuery,
    NoQuery,
    SearchQuery,
    WaitQuery,
    parse_query,
)
from yunxin_soap.sandbox.inbox.static_files import KEPT, static_files
from yunxin_soap.sandbox.service import Service
from yunxin_soap.sentences import Sentence, joined_by_and, text_of
from yunxin_soap.translation import ENGLISH, chinese, translate_error

MAX_BODY = 64 << 10
"""Bytes of the body of a request to the API."""
HEALTH = "/health"
"""The path that tells orchestrators that the sandbox serves; it asks for no login."""
MAX_LISTENERS = 100
"""Clients that can follow events or wait for an arrival at the same time.

The other connections stay free for the service.
"""
_Q = TypeVar("_Q", bound=NoQuery)


@dataclass(frozen=True)
class _Call(Generic[_Q]):
    """A request to an operation of the API, with its parsed query."""

    request: web.BaseRequest
    query: _Q
    body: bytes


class Inbox:
    """The page and the REST API of one sandbox.

    Args:
        service: the service whose arrivals and faults the inbox shows.
        host: the host that the server listens on. Requests for other public host names are
            rejected, because a web site can let its own name resolve to this address.
        access: the host names that are allowed nevertheless, the base path and the login.
    """

    def __init__(self, service: Service, host: str, access: Access) -> None:
        self._service, self._host, self._access = service, host, access
        # The base path itself has no slash at its end, which the page's relative links need.
        self._own_paths = {HEALTH, access.base_path} - {""}
        self._listeners = 0
        self._handlers: dict[str, Callable[..., Awaitable[web.StreamResponse]]] = {
            "listArrivals": self._list_arrivals,
            "listIds": self._list_ids,
            "clearArrivals": self._clear_arrivals,
            "downloadCsv": self._download_csv,
            "downloadJson": self._download_json,
            "getArrival": self._get_arrival,
            "waitForArrival": self._wait_for_arrival,
            "countAccepted": self._count_accepted,
            "getConfiguration": self._get_configuration,
            "listFaults": self._list_faults,
            "addFault": self._add_fault,
            "clearFaults": self._clear_faults,
            "removeFault": self._remove_fault,
            "followEvents": self._follow_events,
        }

    def has_path(self, path: str) -> bool:
        """Return whether a path belongs to the inbox."""
        return _is_file(path) or path.startswith(f"{API}/") or path in self._own_paths

    async def respond(self, request: web.BaseRequest, body: bytes | None) -> web.StreamResponse:
        """Respond to a request.

        Args:
            request: the request. The inbox has its path (`has_path`).
            body: the request's body; None if it was longer than `MAX_BODY`.
        """
        try:
            if body is None:
                raise ApiError(
                    413, Sentence("The body is longer than {limit} KiB.", limit=MAX_BODY >> 10)
                )
            if request.path in self._own_paths:
                return self._respond_to_own_path(request)
            if not _is_file(request.path):
                reject_cross_site(request.headers, self._host, self._access)
            self._check_login(request)
            if _is_file(request.path):
                return _serve_file(request)
            return await self._call_operation(request, body)
        except ApiError as error:
            accepted = request.headers.get("Accept-Language", "").strip().lower()
            catalogue = chinese() if accepted.startswith("zh") else ENGLISH
            message = translate_error(error, catalogue)
            response = _json_response(schemas.Error(error=message), error.status)
            response.headers.update(error.headers)
            if body is None:
                response.force_close()
            return response

    def _respond_to_own_path(self, request: web.BaseRequest) -> web.Response:
        if request.method not in ("GET", "HEAD"):
            raise _wrong_method(["GET"], "GET, HEAD")
        if request.path == HEALTH:
            return _json_response({"status": "ok"})
        response = _response(b"", "text/plain; charset=utf-8", 308)
        query = request.rel_url.raw_query_string
        response.headers["Location"] = f"{self._access.base_path}/{'?' if query else ''}{query}"
        return response

    def _check_login(self, request: web.BaseRequest) -> None:
        login = self._access.login
        if login is not None and not login.accepts(request.headers.get("Authorization")):
            raise ApiError(
                401,
                Sentence("The inbox needs a login: give the user name and the password of --auth."),
                {"WWW-Authenticate": 'Basic realm="yunxin-soap sandbox", charset="UTF-8"'},
            )

    async def _call_operation(self, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        allowed = []
        if request.path == f"{API}/openapi.json":
            if request.method == "GET":
                parse_query(request.query, NoQuery)
                described = document(self._access.base_path, self._access.login is not None)
                return _json_response(described)
            allowed.append("GET")
        for operation in OPERATIONS:
            parameters = operation.match(request.path)
            if parameters is not None and operation.method == request.method:
                call = _Call(request, parse_query(request.query, operation.query), body)
                return await self._handlers[operation.operation_id](call, **parameters)
            if parameters is not None:
                allowed.append(operation.method)
        if allowed:
            raise _wrong_method(allowed, ", ".join(allowed))
        raise ApiError(
            404,
            Sentence("There is no such path; {list} lists all paths.", list=f"{API}/openapi.json"),
        )

    async def _list_arrivals(self, call: _Call[ListQuery]) -> web.StreamResponse:
        store = self._service.store
        last_id, arrivals = store.last_id, store.arrivals
        found = list(filter(call.query.matcher(), reversed(arrivals)))
        return _json_response(
            schemas.ArrivalList(
                arrivals=[
                    schemas.Arrival.of(each).shortened() for each in found[: call.query.limit]
                ],
                found=len(found),
                total=len(arrivals),
                dropped=store.dropped,
                capacity=store.limits.max_arrivals,
                first_id=arrivals[0].id if arrivals else 0,
                last_id=last_id,
            )
        )

    async def _list_ids(self, call: _Call[ListQuery]) -> web.StreamResponse:
        store = self._service.store
        last_id, arrivals = store.last_id, store.arrivals
        found = list(filter(call.query.matcher(), reversed(arrivals)))
        terms = [schemas.SearchTerm(**asdict(each)) for each in search.parse(call.query.q)]
        return _json_response(
            schemas.ArrivalIds(
                ids=[each.id for each in found],
                arrivals=[
                    schemas.Arrival.of(each).shortened() for each in found[: call.query.limit]
                ],
                terms=terms,
                total=len(arrivals),
                dropped=store.dropped,
                last_id=last_id,
            )
        )

    async def _clear_arrivals(self, call: _Call[NoQuery]) -> web.StreamResponse:
        try:
            self._service.store.clear()
        except StorageError as error:
            raise ApiError(500, text_of(error)) from None
        self._service.gateway.clear()
        return _json_response(schemas.Empty())

    async def _download_csv(self, call: _Call[SearchQuery]) -> web.StreamResponse:
        return _download("arrivals.csv", "text/csv", export.to_csv(self._search(call.query)))

    async def _download_json(self, call: _Call[SearchQuery]) -> web.StreamResponse:
        content = export.to_json_array(self._search(call.query))
        return _download("arrivals.json", "application/json", content)

    def _search(self, query: SearchQuery) -> list[Arrival]:
        return list(filter(query.matcher(), self._service.store.arrivals))

    async def _get_arrival(self, call: _Call[NoQuery], id: str) -> web.StreamResponse:  # noqa: A002
        arrival = self._service.store.arrival(int(id))
        if arrival is None:
            raise ApiError(
                404, Sentence("There is no arrival {id}, or memory no longer has it.", id=id)
            )
        return _json_response(schemas.ArrivalDetail.of(arrival))

    async def _wait_for_arrival(self, call: _Call[WaitQuery]) -> web.StreamResponse:
        query, matches = call.query, call.query.matcher()
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Arrival] = loop.create_future()

        def check(arrival: Arrival | None) -> None:
            if arrival is not None and matches(arrival):
                call_threadsafe(loop, _set_result, found, arrival)

        # Subscribe first: an arrival between the search and the wait must not be missed.
        with self._subscribe(check):
            earlier = self._search(query)
            try:
                arrival = earlier[0] if earlier else await asyncio.wait_for(found, query.timeout)
            except asyncio.TimeoutError:
                raise ApiError(
                    404,
                    Sentence(
                        "No matching arrival came within {seconds} s.",
                        seconds=f"{query.timeout:g}",
                    ),
                ) from None
        return _json_response(schemas.Arrival.of(arrival).shortened())

    @contextmanager
    def _subscribe(self, listener: Callable[[Arrival | None], None]) -> Iterator[None]:
        """Call a listener with each new arrival, and with None when all are cleared."""
        if self._listeners >= MAX_LISTENERS:
            raise ApiError(
                503,
                Sentence(
                    "{count} clients already wait or follow events: try again later.",
                    count=MAX_LISTENERS,
                ),
            )
        unsubscribe = self._service.store.subscribe(listener)
        self._listeners += 1
        try:
            yield
        finally:
            self._listeners -= 1
            unsubscribe()

    async def _count_accepted(self, call: _Call[NoQuery], number: str) -> web.StreamResponse:
        if not PHONE_NUMBER.fullmatch(number):
            raise ApiError(422, Sentence("{text} is not a phone number.", text=repr(number)))
        accepted = self._service.store.times_accepted(number)
        return _json_response(schemas.NumberCount(number=number, accepted=accepted))

    async def _get_configuration(self, call: _Call[NoQuery]) -> web.StreamResponse:
        gateway = self._service.gateway
        account = next((each for each in gateway.accounts if each.channels), None)
        return _json_response(
            schemas.Configuration(
                test_numbers=[schemas.NumberRange(**asdict(each)) for each in gateway.test_numbers],
                sample_account=None if account is None else schemas.SampleAccount.of(account),
            )
        )

    async def _list_faults(self, call: _Call[NoQuery]) -> web.StreamResponse:
        statuses = self._service.faults.statuses()
        return _json_response([schemas.fault_json(*each) for each in statuses.items()])

    async def _add_fault(self, call: _Call[NoQuery]) -> web.StreamResponse:
        if call.request.content_type != "application/json":
            raise ApiError(
                415, Sentence("The Content-Type must be {type}.", type="application/json")
            )
        try:
            options = json.loads(call.body, parse_float=_parse_number)
        except (ValueError, RecursionError):
            raise ApiError(400, Sentence("The body is not valid JSON.")) from None
        if not isinstance(options, dict) or not isinstance(options.get("kind"), str):
            raise ApiError(422, Sentence('A fault is an object with a "kind".'))
        try:
            fault = Fault.from_options(options.pop("kind"), **options)
            fault_id = self._service.faults.add(fault)
        except ConfigurationError as error:
            raise ApiError(422, text_of(error)) from None
        status = FaultStatus(fault, triggered=0, exhausted=False)
        return _json_response(schemas.fault_json(fault_id, status), 201)

    async def _clear_faults(self, call: _Call[NoQuery]) -> web.StreamResponse:
        self._service.faults.clear()
        return _json_response(schemas.Empty())

    async def _remove_fault(self, call: _Call[NoQuery], id: str) -> web.StreamResponse:  # noqa: A002
        if not self._service.faults.remove(int(id)):
            raise ApiError(404, Sentence("There is no fault {id}.", id=id))
        return _json_response(schemas.Empty())

    async def _follow_events(self, call: _Call[NoQuery]) -> web.StreamResponse:
        request = call.request
        headers = {**SECURITY_HEADERS, "Content-Type": "text/event-stream"}
        headers["X-Accel-Buffering"] = "no"  # nginx would keep events back
        response = web.StreamResponse(headers=headers)

        def disconnect() -> None:
            if request.transport is not None:
                request.transport.abort()  # the client reconnects and loads the list again

        events = EventQueue(self._service.store, disconnect)
        with self._subscribe(events.add_arrival), ExitStack() as stack, suppress(ConnectionError):
            stack.callback(self._service.faults.subscribe(events.add_faults_changed))
            await response.prepare(request)
            await response.write(b"retry: 1000\n\n")
            while True:
                await response.write(await events.next())
        return response


def _wrong_method(allowed: Iterable[str], header: str) -> ApiError:
    """Return the error of a request whose method its path does not have."""
    return ApiError(
        405,
        Sentence("This path allows {methods}.", methods=joined_by_and(allowed)),
        {"Allow": header},
    )


def _parse_number(text: str) -> float:
    """Parse a number with a point or an exponent. To JSON schema, 2.0 is an integer."""
    number = float(text)
    return int(number) if number.is_integer() else number


def _set_result(future: asyncio.Future[Arrival], arrival: Arrival) -> None:
    if not future.done():
        future.set_result(arrival)


def _json_response(content: Any, status: int = 200) -> web.Response:
    return _response(to_json(content), "application/json; charset=utf-8", status)


def _download(name: str, media_type: str, content: bytes) -> web.Response:
    response = _response(content, f"{media_type}; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _response(body: bytes, content_type: str, status: int = 200) -> web.Response:
    return web.Response(
        body=body, status=status, headers={**SECURITY_HEADERS, "Content-Type": content_type}
    )


def _is_file(path: str) -> bool:
    return path == "/" or path[1:] in static_files()


def _serve_file(request: web.BaseRequest) -> web.Response:
    if request.method not in ("GET", "HEAD"):
        raise _wrong_method(["GET"], "GET, HEAD")
    if request.path == "/":
        return _response(render_page(), "text/html; charset=utf-8")
    response = _response(*static_files()[request.path[1:]])
    response.headers["Cache-Control"] = KEPT
    return response
