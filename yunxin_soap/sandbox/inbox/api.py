"""The inbox's page and its REST API, which tests in any language can use."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from aiohttp import web

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sandbox.arrivals.bounded import MAX_ITEMS
from yunxin_soap.sandbox.arrivals.store import Arrival, NotKept
from yunxin_soap.sandbox.faults.injector import FaultStatus
from yunxin_soap.sandbox.faults.model import PHONE_NUMBER, Fault
from yunxin_soap.sandbox.inbox import views
from yunxin_soap.sandbox.inbox.events import Follower, threadsafe
from yunxin_soap.sandbox.inbox.query_params import Refused, check_names, search, seconds, whole
from yunxin_soap.sandbox.inbox.schemas import document
from yunxin_soap.sandbox.service import Service

API = "/api/v1"
MAX_PAGE = 1000
MAX_BODY = 64 << 10
"""Bytes of a request to the API."""
_PRIVATE = (".localhost", ".local", ".internal", ".test", ".home.arpa")
"""Ends of names that no web site can have."""
_NONE: frozenset[str] = frozenset()
_SEARCHED = frozenset(each.name for each in fields(views.Search))
MAX_LISTENERS = 100
"""Who follow events or wait for a message at once, so that connections are left for the service."""
_STATIC = Path(__file__).parent / "static"
_FILES = {
    "/": ("inbox.html", "text/html; charset=utf-8"),
    "/inbox.js": ("inbox.js", "text/javascript; charset=utf-8"),
    "/inbox.css": ("inbox.css", "text/css; charset=utf-8"),
}
_SAFE = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Inbox:
    """Answers what is not for the service itself.

    Args:
        service: what is shown, and told to fail.
        host: the name that the server was told to listen on; requests for other names with a dot
            are refused, since a web site may point its own name here.
    """

    def __init__(self, service: Service, host: str) -> None:
        self._service, self._host = service, host
        self._listening = 0
        routes: list[tuple[str, str, _Handler, frozenset[str]]] = [
            ("GET", r"openapi\.json", self._describe, _NONE),
            ("GET", "messages", self._list, _SEARCHED | {"limit"}),
            ("DELETE", "messages", self._clear, _NONE),
            ("GET", r"messages\.(?P<form>csv|json)", self._download, _SEARCHED),
            ("GET", "messages/(?P<number>[0-9]{1,15})", self._show, _NONE),
            ("GET", "wait", self._wait, _SEARCHED | {"timeout"}),
            ("GET", "numbers/(?P<number>[^/]{1,40})", self._count, _NONE),
            ("GET", "faults", self._list_faults, _NONE),
            ("POST", "faults", self._add_fault, _NONE),
            ("DELETE", "faults", self._clear_faults, _NONE),
            ("DELETE", "faults/(?P<number>[0-9]{1,15})", self._remove_fault, _NONE),
            ("GET", "events", self._events, _NONE),
        ]
        self._routes = [
            (method, re.compile(f"{API}/{path}"), handler, parameters)
            for method, path, handler, parameters in routes
        ]

    def wants(self, path: str) -> bool:
        """Whether a path is the inbox's."""
        return path in _FILES or path.startswith(f"{API}/")

    async def answer(self, request: web.BaseRequest, body: bytes | None) -> web.StreamResponse:
        """Answer one request; None for a body is one that was too long."""
        try:
            if body is None:
                raise Refused(413, "The body is too long.")
            if request.path in _FILES:
                return _file(request)
            self._refuse_strangers(request)
            return await self._routed(request, body)
        except Refused as refused:
            response = _json({"error": str(refused)}, refused.status)
            response.headers.update(refused.headers)
            if body is None:
                response.force_close()
            return response

    def _refuse_strangers(self, request: web.BaseRequest) -> None:
        """Let no page of another site use the API through the browser of who looks at it."""
        host = request.headers.get("Host", "")
        name = urlsplit(f"//{host}").hostname or ""
        # A name of one word is the machine's or a container's, and no web site's.
        own = name == self._host or name.endswith(_PRIVATE) or _is_address(name)
        if "." in name and not own:
            raise Refused(
                403, f"This sandbox is not called {name}: use its address, or a name of one word."
            )
        site = request.headers.get("Sec-Fetch-Site", "none")
        origin = request.headers.get("Origin", f"http://{host}")
        if site not in ("same-origin", "none") or origin != f"http://{host}":
            raise Refused(403, "Requests from other sites are refused.")

    async def _routed(self, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        allowed = []
        for method, path, handler, parameters in self._routes:
            found = path.fullmatch(request.path)
            if found and method == request.method:
                check_names(request.query, parameters)
                return await handler(request, body, **found.groupdict())
            if found:
                allowed.append(method)
        if allowed:
            raise Refused(405, f"Only {' and '.join(allowed)} here.", {"Allow": ", ".join(allowed)})
        raise Refused(404, f"There is nothing here; see {API}/openapi.json.")

    async def _describe(self, request: web.BaseRequest, _body: bytes) -> web.StreamResponse:
        return _json(document())

    async def _list(self, request: web.BaseRequest, _body: bytes) -> web.StreamResponse:
        wanted, limit = search(request.query), whole(request.query, "limit", 100, MAX_PAGE)
        record = self._service.record
        last, arrivals = record.last, record.arrivals
        found = [each for each in reversed(arrivals) if wanted.finds(each)]
        return _json(
            {
                "messages": [views.listed(each) for each in found[:limit]],
                "found": len(found),
                "total": len(arrivals),
                "dropped": record.dropped,
                "kept_at_most": MAX_ITEMS,
                "last": last,
            }
        )

    async def _download(
        self, request: web.BaseRequest, _body: bytes, form: str
    ) -> web.StreamResponse:
        wanted = search(request.query)
        found = [each for each in self._service.record.arrivals if wanted.finds(each)]
        if form == "csv":
            text = "".join(views.as_csv(found))
            response = web.Response(
                text=text, content_type="text/csv", charset="utf-8", headers=_SAFE
            )
        else:
            response = _json([views.shown(each) for each in found])
        response.headers["Content-Disposition"] = f'attachment; filename="messages.{form}"'
        return response

    async def _show(
        self, request: web.BaseRequest, _body: bytes, number: str
    ) -> web.StreamResponse:
        arrival = self._service.record.arrival(int(number))
        if arrival is None:
            raise Refused(404, f"There is no message {number}, or it was dropped.")
        return _json(views.shown(arrival, raw=True))

    async def _clear(self, request: web.BaseRequest, _body: bytes) -> web.StreamResponse:
        try:
            self._service.record.clear()
        except NotKept as error:
            raise Refused(500, str(error)) from None
        self._service.gateway.clear()
        return _json({})

    async def _count(
        self, request: web.BaseRequest, _body: bytes, number: str
    ) -> web.StreamResponse:
        if not PHONE_NUMBER.fullmatch(number):
            raise Refused(422, f"{number!r} is no number.")
        return _json({"number": number, "accepted": self._service.record.times_accepted(number)})

    async def _wait(self, request: web.BaseRequest, _body: bytes) -> web.StreamResponse:
        """Answer with the first message that fits, which may be there already."""
        wanted, most = search(request.query), seconds(request.query)
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Arrival] = loop.create_future()

        def look(arrival: Arrival | None) -> None:
            if arrival is not None and wanted.finds(arrival):
                threadsafe(loop, _settle, found, arrival)

        with self._a_listener(look):
            for arrival in self._service.record.arrivals:
                if wanted.finds(arrival):
                    return _json(views.listed(arrival))
            try:
                return _json(views.listed(await asyncio.wait_for(found, most)))
            except asyncio.TimeoutError:
                raise Refused(404, f"No such message came within {most:g} s.") from None

    @contextmanager
    def _a_listener(self, told: Callable[[Arrival | None], None]) -> Iterator[None]:
        """Have each new message told, and None when all are forgotten."""
        if self._listening >= MAX_LISTENERS:
            raise Refused(503, f"{MAX_LISTENERS} listen already.")
        stop = self._service.record.subscribe(told)
        self._listening += 1
        try:
            yield
        finally:
            self._listening -= 1
            stop()

    async def _list_faults(self, request: web.BaseRequest, _body: bytes) -> web.StreamResponse:
        statuses = self._service.faults.statuses()
        return _json([_shown(number, each) for number, each in statuses.items()])

    async def _add_fault(self, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        if request.content_type != "application/json":
            raise Refused(415, "The Content-Type must be application/json.")
        try:
            options = json.loads(body)
        except (ValueError, RecursionError):
            raise Refused(400, "This is not JSON.") from None
        if not isinstance(options, dict) or not isinstance(options.get("kind"), str):
            raise Refused(422, 'A fault is an object with a "kind".')
        try:
            made = Fault.from_options(options.pop("kind"), **options)
            number = self._service.faults.add(made)
        except ConfigurationError as error:
            raise Refused(422, str(error)) from None
        return _json(_shown(number, FaultStatus(made, triggered=0, exhausted=False)), 201)

    async def _clear_faults(self, request: web.BaseRequest, _body: bytes) -> web.StreamResponse:
        self._service.faults.clear()
        return _json({})

    async def _remove_fault(
        self, request: web.BaseRequest, _body: bytes, number: str
    ) -> web.StreamResponse:
        if not self._service.faults.remove(int(number)):
            raise Refused(404, f"There is no fault {number}.")
        return _json({})

    async def _events(self, request: web.BaseRequest, _body: bytes) -> web.StreamResponse:
        """Tell each new message as it comes, and changes of faults, until the listener leaves."""
        response = web.StreamResponse(headers={**_SAFE, "Content-Type": "text/event-stream"})

        def cut_off() -> None:
            if request.transport is not None:
                request.transport.abort()  # it comes again to ask for the rest

        follower = Follower(self._service.record, cut_off)
        with self._a_listener(follower.arrived), ExitStack() as stack, suppress(ConnectionError):
            stack.callback(self._service.faults.subscribe(follower.faults_changed))
            await response.prepare(request)
            await response.write(b"retry: 1000\n\n")
            while True:
                await response.write(await follower.hear())
        return response


_Handler = Callable[..., Awaitable[web.StreamResponse]]


def _settle(future: asyncio.Future[Arrival], arrival: Arrival) -> None:
    if not future.done():
        future.set_result(arrival)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _shown(number: int, each: FaultStatus) -> dict[str, Any]:
    own = {"id": number, "triggered": each.triggered, "exhausted": each.exhausted}
    return own | asdict(cast(Any, each.fault))


def _json(content: Any, status: int = 200) -> web.Response:
    text = json.dumps(content, ensure_ascii=False)
    return web.Response(
        text=text, status=status, content_type="application/json", charset="utf-8", headers=_SAFE
    )


def _file(request: web.BaseRequest) -> web.Response:
    if request.method not in ("GET", "HEAD"):
        raise Refused(405, "Only GET here.")
    name, content_type = _FILES[request.path]
    return web.Response(body=_content(name), headers={**_SAFE, "Content-Type": content_type})


@lru_cache(maxsize=len(_FILES))
def _content(name: str) -> bytes:
    return (_STATIC / name).read_bytes()
