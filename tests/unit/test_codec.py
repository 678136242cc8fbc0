"""The codec: it encodes and decodes as zeep does, and ends every response in the right outcome."""

from __future__ import annotations

import codecs
import copy
import html
import io
import json
import re
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from traceback import TracebackException
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode
from xml.sax.saxutils import escape

import pytest
import requests
import zeep
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.support.secret_detector import (
    NUMBERS,
    PASSWORD,
    assert_no_secret,
    assert_no_secret_kept,
)
from yunxin_soap import InvalidRequest, OutcomeUnknown, Rejected, Submission, wsdl
from yunxin_soap.codes import REJECTED_STATUSES, Category
from yunxin_soap.operation import PROTOCOLS, ProtocolName
from yunxin_soap.redact import Redactor
from yunxin_soap.results import parse_result
from yunxin_soap.sandbox.asmx import soap as asmx_soap
from yunxin_soap.translation import chinese, translate_error
from yunxin_soap.transport.base import Response
from yunxin_soap.wire.codec import MAX_QUERY, Codec, Fields, SubmissionEncoder, _parser

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
ESCAPED = Fields("a&b", "a<b", "13900000000,13900000001", "]]>", "3 7", "%20")
"""What random texts seldom have."""


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


BINDINGS = {
    "soap": "MsgSendSoap",
    "soap12": "MsgSendSoap12",
    "http-get": "MsgSendHttpGet",
    "http-post": "MsgSendHttpPost",
}


def call_zeep(
    protocol: ProtocolName, fields: Fields, response: Response
) -> tuple[dict[str, Any], Any]:
    """Call zeep itself, and return its request and its result."""
    transport = ZeepTransport()
    transport.response = response
    document = wsdl.load(wsdl.shipped_path()).document
    client = zeep.Client(document, transport=transport)
    (name,) = (each for each in document.bindings if each.endswith(f"}}{BINDINGS[protocol]}"))
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
@example(fields=ESCAPED)
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


@example(fields=ESCAPED)
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
@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [2, 4, 0, 5, 1, 3]])
def test_submission_encoder_equals_codec(
    protocol: ProtocolName, order: list[int], data: st.DataObject
) -> None:
    """An encoder that has encoded other submissions encodes each as the codec does."""
    words = st.sampled_from(["", "a", "b&> <", "签名", "1,2", "1 2\r", "%20+~_.-*/"])
    codec = copy.copy(CODECS[protocol])
    codec.order = order  # as another WSDL may have it
    account = data.draw(st.tuples(words, words))
    encoder = SubmissionEncoder(codec, *account)
    submissions = st.builds(Submission, st.lists(words, max_size=3).map(tuple), words, words, words)
    for each in data.draw(st.lists(submissions, min_size=2, max_size=5)):
        fields = Fields(
            *account, ",".join(each.recipients), each.message, each.channel, each.extension
        )
        assert encoder.fields(each) == fields
        assert encoder.encode(each) == codec.encode(fields)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_submission_encoder_checks_what_the_protocol_can_carry(protocol: ProtocolName) -> None:
    """On http-get and http-post, a message that ASP.NET would reject is invalid."""
    encoder = SubmissionEncoder(CODECS[protocol], "demo", "demo")
    submission = Submission(("13900000000",), "<a>【签名】", "37", "")
    if protocol.startswith("soap"):
        assert encoder.encode(submission).body is not None
        return
    with pytest.raises(InvalidRequest, match="'<a' at character 1"):
        encoder.encode(submission)


@example(fields=ESCAPED)
@given(fields=FIELDS)
def test_encode_http_equals_urlencode(fields: Fields) -> None:
    """Form and query are what `urllib.parse.urlencode` makes of the six fields."""
    expected = urlencode(fields._asdict())
    assert CODECS["http-post"].encode(fields).body == expected.encode()
    if len(expected) < MAX_QUERY:
        assert CODECS["http-get"].encode(fields).query == expected


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", Fields._fields[2:])
@pytest.mark.parametrize("by_encoder", [True, False])
def test_encode_field_that_fails_leaves_no_password_in_a_frame(
    protocol: ProtocolName, name: str, by_encoder: bool
) -> None:
    """No local variable of a frame shows the password when another field cannot be encoded."""
    fields = Fields("demo", PASSWORD, *NUMBERS, "37", "")._replace(**{name: "\ud800"})
    codec = CODECS[protocol]
    submission = Submission((fields.DesNo,), fields.Msg, fields.Channel, fields.ExeNo)
    encoder = SubmissionEncoder(codec, "demo", PASSWORD)
    encode = partial(encoder.encode, submission) if by_encoder else partial(codec.encode, fields)
    with pytest.raises(UnicodeEncodeError) as caught:
        encode()
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
XSI = "http://www.w3.org/2001/XMLSchema-instance"
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
    attribute = draw(
        st.sampled_from(
            ["", f' a="{NUMBER}"', " a='1'", " href='#1'", f' xmlns:i="{XSI}" i:nil="true"']
        )
    )
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "us-ascii", "utf-16"]))
    body = result_response(protocol, "TEXT").body.decode().replace("TEXT", text)
    body = body.replace(" xmlns=", f"{attribute} xmlns=", 1)
    places = [0, body.rindex("</sendMesExtResult>") if protocol == "soap" else len(body), len(body)]
    place = draw(st.sampled_from(places))
    body = body[:place] + draw(ODDITIES) + body[place:]
    declared = draw(st.sampled_from(["", f'<?xml version="1.0" encoding="{encoding}"?>']))
    before = draw(st.sampled_from(["", "", "\ufeff", " \n"]))
    return (before + declared + body).encode("utf-16" if encoding == "utf-16" else "utf-8")


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
        for status, content_type in (
            (200, "text/xml"),
            (200, "text/xml; charset=utf-8"),
            (200, "text/xml; charset=utf-16"),
            (200, "text/html"),
            (500, "text/xml"),
        ):
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


def test_encode_query_that_is_too_long_leaves_no_password_in_a_frame() -> None:
    """No local variable of a frame shows the password."""
    fields = Fields("demo", PASSWORD, *NUMBERS, "37", "")._replace(Msg="m" * MAX_QUERY)
    with pytest.raises(InvalidRequest) as caught:
        CODECS["http-get"].encode(fields)
    assert_no_secret_kept(caught.value)


def test_encode_query_asks_caches_not_to_answer() -> None:
    """A cache would answer a repeated HTTP GET itself, and nothing would be sent."""
    request = CODECS["http-get"].encode(Fields("u", "p", "13900000000", "m", "37", ""))
    assert request.headers == {"Cache-Control": "no-cache, no-store"}


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
        assert error.category is Category.CONFIGURATION
        assert error.http_status == status
        assert error.safe_to_resend
        assert "\n" not in str(error)
        return "rejected"
    except OutcomeUnknown as error:
        assert error.http_status == status
        assert error.excerpt is not None
        assert "\n" not in str(error)
        return "unknown"


def said(protocol: ProtocolName, status: int, body: str, content_type: str = "text/xml") -> str:
    """Return the text of the error that a response ends in."""
    with pytest.raises((Rejected, OutcomeUnknown)) as caught:
        CODECS[protocol].decode(Response(status, content_type, body.encode()))
    return str(caught.value)


@pytest.mark.parametrize("protocol", SOAPS)
@pytest.mark.parametrize("status", [500, 200])
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
    """A SOAP fault ends by its code, in either version, with the statuses of SOAP."""
    assert outcome(protocol, status, "text/xml", fault.format(code, "why\r\n not")) == ends


@pytest.mark.parametrize("protocol", SOAPS)
@pytest.mark.parametrize("status", [202, 302, 408, 499, 502, 503, 504])
def test_decode_soap_fault_with_a_status_of_doubt_is_unknown(
    protocol: ProtocolName, status: int
) -> None:
    """A fault that blames the client does not make up for a status that leaves it open."""
    response = Response(status, "text/xml", FAULT_11.format("s:Client", "why").encode())
    with pytest.raises(OutcomeUnknown) as caught:
        CODECS[protocol].decode(response)
    assert f'HTTP status {status} and a SOAP Client fault ("why")' in str(caught.value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("code", "ends"),
    [("s:Client", "rejected"), ("s:Server", "unknown"), ("", "unknown"), ("MustX", "unknown")],
)
def test_decode_rejected_status_with_a_soap_fault_ends_by_both(
    protocol: ProtocolName, code: str, ends: str
) -> None:
    """A fault that does not blame the client contradicts a status that does."""
    assert outcome(protocol, 400, "text/xml", FAULT_11.format(code, "why")) == ends


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


@pytest.mark.parametrize(
    ("protocol", "response", "expected"),
    [
        ("soap", Response(404, "text/html", b""), "HTTP 状态 404。"),
        ("soap", Response(302, "text/html", b""), "HTTP 状态 302（不跟随重定向）。"),
        ("soap", Response(200, "", b"x"), "无法读取为 XML 的内容（Content-Type 缺失）。"),
        ("soap", Response(200, "text/xml", b"<x/>"), "不是 sendMesExt 响应的 XML。"),
        (
            "soap",
            Response(400, "text/xml", FAULT_11.format("s:Server", "why").encode()),
            "HTTP 状态 400 和 SOAP Server 错误（“why”），互相矛盾。",
        ),
        (
            "soap",
            Response(500, "text/xml", FAULT_11.format("s:Client", "why").encode()),
            "SOAP Client 错误（“why”）。",
        ),
        (
            "http-get",
            Response(500, "text/plain", b"Missing parameter: userCode.\r\n"),
            "HTTP 状态 500：Missing parameter: userCode。",
        ),
    ],
)
def test_decode_error_in_chinese_quotes_only_the_server_in_english(
    protocol: ProtocolName, response: Response, expected: str
) -> None:
    """What the library says of a response is Chinese, the server's own words stay."""
    with pytest.raises((Rejected, OutcomeUnknown)) as caught:
        CODECS[protocol].decode(response)
    assert expected in translate_error(caught.value, chinese())


REJECTED = (400, 401, 403, 404, 405, 407, 411, 413, 414, 415, 417, 426, 429, 431)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("status", range(100, 600))
def test_decode_status_is_rejected_only_if_it_is_listed(
    protocol: ProtocolName, status: int
) -> None:
    """A status that a server gives before it runs the service is rejected, every other unknown."""
    expected = "rejected" if status in REJECTED else "unknown"
    assert outcome(protocol, status, "text/html", "<html>no</html>") == expected
    assert outcome(protocol, status, "", "") == expected
    assert outcome(protocol, status, "text/plain", b"\xff\xfe\x00") == expected


def test_rejected_statuses_are_the_listed_ones() -> None:
    """The list of statuses that reject is complete, and each says what to do."""
    assert tuple(REJECTED_STATUSES) == REJECTED
    for status, remedy in REJECTED_STATUSES.items():
        with pytest.raises(Rejected) as caught:
            CODECS["soap"].decode(Response(status, "text/html", b""))
        error = caught.value
        assert str(error) == (
            f"The gateway rejected the request with HTTP status {status}. No SMS was sent:"
            f" {remedy}."
        )
        assert error.temporary is error.retryable is (status == 429)


RESULT_11 = result_response("soap", "TEXT").body.decode()
RESULT_12 = result_response("soap12", "TEXT").body.decode()
RESULT_HTTP = result_response("http-get", "TEXT").body.decode()
ANY_RESULT = st.sampled_from([RESULT_11, RESULT_12, RESULT_HTTP])
ENCODINGS = ["utf-8", "gbk", "utf-16", "utf-16-be", "utf-32", "cp1252"]
REFUSALS = [
    (404, "text/html", "<html><body>Not found<p>{}</body></html>"),
    (429, "application/json", '{{"error": {}}}'),
    (403, "text/plain", "Denied. {}"),
    (400, "text/xml", "{}"),
    (500, "text/plain; charset=utf-8", "Missing parameter: ExeNo.\r\n{}"),
    (500, "text/xml", FAULT_11.replace("{}", "s:Client", 1).replace("<detail/>", "{}")),
    (200, "text/xml", FAULT_11.replace("{}", "s:Client", 1).replace("<detail/>", "{}")),
    (
        200,
        "text/xml",
        FAULT_12.replace("{}", "s:Sender", 1).replace("</s:Reason>", "{}</s:Reason>"),
    ),
]
"""Responses that reject, with a place for more."""
FORMS: dict[str, Callable[[str], str]] = {
    "whole": str,
    "declared": '<?xml version="1.0" encoding="utf-8"?>{}'.format,
    "escaped": html.escape,
    "escaped twice": lambda text: html.escape(html.escape(text)),
    "in numbers": lambda text: "".join(f"&#{ord(each)};" for each in text),
    "JSON": json.dumps,
    "JSON of PHP": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON of .NET": lambda text: json.dumps(text).replace("<", "\\u003c").replace(">", "\\u003e"),
    "CDATA": "<![CDATA[{}]]>".format,
    "comment": "<!-- {} -->".format,
    "prefixed": lambda text: (
        text.replace("<sendMes", "<t:sendMes")
        .replace("</sendMes", "</t:sendMes")
        .replace("<string xmlns", "<t:string xmlns:t")
        .replace("</string", "</t:string")
        .replace(" xmlns=", " xmlns:t=")
    ),
    "without its end": lambda text: text.partition("</sendMesExtResult")[0],
    "in capitals": str.upper,
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("form", FORMS)
@given(
    refusal=st.sampled_from(REFUSALS),
    result=ANY_RESULT,
    text=st.sampled_from([NUMBER, "7", f" {NUMBER}\n", f"<![CDATA[{NUMBER}]]>", "-1", "&#50;1"]),
    encoding=st.sampled_from(ENCODINGS),
)
@settings(max_examples=40)
def test_decode_rejection_with_a_result_is_unknown(
    protocol: ProtocolName,
    form: str,
    refusal: tuple[int, str, str],
    result: str,
    text: str,
    encoding: str,
) -> None:
    """A response that rejects and also holds a result of the method is unknown, in any form."""
    status, content_type, page = refusal
    body = (
        page.replace("{{", "{")
        .replace("}}", "}")
        .replace("{}", FORMS[form](result.replace("TEXT", text)), 1)
    )
    content_type = f"{content_type.partition(';')[0]}; charset={encoding}"
    content = body.encode(encoding, "replace")
    assert outcome(protocol, status, content_type, content) == "unknown"
    assert outcome(protocol, status, "", content) == "unknown"


LOOSE_FORMS: dict[str, Callable[[str], str]] = {
    "by reference": lambda text: re.sub(
        r"<sendMesExtResult>(.*?)<.*", r"<sendMesExtResult href='#a'/><b id='a'>\1</b>", text
    ),
    "nested": lambda text: text.replace("<sendMesExtResult>", "<sendMesExtResult><value>"),
    "in the response": lambda text: re.sub("</?sendMesExtResult>", "", text),
    "percent": quote,
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("form", LOOSE_FORMS)
@pytest.mark.parametrize("result", [RESULT_11, RESULT_12])
@pytest.mark.parametrize("refusal", REFUSALS)
def test_decode_rejection_with_a_batch_number_near_is_unknown(
    protocol: ProtocolName, form: str, result: str, refusal: tuple[int, str, str]
) -> None:
    """A batch number of the usual length near the response's name is enough."""
    status, content_type, page = refusal
    body = page.replace("{{", "{").replace("{}", LOOSE_FORMS[form](result.replace("TEXT", NUMBER)))
    assert outcome(protocol, status, content_type, body) == "unknown"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("encoding", ["utf-7", "cp037", "gb18030"])
@pytest.mark.parametrize("status", [404, 429])
def test_decode_rejection_with_a_result_in_a_rare_encoding_is_unknown(
    protocol: ProtocolName, encoding: str, status: int
) -> None:
    """The result is found in every encoding that the response names."""
    content = GOOD_HTTP.encode(encoding)
    assert outcome(protocol, status, f"text/xml; charset={encoding}", content) == "unknown"
    assert outcome(protocol, status, f"text/html; charset={encoding}", content) == "unknown"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("page", "kind"),
    [
        ("<getBalanceResult>5</getBalanceResult>", OutcomeUnknown),
        ("<getBalanceResponse><a>211435589938023</a>", OutcomeUnknown),
        (GOOD_HTTP, OutcomeUnknown),
        ("<getPriceResult>5</getPriceResult>", Rejected),
    ],
)
def test_decode_other_rejection_with_its_result_is_unknown(
    protocol: ProtocolName, page: str, kind: type[Rejected | OutcomeUnknown]
) -> None:
    """The same holds for any other operation, by the names of its own elements."""
    response = Response(404, "text/html", page.encode())
    with pytest.raises(kind):
        CODECS[protocol].decode_other(response, str, "getBalance")


@pytest.mark.parametrize(("length", "ends"), [(1000, "unknown"), (1001, "rejected")])
def test_decode_batch_number_near_is_within_its_limit(length: int, ends: str) -> None:
    """A batch number counts if it ends within 1,000 characters after the response's name."""
    page = "sendMesExtRes" + ("2" * 15).rjust(length, "x")
    assert outcome("soap", 404, "text/html", page) == ends


@pytest.mark.parametrize(("levels", "ends"), [(3, "unknown"), (4, "rejected")])
def test_decode_rejection_with_an_escaped_result_ends_by_its_levels(levels: int, ends: str) -> None:
    """A result counts if it is escaped no more than three times."""
    page = GOOD_HTTP
    for _ in range(levels):
        page = html.escape(page)
    assert outcome("http-get", 404, "text/html", page) == ends


def test_decode_rejection_with_a_result_in_a_declared_encoding_is_unknown() -> None:
    """The result is also found in the encoding that only the XML declaration names."""
    result = "+ADw-sendMesExtResult+AD4-1+ADw-/sendMesExtResult+AD4-"
    page = f"<?xml version='1.0' encoding='utf-7'?><a>{result}</a>"
    assert outcome("soap", 404, "text/xml", page) == "unknown"
    assert outcome("soap", 404, "text/xml", page.replace("utf-7", "utf-8")) == "rejected"


def test_decode_other_returns_what_is_read() -> None:
    """Another operation's result is what its reader finds; an error of the reader means none."""
    response = Response(200, "text/xml", b"<a>5</a>")
    read = CODECS["soap"].decode_other(response, lambda root: root.text, "getBalance")
    assert read == "5"
    with pytest.raises(OutcomeUnknown, match="XML that is not a response of getBalance"):
        CODECS["soap"].decode_other(response, lambda root: root[0], "getBalance")


def test_decode_rejection_with_a_result_says_so() -> None:
    """The error names both sides of the contradiction."""
    with pytest.raises(OutcomeUnknown) as caught:
        CODECS["soap"].decode(Response(404, "text/xml", GOOD_11.encode()))
    assert str(caught.value) == (
        "The gateway responded with HTTP status 404 and a result of sendMesExt, which contradict"
        " each other. It is unknown whether the SMS was sent. Check with the vendor before you"
        " send it again."
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("status", [403, 404, 429])
@pytest.mark.parametrize(
    "page",
    [
        "Your support ID is 17830489318394722221.",
        '{"request": 2114355899380234221}',
        "<value><string>2114355899380234221</string></value>",
        # ASP.NET's page about the operation, and the WSDL.
        '&lt;sendMesExtResult&gt;<font class="value">string</font>&lt;/sendMesExtResult&gt;'
        '&lt;string xmlns="http://tempuri.org/"&gt;<font>string</font>&lt;/string&gt; HTTP/1.1 200',
        '<s:element maxOccurs="1" name="sendMesExtResult" type="s:string" />http://tempuri.org/ 1',
        # What was sent.
        '<sendMesExt xmlns="http://tempuri.org/"><DesNo>13900000000</DesNo></sendMesExt>',
        "&#" + "1" * 5000,
    ],
)
def test_decode_rejection_with_other_numbers_is_rejected(
    protocol: ProtocolName, status: int, page: str
) -> None:
    """Numbers that are no result of the method do not contradict a rejection."""
    assert outcome(protocol, status, "text/html", page) == "rejected"


@pytest.mark.parametrize("protocol", SOAPS)
@pytest.mark.parametrize("result", [NUMBER, "-7", ""])
@pytest.mark.parametrize("status", [200, 400, 404, 500])
@pytest.mark.parametrize("fault_first", [True, False])
def test_decode_fault_beside_a_response_is_unknown(
    protocol: ProtocolName, result: str, status: int, fault_first: bool
) -> None:
    """A fault and a response in one envelope contradict each other, whatever the result is."""
    envelope = SOAP_12 if protocol == "soap12" else SOAP_11
    good = result_response(protocol, result).body.decode()
    fault = FAULT_11.format("s:Client", "why").replace(SOAP_11, envelope)
    fault = fault[fault.index("<s:Fault>") : fault.index("</s:Body>")]
    place = "<s:Body>" if fault_first else "</s:Body>"
    both = good.replace(place, place + fault if fault_first else fault + place)
    assert outcome(protocol, status, "text/xml", both) == "unknown"
    headed = good.replace("<s:Body>", f"<s:Header>{fault}</s:Header><s:Body>")
    assert outcome(protocol, status, "text/xml", headed) == "unknown"


@pytest.mark.parametrize("protocol", SOAPS)
@pytest.mark.parametrize("status", [200, 400, 415, 500])
def test_decode_fault_that_names_a_batch_number_is_unknown(
    protocol: ProtocolName, status: int
) -> None:
    """A fault of the service that names what may be a batch number may come too late."""
    text = FAULT_11.format("s:Client", f"Already queued as {NUMBER}.")
    detail = FAULT_12.format("s:Sender", "why").replace(
        "</s:Reason>", f"</s:Reason><s:Detail><batch>{NUMBER}</batch></s:Detail>"
    )
    for fault in (text, detail):
        assert outcome(protocol, status, "text/xml", fault) == "unknown"


@pytest.mark.parametrize("protocol", ["http-get", "http-post"])
@pytest.mark.parametrize("text", ["Missing parameter: ExeNo.{}", "Invalid method name '{}'."])
def test_decode_error_of_asp_net_that_names_a_batch_number_is_unknown(
    protocol: ProtocolName, text: str
) -> None:
    """An error that ASP.NET raises before it calls the method names no batch number."""
    assert outcome(protocol, 500, "text/plain", text.format("")) == "rejected"
    assert outcome(protocol, 500, "text/plain", text.format(f"\r\n{NUMBER}")) == "unknown"
    assert "what may be a batch number" in said(
        protocol, 500, text.format(f"\r\n{NUMBER}"), "text/plain"
    )


@pytest.mark.parametrize(
    ("reference", "shown"),
    [
        ("&#9;", " "),
        ("&#x9;", " "),
        ("&#0000000033;", "!"),
        ("&#00000000033;", "&#00000000033;"),
        ("&#x00000021;", "!"),
        ("&#x000000021;", "&#x000000021;"),
        ("&eacute;", "é"),
        ("&epsilon;", "&epsilon;"),
    ],
)
def test_decode_error_of_asp_net_shows_references_of_usual_length(
    reference: str, shown: str
) -> None:
    """Of HTML's references, those that a server writes are read; very long ones are not tried."""
    text = f"Invalid method name 'a{reference}b', X."
    assert said("http-get", 500, text, "text/plain") == (
        "The gateway rejected the request with HTTP status 500: Invalid method name"
        f" 'a{shown}b', X. No SMS was sent: {REJECTED_STATUSES[400]}."
    )


@pytest.mark.parametrize("protocol", HTTPS)
def test_decode_error_of_asp_net_with_invalid_bytes_is_rejected(protocol: ProtocolName) -> None:
    """A byte that is invalid in the encoding does not hide what the text says."""
    assert outcome(protocol, 500, "text/plain", b"Missing parameter: ExeNo.\r\n\xff") == "rejected"


def test_decode_two_fault_codes_are_unknown() -> None:
    """A fault with two codes blames nobody."""
    twice = FAULT_11.format("s:Client</faultcode><faultcode>s:Server", "why")
    assert outcome("soap", 500, "text/xml", twice) == "unknown"
    assert 'with a SOAP nameless fault ("why"). It is unknown' in said("soap", 500, twice)


def test_decode_fault_outside_an_envelope_is_unknown() -> None:
    """A fault that is not the only content of an envelope blames nobody, and is not quoted."""
    fault = FAULT_11.format("s:Client", "why").replace("s:Envelope", "s:Letter")
    assert outcome("soap", 500, "text/xml", fault) == "unknown"
    assert "with a SOAP fault beside other content. It is unknown" in said("soap", 500, fault)


@pytest.mark.parametrize(
    ("code", "why", "shown"),
    [
        ("Client", "w" * 240, '"' + "w" * 240 + '"'),
        ("Client", "w" * 241, '"' + "w" * 240 + '…"'),
        ("N" * 40, "why", f"a SOAP {'N' * 40} fault"),
        ("N" * 41, "why", f"a SOAP {'N' * 40}… fault"),
    ],
)
def test_decode_error_quotes_a_fault_up_to_its_limit(code: str, why: str, shown: str) -> None:
    """An error quotes 240 characters of a fault's text, and 40 of its code."""
    assert shown in said("soap", 500, FAULT_11.format(code, why))


def test_decode_error_quotes_a_content_type_up_to_its_limit() -> None:
    """An error quotes 80 characters of a Content-Type."""
    for length, shown in ((80, "x" * 80), (81, "x" * 80 + "…")):
        assert f"(Content-Type {shown})" in said("soap", 200, "", content_type="x" * length)


def test_decode_soap_fault_of_the_client_says_what_to_do() -> None:
    """A Client fault gets the advice for HTTP status 400."""
    text = said("soap", 500, FAULT_11.format("s:Client", "why"))
    assert text.endswith(f"No SMS was sent: {REJECTED_STATUSES[400]}.")


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
@pytest.mark.parametrize("text", [NUMBER, "-7"])
@pytest.mark.parametrize(
    ("header", "is_read"),
    [
        ("<s:Header/>", True),
        ("<s:Header><x>2114355899380234222</x></s:Header>", True),
        ("<s:Header/><s:Header/>", False),
        ("<Header/>", False),
        ("<s:Header><sendMesExtResult>1</sendMesExtResult></s:Header>", False),
        ("<s:Header><a><b:sendMesExtResponse xmlns:b='b'/></a></s:Header>", False),
        (f"<s:Header>{GOOD_HTTP}</s:Header>", False),
        (f"<s:Header><a>{html.escape(GOOD_HTTP)}</a></s:Header>", False),
        ("<s:Header><Fault>x</Fault></s:Header>", False),
    ],
)
def test_decode_soap_header_is_ignored_unless_it_answers(
    protocol: ProtocolName, text: str, header: str, is_read: bool
) -> None:
    """A SOAP envelope may have one header. It must not hold a result or a fault."""
    good = result_response(protocol, text).body.decode()
    headed = good.replace("<s:Body>", f"{header}<s:Body>", 1)
    assert outcome(protocol, 200, "text/xml", headed) == (text if is_read else "unknown")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("attribute", "is_read"),
    [
        ('i:nil="true"', False),
        ('i:nil=" 1 "', False),
        ('i:nil="TRUE"', False),
        ('i:nil=""', False),
        ('nil="true"', False),
        ('i:nil="false"', True),
        ('i:nil="0"', True),
        ('href="#id1"', False),
        ('i:href="#id1"', False),
        ('i:ref="id1"', False),
        ('i:type="i:string"', True),
        ('id="id1"', True),
    ],
)
@pytest.mark.parametrize("text", [NUMBER, "-7"])
def test_decode_result_marked_as_null_or_reference_is_unknown(
    protocol: ProtocolName, attribute: str, is_read: bool, text: str
) -> None:
    """A result that is marked as null or as a reference, and has a text, contradicts itself."""
    good = result_response(protocol, text).body.decode()
    expected = text if is_read else "unknown"
    for element in ("sendMesExtResult", "sendMesExtResponse", "string"):
        marked = good.replace(f"<{element}", f'<{element} xmlns:i="{XSI}" {attribute}')
        if marked != good:
            assert outcome(protocol, 200, "text/xml", marked) == expected


@pytest.mark.parametrize("protocol", SOAPS)
@pytest.mark.parametrize(
    ("place", "extra"),
    [
        ("<sendMesExtResult>", "-7"),
        ("</sendMesExtResponse>", NUMBER),
        ("</s:Body>", "x"),
        ("<s:Body>", "\u00a0"),
    ],
)
def test_decode_text_beside_the_result_is_unknown(
    protocol: ProtocolName, place: str, extra: str
) -> None:
    """Text outside the result's element is not ignored."""
    good = result_response(protocol, "1").body.decode()
    assert outcome(protocol, 200, "text/xml", good.replace(place, f"\r\n {place}")) == "1"
    assert outcome(protocol, 200, "text/xml", good.replace(place, extra + place)) == "unknown"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("code", ["-7", "-3,", "-6:"])
@pytest.mark.parametrize("quoted", [GOOD_11, GOOD_HTTP, GOOD_HTTP.replace(NUMBER, "7")])
def test_decode_code_that_quotes_a_result_is_unknown(
    protocol: ProtocolName, code: str, quoted: str
) -> None:
    """A code around another result contradicts itself, also as the banned word."""
    assert outcome(protocol, 200, "text/xml", result_response(protocol, code + quoted).body) == (
        "unknown"
    )


BEFORE_XML = ["", "\n", " \t\r\n", "\ufeff", "\ufeff\r\n", "\r\n\ufeff"]
DECLARATIONS = ["", '<?xml version="1.0"?>', '<?xml version="1.0" encoding="{}"?>']


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("before", BEFORE_XML)
@pytest.mark.parametrize("declaration", DECLARATIONS)
def test_decode_white_space_and_mark_before_the_xml_are_read_over(
    protocol: ProtocolName, before: str, declaration: str
) -> None:
    """White space and a byte order mark before the XML do not matter."""
    text = "-6:促销"
    good = result_response(protocol, text).body.decode()
    for encoding in ("utf-8", "utf-16", "utf-16-be", "gb18030"):
        if encoding == "gb18030" and "\ufeff" in before:
            continue  # no mark says that
        body = (before + declaration.format(encoding) + good).encode(encoding)
        for charset in (encoding, f'"{encoding}"', f" '{encoding.upper()}' "):
            content_type = f"text/xml; a=b;Charset={charset}"
            assert outcome(protocol, 200, content_type, body) == text
    body = (before + declaration.format("UTF-8") + good).encode()
    assert outcome(protocol, 200, "text/xml", body) == text
    assert outcome(protocol, 200, "text/xml; charset=", body) == text


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_decode_encoding_is_the_marks_then_the_headers_then_the_declarations(
    protocol: ProtocolName,
) -> None:
    """RFC 7303: mark, header, declaration. The first that is there decides."""
    text = "-6:促销"
    good = result_response(protocol, text).body.decode()

    def read(content_type: str, declared: str, encoding: str) -> str:
        body = f'<?xml version="1.0" encoding="{declared}"?>{good}'.encode(encoding)
        return outcome(protocol, 200, content_type, body)

    assert read("text/xml", "gbk", "gbk") == text
    assert read("text/xml; charset=gbk", "utf-8", "gbk") == text
    assert read("text/xml; charset=utf-8", "gbk", "utf-8") == text
    assert read("text/xml; charset=gbk", "gbk", "utf-8-sig") == text
    assert read("text/xml; charset=utf-8", "utf-8", "utf-16") == text
    assert read("text/xml; charset=utf-16", "utf-8", "utf-16-le") == text
    assert read("text/xml; charset=utf-16", "utf-8", "utf-16-be") == text
    assert read("text/xml", "utf-8", "utf-32") == text
    marked = codecs.BOM_UTF32_BE + good.encode("utf-32-be")
    assert outcome(protocol, 200, "text/xml", marked) == text
    assert read("text/xml; charset=utf-32", "utf-8", "utf-32-be") == text
    assert read("text/xml; charset=utf-8; charset=UTF8", "utf-8", "utf-8") == text
    # Wrong, but what the server says.
    assert read("text/xml; charset=iso-8859-1", "utf-8", "utf-8") == "-6:促销".encode().decode(
        "latin-1"
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "charset",
    [
        "x-none", "utf-8; charset=gbk", "base64", "zlib", "rot13", "idna", "punycode",
        "unicode_escape", "raw_unicode_escape", "undefined", "utf-8" * 9,
        "\x00", "\udcff", "..", "us-ascii", "Xutf-8X",
    ],
)  # fmt: skip
def test_decode_unknown_or_wrong_charset_is_unknown(protocol: ProtocolName, charset: str) -> None:
    """A charset that is unknown, double, no charset, or not the body's leaves it unknown."""
    body = result_response(protocol, "-6:促销").body
    assert outcome(protocol, 200, f"text/xml; charset={charset}", body) == "unknown"
    if protocol in HTTPS and charset != "us-ascii":
        text = "Missing parameter: ExeNo."
        assert outcome(protocol, 500, f"text/plain; charset={charset}", text) == "unknown"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("charset", ["idna", "punycode", "raw_unicode_escape", "unicode_escape"])
@pytest.mark.parametrize("end", ["", "-"])
def test_decode_charset_of_python_alone_is_unknown(
    protocol: ProtocolName, charset: str, end: str
) -> None:
    """Python's encodings that are no charsets are not read, even where they would fit."""
    body = result_response(protocol, NUMBER).body + end.encode()
    assert outcome(protocol, 200, f"text/xml; charset={charset}", body) == "unknown"
    text = f"Missing parameter: ExeNo.{end}"
    assert outcome(protocol, 500, f"text/plain; charset={charset}", text) == "unknown"


@pytest.mark.parametrize(("length", "is_read"), [(40, True), (41, False)])
def test_decode_charset_is_read_up_to_its_limit(length: int, is_read: bool) -> None:
    """No more than 40 characters of a charset's name count."""
    charset = f"big5{'-' * (length - 9)}hkscs"
    body = result_response("soap", NUMBER).body
    ends = outcome("soap", 200, f"text/xml; charset={charset}", body)
    assert ends == (NUMBER if is_read else "unknown")


def test_decode_leaves_no_text_in_the_log_of_lxml() -> None:
    """lxml shows that log with later errors of the thread."""
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring("<s3cr3t></b>", _parser())
    assert "s3cr3t" in str(etree.LxmlError("later").error_log)
    assert outcome("soap", 200, "text/xml", "<s3cr3t></b>") == "unknown"
    assert "s3cr3t" not in str(etree.LxmlError("later").error_log)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_decode_skips_comments_and_instructions(protocol: ProtocolName) -> None:
    """They are no part of the result, and do not hide it."""
    split = f"{NUMBER[:4]}<!-- 1 -->{NUMBER[4:9]}<?p 2?>{NUMBER[9:]}"
    body = result_response(protocol, "TEXT").body.decode().replace("TEXT", split)
    assert outcome(protocol, 200, "text/xml", body) == NUMBER


@pytest.mark.parametrize(("depth", "ends"), [(200, NUMBER), (1000, "unknown")])
def test_decode_of_a_very_deep_document_is_unknown(depth: int, ends: str) -> None:
    """The parser's own limits hold: a response cannot use up the memory."""
    header = f"<s:Header>{'<a>' * depth}{'</a>' * depth}</s:Header><s:Body>"
    assert outcome("soap", 200, "text/xml", GOOD_11.replace("<s:Body>", header)) == ends


class Recorder(etree.Resolver):
    """Notes what a parser wants to load, and gives it nothing."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []

    def resolve(self, system_url: str | None, public_id: str | None, context: Any) -> Any:
        self.asked.append(system_url)
        return self.resolve_string("", context)


def test_decode_loads_nothing_that_a_response_names() -> None:
    """Neither a DTD nor an entity is loaded."""
    recorder = Recorder()
    named = (
        '<!DOCTYPE string SYSTEM "http://gateway.example/a.dtd" ['
        '<!ENTITY e SYSTEM "http://gateway.example/e.xml">'
        '<!ENTITY % p SYSTEM "http://gateway.example/p.dtd"> %p;]>'
    )

    def read() -> str:
        _parser().resolvers.add(recorder)
        return outcome("http-post", 200, "text/xml", named + GOOD_HTTP.replace(NUMBER, "&e;"))

    with ThreadPoolExecutor(1) as thread:  # a parser of its own
        assert thread.submit(read).result() == "unknown"
    assert recorder.asked == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_decode_fault_in_another_encoding_than_its_header_says_is_unknown(
    protocol: ProtocolName, encoding: str
) -> None:
    """A header that is wrong does not hide a fault that contradicts the status."""
    fault = f"<?xml version='1.0' encoding='utf-16'?>{FAULT_11.format('s:Server', '失败')}"
    content_type = "text/xml; charset=utf-8"
    assert outcome(protocol, 400, content_type, fault.encode(encoding)) == "unknown"


def test_decode_second_xml_declaration_is_unknown() -> None:
    """Only the first declaration is one."""
    twice = '<?xml version="1.0" encoding="gbk"?>' * 2 + GOOD_11
    for content_type in ("text/xml", "text/xml; charset=utf-8"):
        assert outcome("soap", 200, content_type, twice) == "unknown"


def test_decode_changes_no_declaration_inside_the_result() -> None:
    """Only the declaration at the start gives way to the header's charset."""
    text = '<?xml version="1.0" encoding="gbk"?>'
    body = result_response("soap", text).body
    assert outcome("soap", 200, "text/xml; charset=utf-8", body) == text


def test_decode_of_a_result_outside_xml_is_unknown() -> None:
    """A result with a character that XML does not allow is unknown."""
    assert outcome("soap", 200, "text/xml", asmx_soap.render_response("\x01", SOAP_11)) == "unknown"


@pytest.mark.parametrize("protocol", HTTPS)
@pytest.mark.parametrize(
    "name",
    ["", "System.InvalidOperationException: ", "System.Web.HttpException (0x80004005): "],
)
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
    assert outcome(protocol, 500, "text/plain", f"\ufeff{body}") == "rejected"
    assert outcome(protocol, 500, "text/plain; charset=utf-16", body.encode("utf-16")) == "rejected"
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
        "Missing parameter: ExeNo.\r\n   at MsgSend.sendMesExt(String userCode, String userPass)",
        "Missing parameter: x.\n  at MsgSend.sendMesExt (System.String userCode) [0x0] in <0>:0",
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
    ends = "rejected" if status in REJECTED else "unknown"
    assert outcome(protocol, status, content_type, body) == ends


PIECES = st.sampled_from(
    [
        RESULT_11.replace("TEXT", NUMBER),
        RESULT_12.replace("TEXT", "-7"),
        RESULT_HTTP.replace("TEXT", NUMBER),
        FAULT_11.format("s:Client", "why"),
        FAULT_12.format("s:Receiver", "why"),
        "Missing parameter: ExeNo.\r\n",
        '<?xml version="1.0" encoding="gbk"?>',
        f'<s:Envelope xmlns:s="{SOAP_11}"><s:Header>',
        "</s:Header><s:Body>",
        "</s:Body></s:Envelope>",
        "<sendMesExtResult>",
        f'<t:string xmlns:t="{TNS}" href="#a">',
        "</t:string>",
        NUMBER,
        "-3",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "&#",
        "1" * 5000,
        "&lt;",
        "\ufeff",
        "\x00",
        "促",
        "<!DOCTYPE a [<!ENTITY b '1'>]>",
    ]
)
CONTENT_TYPES = st.builds(
    "{}{}".format,
    st.sampled_from(["text/xml", "text/html", "text/plain", "application/soap+xml", "", "x"]),
    st.sampled_from(["", "; charset=utf-8", ";charset=gbk", ";charset=utf-16", ";charset=x"]),
)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(
    status=st.sampled_from([200, 200, 404, 408, 429, 500, 502]) | st.integers(100, 599),
    pieces=st.lists(PIECES | st.text(max_size=3), max_size=6),
    content_type=CONTENT_TYPES,
    encoding=st.sampled_from(["utf-8", "utf-16", "gbk", "utf-7"]),
)
@settings(max_examples=500)
def test_decode_of_any_pieces_has_exactly_one_outcome(
    protocol: ProtocolName, status: int, pieces: list[str], content_type: str, encoding: str
) -> None:
    """Whatever comes is accepted, rejected or unknown; with an acceptance it is not rejected."""
    body = "".join(pieces).encode(encoding, "replace")
    codec = copy.copy(UNUSED_CODECS[protocol])
    try:
        batch_no = parse_result(codec.decode(Response(status, content_type, body)))
    except Rejected as error:
        assert status in (*REJECTED, 200, 500)
        assert RESULT_11.replace("TEXT", NUMBER) not in pieces
        assert RESULT_HTTP.replace("TEXT", NUMBER) not in pieces
        assert str(error).isprintable()
    except OutcomeUnknown as error:
        assert str(error).isprintable()
    else:
        assert status == 200
        assert batch_no in "".join(pieces)


def test_decode_error_redacts_an_echo() -> None:
    """Errors mask what a server echoes."""
    page = b"<html>/sendMesExt?userPass=s3cr3t&amp;DesNo=13900000000</html>"
    for status in (404, 500):
        with pytest.raises((Rejected, OutcomeUnknown)) as caught:
            CODECS["http-get"].decode(Response(status, "text/html", page))
        assert "s3cr3t" not in f"{caught.value} {vars(caught.value)}"
        assert "13900000000" not in f"{caught.value} {vars(caught.value)}"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("status", "content_type", "template"),
    [
        (404, "text/html", "{}"),
        (200, "text/html", "{}"),
        (200, "{}", "x"),
        (502, "text/plain", "{}"),
        (500, "text/plain", "Missing parameter: {}."),
        (500, "text/xml", FAULT_11.replace("{}", "s:Client", 1)),
        (500, "text/xml", FAULT_11.replace("{}", "s:Server", 1)),
        (500, "text/xml", FAULT_11.replace("{}</faultstring>", "x</faultstring>")),
        (200, "text/xml", GOOD_11.replace(NUMBER, "{}")),
        (200, "text/xml", GOOD_11.replace(NUMBER, "-6:{}")),
        (200, "text/xml", GOOD_11.replace(NUMBER, "-3,{}")),
        (200, "text/xml", GOOD_HTTP.replace(NUMBER, "-1:{} 2114355899380234221")),
        (200, "text/xml", "<{}/>"),
    ],
)
def test_decode_error_keeps_no_frame_with_an_echo(
    protocol: ProtocolName, status: int, content_type: str, template: str
) -> None:
    """No frame that an error keeps has a text of the response in a local variable."""
    response = Response(
        status, content_type.replace("{}", "s3cr3t"), template.replace("{}", "s3cr3t", 1).encode()
    )
    codec = copy.copy(UNUSED_CODECS[protocol])
    with pytest.raises((Rejected, OutcomeUnknown)) as caught:
        parse_result(codec.decode(response), Redactor("s3cr3t"))
    frames = list(traceback.walk_tb(caught.value.__traceback__))
    for frame, _ in frames[1:]:  # the first is this test's
        shown = {name: value for name, value in frame.f_locals.items() if name != "response"}
        assert "s3cr3t" not in repr(shown)
        assert "s3cr3t" not in repr(response) or "{}" in content_type
    assert "s3cr3t" not in f"{caught.value!r} {vars(caught.value)}"
    assert caught.value.__context__ is None


X = "text/xml; charset=utf-8"
S = "application/soap+xml; charset=utf-8"
T = "text/plain; charset=utf-8"
H = "text/html; charset=utf-8"
DECLARED = '<?xml version="1.0" encoding="utf-8"?>'
ENVELOPE = (
    f'{DECLARED}<soap:Envelope xmlns:soap="{{}}"'
    f' xmlns:xsi="{XSI}" xmlns:xsd="http://www.w3.org/2001/XMLSchema"><soap:Body>{{}}</soap:Body>'
    "</soap:Envelope>"
)
FAULT_DOTNET_11 = (
    "<soap:Fault><faultcode>soap:{}</faultcode><faultstring>{}</faultstring><detail /></soap:Fault>"
)
FAULT_DOTNET_12 = (
    "<soap:Fault><soap:Code><soap:Value>soap:{}</soap:Value></soap:Code><soap:Reason>"
    '<soap:Text xml:lang="en">{}</soap:Text></soap:Reason><soap:Detail /></soap:Fault>'
)
VERSIONS = {"soap": (SOAP_11, FAULT_DOTNET_11, X), "soap12": (SOAP_12, FAULT_DOTNET_12, S)}
IN_A_DEBUGGER = (
    "System.Web.Services.Protocols.SoapException: {} ---> System.Exception: x\n   at a.B()"
)


def dotnet_fault(protocol: ProtocolName, code: str, text: str) -> tuple[int, str, str]:
    """Return the status, the type and the body of a fault, as .NET writes it."""
    envelope, fault, content_type = VERSIONS[protocol]
    return 500, content_type, ENVELOPE.format(envelope, fault.format(code, text))


UNRECOGNISED = "Server did not recognize the value of HTTP Header SOAPAction: X."
ASMX_SOAP: list[tuple[str, str, str]] = [
    # The code in 1.1, the text, and the outcome.
    ("Client", UNRECOGNISED, "rejected"),
    ("Client", IN_A_DEBUGGER.format(UNRECOGNISED), "rejected"),
    ("Client", "Unable to handle request without a valid action parameter.", "rejected"),
    ("Client", "Unable to handle request. The action 'X' was not recognized.", "rejected"),
    ("Client", "Server was unable to read request. ---&gt; Request format is invalid", "rejected"),
    (
        "Client",
        "Server was unable to read request. ---&gt; There is an error in XML document (1, 2)."
        " at Microsoft.Xml.Serialization.GeneratedAssembly.XmlSerializationReader1."
        "Read1_sendMesExt() at System.Web.Services.Protocols.SoapServerProtocol.ReadParameters()",
        "rejected",
    ),
    ("VersionMismatch", "Possible SOAP version mismatch: Envelope namespace X", "unknown"),
    ("MustUnderstand", "SOAP header X was not understood.", "unknown"),
    ("Server", "Server was unable to process request. ---&gt; MESSAGE", "unknown"),
    ("Server", "Server was unable to process request. ---&gt; Root element is missing.", "unknown"),
    ("Server", "There was an exception running the extensions specified", "unknown"),
]
IN_1_2 = {"Client": "Sender", "Server": "Receiver"}


@pytest.mark.parametrize("protocol", SOAPS)
@pytest.mark.parametrize("version", SOAPS)
@pytest.mark.parametrize(("code", "text", "ends"), ASMX_SOAP)
def test_decode_asmx_fault_ends_as_listed(
    protocol: ProtocolName, version: ProtocolName, code: str, text: str, ends: str
) -> None:
    """Each fault of an ASMX server, which may be in the other SOAP version, ends as it should."""
    spelt = IN_1_2.get(code, code) if version == "soap12" else code
    assert outcome(protocol, *dotnet_fault(version, spelt, text)) == ends


@pytest.mark.parametrize("protocol", HTTPS)
@pytest.mark.parametrize("prefix", ["", "System.InvalidOperationException: "])
@pytest.mark.parametrize(
    ("text", "ends"),
    [
        (
            "Invalid method name &#39;SendMesExt&#39;,  method names are case sensitive.   The"
            " method name &#39;sendMesExt&#39; with the same name but different casing was found."
            "\r\nParameter name: methodName",
            "rejected",
        ),
        ("sendmesext Web Service method name is not valid.", "rejected"),
        ("Missing parameter: ExeNo.", "rejected"),
        ("Request format is invalid: multipart/form-data; boundary=x.", "rejected"),
        (
            "A potentially dangerous Request.Form value was detected from the client"
            " (Msg=&quot;&lt;a&gt;&quot;).",
            "rejected",
        ),
        ("Deadlock.", "unknown"),
        ("Maximum request length exceeded.", "unknown"),
    ],
)
def test_decode_asmx_error_of_a_form_ends_as_listed(
    protocol: ProtocolName, prefix: str, text: str, ends: str
) -> None:
    """Each plain text of an ASMX server, with customErrors on and off, ends as it should."""
    trace = "\r\n   at System.Web.Services.Protocols.HttpServerType..ctor(Type type)" * bool(prefix)
    assert outcome(protocol, 500, T, f"{prefix}{text}{trace}\r\n") == ends


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("status", "content_type", "ends"),
    [
        (400, X, "rejected"),
        (400, S, "rejected"),
        (400, H, "rejected"),
        (404, H, "rejected"),
        (405, H, "rejected"),
        (415, X, "rejected"),
        (415, S, "rejected"),
        (500, H, "unknown"),
        (500, "application/json", "unknown"),
        (200, H, "unknown"),
    ],
)
def test_decode_asmx_page_ends_by_its_status(
    protocol: ProtocolName, status: int, content_type: str, ends: str
) -> None:
    """An empty error and IIS's page in its place end by their status."""
    assert outcome(protocol, status, content_type, "") == ends
    assert outcome(protocol, status, content_type, "<!DOCTYPE html><p>Server Error&nbsp;") == ends


@pytest.mark.parametrize("protocol", SOAPS)
@pytest.mark.parametrize("result", [NUMBER, "-6:促销", ""])
def test_decode_asmx_soap_result_is_read(protocol: ProtocolName, result: str) -> None:
    """ASP.NET's own envelope is read; empty and null results are empty."""
    envelope, _, content_type = VERSIONS[protocol]
    inner = f"<sendMesExtResult>{result}</sendMesExtResult>" if result else "<sendMesExtResult />"
    body = ENVELOPE.format(
        envelope, f'<sendMesExtResponse xmlns="{TNS}">{inner}</sendMesExtResponse>'
    )
    assert outcome(protocol, 200, content_type, body) == result
    null = ENVELOPE.format(envelope, f'<sendMesExtResponse xmlns="{TNS}" />')
    assert outcome(protocol, 200, content_type, null) == ""
    if result:
        assert outcome(protocol, 200, content_type, body.replace(result, "&#x1;")) == "unknown"


@pytest.mark.parametrize("protocol", HTTPS)
@pytest.mark.parametrize("result", [NUMBER, "-6:促销", ""])
def test_decode_asmx_form_result_is_read(protocol: ProtocolName, result: str) -> None:
    """ASP.NET's own document is read, with either line break; a null result is empty."""
    for line_break in ("\r\n", "\n"):
        inner = f">{result}</string>" if result else " />"
        body = f'{DECLARED}{line_break}<string xmlns="{TNS}"{inner}'
        assert outcome(protocol, 200, X, body) == result
        null = f'{DECLARED}{line_break}<string xmlns:xsd="b" xmlns:xsi="{XSI}" xsi:nil="true"'
        assert outcome(protocol, 200, X, f'{null} xmlns="{TNS}" />') == ""
