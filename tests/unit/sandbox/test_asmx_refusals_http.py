"""How a bad GET, POST or request of a page is refused; and that nothing at all raises."""

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
from yunxin_soap.sandbox.asmx.handler import PATH, HttpRequest, handle


@pytest.mark.parametrize("asked", [get(), post()])
def test_http_when_the_method_throws(asked: HttpRequest) -> None:
    answer = handle(asked, RecordingMethod(error="Bad <thing>"))

    assert (answer.status, answer.content_type) == (500, TEXT)
    assert answer.body == b"Bad &lt;thing&gt;\r\n"


def test_form_over_4_mb() -> None:
    answer = rejected_response(replace(post(), body=b"", too_long=True))

    assert (answer.status, answer.content_type) == (500, TEXT)
    assert answer.body == b"Maximum request length exceeded.\r\n"


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
        pytest.param(asked, f"{name} Web Service method name is not valid.", id=kind + name)
        for name in ("other", "sendMesExt/", "sendMesExt/x", "<b>", "您")
        for kind, asked in (
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


@pytest.mark.parametrize(("asked", "text"), PLAIN)
def test_refusal_in_plain_text(asked: HttpRequest, text: str) -> None:
    answer = rejected_response(asked)

    assert (answer.status, answer.content_type) == (500, TEXT)
    escaped = html.escape(text).replace("&#x27;", "&#39;")
    assert answer.body.decode() == f"{escaped}\r\n"


@pytest.mark.parametrize("danger", ["<b", "<!", "</", "<?", "&#"])
def test_request_validation(danger: str) -> None:
    quoted = danger.replace("&#", "%26%23")
    values = JOINED.replace("Msg=1", f"Msg={quoted}")

    for asked, collection in ((get(values), "QueryString"), (post(values), "Form")):
        answer = rejected_response(asked)
        assert (answer.status, answer.content_type) == (500, TEXT)
        text = html.unescape(answer.body.decode())
        assert text == DANGER.format(collection, f'"{danger}"') + "\r\n"
    assert accepted_fields(soap11(envelope(operation(elements(Msg=danger)))))["Msg"] == danger


def test_json_to_the_operation() -> None:
    answer = rejected_response(post("{}", "application/json; charset=utf-8"))

    assert (answer.status, answer.content_type) == (500, "application/json; charset=utf-8")
    assert json.loads(answer.body)["Message"] == "There was an error processing the request."


@pytest.mark.parametrize("length", [2047, 2048])
def test_query_has_to_be_shorter_than_2048_characters(length: int) -> None:
    query = (JOINED + "0" * length)[:length]

    answer = handle(get(query), RecordingMethod())

    assert (answer.status, answer.content_type) == ((200, XML) if length < 2048 else (400, HTML))


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
def test_refusal_with_a_page(method: str, target: str, status: int) -> None:
    answer = rejected_response(request(method, target))

    assert (answer.status, answer.content_type) == (status, HTML)
    assert answer.body.startswith(b"<!DOCTYPE html>")


# Lone surrogates and all: bytes that are no UTF-8 come as such.
HEADER = st.text(st.characters(exclude_characters="\r\n"), max_size=30)


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.sampled_from(["GET", "POST"]),
    st.sampled_from([PATH, f"{PATH}/sendMesExt", f"{PATH}/"]),
    st.binary(max_size=30),
    st.sampled_from(["text/xml; charset=", "application/soap+xml; action=", FORM, ""]),
    HEADER,
    HEADER | st.none(),
    st.binary(max_size=60) | st.text(max_size=20).map(lambda text: envelope(text).encode()),
)
def test_no_request_at_all_raises(
    method: str, path: str, query: bytes, kind: str, rest: str, action: str | None, body: bytes
) -> None:
    recorder = RecordingMethod()
    target = path.encode() + query

    answer = handle(
        request(method, target, body, Content_Type=kind + rest, SOAPAction=action), recorder
    )

    assert answer.status in (200, 400, 404, 405, 415, 500)
    for fields, _ in recorder.calls:
        assert fields.keys() == NULLS.keys()
    # Only these two come with no word.
    assert answer.body.decode() or answer.status in (400, 415)
