"""Find, load, check and refresh the WSDL."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import zeep.wsdl
from lxml import etree

from tests.support.client_matrix import protocol_name
from tests.support.scripted_server import ScriptedServer, reply_with
from tests.support.wire_samples import http_response
from yunxin_soap import Client, ConfigurationError, wsdl
from yunxin_soap.operation import FIELDS, PROTOCOLS
from yunxin_soap.sandbox import Sandbox

SHIPPED = wsdl.shipped_path().read_text("utf-8")


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")
    return path


def client(path: Path, protocol: str = "soap") -> Client:
    return Client("demo", "demo", channel="37", wsdl=path, protocol=protocol_name(protocol))


def test_client_is_built_without_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Building a client opens no socket."""

    def blocked(*args: object, **kwargs: object) -> None:
        raise AssertionError("a socket was opened")

    new = write(tmp_path / "new.wsdl", SHIPPED)  # no other test has loaded it
    monkeypatch.setattr(socket, "socket", blocked)
    monkeypatch.setattr(socket, "create_connection", blocked)
    monkeypatch.setattr(socket, "getaddrinfo", blocked)
    for protocol in PROTOCOLS:
        with Client("demo", "demo", protocol=protocol, wsdl=new) as built:
            assert built.protocol == protocol


def test_load_in_many_threads_parses_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that load the WSDL at once share one document."""
    new = write(tmp_path / "new.wsdl", SHIPPED)
    parsed = []

    class CountingDocument(zeep.wsdl.Document):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            parsed.append(self)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(zeep.wsdl, "Document", CountingDocument)
    together = threading.Barrier(8)

    def load() -> object:
        together.wait(20)
        return wsdl.load(new)

    with ThreadPoolExecutor(8) as threads:
        loaded = [each.result() for each in [threads.submit(load) for _ in range(8)]]
    assert len(parsed) == 1
    assert all(each is parsed[0] for each in loaded)


def test_import_loads_no_wsdl() -> None:
    """The WSDL and zeep are loaded with the first client, not with the package."""
    script = (
        "import sys, yunxin_soap, yunxin_soap.wsdl\n"
        "assert 'zeep' not in sys.modules and 'lxml' not in sys.modules\n"
        "yunxin_soap.Client('a', 'b')\n"
        "assert 'zeep' in sys.modules and 'lxml' in sys.modules\n"
        "assert 'aiohttp' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_find_prefers_named_then_cached_then_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A named file precedes the user's cache, which precedes the shipped file."""
    monkeypatch.setenv("YUNXIN_WSDL_CACHE", str(tmp_path))
    assert wsdl.find() == wsdl.shipped_path()
    cached = write(tmp_path / "MsgSend.wsdl", SHIPPED)
    assert wsdl.find() == cached.resolve()
    named = write(tmp_path / "named.wsdl", SHIPPED)
    assert wsdl.find(named) == named.resolve()


def test_cache_dir_default_is_the_platforms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The default cache directory is the platform's."""
    monkeypatch.delenv("YUNXIN_WSDL_CACHE")
    from platformdirs import user_cache_path

    assert wsdl.cache_dir() == user_cache_path("yunxin_soap", appauthor=False)


def test_find_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    """A named file that does not exist is named in the error."""
    with pytest.raises(ConfigurationError, match=r"no WSDL file at .*absent"):
        client(tmp_path / "absent.wsdl")


@pytest.mark.parametrize(
    ("name", "old", "new", "difference"),
    [
        ("missing", 'name="DesNo"', 'name="Mobile"', "DesNo is missing, Mobile is unknown"),
        (
            "integer",
            'name="Msg" type="s:string"',
            'name="Msg" type="s:int"',
            "Msg is of type int, not string",
        ),
        (
            "array",
            'maxOccurs="1" name="ExeNo"',
            'maxOccurs="unbounded" name="ExeNo"',
            r"ExeNo is of type string\[\], not string",
        ),
        (
            "result",
            'name="sendMesExtResult" type="s:string"',
            'name="sendMesExtResult" type="s:long"',
            "its result is long, not string",
        ),
        (
            "location",
            '<http:operation location="/sendMesExt"',
            '<http:operation location="/../collect"',
            "its location is /../collect, not /sendMesExt",
        ),
        (
            "action",
            'soapAction="http://tempuri.org/sendMesExt"',
            'soapAction="urn:other"',
            "its soapaction is urn:other, not http://tempuri.org/sendMesExt",
        ),
        (
            "namespace",
            'targetNamespace="http://tempuri.org/"',
            'targetNamespace="urn:other"',
            "urn:other",
        ),
        (
            "part",
            '<wsdl:part name="Body" element="tns:string" />',
            '<wsdl:part name="Body" />',
            "loaded",
        ),
        ("type", "<wsdl:portType name=", "<wsdl:portType id=", "loaded"),
        (
            "operation",
            '<wsdl:operation name="sendMesExt">',
            '<wsdl:operation name="sendSms">',
            "its operations are sendSms, without sendMesExt",
        ),
    ],
)
def test_wsdl_that_does_not_fit_shows_the_difference(
    tmp_path: Path, name: str, old: str, new: str, difference: str
) -> None:
    """A WSDL that does not fit is invalid, and the error shows the difference."""
    changed = SHIPPED.replace(old, new)
    if name == "namespace":
        changed = changed.replace('xmlns:tns="http://tempuri.org/"', 'xmlns:tns="urn:other"')
    path = write(tmp_path / f"{name}.wsdl", changed)
    protocol = "http-get" if name in ("location", "part") else "soap"
    with pytest.raises(ConfigurationError, match=difference) as caught:
        client(path, protocol)
    if name not in ("part", "type"):
        assert "Expected sendMesExt(userCode: string, userPass: string, DesNo: string" in str(
            caught.value
        )


def test_wsdl_without_the_protocol_is_a_configuration_error(tmp_path: Path) -> None:
    """A WSDL without a protocol only fails for clients of that protocol."""
    cut = re.sub(r'<wsdl:binding name="MsgSendHttpGet"[\s\S]*?</wsdl:binding>', "", SHIPPED)
    cut = re.sub(r'<wsdl:port name="MsgSendHttpGet"[\s\S]*?</wsdl:port>', "", cut)
    path = write(tmp_path / "soap_only.wsdl", cut)
    with client(path, "soap") as built:
        assert built.protocol == "soap"
    with pytest.raises(ConfigurationError, match="it has no http-get port"):
        client(path, "http-get")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not XML",
        "<html/>",
        "<a><b></a>",
        SHIPPED[:2000],
        '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x"><a/>',
    ],
)
def test_load_of_another_file_is_a_configuration_error(tmp_path: Path, content: str) -> None:
    """A file that is no WSDL is named in the error."""
    with pytest.raises(ConfigurationError, match=r"broken\.wsdl"):
        client(write(tmp_path / "broken.wsdl", content))


@pytest.mark.parametrize(
    "reference",
    [
        '<wsdl:import namespace="urn:x" location="http://127.0.0.1:9/x.wsdl" />',
        '<wsdl:import namespace="urn:x" location="other.wsdl" />',
        '<wsdl:types><s:schema><s:import namespace="urn:x"'
        ' schemaLocation="http://127.0.0.1:9/x.xsd" /></s:schema></wsdl:types>',
    ],
)
def test_load_with_an_import_is_a_configuration_error(tmp_path: Path, reference: str) -> None:
    """A WSDL must not import another document."""
    content = SHIPPED.replace("<wsdl:types>", f"{reference}<wsdl:types>", 1)
    with pytest.raises(ConfigurationError, match=r"imports .*imports nothing"):
        client(write(tmp_path / "importing.wsdl", content))


def test_address_in_the_wsdl_is_ignored(tmp_path: Path, sandbox: Sandbox) -> None:
    """The address in a WSDL is never used."""
    evil = write(tmp_path / "evil.wsdl", SHIPPED.replace("112.124.24.5", "127.0.0.1:9"))
    for protocol in PROTOCOLS:
        with Client(
            "demo", "demo", channel=37, endpoint=sandbox.url, wsdl=evil, protocol=protocol
        ) as built:
            assert built.send("13900000000", "x【签名】").batch_no
            assert built.service.sendMesExt("demo", "demo", "13900000000", "x【签名】", "37")
    assert len(sandbox.inbox) == 8


def test_shipped_wsdl_is_what_asp_net_generates() -> None:
    """The shipped WSDL has what ASP.NET generates for such a class."""
    root = etree.fromstring(SHIPPED.encode())
    names = {"w": "http://schemas.xmlsoap.org/wsdl/", "s": "http://www.w3.org/2001/XMLSchema"}
    assert [port.get("name") for port in root.iterfind("w:service/w:port", names)] == [
        "MsgSendSoap",
        "MsgSendSoap12",
        "MsgSendHttpGet",
        "MsgSendHttpPost",
    ]
    assert [each.get("name") for each in root.iterfind("w:portType", names)] == [
        "MsgSendSoap",
        "MsgSendHttpGet",
        "MsgSendHttpPost",
    ]
    schema = root.find("w:types/s:schema", names)
    assert schema is not None
    assert schema.get("elementFormDefault") == "qualified"
    assert [each.get("name") for each in schema] == ["sendMesExt", "sendMesExtResponse", "string"]
    fields = list(schema[0].iterfind(".//s:sequence/s:element", names))
    assert [each.get("name") for each in fields] == list(FIELDS)
    assert {each.get("minOccurs") for each in fields} == {"0"}


def test_refresh_writes_the_cache(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refreshing writes the user's cache, and leaves no other file."""
    monkeypatch.setenv("YUNXIN_WSDL_CACHE", str(tmp_path / "new" / "directory"))
    target = wsdl.refresh(sandbox.url)
    assert wsdl.find() == target.resolve()
    assert sandbox.url.encode() in target.read_bytes()
    assert [each.name for each in target.parent.iterdir()] == ["MsgSend.wsdl"]
    with Client("demo", "demo", channel=37, endpoint=sandbox.url) as built:
        assert built.send("13900000000", "x【签名】").batch_no


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (SHIPPED.replace('name="DesNo"', 'name="Mobile"'), "does not fit"),
        (SHIPPED.replace('<http:binding verb="GET" />', ""), "does not fit"),
        ("<html/>", "does not fit"),
        ("not XML", "cannot be loaded"),
        (f"<!DOCTYPE a []>{SHIPPED.partition('?>')[2]}", "cannot be loaded"),
        (f"<!--{'x' * (1 << 20)}-->", "more than 1048576 bytes"),
    ],
)
def test_refresh_of_an_unfit_document_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, reason: str
) -> None:
    """A fetched document that does not fit is not written to the cache."""
    monkeypatch.setenv("YUNXIN_WSDL_CACHE", str(tmp_path))
    with (
        ScriptedServer(reply_with(http_response(content))) as server,
        pytest.raises(ConfigurationError, match=reason),
    ):
        wsdl.refresh(server.url)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    "response",
    [
        http_response(SHIPPED, length=len(SHIPPED.encode()) + 1),
        http_response("no gzip", "200 OK", "text/xml", "Content-Encoding: gzip"),
        http_response("", "302 Found", "text/xml", "Location: http://127.0.0.1:1/"),
    ],
)
def test_refresh_of_a_broken_response_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, response: bytes
) -> None:
    """A response that breaks off or redirects is not written to the cache."""
    monkeypatch.setenv("YUNXIN_WSDL_CACHE", str(tmp_path))
    script = reply_with(response, then_close=True)
    with ScriptedServer(script) as server, pytest.raises(ConfigurationError, match="be fetched"):
        wsdl.refresh(server.url)
    assert [*tmp_path.iterdir()] == []


def test_refresh_into_an_unwritable_cache_names_the_variable(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the cache cannot be written, the error names the variable that moves it."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("YUNXIN_WSDL_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(ConfigurationError, match="YUNXIN_WSDL_CACHE"):
        wsdl.refresh(sandbox.url)


def test_refresh_ignores_the_environment_proxy(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refreshing ignores the proxy in the environment."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert wsdl.refresh(sandbox.url).is_file()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_fork_while_loading_does_not_block_the_child() -> None:
    """A child forked while a thread loads the WSDL can load it too."""
    script = """
import os, pathlib, signal, threading, warnings
import yunxin_soap

reading, may_go_on = threading.Event(), threading.Event()
read_bytes = pathlib.Path.read_bytes

def slow(path):
    reading.set()
    may_go_on.wait(60)
    return read_bytes(path)

pathlib.Path.read_bytes = slow
loading = threading.Thread(target=yunxin_soap.Client, args=("a", "b"))
loading.start()
reading.wait(60)
pathlib.Path.read_bytes = read_bytes
warnings.simplefilter("ignore")  # newer Pythons warn of threads at a fork
child = os.fork()
if not child:
    signal.alarm(20)
    yunxin_soap.Client("a", "b")
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
may_go_on.set()
loading.join()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", ["/nowhere", ""])
def test_refresh_that_fails_leaves_the_cache(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """A refresh that fails leaves the cached file."""
    monkeypatch.setenv("YUNXIN_WSDL_CACHE", str(tmp_path))
    cached = write(tmp_path / "MsgSend.wsdl", SHIPPED)
    url = sandbox.url.replace("/api/MsgSend.asmx", path) if path else "http://127.0.0.1:1/x"
    with pytest.raises(ConfigurationError, match="could not be fetched"):
        wsdl.refresh(url, timeout=5)
    assert cached.read_text("utf-8") == SHIPPED
    assert [each.name for each in tmp_path.iterdir()] == ["MsgSend.wsdl"]
