"""What is fuzzed: four readers of bytes from outside, and what must hold for any bytes.

A check raises an `AssertionError` for a broken rule. Any other error is a finding, too.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from lxml import etree
from requests.structures import CaseInsensitiveDict

from tests.support import asmx_requests
from tests.support.exchange_lane import After
from tests.support.exchange_runs import bytewise, run
from tests.support.outcome_table import TABLE
from yunxin_soap import ConfigurationError, InvalidRequest, OutcomeUnknown, Rejected, wsdl
from yunxin_soap.campaign import Csv
from yunxin_soap.campaign.template import Template
from yunxin_soap.errors import SendError, YunxinError
from yunxin_soap.operation import FIELDS, PROTOCOLS, ProtocolName
from yunxin_soap.redact import Redactor
from yunxin_soap.results import parse_result
from yunxin_soap.sandbox.asmx.handler import (
    PATH,
    Fields,
    HttpRequest,
    MethodError,
    handle,
    is_call,
)
from yunxin_soap.transport.base import Response
from yunxin_soap.transport.failures import exchange_failed
from yunxin_soap.wire.codec import Codec

CORPUS = Path(__file__).parents[1] / "corpus"
LONGEST = 1024
"""Bytes of an input."""


@dataclass(frozen=True)
class Target:
    """One reader."""

    check: Callable[[bytes], None]
    seeds: Callable[[], Iterator[bytes]]
    """Valid inputs and usual mistakes, for a start. The corpus adds what fuzzing has found."""
    words: tuple[bytes, ...]
    """What the fuzzer would not invent by itself."""


def found_inputs(name: str) -> Path:
    """Return the folder of the inputs that earlier fuzzing has found for a target."""
    return CORPUS / "fuzz" / name


# --- the client's reader of responses

_PROTOCOLS = tuple(PROTOCOLS)
_SECRET = "s3cr3t"
_REDACT = Redactor(_SECRET)
_CODECS = {
    protocol: Codec(wsdl.load(wsdl.shipped_path()), protocol, PATH, _REDACT)
    for protocol in _PROTOCOLS
}
"""Each check decodes with a copy, which knows no earlier response."""
_BATCH_IN_ANSWER = re.compile(rb"<sendMesExtResult>\s*[0-9]{15,20}\s*</sendMesExtResult>")
_PIECE = 7
"""Bytes of a piece, so that no piece is a whole line."""


def check_response(data: bytes) -> None:
    """Read a response: its first byte chooses the protocol, the rest is what came.

    It ends as accepted, rejected or unknown, in the same way in any pieces; only a 200 accepts; a
    rejection has no batch number, and can be told in JSON; no error shows the password.
    """
    if not data:
        return
    protocol, content = _PROTOCOLS[data[0] % 4], data[1:]
    end = run([content])
    pieces = [content[start : start + _PIECE] for start in range(0, len(content), _PIECE)]
    assert run(pieces) == end
    if len(content) < 300:
        assert run(bytewise(content)) == end
    if end.response is None:
        failed = exchange_failed(
            None, may_have_left=True, broken=end.broken, http_status=end.status, timeout=1
        )
        assert type(failed) is OutcomeUnknown
        return
    response = Response(*end.response)
    outcome = _outcome(protocol, response)
    if isinstance(outcome, str):
        assert response.status == 200
        assert re.fullmatch(r"[1-9][0-9]{0,19}", outcome)
        return
    assert isinstance(outcome, (Rejected, OutcomeUnknown)), type(outcome)
    told = json.dumps(outcome.to_dict())
    assert _SECRET not in str(outcome) + told
    assert str(YunxinError.from_dict(json.loads(told))) == str(outcome)
    if isinstance(outcome, Rejected):
        assert not _BATCH_IN_ANSWER.search(response.body)
        assert not (outcome.code == -1 and outcome.safe_to_resend)


def _outcome(protocol: ProtocolName, response: Response) -> str | SendError:
    """Return the batch number or the error, which must not depend on an earlier response."""
    codec = copy.copy(_CODECS[protocol])
    first, second = _decode(codec, response), _decode(codec, response)
    assert (type(first), str(first)) == (type(second), str(second))
    return first


def _decode(codec: Codec, response: Response) -> str | SendError:
    try:
        return parse_result(codec.decode(response), _REDACT)
    except SendError as error:
        return error


def _responses() -> Iterator[bytes]:
    for number, row in enumerate(TABLE.values()):
        protocol = row.protocols[number % len(row.protocols)]
        content = row.build(protocol)
        if row.after is not After.RESET and len(content) < LONGEST:
            yield bytes([_PROTOCOLS.index(protocol)]) + content


# --- the sandbox's reader of requests

_METHOD = re.compile(r"[A-Z]{1,10}")


def check_request(data: bytes) -> None:
    """Answer a request: a byte chooses what the method returns, the rest is the request.

    The method runs at most once, with all six fields; it ran exactly if its result comes back; the
    answer is one that ASP.NET has, and XML where it says so.
    """
    if not data:
        return
    result = (asmx_requests.BATCH, None, "", "-6:<&促销")[data[0] % 4]
    throws = bool(data[0] & 4)
    calls: list[Mapping[str, str | None]] = []

    def method(fields: Fields, protocol: ProtocolName) -> str | None:
        assert protocol in PROTOCOLS
        calls.append(fields)
        if throws:
            raise MethodError("It broke: <&")
        return result

    request = _request(data[1:])
    if request is None:
        return
    response = handle(request, method)
    assert response.status in (200, 400, 404, 405, 415, 500)
    if response.content_type.partition(";")[0].endswith("xml") and response.body:
        etree.fromstring(response.body)
    if not calls:
        assert response.status != 200 or not is_call(request)
        return
    (fields,) = calls
    assert set(fields) == set(FIELDS)
    assert all(text is None or isinstance(text, str) for text in fields.values())
    assert is_call(request)
    assert response.status == (500 if throws else 200)
    if result == asmx_requests.BATCH and not throws:
        assert result.encode() in response.body


def _request(content: bytes) -> HttpRequest | None:
    """Return the request in a text like HTTP's; None where no server would pass it on."""
    head, _, body = content.partition(b"\n\n")
    start, *lines = head.split(b"\n")
    method, _, target = start.partition(b" ")
    name = method.decode("latin-1")
    if not _METHOD.fullmatch(name) or not target.startswith(b"/") or b" " in target:
        return None
    headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    for line in lines:
        key, colon, value = line.partition(b":")
        if colon and key.isascii() and not re.search(rb"[\0-\x08\x0a-\x1f\x7f]", value):
            headers[key.decode()] = value.strip().decode("utf-8", "surrogateescape")
    headers["Host"] = "127.0.0.1:8080"  # the server refuses one that names no host
    return HttpRequest(name, target, headers, body)


def _requests() -> Iterator[bytes]:
    made = asmx_requests
    requests = [
        made.soap11(),
        made.soap12(),
        made.get(),
        made.post(),
        made.soap11(action=None),
        made.soap12(action=None),
        made.soap11(content_type="text/xml; charset=utf-16"),
        made.soap11(made.envelope(made.operation("<Msg/>"))),
        made.soap11(made.envelope(header='<s:Header><a s:mustUnderstand="1"/></s:Header>')),
        made.soap11("<a"),
        made.post(content_type="application/json"),
        made.post("userCode=%u60a8&userCode=b&Msg=<b"),
        made.get(path=f"{PATH}/sendmesext"),
        made.request("GET", f"{PATH}?wsdl"),
        made.request("GET", f"{PATH}?op=sendMesExt"),
        made.request("HEAD", PATH),
    ]
    for request in requests:
        lines = [f"{request.method} ".encode() + request.target]
        lines += [f"{name}: {value}".encode() for name, value in request.headers.items()]
        for choice in range(5):
            yield bytes([choice]) + b"\n".join(lines) + b"\n\n" + request.body


# --- CSV


def check_csv(data: bytes) -> None:
    """Read a CSV file: its first byte chooses the options, the rest is the file.

    It is a list or a `ConfigurationError` of one line; each line of the file is a row or skipped,
    once, in order; without the other columns, the numbers are the same.
    """
    if not data:
        return
    multiline = bool(data[0] & 1)
    with_columns = _numbers(data[1:], columns=True, multiline=multiline)
    without = _numbers(data[1:], columns=False, multiline=multiline)
    if with_columns is None or without is None:
        assert with_columns is without
        return
    # Without the other columns, a line may have more fields than the headings.
    assert with_columns.items() <= without.items()


def _numbers(content: bytes, *, columns: bool, multiline: bool) -> dict[int, str] | None:
    """Return the cells with the numbers by line; None if it is no list."""
    found: dict[int, str] = {}
    skipped: list[int] = []
    source = Csv(io.BytesIO(content), multiline=multiline)
    try:
        for batch in source.batches(columns=columns):
            assert len(batch.lines) == len(batch.values)
            assert batch.rows is None or len(batch.rows) == len(batch.lines)
            for line, value in zip(batch.lines, batch.values, strict=True):
                assert line not in found
                found[line] = value
            for row in batch.rows or ():
                assert all(isinstance(key, str) for key in row)
            skipped += [each.line for each in batch.skipped]
    except ConfigurationError as error:
        assert len(str(error).splitlines()) == 1
        return None
    assert list(found) == sorted(found)
    assert len(skipped) == len(set(skipped))
    assert not found.keys() & set(skipped)
    return found


def _lists() -> Iterator[bytes]:
    for path in sorted((CORPUS / "lists").glob("*.csv")):
        content = path.read_bytes()
        if len(content) < LONGEST:
            yield b"\0" + content
            yield b"\1" + content


# --- templates


def check_template(data: bytes) -> None:
    """Fill a template: its text and the values of its columns, separated by U+001F.

    It is a text or an `InvalidRequest`; the text has the literal parts and every value, none of
    which is blank; filling many rows at once gives the same.
    """
    text, *cells = data.decode("utf-8", "replace").split("\x1f")
    try:
        template = Template(text, dash_is_empty=len(data) % 2 == 1)
        columns = template.columns
        template.check_notation(("name", "姓名", *columns))
        values = [_value(cell) for cell in cells] or ["x"]
        row = {name: values[place % len(values)] for place, name in enumerate(columns)}
        filled = template.fill(row)
    except InvalidRequest as error:
        assert str(error)
        return
    put_in = template.values(row)
    assert all(value.strip() for value in put_in.values())
    assert all(value in filled for value in put_in.values())
    assert filled.endswith(template.end)
    if not columns:
        assert filled == text.replace("{{", "{").replace("}}", "}")
    at_once = template.fill_plain([row, row])
    assert at_once in (None, [filled, filled])


def _value(cell: str) -> Any:
    """Return a cell as a list may hold it: a string, or a number or a date of a workbook."""
    kind, text = cell[:2], cell[2:]
    with contextlib.suppress(ValueError, OverflowError, InvalidOperation):
        if kind == "i:":
            return int(text)
        if kind == "f:":
            return float(text)
        if kind == "m:":
            return Decimal(text)
    return cell


def _templates() -> Iterator[bytes]:
    for text in (
        "您好{name}，{{再见}}【签名】\x1f张三",
        "您好{ name }，还款日{due:%m月%d日}【签名】\x1f李四\x1f2026-01-31",
        "{a}{b}{c}【签】\x1fi:12345678901234567890\x1ff:0.1\x1fm:1E+3",
        "{d:%Y-%m-%d %H:%M}【签】\x1f2026/2/3 04:05",
        "${name} #name# [姓名] 【签】",
        "{a}【签】\x1f#N/A",
        "{a}【签】\x1f-",
        "{a【签】",
    ):
        yield text.encode()


TARGETS: dict[str, Target] = {
    "response": Target(
        check_response,
        _responses,
        (
            b"HTTP/1.1 200 OK\r\n",
            b"Content-Length: ",
            b"Transfer-Encoding: chunked\r\n",
            b"Content-Encoding: gzip\r\n",
            b"Content-Type: text/xml; charset=utf-16\r\n",
            b"Content-Type: text/plain; charset=gbk\r\n",
            b"<sendMesExtResult>2114355899380234221</sendMesExtResult>",
            b"<soap:Fault><faultcode>soap:Client</faultcode><faultstring>",
            b"</faultstring></soap:Fault>",
            b"<![CDATA[",
            b' xsi:nil="true"',
            b"-6:s3cr3t",
            b"-1",
            b"&#50;",
            b"<!DOCTYPE a>",
        ),
    ),
    "request": Target(
        check_request,
        _requests,
        (
            b"POST /api/MsgSend.asmx",
            b"Content-Type: text/xml; charset=gb2312\n",
            b"Content-Type: application/soap+xml; action=a\n",
            b'SOAPAction: "http://tempuri.org/sendMesExt"\n',
            b"%u60a8",
            b"mustUnderstand",
            b"xsi:nil='1'",
            b"href='#1'",
            b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
        ),
    ),
    "csv": Target(
        check_csv,
        _lists,
        (
            b"sep=;\n",
            b"\xef\xbb\xbf",
            b"\xff\xfe",
            b"phone,name\r\n",
            b"13900000000",
            "手机号".encode(),
            "手机号".encode("gbk"),
            "，".encode(),
            b'"\n',
            b'""',
        ),
    ),
    "template": Target(
        check_template,
        _templates,
        (b"{a}", b"{a:%Y", b"%m", "：%d日".encode(), b"\x1fi:", b"\x1ff:1e30", b"\x1fm:1e999"),
    ),
}
