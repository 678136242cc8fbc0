"""Find, load, check and refresh the WSDL."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from lxml import etree

from tests.support.client_matrix import protocol_name
from tests.support.scripted_server import ScriptedServer, reply_with
from tests.support.wire_samples import http_response
from yunxin_soap import Client, ConfigurationError, wsdl
from yunxin_soap.operation import FIELDS, PROTOCOLS
from yunxin_soap.sandbox import Sandbox
from yunxin_soap.wire import zeep_adapter

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
    parsed: list[wsdl.Wsdl] = []

    parse = zeep_adapter.parse

    def counting(content: bytes, location: str) -> wsdl.Wsdl:
        parsed.append(parse(content, location))
        return parsed[-1]

    monkeypatch.setattr(zeep_adapter, "parse", counting)
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


@pytest.mark.parametrize("named", ["~nobody-has-this-name/sms", "sms"])
def test_refresh_into_a_relative_cache_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, named: str
) -> None:
    """What `refresh` wrote is found again, also if there is no user of that name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("YUNXIN_WSDL_CACHE", named)
    assert wsdl.refresh(sandbox.url) == wsdl.find() == tmp_path / named / "MsgSend.wsdl"


def test_find_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    """A named file that does not exist is named in the error."""
    with pytest.raises(ConfigurationError, match=r"no WSDL file at .*absent"):
        client(tmp_path / "absent.wsdl")


SOAP = ("soap", "soap12")
HTTP = ("http-get", "http-post")
FIELD = '<s:element minOccurs="0" maxOccurs="1" name="Msg" type="s:string" />'
RESULT = '<s:element minOccurs="0" maxOccurs="1" name="sendMesExtResult" type="s:string" />'
STRING = '<s:element name="string" nillable="true" type="s:string" />'
FORM = '<mime:content type="application/x-www-form-urlencoded" />'
ANY = '<s:any minOccurs="0" />'
SCHEMA_END = "</s:schema>"


def replace(old: str, new: str) -> Callable[[str], str]:
    """Return a change of the shipped WSDL, which has ``old``."""
    assert old in SHIPPED
    return lambda content: content.replace(old, new)


def field(new: str) -> Callable[[str], str]:
    """Return a change of the field Msg in SOAP."""
    return replace(FIELD, new)


def second_service(content: str) -> str:
    """Add a service whose bindings describe ``sendMesExt`` in another way."""
    bindings = "".join(re.findall(r"<wsdl:binding [\s\S]*?</wsdl:binding>", content))
    service = re.search(r"<wsdl:service [\s\S]*?</wsdl:service>", content)
    assert service is not None
    added = (bindings + service[0]).replace("MsgSend", "Other")
    added = re.sub(r'type="tns:Other(\w+)"', r'type="tns:MsgSend\1"', added)
    added = added.replace('type="tns:MsgSendSoap12"', 'type="tns:MsgSendSoap"')
    added = added.replace("http://tempuri.org/sendMesExt", "urn:other")
    added = added.replace('location="/sendMesExt"', 'location="/other"')
    return content.replace("</wsdl:definitions>", f"{added}</wsdl:definitions>")


def twice(pattern: str) -> Callable[[str], str]:
    """Return a change that doubles what matches the pattern."""
    assert re.search(pattern, SHIPPED)
    return lambda content: re.sub(pattern, lambda found: found[0] * 2, content)


HEADER = '<soap:header message="tns:sendMesExtSoapIn" part="parameters" use="literal" />'
MISFITS: dict[str, tuple[Callable[[str], str], tuple[str, ...], str]] = {
    "field renamed": (
        replace('name="DesNo"', 'name="Mobile"'),
        PROTOCOLS,
        "DesNo is missing; Mobile is unexpected",
    ),
    "field added": (field(FIELD + FIELD.replace("Msg", "Time")), SOAP, "Time is unexpected"),
    "field twice": (field(FIELD + FIELD), SOAP, "Msg, Msg"),
    "part twice": (
        twice(r'<wsdl:part name="Msg" type="s:string" />'),
        HTTP,
        "Msg is 2 parts, not string",
    ),
    "field integer": (
        replace('name="Msg" type="s:string"', 'name="Msg" type="s:int"'),
        PROTOCOLS,
        "Msg is int, not string",
    ),
    "field array": (
        field(FIELD.replace('maxOccurs="1"', 'maxOccurs="unbounded"')),
        SOAP,
        r"Msg is string\[\], not string",
    ),
    "field at least twice": (
        field(FIELD.replace('minOccurs="0"', 'minOccurs="2"')),
        SOAP,
        r"Msg is string\[\], not string",
    ),
    "field with a type of its own": (
        field(
            '<s:element name="Msg"><s:simpleType><s:restriction base="s:string">'
            '<s:maxLength value="70" /></s:restriction></s:simpleType></s:element>'
        ),
        SOAP,
        'Msg is <simpleType><restriction base=".*"><maxLength value="70">',
    ),
    "field by reference": (
        field('<s:element ref="tns:string" />'),
        SOAP,
        "Msg is missing; .*string is unexpected",
    ),
    "field with a default": (
        field(FIELD.replace(" />", ' default="x" />')),
        SOAP,
        "default of Msg is unexpected",
    ),
    "field with a fixed value": (
        field(FIELD.replace(" />", ' fixed="x" />')),
        SOAP,
        "fixed of Msg is unexpected",
    ),
    "field unqualified": (
        field(FIELD.replace(" />", ' form="unqualified" />')),
        SOAP,
        "namespace of Msg is empty, not http://tempuri.org/",
    ),
    "all unqualified": (
        replace('elementFormDefault="qualified"', 'elementFormDefault="unqualified"'),
        SOAP,
        "namespace of userCode is empty, not http://tempuri.org/",
    ),
    "form omitted": (
        replace(' elementFormDefault="qualified"', ""),
        SOAP,
        "namespace of sendMesExtResult is empty",
    ),
    "order": (
        lambda text: field("")(text).replace(
            '<s:element minOccurs="0" maxOccurs="1" name="userCode"',
            f'{FIELD}<s:element minOccurs="0" maxOccurs="1" name="userCode"',
        ),
        SOAP,
        "order of the fields is Msg, userCode, userPass, DesNo, Channel, ExeNo, not userCode, ",
    ),
    "choice": (
        lambda text: text.replace("<s:sequence>", "<s:choice>").replace(
            "</s:sequence>", "</s:choice>"
        ),
        SOAP,
        "request content is choice, not sequence",
    ),
    "all": (
        lambda text: text.replace("<s:sequence>", "<s:all>").replace("</s:sequence>", "</s:all>"),
        SOAP,
        "response content is all, not sequence",
    ),
    "sequence repeated": (
        replace("<s:sequence>", '<s:sequence maxOccurs="2">'),
        SOAP,
        "request content is sequence with maxOccurs=2, not sequence",
    ),
    "choice among the fields": (
        field(f"<s:choice>{FIELD}</s:choice>"),
        SOAP,
        "unexpected choice in the request: <choice><element ",
    ),
    "any": (field(FIELD + ANY), SOAP, 'unexpected any in the request: <any minOccurs="0">'),
    "any in the result": (replace(RESULT, RESULT + ANY), SOAP, "unexpected any in the response"),
    "attribute": (
        replace("</s:sequence>", '</s:sequence><s:attribute name="v" type="s:string" />'),
        SOAP,
        'unexpected attribute in the request: <attribute name="v"',
    ),
    "attribute with a default": (
        replace(
            "</s:sequence>", '</s:sequence><s:attribute name="v" type="s:string" default="1" />'
        ),
        SOAP,
        'unexpected attribute in the request: <attribute default="1" name="v"',
    ),
    "mixed": (
        replace("<s:complexType>", '<s:complexType mixed="true">'),
        SOAP,
        "unexpected mixed of the request: true",
    ),
    "substitution": (
        replace(
            '<s:element name="sendMesExt">',
            '<s:element name="sendMesExt" substitutionGroup="tns:string">',
        ),
        SOAP,
        "substitutionGroup of the request element is unexpected",
    ),
    "abstract": (
        replace('<s:element name="sendMesExt">', '<s:element name="sendMesExt" abstract="true">'),
        SOAP,
        "abstract of the request element is unexpected",
    ),
    "result renamed": (
        replace('name="sendMesExtResult"', 'name="Result"'),
        SOAP,
        "sendMesExtResult is missing; Result is unexpected",
    ),
    "result integer": (
        replace(RESULT, RESULT.replace("s:string", "s:long")),
        SOAP,
        "sendMesExtResult is long, not string",
    ),
    "result array": (
        replace(RESULT, RESULT.replace('maxOccurs="1"', 'maxOccurs="unbounded"')),
        SOAP,
        r"sendMesExtResult is string\[\], not string",
    ),
    "two results": (replace(RESULT, RESULT + RESULT.replace("Result", "Code")), SOAP, "Code"),
    "result with a default": (
        replace(RESULT, RESULT.replace(" />", ' default="0" />')),
        SOAP,
        "default of sendMesExtResult is unexpected",
    ),
    "no result": (replace(RESULT, ""), SOAP, "sendMesExtResult is missing"),
    "response element renamed": (
        lambda text: text.replace('"sendMesExtResponse"', '"Reply"').replace(
            "tns:sendMesExtResponse", "tns:Reply"
        ),
        SOAP,
        "response element is .*Reply, not .*sendMesExtResponse",
    ),
    "request element renamed": (
        lambda text: text.replace('<s:element name="sendMesExt"', '<s:element name="send"').replace(
            '"tns:sendMesExt"', '"tns:send"'
        ),
        SOAP,
        "request element is .*send, not .*sendMesExt",
    ),
    "HTTP result renamed": (
        lambda text: text.replace('"tns:string"', '"tns:text"').replace(
            'name="string"', 'name="text"'
        ),
        HTTP,
        "response element is .*text, not .*string",
    ),
    "HTTP result integer": (
        replace(STRING, STRING.replace("s:string", "s:long")),
        HTTP,
        "response type is long, not string",
    ),
    "HTTP result with a default": (
        replace(STRING, STRING.replace(" />", ' default="1" />')),
        HTTP,
        "default of the response element is unexpected",
    ),
    "HTTP result without a type": (
        replace('<wsdl:part name="Body" element="tns:string" />', '<wsdl:part name="Body" />'),
        HTTP,
        "response element is none",
    ),
    "location": (
        replace('<http:operation location="/sendMesExt"', '<http:operation location="/../collect"'),
        HTTP,
        "the location is /../collect, not /sendMesExt",
    ),
    "soapAction": (
        replace('soapAction="http://tempuri.org/sendMesExt"', 'soapAction="urn:other"'),
        SOAP,
        "the soapAction is urn:other, not http://tempuri.org/sendMesExt",
    ),
    "namespace": (
        lambda text: text.replace(
            'targetNamespace="http://tempuri.org/"', 'targetNamespace="urn:other"'
        ).replace('xmlns:tns="http://tempuri.org/"', 'xmlns:tns="urn:other"'),
        PROTOCOLS,
        "element is .*urn:other",
    ),
    "rpc": (
        replace('style="document"', 'style="rpc"'),
        SOAP,
        "the style is rpc, not document",
    ),
    "encoded": (
        replace(
            'use="literal"',
            'use="encoded" encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"',
        ),
        SOAP,
        "unexpected encodingStyle of the input: http://schemas.xmlsoap.org/soap/encoding/;"
        " unexpected encodingStyle of the output: .*;"
        " use of the input is encoded, not literal; use of the output is encoded, not literal",
    ),
    "header": (
        replace('<soap:body use="literal" />', f'{HEADER}<soap:body use="literal" />'),
        ("soap",),
        "unexpected header of the input: <header ",
    ),
    "header of SOAP 1.2": (
        replace(
            '<soap12:body use="literal" />',
            f'<soap12:body use="literal" />{HEADER.replace("soap:", "soap12:")}',
        ),
        ("soap12",),
        "unexpected header of the output: <header ",
    ),
    "policy": (
        replace(
            '<soap:binding transport="http://schemas.xmlsoap.org/soap/http" />',
            '<soap:binding transport="http://schemas.xmlsoap.org/soap/http" />'
            '<wsp:PolicyReference xmlns:wsp="http://www.w3.org/ns/ws-policy" URI="#p" />',
        ),
        ("soap",),
        "unexpected PolicyReference: <PolicyReference ",
    ),
    "two parts": (
        replace(
            '<wsdl:part name="parameters" element="tns:sendMesExt" />',
            '<wsdl:part name="parameters" element="tns:sendMesExt" />'
            '<wsdl:part name="more" element="tns:string" />',
        ),
        SOAP,
        "request element is 2 parts",
    ),
    "part with a type": (
        replace(
            '<wsdl:part name="parameters" element="tns:sendMesExt" />',
            '<wsdl:part name="parameters" type="s:string" />',
        ),
        SOAP,
        "request element is 1 parts with types of their own",
    ),
    "urlReplacement": (
        replace("<http:urlEncoded />", "<http:urlReplacement />"),
        ("http-get",),
        "encoding of the input is http:urlReplacement, not http:urlEncoded",
    ),
    "urlReplacement in a form": (
        replace(FORM, "<http:urlReplacement />"),
        ("http-post",),
        "encoding of the input is http:urlReplacement, not mime:content application/x-www",
    ),
    "multipart": (
        replace(FORM, '<mime:content type="multipart/form-data" />'),
        ("http-post",),
        "encoding of the input is mime:content multipart/form-data, not mime:content appl",
    ),
    "XML in a form": (
        replace(FORM, '<mime:content type="text/xml" />'),
        ("http-post",),
        "encoding of the input is mime:content text/xml, not",
    ),
    "alternative types": (
        replace(FORM, f'{FORM}<mime:content type="text/xml" />'),
        ("http-post",),
        "urlencoded, mime:content text/xml, not mime:content",
    ),
    "result as a type": (
        replace('<mime:mimeXml part="Body" />', '<mime:content part="Body" type="text/xml" />'),
        HTTP,
        "encoding of the output is mime:content text/xml, not mime:mimeXml",
    ),
    "no input": (
        replace("<http:urlEncoded />", ""),
        ("http-get",),
        "encoding of the input is none, not http:urlEncoded",
    ),
    "operation renamed": (
        replace('<wsdl:operation name="sendMesExt">', '<wsdl:operation name="sendSms">'),
        PROTOCOLS,
        "its operations are sendSms, without sendMesExt",
    ),
    "operation in another case": (
        replace('<wsdl:operation name="sendMesExt">', '<wsdl:operation name="SendMesExt">'),
        PROTOCOLS,
        "its operations are SendMesExt, without sendMesExt",
    ),
    "operation twice in a binding": (
        twice(r'<wsdl:operation name="sendMesExt">\s*<(?:soap|http)[\s\S]*?</wsdl:operation>'),
        PROTOCOLS,
        "unexpected definitions: 2 operations of this name",
    ),
    "operation twice in a portType": (
        twice(r'<wsdl:operation name="sendMesExt">\s*<wsdl:input [\s\S]*?</wsdl:operation>'),
        PROTOCOLS,
        "unexpected definitions: 2 operations of this name",
    ),
    "second service": (second_service, PROTOCOLS, "(urn:other|/other), not "),
    "verb": (replace('verb="GET"', 'verb="PUT"'), ("http-get",), "it has no http-get port"),
    "no binding of SOAP 1.2": (
        replace("<soap12:binding ", "<soap12:bindings "),
        ("soap12",),
        "it has no soap12 port",
    ),
    "no service": (
        lambda text: re.sub(r"<wsdl:service[\s\S]*</wsdl:service>", "", text),
        PROTOCOLS,
        "it has no .* port",
    ),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", MISFITS)
def test_wsdl_that_does_not_fit_shows_the_difference(
    tmp_path: Path, name: str, protocol: str
) -> None:
    """A WSDL that does not fit is invalid for the protocols that differ, and the error says how."""
    change, protocols, difference = MISFITS[name]
    path = write(tmp_path / "changed.wsdl", change(SHIPPED))
    if protocol not in protocols:
        client(path, protocol).close()
        return
    with pytest.raises(ConfigurationError, match=difference) as caught:
        client(path, protocol)
    text = str(caught.value)
    assert f"does not fit sendMesExt over {protocol}: " in text
    assert "Expected sendMesExt(userCode: string, userPass: string, DesNo: string" in text


HARMLESS: dict[str, Callable[[str], str]] = {
    "fields required": replace('minOccurs="0" ', ""),
    "fields nillable": replace('maxOccurs="1" name', 'maxOccurs="1" nillable="true" name'),
    "result not nillable": replace(' nillable="true"', ' nillable="false"'),
    "comments": replace("<s:sequence>", "<!-- fields --><s:sequence><!-- six -->"),
    "documentation": lambda text: text.replace(
        '<wsdl:operation name="sendMesExt">',
        '<wsdl:operation name="sendMesExt"><wsdl:documentation>短信</wsdl:documentation>',
    ).replace(
        "<s:sequence>",
        "<s:annotation><s:documentation>x</s:documentation></s:annotation><s:sequence>",
    ),
    "prefixes": lambda text: text.replace("tns:", "my:").replace("xmlns:tns", "xmlns:my"),
    "named types": lambda text: re.sub(
        r'<s:element name="sendMesExt">\s*(<s:complexType)'
        r"(>[\s\S]*?</s:complexType>)\s*</s:element>",
        r'<s:element name="sendMesExt" type="tns:Six" />\1 name="Six"\2',
        text,
    ),
    "another schema before": replace(
        "<wsdl:types>", '<wsdl:types><s:schema targetNamespace="urn:first" />'
    ),
    "import of a schema inside": lambda text: text.replace(
        "<wsdl:types>", '<wsdl:types><s:schema targetNamespace="urn:first" />'
    ).replace(
        '<s:element name="sendMesExt">',
        '<s:import namespace="urn:first" /><s:element name="sendMesExt">',
    ),
    "other operations": lambda text: text.replace(
        SCHEMA_END,
        f'<s:complexType name="Other"><s:sequence>{ANY}</s:sequence></s:complexType>{SCHEMA_END}',
    ),
    "the same service twice": lambda text: (
        second_service(text)
        .replace("urn:other", "http://tempuri.org/sendMesExt")
        .replace('location="/other"', 'location="/sendMesExt"')
    ),
    "faults": lambda text: re.sub(
        r"(</wsdl:output>)(\s*</wsdl:operation>)", r"\1<wsdl:fault name='f' />\2", text
    ),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", HARMLESS)
def test_wsdl_that_differs_without_effect_fits(
    tmp_path: Path, sandbox: Sandbox, name: str, protocol: str
) -> None:
    """What changes neither request nor result is accepted, and the SMS arrives."""
    path = write(tmp_path / "changed.wsdl", HARMLESS[name](SHIPPED))
    with Client(
        "demo",
        "demo",
        channel="37",
        wsdl=path,
        protocol=protocol_name(protocol),
        endpoint=sandbox.url,
    ) as built:
        assert built.send("13900000000", "x【签名】").batch_no


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (replace("<wsdl:portType name=", "<wsdl:portType id="), "portType"),
        (replace('element="tns:sendMesExt"', 'element="tns:absent"'), "absent"),
        (replace('message="tns:sendMesExtSoapIn"', 'message="tns:absent"'), "absent"),
        (twice(r'<wsdl:message name="sendMesExtSoapIn">[\s\S]*?</wsdl:message>'), "2 times"),
        (twice(r'<s:element name="string".*/>'), "2 times"),
        (twice(r"<soap:binding .*/>"), "2 times"),
        (replace('name="Msg"', 'name="use of the input"'), "is not a name"),
        (field(FIELD.replace("s:string", "string")), "Unable to resolve type"),
        (replace('<wsdl:input message="tns:sendMesExtSoapIn" />', ""), "does not fit|cannot be"),
    ],
)
def test_load_of_an_inconsistent_wsdl_is_a_configuration_error(
    tmp_path: Path, change: Callable[[str], str], reason: str
) -> None:
    """A WSDL that refers to what it does not define, or defines twice, is not loaded."""
    with pytest.raises(ConfigurationError, match=reason):
        client(write(tmp_path / "changed.wsdl", change(SHIPPED)))


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
        ("<html/>", "its root element is html"),
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


@pytest.mark.parametrize("attempt", range(3))
def test_first_use_in_many_threads_at_once_works(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attempt: int
) -> None:
    """Threads that load, refresh and build clients first import zeep as a whole."""
    monkeypatch.setenv("YUNXIN_WSDL_CACHE", str(tmp_path))
    script = """
import asyncio, sys, threading
import yunxin_soap.wsdl

url, first = sys.argv[1], int(sys.argv[2])
together = threading.Barrier(60)
failed = []

def client():
    with yunxin_soap.Client("demo", "demo", endpoint=url) as built:
        assert built.service.sendMesExt("demo", "demo", "13900000000", "x【签名】", "37")

async def use_async_client():
    async with yunxin_soap.AsyncClient("demo", "demo", endpoint=url) as built:
        assert await built.service.sendMesExt("demo", "demo", "13900000000", "x【签名】", "37")

calls = [
    yunxin_soap.wsdl.load,
    lambda: yunxin_soap.wsdl.refresh(url),
    client,
    lambda: asyncio.run(use_async_client()),
]

def run(number):
    together.wait(60)
    try:
        calls[(number + first) % 4]()
    except BaseException as error:
        failed.append(repr(error))

threads = [threading.Thread(target=run, args=(number,)) for number in range(60)]
for each in threads:
    each.start()
for each in threads:
    each.join()
assert not failed, (len(failed), set(failed))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, sandbox.url, str(attempt)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_fork_while_importing_zeep_does_not_block_the_child() -> None:
    """A fork waits until another thread has imported zeep: a child cannot free its import locks."""
    script = """
import os, signal, sys, threading, warnings
import yunxin_soap

importing = threading.Event()

class Announce:
    def find_spec(self, name, path=None, target=None):
        if name == "zeep.wsdl":
            importing.set()

sys.meta_path.insert(0, Announce())
loading = threading.Thread(target=yunxin_soap.Client, args=("a", "b"))
loading.start()
importing.wait(60)
warnings.simplefilter("ignore")  # newer Pythons warn of threads at a fork
child = os.fork()
if not child:
    signal.alarm(20)
    yunxin_soap.Client("a", "b")
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
loading.join()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_fork_while_loading_does_not_block_the_child() -> None:
    """A child forked while a thread loads the WSDL can load it too."""
    script = """
import os, signal, threading, warnings
import yunxin_soap
from yunxin_soap.wire import zeep_adapter

reading, may_go_on = threading.Event(), threading.Event()
parse = zeep_adapter.parse

def slow(content, location):
    reading.set()
    may_go_on.wait(60)
    return parse(content, location)

zeep_adapter.parse = slow
loading = threading.Thread(target=yunxin_soap.Client, args=("a", "b"))
loading.start()
reading.wait(60)
zeep_adapter.parse = parse
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
