"""The operation's page: its form and its samples work as shown."""

from __future__ import annotations

import pytest
import requests
from lxml import html

from tests.support.raw_http import exchange
from yunxin_soap.operation import FIELDS, PROTOCOLS
from yunxin_soap.sandbox import Sandbox

VALUES = dict(zip(FIELDS, ("demo", "demo", "13900000000", "您好【签名】", "37", "9"), strict=True))


def page(sandbox: Sandbox) -> html.HtmlElement:
    """Fetch and parse the operation's page."""
    response = requests.get(f"{sandbox.url}?op=sendMesExt", timeout=10)
    assert (response.status_code, response.headers["Content-Type"]) == (
        200,
        "text/html; charset=utf-8",
    )
    return html.fromstring(response.content)


def test_operation_page_form_submitted_is_accepted(sandbox: Sandbox) -> None:
    """The form calls the operation with the six fields."""
    (form,) = page(sandbox).forms
    assert list(form.fields) == list(FIELDS)
    form.fields.update(VALUES)
    assert form.action is not None
    response = requests.request(form.method, form.action, data=form.form_values(), timeout=10)
    (submission,) = sandbox.inbox
    assert str(submission.batch_no) in response.text
    assert (submission.message, submission.extension) == ("您好【签名】", "9")


@pytest.mark.parametrize("place", range(4), ids=PROTOCOLS)
def test_operation_page_sample_filled_in_is_accepted(sandbox: Sandbox, place: int) -> None:
    """Each sample is a valid request, and its response is the one shown."""
    samples = [pre.text_content() for pre in page(sandbox).iter("pre")]
    request, shown = samples[2 * place], samples[2 * place + 1]
    head, _, body = request.partition("\n\n")
    for name, value in VALUES.items():
        head = head.replace(f"{name}=string", f"{name}={value}")
        body = body.replace(f">string</{name}>", f">{value}</{name}>")
        body = body.replace(f"{name}=string", f"{name}={value}")
    head = head.replace("length", str(len(body.encode())))
    raw = head.strip().replace("\n", "\r\n").encode() + b"\r\n\r\n" + body.encode()
    answer = exchange(sandbox, raw)
    (submission,) = sandbox.inbox
    assert submission.protocol == PROTOCOLS[place]
    assert submission.message == "您好【签名】"
    expected = shown.partition("\n\n")[2].replace(">string<", f">{submission.batch_no}<")
    assert answer.body.decode().replace("\r\n", "\n") == expected


def test_operation_page_unknown_operation_shows_the_list(sandbox: Sandbox) -> None:
    """An unknown ``?op=`` shows the help page, without a form."""
    content = requests.get(f"{sandbox.url}?op=other", timeout=10).text
    assert "?op=sendMesExt" in content
    assert "<form" not in content
