"""Measures encoding and decoding beside zeep's own handling of messages and replies."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import cycle
from typing import Any

import requests
import zeep

from tests.benchmarks.contenders import ACCOUNT, MESSAGE, Load, zeep_binding
from tests.benchmarks.responder import BATCH_NO, responses
from yunxin_soap import Client
from yunxin_soap.operation import OPERATION
from yunxin_soap.redact import Redactor
from yunxin_soap.transport.base import Response
from yunxin_soap.wire.codec import Codec
from yunxin_soap.wsdl import load, shipped_path

OURS = "encode + decode"
PARSED = "encode + decode, response template never matches"
SEND = "send() without a network"
SEND_MANY = "send() without a network, 500 numbers"
ZEEP = "zeep create_message + process_reply"

MANY = 500
_LOAD = Load("http://127.0.0.1/api/MsgSend.asmx", 1)
_TYPE = "text/xml; charset=utf-8"
_REPEAT = 500


def measure_codec(*, rounds: int) -> dict[str, float]:
    """Return the median microseconds for one submission over SOAP 1.1, by what was done."""
    ours, alike, different = _protocol(), cycle(_responses()), cycle(_responses(padded=True))
    jobs: dict[str, Callable[[], object]] = {
        OURS: lambda: (ours.encode(_LOAD.fields), ours.decode(next(alike))),
        PARSED: lambda: (ours.encode(_LOAD.fields), ours.decode(next(different))),
        SEND: _send(_LOAD),
        SEND_MANY: _send(Load(_LOAD.url, MANY)),
        ZEEP: _zeep(),
    }
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            times[name].append(_time(job))
    return {name: statistics.median(values) * 1e6 for name, values in times.items()}


def _time(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    for _ in range(_REPEAT):
        job()
    return (time.perf_counter() - start) / _REPEAT


def _protocol() -> Codec:
    return Codec(load(), "soap", "/api/MsgSend.asmx", Redactor(ACCOUNT[1]))


def _responses(*, padded: bool = False) -> list[Response]:
    """Return responses that differ in their batch number; padded, also in their length."""
    body = responses()["soap"].partition(b"\r\n\r\n")[2]
    numbers = [str(int(BATCH_NO) + index).encode() for index in range(100)]
    bodies = [body.replace(BATCH_NO.encode(), number) for number in numbers]
    return [
        Response(200, _TYPE, each + b"\n" * (index % 2 if padded else 0))
        for index, each in enumerate(bodies)
    ]


def _send(load: Load) -> Callable[[], object]:
    recipients = load.recipients
    exchange = cycle(_responses())

    class Echo:
        def send(self, request: object, *, valid_until: float | None = None) -> Response:
            return next(exchange)

        def close(self) -> None:
            pass

    client = Client(*ACCOUNT, channel="37", transport=Echo())
    return lambda: client.send(recipients, MESSAGE)


def _zeep() -> Callable[[], object]:
    client = zeep.Client(str(shipped_path()))
    service = client.create_service(zeep_binding(client), _LOAD.url)
    binding: Any = client.wsdl.bindings[zeep_binding(client)]
    operation = binding.get(OPERATION)
    fields = _LOAD.fields._asdict()
    response = requests.Response()
    response.status_code = 200
    response.headers["Content-Type"] = _TYPE
    response._content = _responses()[0].body
    return lambda: (
        client.create_message(service, OPERATION, **fields),
        binding.process_reply(client, operation, response),
    )
