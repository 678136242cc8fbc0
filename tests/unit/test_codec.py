"""The codec: it encodes and decodes as zeep does, and ends every response in the right outcome."""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping
from traceback import TracebackException
from typing import Any
from urllib.parse import parse_qsl, urlencode
from xml.sax.saxutils import escape

import pytest
import requests
import zeep
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.support.secret_detector import NUMBERS, PASSWORD, assert_no_secret
from yunxin_soap import InvalidRequest, OutcomeUnknown, Rejected, wsdl
from yunxin_soap.operation import PROTOCOLS, ProtocolName
from yunxin_soap.redact import Redactor
from yunxin_soap.sandbox.asmx import soap as asmx_soap
from yunxin_soap.transport.base import Response
from yunxin_soap.wire.codec import MAX_QUERY, Codec, Fields

PATH = "/api/MsgSend.asmx"
TNS = "http://tempuri.org/"
SOAP_11 = asmx_soap.SOAP_11
SOAP_12 = asmx_soap.SOAP_12

# All characters that XML allows.
XML_TEXT = st.text(
    st.characters(
        exclude_categories=["Cs"],
        exclude_characters="".join(map(chr, {*range(32), 0xFFFE, 0xFFFF} - {9, 10, 13})),
    )
)
FIELDS = st.builds(Fields, *[XML_TEXT] * 6)


def new_codec(protocol: ProtocolName) -> Codec:
    return Codec(wsdl.load(wsdl.shipped_path()), protocol, PATH, Redactor("s3cr3t"))


CODECS = {protocol: new_codec(protocol) for protocol in PROTOCOLS}
UNUSED_CODECS = {protocol: new_codec(protocol) for protocol in PROTOCOLS}
"""Codecs that decode nothing themselves: a copy of one knows no earlier response."""


class ZeepTransport:
    """A transport for zeep that keeps the request and returns a given response."""

    def __init__(self) -> None:
        self.sent: dict[str, Any] = {}
        self.response = Response(200, "text/xml", b"")

    def post(self, address: str, message: Any, headers: Mapping[str, str]) -> requests.Response:
        self.sent = {"url": address, "content": message, "headers": dict(headers)}
        return self._respond()

    get = post

    def post_xml(self, address: str, envelope: Any, headers: Mapping[str, str]) -> Any:
        from zeep.wsdl.utils import etree_to_string

        return self.post(address, etree_to_string(envelope), headers)

    def _respond(self) -> requests.Response:
        response = requests.Response()
        response.status_code = self.response.status
        response.headers["Content-Type"] = self.response.content_type
        response.raw = io.BytesIO(self.response.body)
        return response


def call_zeep(
    protocol: ProtocolName, fields: Fields, response: Response
) -> tuple[dict[str, Any], Any]:
    """Call zeep itself, and return its request and its result."""
    transport = ZeepTransport()
    transport.response = response
    document = wsdl.load(wsdl.shipped_path())
    client = zeep.Client(document, transport=transport)
    name = wsdl.binding(document, protocol).name.text
    service = client.create_service(name, f"http://gateway.example{PATH}")
    result = service.sendMesExt(**fields._asdict())
    return transport.sent, result


def canonical(xml: bytes) -> bytes:
    return etree.tostring(etree.fromstring(xml), method="c14n")


def result_response(protocol: ProtocolName, text: str, *, namespace: str = TNS) -> Response:
    inner = escape(text, {"\r": "&#13;"})
    if protocol.startswith("http"):
        return Response(200, "text/xml", f'<string xmlns="{namespace}">{inner}</string>'.encode())
    envelope = SOAP_12 if protocol == "soap12" else SOAP_11
    return Response(
        200,
        "text/xml",
        f'<s:Envelope xmlns:s="{envelope}"><s:Body><sendMesExtResponse xmlns="{namespace}">'
        f"<sendMesExtResult>{inner}</sendMesExtResult></sendMesExtResponse></s:Body>"
        "</s:Envelope>".encode(),
    )


@pytest.mark.parametrize("protocol", ["soap", "soap12"])
@given(fields=FIELDS)
def test_encode_soap_equals_zeeps_request(protocol: ProtocolName, fields: Fields) -> None:
    """The SOAP request is the one that zeep makes."""
    request = CODECS[protocol].encode(fields)
    sent, _ = call_zeep(protocol, fields, result_response(protocol, "1"))
    assert request.body is not None
    assert canonical(request.body) == canonical(sent["content"])
    assert request.headers == sent["headers"]
    assert f"http://gateway.example{request.path}" == sent["url"]
    assert (request.method, request.query) == ("POST", "")


@given(fields=FIELDS)
def test_encode_form_equals_zeeps_request(fields: Fields) -> None:
    """The form is the one that zeep makes."""
    request = CODECS["http-post"].encode(fields)
    sent, _ = call_zeep("http-post", fields, result_response("http-post", "1"))
    assert request.body is not None
    assert request.body.decode() == sent["content"]
    assert request.headers == sent["headers"]
    assert f"http://gateway.example{request.path}" == sent["url"]


@given(fields=FIELDS)
def test_encode_query_has_zeeps_fields(fields: Fields) -> None:
    """The query has the fields that zeep gives, in their order."""
    try:
        request = CODECS["http-get"].encode(fields)
    except InvalidRequest:
        return
    sent, _ = call_zeep("http-get", fields, result_response("http-get", "1"))
    by_requests = requests.Request("GET", sent["url"], params=sent["content"]).prepare().url
    assert by_requests is not None
    assert dict(parse_qsl(request.query, keep_blank_values=True)) == dict(
        parse_qsl(by_requests.partition("?")[2], keep_blank_values=True)
    )
    assert parse_qsl(request.query, keep_blank_values=True) == list(fields._asdict().items())
    assert f"http://gateway.example{request.path}" == sent["url"]
    assert (request.method, request.body) == ("GET", None)


@given(st.data())
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_encode_after_other_submissions_equals_first_encoding(
    protocol: ProtocolName, data: st.DataObject
) -> None:
    """A codec that has encoded other submissions encodes as a new one."""
    words = st.sampled_from(["", "a", "b&<", "签名", "1,2", "1 2\r", "%20+~_.-*/"])
    used = copy.copy(UNUSED_CODECS[protocol])
    for fields in data.draw(st.lists(st.builds(Fields, *[words] * 6), min_size=2, max_size=5)):
        assert used.encode(fields) == copy.copy(UNUSED_CODECS[protocol]).encode(fields)


@given(fields=FIELDS)
def test_encode_http_equals_urlencode(fields: Fields) -> None:
    """Form and query are what `urllib.parse.urlencode` makes of the six fields."""
    expected = urlencode(fields._asdict())
    assert CODECS["http-post"].encode(fields).body == expected.encode()
    if len(expected) < MAX_QUERY:
        assert CODECS["http-get"].encode(fields).query == expected


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", Fields._fields[2:])
def test_encode_field_that_fails_leaves_no_password_in_a_frame(
    protocol: ProtocolName, name: str
) -> None:
    """No local variable of a frame shows the password when another field cannot be encoded."""
    fields = Fields("demo", PASSWORD, *NUMBERS, "37", "")._replace(**{name: "\ud800"})
    codec = copy.copy(UNUSED_CODECS[protocol])
    with pytest.raises(UnicodeEncodeError) as caught:
        codec.encode(fields)
    shown = TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [frame for frame in shown.stack if frame.filename.endswith("codec.py")]
    assert frames
    for frame in frames[1:]:  # the first is this test
        assert_no_secret(str(frame.locals).replace(NUMBERS[0], "").replace(NUMBERS[1], ""))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(text=XML_TEXT)
def test_decode_equals_zeeps_result(protocol: ProtocolName, text: str) -> None:
    """The result is the one that zeep reads."""
    response = result_response(protocol, text)
    _, by_zeep = call_zeep(protocol, Fields(*"abcdef"), response)
    assert CODECS[protocol].decode(response) == (by_zeep or "")


NUMBER = "2114355899380234221"
# Texts around the number: they hold a number that is not the result, or hide the one that is.
ODDITIES = st.sampled_from(
    ["", "\n", " ", f"<!--{NUMBER}-->", f"<?p {NUMBER}?>", "&#49;", "<![CDATA[1]]>", "&amp;", "x"]
)
RESULTS = st.sampled_from(
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
def similar_bodies(draw: st.DrawFn, protocol: ProtocolName, text: str) -> bytes:
    """Draw the body of a response, or one that looks much like it."""
    attribute = draw(st.sampled_from(["", f' a="{NUMBER}"', " a='1'"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "us-ascii", "utf-16"]))
    body = result_response(protocol, "TEXT").body.decode().replace("TEXT", text)
    body = body.replace(" xmlns=", f"{attribute} xmlns=", 1)
    places = [0, body.rindex("</sendMesExtResult>") if protocol == "soap" else len(body), len(body)]
    place = draw(st.sampled_from(places))
    body = body[:place] + draw(ODDITIES) + body[place:]
    declared = draw(st.sampled_from(["", f'<?xml version="1.0" encoding="{encoding}"?>']))
    return (declared + body).encode("utf-16" if encoding == "utf-16" else "utf-8")


def decode(codec: Codec, response: Response) -> tuple[type, str]:
    try:
        return str, codec.decode(response)
    except (Rejected, OutcomeUnknown) as error:
        return type(error), str(error)


@pytest.mark.parametrize("protocol", ["soap", "http-post"])
@settings(max_examples=300)
@given(data=st.data())
def test_decode_after_other_responses_equals_a_fresh_codecs(
    protocol: ProtocolName, data: st.DataObject
) -> None:
    """Earlier responses never change how a response is decoded."""
    bodies = data.draw(
        st.lists(
            RESULTS.flatmap(lambda text: similar_bodies(protocol, text)), min_size=1, max_size=3
        )
    )
    # The last one again, each time with one change.
    last = bodies[-1]
    start = data.draw(st.integers(0, len(last)))
    stop = data.draw(st.integers(start, len(last)))
    bodies.append(last[:start] + data.draw(st.sampled_from([b"", b"7", b"&", b"<"])) + last[stop:])
    bodies.append(last.replace(NUMBER.encode(), data.draw(RESULTS).encode()))
    bodies.append(last.replace(b"'1'", b"'2'"))
    used = copy.copy(UNUSED_CODECS[protocol])
    for body in bodies:
        for status, content_type in ((200, "text/xml"), (200, "text/html"), (500, "text/xml")):
            fresh = copy.copy(UNUSED_CODECS[protocol])
            response = Response(status, content_type, body)
            assert decode(used, response) == decode(fresh, response)


def test_decode_learns_nothing_from_another_encoding() -> None:
    """An encoding that hides the number gives no template."""

    def read(codec: Codec, attribute: str) -> str:
        body = (
            f"<?xml version='1.0' encoding='utf-7'?><string a='{attribute}' xmlns='{TNS}'>+ADEANw-"
        )
        return codec.decode(Response(200, "text/xml", f"{body}</string>".encode()))

    codec = new_codec("http-post")
    assert [read(codec, attribute) for attribute in ("17", "18")] == ["17", "17"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_decode_of_a_known_response_skips_the_parser(
    protocol: ProtocolName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of responses that differ only in the number, the first is parsed."""
    codec = new_codec(protocol)

    def read(number: str) -> str:
        body = b'<?xml version="1.0" encoding="utf-8"?>' + result_response(protocol, number).body
        return codec.decode(Response(200, "text/xml; charset=utf-8", body))

    assert read(NUMBER) == NUMBER
    with monkeypatch.context() as patch:
        patch.setattr(etree, "fromstring", None)
        assert [read(number) for number in ("1", "-7", "9" * 20)] == ["1", "-7", "9" * 20]
        with pytest.raises(TypeError):
            read("-6:促销")
    assert read("-6:促销") == "-6:促销"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_decode_of_a_known_length_with_other_bytes_is_parsed(
    protocol: ProtocolName,
) -> None:
    """A response as long as the known one, with other bytes around the number, is parsed."""
    good = result_response(protocol, NUMBER)
    number = NUMBER.encode()
    before, _, after = good.body.partition(number)
    others = [before.replace(TNS.encode(), TNS.upper().encode()) + number + after]
    others.append(
        before + number + after.replace(b"</string>", b"</STRING>").replace(b"Ext", b"ext")
    )
    others.append(before + number[:-1] + b" " + after)  # white space is part of the result
    codec = new_codec(protocol)
    assert codec.decode(good) == NUMBER
    ends = [decode(codec, Response(200, "text/xml", body)) for body in others]
    assert [len(body) for body in others] == [len(good.body)] * 3
    assert [kind for kind, _ in ends] == [OutcomeUnknown, OutcomeUnknown, str]
    assert ends[2][1] == f"{NUMBER[:-1]} "


@pytest.mark.parametrize("protocol", ["soap", "soap12"])
@given(fields=FIELDS)
def test_encode_soap_is_read_by_the_sandbox(protocol: ProtocolName, fields: Fields) -> None:
    """The sandbox reads the fields that were encoded."""
    body = CODECS[protocol].encode(fields).body
    assert body is not None
    text = asmx_soap.decode(body, "text/xml", "utf-8")
    root = asmx_soap.parse(text)
    element = asmx_soap.body_of(root, asmx_soap.version_of(root))
    assert asmx_soap.read_fields(element) == fields._asdict()


def test_encode_query_of_2048_characters_is_invalid() -> None:
    """A query of 2048 characters is invalid, and the error names other protocols."""

    def fields(length: int) -> Fields:
        return Fields("u", "p", "1", "m" * length, "37", "")

    empty = len(CODECS["http-get"].encode(fields(0)).query)
    longest = CODECS["http-get"].encode(fields(MAX_QUERY - 1 - empty))
    assert len(longest.query) == 2047
    with pytest.raises(InvalidRequest, match=r"2048 characters.*'soap' or 'http-post'"):
        CODECS["http-get"].encode(fields(MAX_QUERY - empty))


def test_request_repr_omits_query_and_body() -> None:
    """The ``repr`` of a request omits query and body."""
    for each in CODECS.values():
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
GOOD_11 = result_response("soap", "2114355899380234221").body.decode()
GOOD_HTTP = result_response("http-get", "2114355899380234221").body.decode()
SOAPS: list[ProtocolName] = ["soap", "soap12"]
HTTPS: list[ProtocolName] = ["http-get", "http-post"]


def outcome(protocol: ProtocolName, status: int, content_type: str, body: str | bytes) -> str:
    content = body.encode() if isinstance(body, str) else body
    try:
        return CODECS[protocol].decode(Response(status, content_type, content))
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


@pytest.mark.parametrize("protocol", SOAPS)
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
def test_decode_soap_fault_ends_by_its_code(
    protocol: ProtocolName, status: int, fault: str, code: str, ends: str
) -> None:
    """A SOAP fault ends by its code, in either version and with any status."""
    assert outcome(protocol, status, "text/xml", fault.format(code, "why\r\n not")) == ends


@pytest.mark.parametrize(("code", "kind"), [("Client", Rejected), ("Server", OutcomeUnknown)])
def test_decode_long_soap_fault_is_truncated_and_printable(
    code: str, kind: type[Rejected | OutcomeUnknown]
) -> None:
    """The message of a long SOAP fault is truncated, and has no control characters."""
    body = FAULT_11.format(f"s:{code}", "why\u202e\x85 not " * 1000)
    with pytest.raises(kind) as caught:
        CODECS["soap"].decode(Response(500, "text/xml", body.encode()))
    assert "why\ufffd not" in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "status",
    [400, 401, 403, 404, 405, 407, 408, 411, 413, 414, 415, 417, 418, 426, 429, 431, 499],
)
def test_decode_status_4xx_is_rejected_with_any_body(protocol: ProtocolName, status: int) -> None:
    """A 4xx status is rejected, whatever its body."""
    assert outcome(protocol, status, "text/html", "<html>no</html>") == "rejected"
    assert outcome(protocol, status, "text/xml", GOOD_11) == "rejected"
    assert outcome(protocol, status, "", "") == "rejected"


@pytest.mark.parametrize("protocol", PROTOCOLS)
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
        (200, "text/xml", result_response("soap", "1", namespace="http://other.example/").body),
        (200, "text/xml", result_response("http-get", "1", namespace="http://other.example/").body),
        (200, "text/xml", result_response("http-get", "1", namespace="").body),
        (200, "text/xml", f'<!DOCTYPE string [<!ENTITY a "1">]>{GOOD_HTTP}'),
        (200, "text/xml", f'<!DOCTYPE string SYSTEM "file:///etc/passwd">{GOOD_HTTP}'),
        (200, "text/xml", f'<string xmlns="{TNS}">1<b>2</b></string>'),
        (200, "text/xml", f'<string xmlns="{TNS}">&undefined;</string>'),
        (200, "text/xml", f'<!DOCTYPE s [<!ENTITY e "1">]><string xmlns="{TNS}">&e;</string>'),
        (200, "text/xml", b"\xff\xfe\x00"),
        (200, "text/xml", b'<?xml version="1.0" encoding="no-such"?>' + GOOD_HTTP.encode()),
    ],
)
def test_decode_of_anything_else_is_unknown(
    protocol: ProtocolName, status: int, content_type: str, body: str | bytes
) -> None:
    """Everything but a response of the method is unknown."""
    assert outcome(protocol, status, content_type, body) == "unknown"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "content_type",
    ["text/xml; charset=utf-8", "TEXT/XML", "application/xml", "application/soap+xml", ""],
)
def test_decode_reads_every_xml_media_type(protocol: ProtocolName, content_type: str) -> None:
    """A result is read under every media type of XML."""
    good = result_response(protocol, " -6:促销 ")
    assert outcome(protocol, 200, content_type, good.body) == " -6:促销 "


def test_decode_of_the_other_soap_version_is_unknown() -> None:
    """A response in the other SOAP version is unknown."""
    assert outcome("soap", 200, "text/xml", result_response("soap12", "1").body) == "unknown"
    assert outcome("soap12", 200, "text/xml", result_response("soap", "1").body) == "unknown"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_decode_of_empty_or_null_result_is_empty(protocol: ProtocolName) -> None:
    """Empty and null results are the empty text."""
    assert outcome(protocol, 200, "text/xml", result_response(protocol, "").body) == ""
    if protocol in SOAPS:
        null = asmx_soap.render_response(None, SOAP_12 if protocol == "soap12" else SOAP_11)
    else:
        null = (
            f'<string xmlns="{TNS}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'
            ' i:nil="true" />'
        )
    assert outcome(protocol, 200, "text/xml", null) == ""


RESULT = "<sendMesExtResult>1</sendMesExtResult>"


@pytest.mark.parametrize("protocol", SOAPS)
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
def test_decode_of_a_result_with_siblings_is_unknown(
    protocol: ProtocolName, old: str, new: str
) -> None:
    """A response with anything beside the result is unknown."""
    good = result_response(protocol, "1").body.decode()
    assert outcome(protocol, 200, "text/xml", good) == "1"
    assert good != good.replace(old, new)
    assert outcome(protocol, 200, "text/xml", good.replace(old, new)) == "unknown"


@pytest.mark.parametrize("protocol", SOAPS)
def test_decode_ignores_a_soap_header(protocol: ProtocolName) -> None:
    """A SOAP envelope may have a header."""
    good = result_response(protocol, "1").body.decode()
    headed = good.replace("<s:Body>", "<s:Header><x/></s:Header><s:Body>", 1)
    assert outcome(protocol, 200, "text/xml", headed) == "1"


def test_decode_of_a_result_outside_xml_is_unknown() -> None:
    """A result with a character that XML does not allow is unknown."""
    assert outcome("soap", 200, "text/xml", asmx_soap.render_response("\x01", SOAP_11)) == "unknown"


@pytest.mark.parametrize("protocol", HTTPS)
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
def test_decode_error_before_the_method_is_rejected(
    protocol: ProtocolName, name: str, text: str
) -> None:
    """ASP.NET's errors before the method are rejected on HTTP GET and POST only."""
    body = f"{name}{text}\r\n   at System.Web.Services.Protocols.Something()"
    assert outcome(protocol, 500, "text/plain; charset=utf-8", body) == "rejected"
    assert outcome(protocol, 500, "text/html", body) == "unknown"
    assert outcome("soap", 500, "text/plain", body) == "unknown"


@pytest.mark.parametrize("protocol", HTTPS)
@pytest.mark.parametrize(
    "text",
    [
        "Object reference not set to an instance of an object.",
        "Could not save: Missing parameter: ExeNo.",
        "Maximum request length exceeded.",
        "",
    ],
)
def test_decode_error_that_the_method_may_have_thrown_is_unknown(
    protocol: ProtocolName, text: str
) -> None:
    """An error that the method may have thrown is unknown."""
    assert outcome(protocol, 500, "text/plain; charset=utf-8", text) == "unknown"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(status=st.integers(100, 599), body=st.binary(), content_type=st.text(max_size=20))
def test_decode_of_random_bytes_never_raises_another_error(
    protocol: ProtocolName, status: int, body: bytes, content_type: str
) -> None:
    """Random responses end as rejected or unknown."""
    assert outcome(protocol, status, content_type, body) in ("rejected", "unknown")


def test_decode_error_redacts_an_echo() -> None:
    """Errors mask what a server echoes."""
    page = b"<html>/sendMesExt?userPass=s3cr3t&amp;DesNo=13900000000</html>"
    for status in (404, 500):
        with pytest.raises((Rejected, OutcomeUnknown)) as caught:
            CODECS["http-get"].decode(Response(status, "text/html", page))
        assert "s3cr3t" not in f"{caught.value} {vars(caught.value)}"
        assert "13900000000" not in f"{caught.value} {vars(caught.value)}"
