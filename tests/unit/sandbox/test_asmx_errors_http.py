"""The errors of invalid GETs, POSTs and page requests; no request raises an exception."""

from __future__ import annotations

import html
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.asmx_requests import (
    FORM,
    GOOD,
    HTML,
    NULLS,
    TEXT,
    XML,
    RecordingMethod,
    accepted_fields,
    elements,
    envelope,
    get,
    operation,
    post,
    rejected_response,
    request,
    soap11,
)
from yunxin_soap.sandbox.asmx.handler import MAX_FIELDS, PATH, HttpRequest, handle


@pytest.mark.parametrize("http_request", [get(), post()])
def test_handle_http_method_error_is_plain_text(http_request: HttpRequest) -> None:
    """An exception of the method is a 500 with its message."""
    response = handle(http_request, RecordingMethod(error="Bad <thing>"))

    assert (response.status, response.content_type) == (500, TEXT)
    assert response.body == b"Bad &lt;thing&gt;\r\n"


def test_handle_form_over_4_mb_is_an_error() -> None:
    """A form that is too long is a 500."""
    response = rejected_response(replace(post(), body=b"", too_long=True))

    assert (response.status, response.content_type) == (500, TEXT)
    assert response.body == b"Maximum request length exceeded.\r\n"


def test_handle_form_of_1000_fields_is_accepted() -> None:
    """Fields that the method does not have are dropped, up to ASP.NET's limit of all fields."""
    good = post()
    full = good.body + b"&x=" * (MAX_FIELDS - len(GOOD))

    assert accepted_fields(replace(good, body=full)) == GOOD


def test_handle_form_of_more_fields_is_refused_unparsed() -> None:
    """One field more than ASP.NET's limit is a 500, before the method and its parameters."""
    good = post()
    full = good.body + b"&x=" * (MAX_FIELDS - len(GOOD) + 1)

    response = rejected_response(replace(good, body=full))

    assert (response.status, response.content_type) == (500, TEXT)
    assert html.unescape(response.body.decode()) == (
        "The URL-encoded form data is not valid. ---> Operation is not valid due to the current"
        " state of the object.\r\n"
    )


WITHOUT_LAST = "&".join(f"{name}=1" for name in tuple(GOOD)[:-1])
JOINED = WITHOUT_LAST + "&ExeNo="
DANGER = "A potentially dangerous Request.{} value was detected from the client (Msg={})."
PAGE_AS_QUERY = f"{PATH}/sendMesExt?{JOINED}"
CASE = (
    "Invalid method name 'SendMesExt',  method names are case sensitive.   The method name"
    " 'sendMesExt' with the same name but different casing was found.\r\n"
    "Parameter name: methodName"
)
PLAIN = [
    pytest.param(get(path=f"{PATH}/SendMesExt"), CASE, id="GET in wrong case"),
    pytest.param(post(target=f"{PATH}/SendMesExt"), CASE, id="POST in wrong case"),
    *[
        pytest.param(http_request, f"{name} Web Service method name is not valid.", id=kind + name)
        for name in ("other", "sendMesExt/", "sendMesExt/x", "<b>", "您")
        for kind, http_request in (
            ("GET ", get(path=f"{PATH}/{name}")),
            ("POST ", post(target=f"{PATH}/{name}")),
        )
    ],
    pytest.param(get(WITHOUT_LAST), "Missing parameter: ExeNo.", id="GET without a parameter"),
    pytest.param(post(WITHOUT_LAST), "Missing parameter: ExeNo.", id="POST without a parameter"),
    pytest.param(post(b""), "Missing parameter: userCode.", id="POST of nothing"),
    pytest.param(
        post(b"", target=PAGE_AS_QUERY), "Missing parameter: userCode.", id="POST with them in URL"
    ),
    pytest.param(
        request("GET", f"{PATH}/sendMesExt", JOINED.encode(), Content_Type=FORM),
        "Missing parameter: userCode.",
        id="GET with them in the body",
    ),
    *[
        pytest.param(post(content_type=kind), f"Request format is invalid: {kind or ''}.", id=kind)
        for kind in ("text/xml; charset=utf-8", "text/plain", "multipart/form-data", None)
    ],
]


@pytest.mark.parametrize(("http_request", "text"), PLAIN)
def test_handle_invalid_http_request_gets_the_text_of_dotnet(
    http_request: HttpRequest, text: str
) -> None:
    """The text is that of .NET, escaped for HTML."""
    response = rejected_response(http_request)

    assert (response.status, response.content_type) == (500, TEXT)
    escaped = html.escape(text).replace("&#x27;", "&#39;")
    assert response.body.decode() == f"{escaped}\r\n"


@pytest.mark.parametrize("danger", ["<b", "<!", "</", "<?", "&#"])
def test_handle_dangerous_value_is_rejected_by_validation(danger: str) -> None:
    """Request validation quotes the value, except for a password."""
    quoted = danger.replace("&#", "%26%23")
    values = JOINED.replace("Msg=1", f"Msg={quoted}")

    for http_request, collection in ((get(values), "QueryString"), (post(values), "Form")):
        response = rejected_response(http_request)
        assert (response.status, response.content_type) == (500, TEXT)
        text = html.unescape(response.body.decode())
        assert text == DANGER.format(collection, f'"{danger}"') + "\r\n"
    assert accepted_fields(soap11(envelope(operation(elements(Msg=danger)))))["Msg"] == danger


def test_handle_json_gets_a_json_error() -> None:
    """JSON gets an error in JSON."""
    response = rejected_response(post("{}", "application/json; charset=utf-8"))

    assert (response.status, response.content_type) == (500, "application/json; charset=utf-8")
    assert json.loads(response.body)["Message"] == "There was an error processing the request."


@pytest.mark.parametrize("length", [2047, 2048])
def test_handle_query_of_2048_characters_is_too_long(length: int) -> None:
    """A query must be shorter than 2,048 characters."""
    query = (JOINED + "0" * length)[:length]

    response = handle(get(query), RecordingMethod())

    assert (response.status, response.content_type) == (
        (200, XML) if length < 2048 else (400, HTML)
    )


PAGES = [
    *[(method, f"{PATH}/", 500) for method in ("GET", "POST", "HEAD")],
    *[
        (method, f"{PATH}{query}", 405)
        for method in ("HEAD", "PUT", "DELETE", "OPTIONS")
        for query in ("", "?WSDL")
    ],
    *[(method, f"{PATH}/sendMesExt", 500) for method in ("HEAD", "PUT", "DELETE")],
    *[("GET", path, 404) for path in ("/", "/api/Other.asmx", f"{PATH}x", "*")],
]


@pytest.mark.parametrize(("method", "target", "status"), PAGES)
def test_handle_unsupported_method_or_path_gets_an_error_page(
    method: str, target: str, status: int
) -> None:
    """Other methods and paths get an HTML error page."""
    response = rejected_response(request(method, target))

    assert (response.status, response.content_type) == (status, HTML)
    assert response.body.startswith(b"<!DOCTYPE html>")


# With lone surrogates: bytes that are no UTF-8 become surrogates.
HEADER = st.text(st.characters(exclude_characters="\r\n"), max_size=30)


@settings(deadline=None)  # a busy machine must not fail the test
@given(
    st.sampled_from(["GET", "POST"]),
    st.sampled_from([PATH, f"{PATH}/sendMesExt", f"{PATH}/"]),
    st.binary(max_size=30),
    st.sampled_from(["text/xml; charset=", "application/soap+xml; action=", FORM, ""]),
    HEADER,
    HEADER | st.none(),
    st.binary(max_size=60) | st.text(max_size=20).map(lambda text: envelope(text).encode()),
)
def test_handle_arbitrary_request_gets_a_response(
    method: str, path: str, query: bytes, kind: str, rest: str, action: str | None, body: bytes
) -> None:
    """No request raises an exception, and only 400 and 415 may be empty."""
    recorded = RecordingMethod()
    target = path.encode() + query

    response = handle(
        request(method, target, body, Content_Type=kind + rest, SOAPAction=action), recorded
    )

    assert response.status in (200, 400, 404, 405, 415, 500)
    for fields, _ in recorded.calls:
        assert fields.keys() == NULLS.keys()
    assert response.body.decode() or response.status in (400, 415)
