"""Encoding against zeep's own serialiser, decoding against zeep's own parser, and outcomes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import pytest
import requests
import zeep
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from yunxin_soap import InvalidRequest, OutcomeUnknown, Rejected, wsdl
from yunxin_soap.redact import Redactor
from yunxin_soap.sandbox.asmx import soap as asmx_soap
from yunxin_soap.transport.base import Response
from yunxin_soap.wire.codec import MAX_QUERY, Codec, Fields

PATH = "/api/MsgSend.asmx"
TNS = "http://tempuri.org/"
SOAP_11 = asmx_soap.SOAP_11
SOAP_12 = asmx_soap.SOAP_12

# Everything that XML can carry.
XML_TEXT = st.text(
    st.characters(
        exclude_categories=["Cs"],
        exclude_characters="".join(map(chr, {*range(32), 0xFFFE, 0xFFFF} - {9, 10, 13})),
    )
)
FIELDS = st.builds(Fields, *[XML_TEXT] * 6)


def protocol(port: wsdl.ProtocolName) -> Codec:
    return Codec(wsdl.load(wsdl.shipped_path()), port, PATH, Redactor("s3cr3t"))


PROTOCOLS = {port: protocol(port) for port in wsdl.PROTOCOLS}


class Capture:
    """A transport that keeps what zeep sends and answers what it is told."""

    def __init__(self) -> None:
        self.sent: dict[str, Any] = {}
        self.answer = Response(200, "text/xml", b"")

    def post(self, address: str, message: Any, headers: Mapping[str, str]) -> requests.Response:
        self.sent = {"url": address, "content": message, "headers": dict(headers)}
        return self._respond()

    get = post

    def post_xml(self, address: str, envelope: Any, headers: Mapping[str, str]) -> Any:
        from zeep.wsdl.utils import etree_to_string

        return self.post(address, etree_to_string(envelope), headers)

    def _respond(self) -> requests.Response:
        response = requests.Response()
        response.status_code = self.answer.status
        response.headers["Content-Type"] = self.answer.content_type
        response._content = self.answer.body
        return response


def call_zeep(
    port: wsdl.ProtocolName, fields: Fields, answer: Response
) -> tuple[dict[str, Any], Any]:
    """Send ``fields`` with zeep alone; return what it sent and what it read."""
    capture = Capture()
    capture.answer = answer
    document = wsdl.load(wsdl.shipped_path())
    client = zeep.Client(document, transport=capture)
    name = wsdl.binding(document, port).name.text
    service = client.create_service(name, f"http://gateway.example{PATH}")
    result = service.sendMesExt(**fields._asdict())
    return capture.sent, result


def canonical(xml: bytes) -> bytes:
    return etree.tostring(etree.fromstring(xml), method="c14n")


def answer_on(port: wsdl.ProtocolName, text: str, *, namespace: str = TNS) -> Response:
    inner = escape(text, {"\r": "&#13;"})
    if port.startswith("http"):
        return Response(200, "text/xml", f'<string xmlns="{namespace}">{inner}</string>'.encode())
    envelope = SOAP_12 if port == "soap12" else SOAP_11
    return Response(
        200,
        "text/xml",
        f'<s:Envelope xmlns:s="{envelope}"><s:Body><sendMesExtResponse xmlns="{namespace}">'
        f"<sendMesExtResult>{inner}</sendMesExtResult></sendMesExtResponse></s:Body>"
        "</s:Envelope>".encode(),
    )


@pytest.mark.parametrize("port", ["soap", "soap12"])
@given(fields=FIELDS)
def test_the_envelope_is_the_one_that_zeep_makes(port: wsdl.ProtocolName, fields: Fields) -> None:
    request = PROTOCOLS[port].encode(fields)
    sent, _ = call_zeep(port, fields, answer_on(port, "1"))
    assert request.body is not None
    assert canonical(request.body) == canonical(sent["content"])
    assert request.headers == sent["headers"]
    assert f"http://gateway.example{request.path}" == sent["url"]
    assert (request.method, request.query) == ("POST", "")


@given(fields=FIELDS)
def test_the_posted_form_is_the_one_that_zeep_makes(fields: Fields) -> None:
    request = PROTOCOLS["http-post"].encode(fields)
    sent, _ = call_zeep("http-post", fields, answer_on("http-post", "1"))
    assert request.body is not None
    assert request.body.decode() == sent["content"]
    assert request.headers == sent["headers"]
    assert f"http://gateway.example{request.path}" == sent["url"]


@given(fields=FIELDS)
def test_the_query_has_the_fields_that_zeep_gives(fields: Fields) -> None:
    try:
        request = PROTOCOLS["http-get"].encode(fields)
    except InvalidRequest:
        return
    sent, _ = call_zeep("http-get", fields, answer_on("http-get", "1"))
    by_requests = requests.Request("GET", sent["url"], params=sent["content"]).prepare().url
    assert by_requests is not None
    assert dict(parse_qsl(request.query, keep_blank_values=True)) == dict(
        parse_qsl(by_requests.partition("?")[2], keep_blank_values=True)
    )
    assert parse_qsl(request.query, keep_blank_values=True) == list(fields._asdict().items())
    assert f"http://gateway.example{request.path}" == sent["url"]
    assert (request.method, request.body) == ("GET", None)


@pytest.mark.parametrize("port", wsdl.PROTOCOLS)
@given(text=XML_TEXT)
def test_zeep_reads_the_same_answer(port: wsdl.ProtocolName, text: str) -> None:
    response = answer_on(port, text)
    _, by_zeep = call_zeep(port, Fields(*"abcdef"), response)
    assert PROTOCOLS[port].decode(response) == (by_zeep or "")


NUMBER = "2114355899380234221"
# Around and beside the number: what may hold one that is not the answer, or hide the one that is.
ODDITIES = st.sampled_from(
    ["", "\n", " ", f"<!--{NUMBER}-->", f"<?p {NUMBER}?>", "&#49;", "<![CDATA[1]]>", "&amp;", "x"]
)
NUMBERS = st.sampled_from(
    [
        NUMBER,
        "1",
        "-7",
        "-",
        "0",
        "",
        "1" * 21,
        "-6:1",
        "1<!--2-->",
        "１",
        "&#49;",
        f"21<?x {NUMBER}?>{NUMBER[2:]}",
    ]
)


@st.composite
def answers(draw: st.DrawFn, port: wsdl.ProtocolName, text: str) -> bytes:
    """An answer, or something that looks much like one."""
    attribute = draw(st.sampled_from(["", f' a="{NUMBER}"', " a='1'"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "us-ascii", "utf-16"]))
    body = answer_on(port, "TEXT").body.decode().replace("TEXT", text)
    body = body.replace(" xmlns=", f"{attribute} xmlns=", 1)
    places = [0, body.rindex("</sendMesExtResult>") if port == "soap" else len(body), len(body)]
    place = draw(st.sampled_from(places))
    body = body[:place] + draw(ODDITIES) + body[place:]
    declared = draw(st.sampled_from(["", f'<?xml version="1.0" encoding="{encoding}"?>']))
    return (declared + body).encode("utf-16" if encoding == "utf-16" else "utf-8")


def how_it_ends(reader: Codec, response: Response) -> tuple[type, str]:
    try:
        return str, reader.decode(response)
    except (Rejected, OutcomeUnknown) as error:
        return type(error), str(error)


@pytest.mark.parametrize("port", ["soap", "http-post"])
@settings(max_examples=300)
@given(data=st.data())
def test_an_answer_reads_the_same_after_another(
    port: wsdl.ProtocolName, data: st.DataObject
) -> None:
    bodies = data.draw(
        st.lists(NUMBERS.flatmap(lambda text: answers(port, text)), min_size=1, max_size=3)
    )
    # The last again, with one thing about it changed.
    last = bodies[-1]
    start = data.draw(st.integers(0, len(last)))
    stop = data.draw(st.integers(start, len(last)))
    bodies.append(last[:start] + data.draw(st.sampled_from([b"", b"7", b"&", b"<"])) + last[stop:])
    bodies.append(last.replace(NUMBER.encode(), data.draw(NUMBERS).encode()))
    bodies.append(last.replace(b"'1'", b"'2'"))
    experienced = copy.copy(PROTOCOLS[port])
    experienced._response_template = None
    for body in bodies:
        for status, content_type in ((200, "text/xml"), (200, "text/html"), (500, "text/xml")):
            fresh = copy.copy(PROTOCOLS[port])
            fresh._response_template = None
            response = Response(status, content_type, body)
            assert how_it_ends(experienced, response) == how_it_ends(fresh, response)


def test_nothing_is_learned_from_an_encoding_that_hides_the_number() -> None:
    def read(reader: Codec, attribute: str) -> str:
        body = (
            f"<?xml version='1.0' encoding='utf-7'?><string a='{attribute}' xmlns='{TNS}'>+ADEANw-"
        )
        return reader.decode(Response(200, "text/xml", f"{body}</string>".encode()))

    reader = protocol("http-post")
    assert [read(reader, attribute) for attribute in ("17", "18")] == ["17", "17"]


@pytest.mark.parametrize("port", wsdl.PROTOCOLS)
def test_only_the_first_of_like_answers_is_parsed(
    port: wsdl.ProtocolName, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = protocol(port)

    def read(number: str) -> str:
        body = b'<?xml version="1.0" encoding="utf-8"?>' + answer_on(port, number).body
        return reader.decode(Response(200, "text/xml; charset=utf-8", body))

    assert read(NUMBER) == NUMBER
    with monkeypatch.context() as patch:
        patch.setattr(etree, "fromstring", None)
        assert [read(number) for number in ("1", "-7", "9" * 20)] == ["1", "-7", "9" * 20]
        with pytest.raises(TypeError):
            read("-6:促销")
    assert read("-6:促销") == "-6:促销"


@pytest.mark.parametrize("port", ["soap", "soap12"])
@given(fields=FIELDS)
def test_the_sandbox_reads_what_was_encoded(port: wsdl.ProtocolName, fields: Fields) -> None:
    body = PROTOCOLS[port].encode(fields).body
    assert body is not None
    text = asmx_soap.decode(body, "text/xml", "utf-8")
    root = asmx_soap.parse(text)
    element = asmx_soap.body_of(root, asmx_soap.version_of(root))
    assert asmx_soap.read_fields(element) == fields._asdict()


def test_a_query_of_2048_characters_is_refused() -> None:
    def fields(length: int) -> Fields:
        return Fields("u", "p", "1", "m" * length, "37", "")

    empty = len(PROTOCOLS["http-get"].encode(fields(0)).query)
    longest = PROTOCOLS["http-get"].encode(fields(MAX_QUERY - 1 - empty))
    assert len(longest.query) == 2047
    with pytest.raises(InvalidRequest, match=r"2048 characters.*'soap' or 'http-post'"):
        PROTOCOLS["http-get"].encode(fields(MAX_QUERY - empty))


def test_no_repr_shows_query_or_body() -> None:
    for each in PROTOCOLS.values():
        shown = repr(each.encode(Fields("u", "s3cr3t", "13900000000", "m", "37", "")))
        assert "s3cr3t" not in shown
        assert "1390000" not in shown


FAULT_11 = (
    f'<s:Envelope xmlns:s="{SOAP_11}"><s:Body><s:Fault><faultcode>{{}}</faultcode>'
    "<faultstring>{}</faultstring><detail/></s:Fault></s:Body></s:Envelope>"
)
FAULT_12 = (
    f'<s:Envelope xmlns:s="{SOAP_12}"><s:Body><s:Fault><s:Code><s:Value>{{}}</s:Value></s:Code>'
    '<s:Reason><s:Text xml:lang="en">{}</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>'
)
GOOD_11 = answer_on("soap", "2114355899380234221").body.decode()
GOOD_HTTP = answer_on("http-get", "2114355899380234221").body.decode()
SOAPS: list[wsdl.ProtocolName] = ["soap", "soap12"]
HTTPS: list[wsdl.ProtocolName] = ["http-get", "http-post"]


def outcome(port: wsdl.ProtocolName, status: int, content_type: str, body: str | bytes) -> str:
    content = body.encode() if isinstance(body, str) else body
    try:
        return PROTOCOLS[port].decode(Response(status, content_type, content))
    except Rejected as error:
        assert error.code is None
        assert error.http_status == status
        assert error.safe_to_resend
        assert "\n" not in str(error)
        return "rejected"
    except OutcomeUnknown as error:
        assert error.http_status == status
        assert error.excerpt is not None
        assert "\n" not in str(error)
        return "unknown"


@pytest.mark.parametrize("port", SOAPS)
@pytest.mark.parametrize("status", [500, 200, 503])
@pytest.mark.parametrize(
    ("fault", "code", "ends"),
    [
        (FAULT_11, "s:Client", "rejected"),
        (FAULT_11, "s:Client.Authentication", "rejected"),
        (FAULT_11, "s:Server", "unknown"),
        (FAULT_11, "s:VersionMismatch", "unknown"),
        (FAULT_11, "s:MustUnderstand", "unknown"),
        (FAULT_11, "", "unknown"),
        (FAULT_12, "s:Sender", "rejected"),
        (FAULT_12, "s:Receiver", "unknown"),
        (FAULT_12, "s:DataEncodingUnknown", "unknown"),
    ],
)
def test_soap_faults_of_both_versions(
    port: wsdl.ProtocolName, status: int, fault: str, code: str, ends: str
) -> None:
    assert outcome(port, status, "text/xml", fault.format(code, "why\r\n not")) == ends


@pytest.mark.parametrize("port", wsdl.PROTOCOLS)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 407, 415, 429])
def test_an_http_4xx_is_a_refusal_whatever_it_says(port: wsdl.ProtocolName, status: int) -> None:
    assert outcome(port, status, "text/html", "<html>no</html>") == "rejected"
    assert outcome(port, status, "text/xml", GOOD_11) == "rejected"
    assert outcome(port, status, "", "") == "rejected"


@pytest.mark.parametrize("port", wsdl.PROTOCOLS)
@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        (500, "text/html", "<html>Runtime Error</html>"),
        (500, "text/xml", GOOD_11),
        (500, "text/xml", GOOD_HTTP),
        (500, "text/xml", ""),
        (502, "text/html", "<html>Bad Gateway</html>"),
        (503, "text/plain", "Missing parameter: ExeNo."),
        (301, "text/html", ""),
        (302, "text/html", "moved"),
        (307, "text/xml", GOOD_11),
        (204, "", ""),
        (202, "text/xml", GOOD_HTTP),
        (200, "text/html", "<html>log in</html>"),
        (200, "text/html", GOOD_11),
        (200, "text/html", GOOD_HTTP),
        (200, "text/plain", "2114355899380234221"),
        (200, "application/json", '"2114355899380234221"'),
        (200, "text/xml", ""),
        (200, "text/xml", GOOD_11[:-20]),
        (200, "text/xml", GOOD_HTTP[:-2]),
        (200, "text/xml", GOOD_HTTP + "junk"),
        (200, "text/xml", "<a/>"),
        (200, "text/xml", "2114355899380234221"),
        (200, "text/xml", answer_on("soap", "1", namespace="http://other.example/").body),
        (200, "text/xml", answer_on("http-get", "1", namespace="http://other.example/").body),
        (200, "text/xml", answer_on("http-get", "1", namespace="").body),
        (200, "text/xml", f'<!DOCTYPE string [<!ENTITY a "1">]>{GOOD_HTTP}'),
        (200, "text/xml", f'<!DOCTYPE string SYSTEM "file:///etc/passwd">{GOOD_HTTP}'),
        (200, "text/xml", f'<string xmlns="{TNS}">1<b>2</b></string>'),
        (200, "text/xml", f'<string xmlns="{TNS}">&undefined;</string>'),
        (200, "text/xml", f'<!DOCTYPE s [<!ENTITY e "1">]><string xmlns="{TNS}">&e;</string>'),
        (200, "text/xml", b"\xff\xfe\x00"),
        (200, "text/xml", b'<?xml version="1.0" encoding="no-such"?>' + GOOD_HTTP.encode()),
    ],
)
def test_what_is_no_answer_is_unknown(
    port: wsdl.ProtocolName, status: int, content_type: str, body: str | bytes
) -> None:
    assert outcome(port, status, content_type, body) == "unknown"


@pytest.mark.parametrize("port", wsdl.PROTOCOLS)
@pytest.mark.parametrize(
    "content_type",
    ["text/xml; charset=utf-8", "TEXT/XML", "application/xml", "application/soap+xml", ""],
)
def test_a_right_answer_is_read_under_every_xml_type(
    port: wsdl.ProtocolName, content_type: str
) -> None:
    good = answer_on(port, " -6:促销 ")
    assert outcome(port, 200, content_type, good.body) == " -6:促销 "


def test_an_answer_in_the_other_soap_version_is_unknown() -> None:
    assert outcome("soap", 200, "text/xml", answer_on("soap12", "1").body) == "unknown"
    assert outcome("soap12", 200, "text/xml", answer_on("soap", "1").body) == "unknown"


@pytest.mark.parametrize("port", wsdl.PROTOCOLS)
def test_empty_and_null_results_are_the_empty_text(port: wsdl.ProtocolName) -> None:
    assert outcome(port, 200, "text/xml", answer_on(port, "").body) == ""
    if port in SOAPS:
        null = asmx_soap.render_answer(None, SOAP_12 if port == "soap12" else SOAP_11)
    else:
        null = (
            f'<string xmlns="{TNS}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'
            ' i:nil="true" />'
        )
    assert outcome(port, 200, "text/xml", null) == ""


RESULT = "<sendMesExtResult>1</sendMesExtResult>"


@pytest.mark.parametrize("port", SOAPS)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (RESULT, RESULT + "<sendMesExtResult>-5</sendMesExtResult>"),
        (RESULT, RESULT + "<other/>"),
        (RESULT, "<other/>"),
        ("<s:Body>", "<s:Body><other/>"),
        ("</s:Body>", "</s:Body><s:Body/>"),
        (f'<sendMesExtResponse xmlns="{TNS}">{RESULT}</sendMesExtResponse>', ""),
    ],
)
def test_an_answer_with_anything_beside_it_is_unknown(
    port: wsdl.ProtocolName, old: str, new: str
) -> None:
    good = answer_on(port, "1").body.decode()
    assert outcome(port, 200, "text/xml", good) == "1"
    assert good != good.replace(old, new)
    assert outcome(port, 200, "text/xml", good.replace(old, new)) == "unknown"


@pytest.mark.parametrize("port", SOAPS)
def test_an_answer_may_have_a_header(port: wsdl.ProtocolName) -> None:
    good = answer_on(port, "1").body.decode()
    headed = good.replace("<s:Body>", "<s:Header><x/></s:Header><s:Body>", 1)
    assert outcome(port, 200, "text/xml", headed) == "1"


def test_a_result_that_is_not_xml_is_unknown() -> None:
    assert outcome("soap", 200, "text/xml", asmx_soap.render_answer("\x01", SOAP_11)) == "unknown"


@pytest.mark.parametrize("port", HTTPS)
@pytest.mark.parametrize("name", ["", "System.InvalidOperationException: "])
@pytest.mark.parametrize(
    "text",
    [
        "Missing parameter: ExeNo.",
        "Invalid method name &#39;SendMesExt&#39;,  method names are case sensitive.",
        "x Web Service method name is not valid.",
        "Request format is invalid: text/xml.",
        "A potentially dangerous Request.Form value was detected from the client (Msg=&quot;&lt;a",
        "A potentially dangerous Request.QueryString value was detected from the client",
    ],
)
def test_what_asp_net_raises_before_the_method_is_a_refusal(
    port: wsdl.ProtocolName, name: str, text: str
) -> None:
    body = f"{name}{text}\r\n   at System.Web.Services.Protocols.Something()"
    assert outcome(port, 500, "text/plain; charset=utf-8", body) == "rejected"
    assert outcome(port, 500, "text/html", body) == "unknown"
    assert outcome("soap", 500, "text/plain", body) == "unknown"


@pytest.mark.parametrize("port", HTTPS)
@pytest.mark.parametrize(
    "text",
    [
        "Object reference not set to an instance of an object.",
        "Could not save: Missing parameter: ExeNo.",
        "Maximum request length exceeded.",
        "",
    ],
)
def test_what_the_method_may_have_thrown_is_unknown(port: wsdl.ProtocolName, text: str) -> None:
    assert outcome(port, 500, "text/plain; charset=utf-8", text) == "unknown"


@pytest.mark.parametrize("port", wsdl.PROTOCOLS)
@given(status=st.integers(100, 599), body=st.binary(), content_type=st.text(max_size=20))
def test_no_answer_whatever_breaks_the_reader(
    port: wsdl.ProtocolName, status: int, body: bytes, content_type: str
) -> None:
    assert outcome(port, status, content_type, body) in ("rejected", "unknown")


def test_what_a_server_echoes_is_masked() -> None:
    page = b"<html>/sendMesExt?userPass=s3cr3t&amp;DesNo=13900000000</html>"
    for status in (404, 500):
        with pytest.raises((Rejected, OutcomeUnknown)) as caught:
            PROTOCOLS["http-get"].decode(Response(status, "text/html", page))
        assert "s3cr3t" not in f"{caught.value} {vars(caught.value)}"
        assert "13900000000" not in f"{caught.value} {vars(caught.value)}"
