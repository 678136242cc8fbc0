"""Rules that every error's text keeps, as far as a program can see that."""

from __future__ import annotations

import re

import pytest

from tests.support import catalogue

TEXTS = [(kind, text) for kind, texts in catalogue.error_texts().items() for text in texts]
CHINESE = {each.id: str(each.string) for each in catalogue.read() if isinstance(each.id, str)}
END = re.compile(r"[.。]$|\{\w+\}$")
"""A full stop. A value may be the end, too: it is a sentence, or something to copy."""
ACTION = re.compile(r": [a-z\"{?]|\bmust\b|[.] [A-Z]|^(?:Give|Name) |\{(?:why|remains)\}$")
"""What follows a colon, another sentence, the rule that is broken, or a value that says it."""
PART = "the ledger's own connections cannot be made with OPTIONS[{name}]"
"""The Django app puts it into a sentence of its own."""
NOTHING_TO_DO = {
    "Ended at the prompt; nothing was sent.",
    "The campaign was deleted a moment ago.",
    "The campaign, or the pace, was deleted a moment ago.",
    "The pace was removed a moment ago.",
    "The single send {key} is {state}, so there is nothing to resolve.",
    "The single send {key} is {state}, so there is nothing to retry.",
    "The ledger cannot be used ({error}).{hint}",  # the values say what to do
    "{name} is empty.",  # the report of a list shows it beside the line
    "The list {old_workbook}.",  # the value says what to do
    "The list {what}.",  # as above
}
"""Texts without an action."""
SAYS_WHETHER_SENT = {
    "OutcomeUnknown": (
        r"SMS may have been sent|is unknown whether the SMS was sent",
        r"短信可能已经发出|不知道短信是否已发出",
    ),
    "NotSent": (r"Nothing was sent", r"未发出|没有发送"),
    "SendExpired": (r"Nothing was sent", r"没有发送"),
    "RecipientsSuppressed": (r"Nothing was sent", r"没有发送"),
    "ConfigurationRejected": (r"No SMS was sent", r"没有短信发出|短信没有发出|没有发出"),
}


@pytest.mark.parametrize("kind", SAYS_WHETHER_SENT)
def test_text_about_a_submission_says_whether_the_sms_may_have_gone_out(kind: str) -> None:
    """It says so itself, in both languages: nobody has to know the class."""
    english, chinese = SAYS_WHETHER_SENT[kind]
    own = [text for each, text in TEXTS if each == kind]
    assert own
    assert [text for text in own if not re.search(english, text)] == []
    assert [text for text in own if not re.search(chinese, CHINESE[text])] == []


def test_text_of_an_error_before_the_submission_does_not_alarm() -> None:
    """Where nothing was sent, no text says that an SMS may have been; one asks about an old one."""
    before = [
        text
        for kind, text in TEXTS
        if kind in ("ConfigurationError", "ContentConflict", "InvalidRequest", "NotInLedger")
        and re.search(r"may have been sent|is unknown whether", text)
    ]
    assert [text.partition(" may ")[0] for text in before] == ["The rejected single send {key}"]


def test_text_is_whole_and_names_an_action() -> None:
    """It ends as a sentence, in both languages, and says what to do."""
    texts = [text for _, text in TEXTS if text != PART]
    assert [text for text in texts if not END.search(text)] == []
    assert [text for text in texts if not END.search(CHINESE[text])] == []
    without = {text for text in texts if not ACTION.search(text)}
    assert without == NOTHING_TO_DO
