"""The values that reach the method, for each way to write and encode a request."""

from __future__ import annotations

import codecs
import encodings
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.asmx_requests import (
    FORM,
    GOOD,
    NULLS,
    accepted_fields,
    elements,
    envelope,
    get,
    operation,
    post,
    soap11,
    soap12,
)
from yunxin_soap.sandbox.asmx.handler import HttpRequest
from yunxin_soap.sandbox.asmx.soap import SOAP_11, SOAP_12, known_encoding

NIL = '<ExeNo xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true" />'
EXTRA = "<extra>1</extra>"

BODIES = [
    pytest.param(operation(namespace="http://other.example/"), NULLS, id="wrong namespace"),
    pytest.param(operation(name="SendMesExt"), NULLS, id="wrong case"),
    pytest.param(operation(name="other"), NULLS, id="another element"),
    pytest.param(
        f'<t:sendMesExt xmlns:t="http://tempuri.org/">{elements()}</t:sendMesExt>',
        NULLS,
        id="children without namespace",
    ),
    pytest.param("", NULLS, id="empty Body"),
    pytest.param(operation(""), NULLS, id="empty operation"),
    pytest.param("<!-- c -->" + operation(), GOOD, id="comment before the operation"),
    pytest.param(operation(elements(**dict(reversed(GOOD.items())))), GOOD, id="out of order"),
    pytest.param(operation(EXTRA + elements() + EXTRA), GOOD, id="extra elements"),
    pytest.param(operation(elements().replace("<Msg>", '<Msg a="1">')), GOOD, id="attributes"),
    pytest.param(operation(elements().replace("<Msg>", "<!-- c --><Msg>")), GOOD, id="comments"),
    pytest.param(operation(elements() + "<Msg>second</Msg>"), GOOD, id="an element twice"),
    pytest.param(operation("<Msg/>"), NULLS | {"Msg": ""}, id="absent and empty"),
    pytest.param(operation(NIL), NULLS | {"ExeNo": ""}, id="nil"),
    pytest.param(operation("<Msg><![CDATA[a<b]]></Msg>"), NULLS | {"Msg": "a<b"}, id="CDATA"),
    pytest.param(operation("<Msg>a<!-- c -->b<?p i?>c</Msg>"), NULLS | {"Msg": "abc"}, id="inside"),
]


@pytest.mark.parametrize(("body", "expected"), BODIES)
def test_handle_soap_body_gives_the_fields_that_dotnet_reads(
    body: str, expected: dict[str, str | None]
) -> None:
    """Unknown elements are ignored, and missing ones are null."""
    assert accepted_fields(soap11(envelope(body))) == expected
    assert accepted_fields(soap12(envelope(body, SOAP_12))) == expected


TEXTS = [
    pytest.param("   ", "   ", id="blanks only"),
    pytest.param("  a\t b  ", "  a\t b  ", id="blanks at the ends and tabs"),
    pytest.param("a\r\nb\rc\nd", "a\nb\nc\nd", id="line breaks"),
    pytest.param("a&#13;&#10;b&#13;", "a\r\nb\r", id="CR by reference"),
    pytest.param("&lt;&amp;&gt;&quot;&apos;]]&gt;", "<&>\"']]>", id="references"),
    pytest.param("😀&#x1F600;", "😀😀", id="beyond the basic plane"),
    pytest.param("a<!---->" * 100_000, "a" * 100_000, id="very many comments"),
]


@pytest.mark.parametrize(("written", "read"), TEXTS)
def test_handle_soap_text_is_read_as_dotnet_does(written: str, read: str) -> None:
    """Spaces stay; line breaks are normalised unless they are references."""
    body = operation(f"<Msg>{written}</Msg>")

    assert accepted_fields(soap11(envelope(body)))["Msg"] == read
    assert accepted_fields(soap12(envelope(body, SOAP_12)))["Msg"] == read


def _undeclared(version: str) -> str:
    text = envelope(operation("<Msg>您好【签名】</Msg>"), version)
    return text.replace(' encoding="utf-8"', "")


UNDECLARED_11, UNDECLARED_12 = _undeclared(SOAP_11), _undeclared(SOAP_12)
DECLARED_GBK = UNDECLARED_12.replace("?>", ' encoding="gbk"?>', 1)
SOAP_TYPE = "application/soap+xml"
RIGHT = "您好【签名】"
ASCII = "?" * len(RIGHT.encode())

ENCODED = [
    pytest.param(soap11(UNDECLARED_11, "text/xml"), ASCII, id="text/xml bare"),
    pytest.param(soap11(UNDECLARED_11, "text/xml; charset=UTF8"), ASCII, id="UTF8 is unknown"),
    pytest.param(soap11(UNDECLARED_11, "text/xml; charset=x-none"), ASCII, id="unknown"),
    pytest.param(soap11(UNDECLARED_11, "text/xml; charset=us-ascii"), ASCII, id="ASCII"),
    pytest.param(soap11(UNDECLARED_11, "text/xml; charset=hex"), ASCII, id="not of text"),
    pytest.param(soap11(UNDECLARED_11, "text/xml; charset=idna"), ASCII, id="not of .NET"),
    pytest.param(
        soap11(UNDECLARED_11.encode("unicode_escape"), "text/xml; charset=unicode_escape"),
        r"\u60a8\u597d\u3010\u7b7e\u540d\u3011",
        id="only in Python",
    ),
    pytest.param(soap11(UNDECLARED_11, "text/xml; charset=utf-8-sig"), ASCII, id="with its mark"),
    pytest.param(soap11(UNDECLARED_11, 'text/xml;charset="UTF-8"'), RIGHT, id="quoted"),
    pytest.param(soap11(UNDECLARED_11, "TEXT/XML; CHARSET=utf-8"), RIGHT, id="upper case"),
    pytest.param(soap12(UNDECLARED_12, SOAP_TYPE), RIGHT, id="1.2 bare"),
    pytest.param(soap12(DECLARED_GBK.encode("gbk"), SOAP_TYPE), RIGHT, id="1.2 declared"),
    pytest.param(
        soap11(UNDECLARED_11.encode("gbk"), "text/xml; charset=gbk"), RIGHT, id="1.1 in GBK"
    ),
    pytest.param(
        soap11(UNDECLARED_11.encode("gbk"), "text/xml; charset=gb2312"), RIGHT, id="1.1 in GB2312"
    ),
    pytest.param(
        soap12(UNDECLARED_12.encode("gbk"), f"{SOAP_TYPE}; charset=gbk"), RIGHT, id="1.2 in GBK"
    ),
    pytest.param(
        soap12(DECLARED_GBK, f"{SOAP_TYPE}; charset=utf-8"), RIGHT, id="charset beats declaration"
    ),
    pytest.param(
        soap11(codecs.BOM_UTF8 + UNDECLARED_11.encode(), "text/xml"), RIGHT, id="UTF-8 mark"
    ),
    pytest.param(
        soap11(codecs.BOM_UTF8 + UNDECLARED_11.encode()), RIGHT, id="UTF-8 mark and charset"
    ),
    pytest.param(
        soap12(codecs.BOM_UTF8 + UNDECLARED_12.encode(), SOAP_TYPE), RIGHT, id="1.2 UTF-8 mark"
    ),
]


@pytest.mark.parametrize("name", ["gb18030", "GB2312", "windows-1252", "ISO-8859-1", "us-ascii"])
def test_known_encoding_of_dotnet_is_found(name: str) -> None:
    """Encodings that .NET has are known."""
    assert known_encoding(name)


@given(st.text(max_size=100))
def test_known_encoding_unknown_name_is_not_cached(name: str) -> None:
    """An unknown name does not grow the cache of codecs."""
    before = len(encodings._cache)
    known_encoding(f"x{name}")
    assert len(encodings._cache) == before


@pytest.mark.parametrize(("http_request", "message"), ENCODED)
def test_handle_envelope_encoding_is_chosen_as_dotnet_does(
    http_request: HttpRequest, message: str
) -> None:
    """BOM, charset and declaration choose the encoding in the order of .NET."""
    assert accepted_fields(http_request)["Msg"] == message


@pytest.mark.parametrize("charset", ["", "; charset=utf-16", "; charset=utf-8"])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [(codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")],
)
def test_handle_utf16_with_bom_is_decoded(mark: bytes, encoding: str, charset: str) -> None:
    """UTF-16 with a BOM is decoded, whatever the charset."""
    http_request = soap11(mark + UNDECLARED_11.encode(encoding), f"text/xml{charset}")
    assert accepted_fields(http_request)["Msg"] == RIGHT

    http_request = soap12(mark + UNDECLARED_12.encode(encoding), SOAP_TYPE + charset)
    assert accepted_fields(http_request)["Msg"] == RIGHT


def test_handle_invalid_utf8_is_replaced() -> None:
    """Invalid bytes become U+FFFD."""
    body = UNDECLARED_11.encode().replace("您".encode(), b"\xff")

    assert accepted_fields(soap11(body))["Msg"] == "\ufffd好【签名】"


def _with(message: bytes) -> bytes:
    others = {name: text for name, text in GOOD.items() if name != "Msg"}
    return urlencode(others).encode() + b"&Msg=" + message


URL_ENCODED = [
    pytest.param(b"a%0D%0Ab", "a\r\nb", id="CR LF"),
    pytest.param(quote("您").encode(), "您", id="UTF-8"),
    pytest.param("您".encode(), "您", id="raw UTF-8"),
    pytest.param(b"%u60a8%uD83D%uDE00", "您😀", id="%u"),
    pytest.param(b"+%2B%zz;%00%", " +%zz;\0%", id="signs"),
    pytest.param(b"1 < 2", "1 < 2", id="harmless sign"),
    pytest.param(b"a=b", "a=b", id="equals sign"),
    pytest.param(b"  a  ", "  a  ", id="raw blanks"),
    pytest.param(b"", "", id="empty"),
]


@pytest.mark.parametrize(("written", "read"), URL_ENCODED)
def test_handle_urlencoded_value_is_decoded_as_dotnet_does(written: bytes, read: str) -> None:
    """Forms and queries decode the escapes of .NET."""
    assert accepted_fields(post(_with(written))) == GOOD | {"Msg": read}
    assert accepted_fields(get(_with(written))) == GOOD | {"Msg": read}


@pytest.mark.parametrize("written", ["您".encode("gbk"), quote("您".encode("gbk")).encode()])
def test_handle_undeclared_gbk_is_replaced(written: bytes) -> None:
    """GBK without a charset is invalid UTF-8."""
    assert accepted_fields(post(_with(written)))["Msg"] == "\ufffd\ufffd"
    assert accepted_fields(get(_with(written)))["Msg"] == "\ufffd\ufffd"


@pytest.mark.parametrize("charset", ["gbk", "GBK", "gb2312"])
def test_handle_form_with_gbk_charset_is_decoded(charset: str) -> None:
    """A form may declare GBK as its charset."""
    # Only GBK has the second character; .NET uses one code page for gb2312 and GBK.
    body = _with(quote("您镕".encode("gbk")).encode())

    assert accepted_fields(post(body, f"{FORM}; charset={charset}"))["Msg"] == "您镕"


def test_handle_repeated_fields_are_joined_by_a_comma() -> None:
    """A field that is given twice is joined by a comma."""
    twice = urlencode(GOOD) + "&DesNo=13900000001&userPass=demo"

    expected = GOOD | {"DesNo": "13900000000,13900000001", "userPass": "demo,demo"}
    assert accepted_fields(post(twice)) == expected
    assert accepted_fields(get(twice)) == expected


def test_handle_field_names_ignore_case_and_extra_fields() -> None:
    """Names ignore case, and extra fields are ignored."""
    written = urlencode({name.upper(): text for name, text in GOOD.items()}) + "&extra=<b>&bare"

    assert accepted_fields(post(written)) == GOOD
    assert accepted_fields(get(written)) == GOOD
