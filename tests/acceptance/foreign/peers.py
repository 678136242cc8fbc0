"""SOAP and HTTP clients of other projects; each calls ``sendMesExt`` and returns its result."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from urllib.parse import urlencode
from xml.sax.saxutils import escape

import suds.client
import zeep
import zeep.proxy
import zeep.wsdl.bindings
from lxml import etree

from yunxin_soap.operation import ProtocolName

Fields = Mapping[str, str]
Call = Callable[[Fields], str]
"""Calls ``sendMesExt`` with some fields, and returns the result or how the call failed."""

_CLIENTS = Path(__file__).parent / "clients"
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_SOAP12 = "http://www.w3.org/2003/05/soap-envelope"


@dataclass(frozen=True)
class Peer:
    """One foreign client with one protocol."""

    name: str
    protocol: ProtocolName
    start: Callable[[str], Any]
    """Takes the service's address, and returns a context manager that yields a `Call`."""
    probe: tuple[str, ...] = ()
    """A command that succeeds if the client is installed."""
    left_out_as: str | None = None
    """What the client sends for a missing field; None if it omits the element or parameter."""
    keeps_cr: bool = True
    """Whether the client escapes a carriage return in XML, so that it survives parsing."""

    def missing(self) -> str | None:
        """Return why the client cannot run on this machine, or None if it can."""
        if not self.probe:
            return None
        if shutil.which(self.probe[0]) is None:
            return f"{self.probe[0]} is not installed"
        if subprocess.run(self.probe, capture_output=True, check=False).returncode:
            return f"{' '.join(self.probe)} fails: a library of {self.name} is not installed"
        return None


def _program(*command: str, wsdl: bool = False) -> Callable[[str], Any]:
    """Run a program that reads a request and writes a result, one JSON line each.

    In the command, ``{}`` stands for the address of the service.
    """

    @contextmanager
    def start(url: str) -> Iterator[Call]:
        address = f"{url}?WSDL" if wsdl else url
        filled = [part.replace("{}", address) for part in command]
        with (
            TemporaryFile("w+") as errors,
            subprocess.Popen(
                filled, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            ) as process,
        ):
            requests, results = process.stdin, process.stdout
            assert requests is not None
            assert results is not None

            def call(fields: Fields) -> str:
                with suppress(BrokenPipeError):
                    requests.write(json.dumps(dict(fields)) + "\n")
                    requests.flush()
                line = results.readline()
                if not line:
                    errors.seek(0)
                    raise AssertionError(f"{command} exited: {errors.read()[-2000:]}")
                return str(json.loads(line)["result"])

            yield call
            requests.close()

    return start


def _zeep(binding: str) -> Callable[[str], Any]:
    @contextmanager
    def start(url: str) -> Iterator[Call]:
        client = zeep.Client(f"{url}?WSDL")
        service = client.bind("MsgSend", binding)
        with client.transport.session:
            yield lambda fields: _result_or_fault(lambda: service.sendMesExt(**fields))

    return start


def _result_or_fault(call: Callable[[], Any]) -> str:
    try:
        return str(call())
    except zeep.exceptions.Fault as fault:
        message = fault.message
        return f"fault: {message.decode() if isinstance(message, bytes) else message}"


def _zeep_async(binding: str) -> Callable[[str], Any]:
    @contextmanager
    def start(url: str) -> Iterator[Call]:
        loop = asyncio.new_event_loop()
        client = zeep.AsyncClient(f"{url}?WSDL")
        service = client.bind("MsgSend", binding)

        def call(fields: Fields) -> str:
            async def call() -> Any:
                if binding.startswith("MsgSendSoap"):
                    return await service.sendMesExt(**fields)
                return await _call_http_binding(client, service, fields)

            return _result_or_fault(lambda: loop.run_until_complete(call()))

        try:
            yield call
        finally:
            loop.run_until_complete(client.transport.aclose())
            client.transport.wsdl_client.close()
            loop.close()

    return start


async def _call_http_binding(client: Any, service: Any, fields: Fields) -> Any:
    """Call over an HTTP binding; zeep's own code for it lacks one ``await``."""
    binding = service._binding
    operation = binding.get("sendMesExt")
    request = operation.create(**fields)
    is_get = isinstance(binding, zeep.wsdl.bindings.HttpGetBinding)
    exchange = client.transport.get if is_get else client.transport.post
    address = service._binding_options["address"] + request.path
    return binding.process_reply(
        client, operation, await exchange(address, request.content, request.headers)
    )


@contextmanager
def _suds(url: str) -> Iterator[Call]:
    client = suds.client.Client(f"{url}?WSDL", cache=None)
    client.set_options(port="MsgSendSoap")
    yield lambda fields: str(client.service.sendMesExt(**fields))


def _curl(version: str) -> Callable[[str], Any]:
    """Send a handwritten envelope, as people do who try a service out."""
    envelope = _SOAP12 if version == "1.2" else _SOAP
    headers = (
        ["Content-Type: application/soap+xml; charset=utf-8"]
        if version == "1.2"
        else [
            "Content-Type: text/xml; charset=utf-8",
            'SOAPAction: "http://tempuri.org/sendMesExt"',
        ]
    )
    options = [part for header in headers for part in ("-H", header)]

    @contextmanager
    def start(url: str) -> Iterator[Call]:
        def call(fields: Fields) -> str:
            elements = "".join(
                f"<{name}>{escape(value, {chr(13): '&#13;'})}</{name}>"
                for name, value in fields.items()
            )
            body = (
                f'<?xml version="1.0" encoding="utf-8"?><e:Envelope xmlns:e="{envelope}"><e:Body>'
                f'<sendMesExt xmlns="http://tempuri.org/">{elements}</sendMesExt></e:Body>'
                "</e:Envelope>"
            )
            response = _run_curl(*options, "--data-binary", "@-", url, content=body)
            return str(etree.fromstring(response).findtext(".//{*}sendMesExtResult"))

        yield call

    return start


@contextmanager
def _curl_get(url: str) -> Iterator[Call]:
    def call(fields: Fields) -> str:
        output = _run_curl("-w", "\n%{http_code}", f"{url}/sendMesExt?{urlencode(dict(fields))}")
        body, _, status = output.rpartition(b"\n")
        if status != b"200":
            return f"HTTP {status.decode()}: {body.decode().strip()}"
        return str(etree.fromstring(body).text)

    yield call


def _run_curl(*arguments: str, content: str = "") -> bytes:
    return subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "--max-time", "30", *arguments],
        input=content.encode(),
        capture_output=True,
        check=True,
    ).stdout


def _php(script: str, *arguments: str, wsdl: bool = False) -> Callable[[str], Any]:
    return _program("php", str(_CLIENTS / script), "{}", *arguments, wsdl=wsdl)


_PHP_SOAP = ("php", "-r", "exit(class_exists('SoapClient') ? 0 : 1);")
_PHP_CURL = ("php", "-r", "exit(function_exists('curl_init') ? 0 : 1);")
_PERL = ("perl", "-MSOAP::Lite", "-MJSON::PP", "-e", "1")
_CURL = ("curl", "--version")
_SOAP_LITE = str(_CLIENTS / "soap_lite.pl")

PEERS = [
    Peer("PHP SoapClient 1.1", "soap", _php("php_soap.php", "1.1", wsdl=True), _PHP_SOAP),
    Peer("PHP SoapClient 1.2", "soap12", _php("php_soap.php", "1.2", wsdl=True), _PHP_SOAP),
    Peer("PHP curl GET", "http-get", _php("php_curl.php", "GET"), _PHP_CURL),
    Peer("PHP curl POST", "http-post", _php("php_curl.php", "POST"), _PHP_CURL),
    Peer("PHP curl, vendor's GET", "http-post", _php("php_curl.php", "SAMPLE"), _PHP_CURL),
    Peer(
        "node soap",
        "soap",
        _program("node", str(_CLIENTS / "node_soap.js"), "{}", wsdl=True),
        ("node", "-e", "require('soap')"),
    ),
    Peer("SOAP::Lite 1.1", "soap", _program("perl", _SOAP_LITE, "{}", "1.1"), _PERL),
    Peer("SOAP::Lite 1.2", "soap12", _program("perl", _SOAP_LITE, "{}", "1.2"), _PERL),
    Peer("suds", "soap", _suds, keeps_cr=False),
    Peer("zeep", "soap", _zeep("MsgSendSoap")),
    Peer("zeep, 1.2", "soap12", _zeep("MsgSendSoap12")),
    Peer("zeep, GET", "http-get", _zeep("MsgSendHttpGet")),
    Peer("zeep, POST", "http-post", _zeep("MsgSendHttpPost"), left_out_as="None"),
    Peer("zeep.AsyncClient", "soap", _zeep_async("MsgSendSoap")),
    Peer("zeep.AsyncClient, 1.2", "soap12", _zeep_async("MsgSendSoap12")),
    Peer("zeep.AsyncClient, GET", "http-get", _zeep_async("MsgSendHttpGet"), left_out_as=""),
    Peer(
        "zeep.AsyncClient, POST",
        "http-post",
        _zeep_async("MsgSendHttpPost"),
        left_out_as="None",
    ),
    Peer("curl, envelope 1.1", "soap", _curl("1.1"), _CURL),
    Peer("curl, envelope 1.2", "soap12", _curl("1.2"), _CURL),
    Peer("curl, GET", "http-get", _curl_get, _CURL),
]
