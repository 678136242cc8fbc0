"""The operation's own page: what it shows can be done as it is shown."""

from __future__ import annotations

import pytest
import requests
from lxml import html

from tests.support.raw_http import exchange
from yunxin_soap.sandbox import Sandbox
from yunxin_soap.wsdl import FIELDS, PROTOCOLS

VALUES = dict(zip(FIELDS, ("demo", "demo", "13900000000", "您好【签名】", "37", "9"), strict=True))


def page(sandbox: Sandbox) -> html.HtmlElement:
    response = requests.get(f"{sandbox.url}?op=sendMesExt", timeout=10)
    assert (response.status_code, response.headers["Content-Type"]) == (
        200,
        "text/html; charset=utf-8",
    )
    return html.fromstring(response.content)


def test_the_form_invokes_the_operation(sandbox: Sandbox) -> None:
    (form,) = page(sandbox).forms
    assert list(form.fields) == list(FIELDS)
    form.fields.update(VALUES)
    assert form.action is not None
    response = requests.request(form.method, form.action, data=form.form_values(), timeout=10)
    (submission,) = sandbox.inbox
    assert submission.batch_no in response.text
    assert (submission.message, submission.extension) == ("您好【签名】", "9")


@pytest.mark.parametrize("place", range(4), ids=PROTOCOLS)
def test_a_sample_works_once_its_placeholders_are_filled(sandbox: Sandbox, place: int) -> None:
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
    assert submission.port == PROTOCOLS[place]
    assert submission.message == "您好【签名】"
    expected = shown.partition("\n\n")[2].replace(">string<", f">{submission.batch_no}<")
    assert answer.body.decode().replace("\r\n", "\n") == expected


def test_an_unknown_operation_gets_the_list(sandbox: Sandbox) -> None:
    content = requests.get(f"{sandbox.url}?op=other", timeout=10).text
    assert "?op=sendMesExt" in content
    assert "<form" not in content
