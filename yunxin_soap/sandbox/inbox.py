"""The inbox's page and its REST API, which tests in any language can use."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, fields
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sandbox import views
from yunxin_soap.sandbox.bounded import MAX_ITEMS
from yunxin_soap.sandbox.faults import Fault, fault
from yunxin_soap.sandbox.openapi import document
from yunxin_soap.sandbox.record import Arrival, NotKept, Outcome
from yunxin_soap.sandbox.service import Service

API = "/api/v1"
MAX_WAIT = 60.0
"""Seconds that one request waits for a message at most."""
MAX_PAGE = 1000
_PRIVATE = (".localhost", ".local", ".internal", ".test", ".home.arpa")
"""Ends of names that no web site can have."""
_SEARCHED = frozenset(each.name for each in fields(views.Search))
MAX_LISTENERS = 100
"""Who follow events at once, so that they leave connections for the service."""
_MAX_BEHIND = 1000
"""Events that a slow listener may be behind before it is cut off."""
_KEEP_ALIVE = 15.0
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


_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class _Refused(Exception):
    def __init__(self, status: int, why: str, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        super().__init__(why)
        self.status, self.headers = status, headers


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
        self._routes: list[tuple[str, re.Pattern[str], _Handler]] = [
            ("GET", re.compile(rf"{API}/openapi\.json"), self._describe),
            ("GET", re.compile(f"{API}/messages"), self._list),
            ("DELETE", re.compile(f"{API}/messages"), self._clear),
            ("GET", re.compile(rf"{API}/messages\.(?P<form>csv|json)"), self._download),
            ("GET", re.compile(f"{API}/messages/(?P<number>[0-9]{{1,15}})"), self._show),
            ("GET", re.compile(f"{API}/wait"), self._wait),
            ("GET", re.compile(f"{API}/numbers/(?P<number>[^/]{{1,40}})"), self._count),
            ("GET", re.compile(f"{API}/faults"), self._list_faults),
            ("POST", re.compile(f"{API}/faults"), self._add_fault),
            ("DELETE", re.compile(f"{API}/faults"), self._clear_faults),
            ("DELETE", re.compile(f"{API}/faults/(?P<number>[0-9]{{1,15}})"), self._remove_fault),
            ("GET", re.compile(f"{API}/events"), self._events),
        ]

    def wants(self, path: str) -> bool:
        """Whether a path is the inbox's."""
        return path in _FILES or path.startswith(f"{API}/")

    async def answer(self, request: web.BaseRequest, body: bytes | None) -> web.StreamResponse:
        """Answer one request; None for a body is one that was too long."""
        try:
            if body is None:
                raise _Refused(413, "The body is too long.")
            if request.path in _FILES:
                return _file(request)
            self._refuse_strangers(request)
            return await self._routed(request, body)
        except _Refused as refused:
            response = _json({"error": str(refused)}, refused.status)
            response.headers.update(refused.headers)
            return response

    def _refuse_strangers(self, request: web.BaseRequest) -> None:
        """Let no page of another site use the API through the browser of who looks at it."""
        host = request.headers.get("Host", "")
        name = urlsplit(f"//{host}").hostname or ""
        # A name of one word is the machine's or a container's, and no web site's.
        own = name == self._host or name.endswith(_PRIVATE) or _is_address(name)
        if "." in name and not own:
            raise _Refused(
                403, f"This sandbox is not called {name}: use its address, or a name of one word."
            )
        site = request.headers.get("Sec-Fetch-Site", "none")
        origin = request.headers.get("Origin", f"http://{host}")
        if site not in ("same-origin", "none") or origin != f"http://{host}":
            raise _Refused(403, "Requests from other sites are refused.")

    async def _routed(self, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        allowed = []
        for method, path, handler in self._routes:
            found = path.fullmatch(request.path)
            if found and method == request.method:
                return await handler(request, body, **found.groupdict())
            if found:
                allowed.append(method)
        if allowed:
            raise _Refused(
                405, f"Only {' and '.join(allowed)} here.", {"Allow": ", ".join(allowed)}
            )
        raise _Refused(404, f"There is nothing here; see {API}/openapi.json.")

    async def _describe(self, request: web.BaseRequest, _body: bytes) -> web.StreamResponse:
        return _json(document())

    async def _list(self, request: web.BaseRequest, _body: bytes) -> web.StreamResponse:
        search, limit = _search(request, "limit"), _whole(request, "limit", 100, MAX_PAGE)
        record = self._service.record
        last, arrivals = record.last, record.arrivals
        found = [each for each in reversed(arrivals) if search.finds(each)]
        return _json(
            {
                "messages": [views.shown(each) for each in found[:limit]],
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
        search = _search(request)
        found = [each for each in self._service.record.arrivals if search.finds(each)]
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
        for arrival in self._service.record.arrivals:
            if arrival.number == int(number):
                return _json(views.shown(arrival, raw=True))
        raise _Refused(404, f"There is no message {number}, or it was dropped.")

    async def _clear(self, request: web.BaseRequest, _body: bytes) -> web.StreamResponse:
        try:
            self._service.record.clear()
        except NotKept as error:
            raise _Refused(500, str(error)) from None
        self._service.gateway.clear()
        return _json({})

    async def _count(
        self, request: web.BaseRequest, _body: bytes, number: str
    ) -> web.StreamResponse:
        return _json({"number": number, "accepted": self._service.record.times_accepted(number)})

    async def _wait(self, request: web.BaseRequest, _body: bytes) -> web.StreamResponse:
        """Answer with the first message that fits, which may be there already."""
        search, seconds = _search(request, "timeout"), _seconds(request)
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Arrival] = loop.create_future()

        def look(arrival: Arrival | None) -> None:
            if arrival is not None and search.finds(arrival):
                _threadsafe(loop, _settle, found, arrival)

        stop = self._service.record.listen(look)
        try:
            for arrival in self._service.record.arrivals:
                if search.finds(arrival):
                    return _json(views.shown(arrival))
            return _json(views.shown(await asyncio.wait_for(found, seconds)))
        except asyncio.TimeoutError:
            raise _Refused(404, f"No such message came within {seconds:g} s.") from None
        finally:
            stop()

    async def _list_faults(self, request: web.BaseRequest, _body: bytes) -> web.StreamResponse:
        in_force = self._service.faults.in_force()
        return _json([_shown(number, each, met) for number, (each, met) in in_force.items()])

    async def _add_fault(self, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        if request.content_type != "application/json":
            raise _Refused(415, "The Content-Type must be application/json.")
        try:
            options = json.loads(body)
        except (ValueError, RecursionError):
            raise _Refused(400, "This is not JSON.") from None
        if not isinstance(options, dict) or not isinstance(options.get("kind"), str):
            raise _Refused(422, 'A fault is an object with a "kind".')
        try:
            made = fault(options.pop("kind"), **options)
        except ConfigurationError as error:
            raise _Refused(422, str(error)) from None
        return _json(_shown(self._service.faults.add(made), made, 0), 201)

    async def _clear_faults(self, request: web.BaseRequest, _body: bytes) -> web.StreamResponse:
        self._service.faults.clear()
        return _json({})

    async def _remove_fault(
        self, request: web.BaseRequest, _body: bytes, number: str
    ) -> web.StreamResponse:
        if not self._service.faults.remove(int(number)):
            raise _Refused(404, f"There is no fault {number}.")
        return _json({})

    async def _events(self, request: web.BaseRequest, _body: bytes) -> web.StreamResponse:
        """Tell each new message as it comes, until the listener leaves."""
        if self._listening >= MAX_LISTENERS:
            raise _Refused(503, f"{MAX_LISTENERS} listen already.")
        response = web.StreamResponse(headers={**_SAFE, "Content-Type": "text/event-stream"})
        queue: asyncio.Queue[Arrival | None] = asyncio.Queue(_MAX_BEHIND)
        loop = asyncio.get_running_loop()

        def tell(arrival: Arrival | None) -> None:
            if not queue.full():
                queue.put_nowait(arrival)
            elif request.transport is not None:
                # Too slow: what it did not read is let go, and it comes again to ask for the rest.
                request.transport.abort()

        stop = self._service.record.listen(lambda arrival: _threadsafe(loop, tell, arrival))
        self._listening += 1
        try:
            await response.prepare(request)
            await response.write(b"retry: 1000\n\n")
            while True:
                try:
                    arrival = await asyncio.wait_for(queue.get(), _KEEP_ALIVE)
                except asyncio.TimeoutError:
                    await response.write(b": still here\n\n")
                    continue
                if arrival is None:
                    await response.write(b"event: cleared\ndata: {}\n\n")
                else:
                    record = self._service.record
                    kept = {"total": record.kept, "dropped": record.dropped}
                    data = json.dumps(views.shown(arrival) | kept, ensure_ascii=False)
                    await response.write(f"event: message\ndata: {data}\n\n".encode())
        except ConnectionError:
            pass
        finally:
            self._listening -= 1
            stop()
        return response


_Handler = Callable[..., Awaitable[web.StreamResponse]]


def _threadsafe(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *args: Any) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call, *args)


def _settle(future: asyncio.Future[Arrival], arrival: Arrival) -> None:
    if not future.done():
        future.set_result(arrival)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


def _search(request: web.BaseRequest, *more: str) -> views.Search:
    query = request.query
    known = _SEARCHED.union(more)
    if unknown := sorted(set(query) - known):
        # A mistyped name must not find everything.
        raise _Refused(400, f"{unknown[0]!r} is not known; known are {', '.join(sorted(known))}.")
    try:
        outcome = Outcome(query["outcome"]) if query.get("outcome") else None
    except ValueError:
        outcomes = ", ".join(each.value for each in Outcome)
        raise _Refused(422, f"outcome must be one of {outcomes}.") from None
    return views.Search(
        text=query.get("text", ""),
        outcome=outcome,
        recipient=query.get("recipient", ""),
        batch_no=query.get("batch_no", ""),
        after=_whole(request, "after", 0),
        before=_whole(request, "before", 0) or None,
    )


def _whole(request: web.BaseRequest, name: str, default: int, most: int = 10**15) -> int:
    text = request.query.get(name, str(default))
    if not re.fullmatch("[0-9]{1,15}", text) or int(text) > most:
        raise _Refused(422, f"{name} must be a whole number, {most} at most.")
    return int(text)


def _seconds(request: web.BaseRequest) -> float:
    text = request.query.get("timeout", "10")
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3})?", text) or float(text) > MAX_WAIT:
        raise _Refused(422, f"timeout must be a number of seconds, {MAX_WAIT:g} at most.")
    return float(text)


def _shown(number: int, each: Fault, met: int) -> dict[str, Any]:
    values = asdict(each)
    return {"id": number, "met": met, **values, "kind": each.kind.value}


def _json(content: Any, status: int = 200) -> web.Response:
    text = json.dumps(content, ensure_ascii=False)
    return web.Response(
        text=text, status=status, content_type="application/json", charset="utf-8", headers=_SAFE
    )


def _file(request: web.BaseRequest) -> web.Response:
    if request.method not in ("GET", "HEAD"):
        raise _Refused(405, "Only GET here.")
    name, content_type = _FILES[request.path]
    return web.Response(body=_content(name), headers={**_SAFE, "Content-Type": content_type})


@lru_cache(maxsize=len(_FILES))
def _content(name: str) -> bytes:
    return (_STATIC / name).read_bytes()
