"""Texts that a ledger has stored are shown in the reader's language."""

from __future__ import annotations

import string

import pytest

from tests.support import catalogue
from yunxin_soap.sentences import Sentence
from yunxin_soap.translation import ENGLISH, _recognised, chinese, translate, translate_stored

STORED = sorted(
    {
        text
        for kind in ("NotSent", "OutcomeUnknown", "Rejected", "ConfigurationRejected")
        for text in catalogue.error_texts()[kind]
    }
    | set(catalogue.parts()["campaign/running/decisions.py"])
    | {"by {by}", "by {by}: {reason}", "cancelled by {by}", "its campaign was cancelled"}
)


@pytest.mark.parametrize("template", STORED)
def test_stored_text_is_shown_as_it_would_have_been_before(template: str) -> None:
    """Its template is found again, and what was filled in stays."""
    names = {name for _, name, _, _ in string.Formatter().parse(template) if name}
    sentence = Sentence(template, **{name: f"<{name}>" for name in names})
    assert translate_stored(str(sentence), chinese()) == translate(sentence, chinese())
    assert translate_stored(str(sentence), ENGLISH) == sentence


def test_stored_text_with_sentences_inside_is_translated_as_a_whole() -> None:
    """The reason of a failure is a sentence of its own, and so is what a response was."""
    reason = Sentence("no connection to {target} ({why})", target="192.0.2.1:80", why="refused")
    error = Sentence("Nothing was sent: {reason}. The submission can be sent again.", reason=reason)
    assert translate_stored(f"cancelled while in flight: {error}", chinese()) == (
        f"发送中被取消：{translate(error, chinese())}"
    )
    assert translate_stored(
        "The gateway rejected the request with HTTP status 400 and a SOAP Client fault"
        ' ("why and how"). No SMS was sent: check the endpoint, the protocol and the WSDL.',
        chinese(),
    ) == (
        "网关拒绝了请求：HTTP 状态 400 和 SOAP Client 错误（“why and how”）。短信没有发出："
        f"{translate('check the endpoint, the protocol and the WSDL', chinese())}。"
    )


@pytest.mark.parametrize("text", ["", "维护", "maintenance", "a b {c}", "Nothing else", "{"])
def test_stored_text_of_a_person_stays(text: str) -> None:
    """What somebody typed has no template."""
    assert translate_stored(text, chinese()) == text


def test_stored_reason_of_a_person_keeps_their_words() -> None:
    """Their name and their reason stay, whatever words they have."""
    assert translate_stored("by 王芳: tests by Li and Zhao", chinese()) == (
        "由 王芳：tests by Li and Zhao"
    )


@pytest.mark.parametrize("times", [4, 10, 16, 100])
def test_stored_text_that_looks_like_many_sentences_takes_little_effort(times: int) -> None:
    """A text that somebody has written for it does not make the reader of a list wait."""
    text = "by root: " + " ".join(["a: b, c and d (e) on f of g"] * times)
    _recognised.cache_clear()
    translate_stored(text, chinese())
    assert _recognised.cache_info().misses < 500
