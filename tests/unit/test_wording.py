"""One word for one thing in Chinese, on every surface: terminal, inbox, report and documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import yunxin_soap
from tests.support import catalogue
from yunxin_soap.campaign import report
from yunxin_soap.sandbox.faults.model import FAULT_TYPES
from yunxin_soap.sandbox.gateway import TEST_NUMBERS

PACKAGE = Path(yunxin_soap.__file__).parent
ROOT = PACKAGE.parent
SUFFIXES = {".html", ".j2", ".js", ".md", ".po", ".py", ".svg"}
NOT_USED = {
    "成功": "已接受",  # the gateway has it, which is no success yet
    "帐号": "账号",
    "帐户": "账号",
    "账户": "账号",
    "返回码": "错误码",
    "结果码": "错误码",
    "结果代码": "错误码",
    "错误代码": "错误码",
    "受理": "接受",
    "结果不明": "结果未知",
    "未知结果": "结果未知",
}
"""Words that mean the same as another one, which is used instead."""
CHINESE = {each.id: str(each.string) for each in catalogue.read() if isinstance(each.id, str)}
TEXTS_JS = (PACKAGE / "sandbox/inbox/static/texts.js").read_text("utf-8")


@pytest.mark.parametrize("word", NOT_USED)
def test_chinese_has_one_word_for_one_thing(word: str) -> None:
    """No text has another word for it; the message names the word that is used."""
    paths = [
        *PACKAGE.rglob("*"),
        *(ROOT / "docs").rglob("*"),
        *(ROOT / "examples").rglob("*"),
        *ROOT.glob("*.md"),
    ]
    found = [
        f"{path.relative_to(ROOT)}:{place}: {line.strip()}"
        for path in paths
        if path.suffix in SUFFIXES
        for place, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if word in line
    ]
    assert found == [], f"the word is {NOT_USED[word]}"


def test_report_names_states_as_the_terminal_does() -> None:
    """So a reader of both finds the same campaign."""
    words = [*report._STATES.values(), *report._CAMPAIGN_STATES.values()]
    words += [*report._SKIP_KINDS.values()]
    different = [
        (each.en, each.zh, CHINESE[each.en])
        for each in words
        if CHINESE.get(each.en, each.zh) != each.zh
    ]
    assert different == []


@pytest.mark.parametrize("outcome", ["accepted", "rejected", "failed"])
def test_inbox_names_outcomes_as_the_terminal_does(outcome: str) -> None:
    """The badge of a message has the word of the terminal, if the terminal has one."""
    shown = re.search(rf"'outcome\.{outcome}': \['\w+', '(.+?)'\]", TEXTS_JS)
    assert shown is not None
    assert shown[1] == CHINESE.get(outcome, shown[1])


def test_help_explains_faults_and_test_numbers_as_the_inbox_does() -> None:
    """The terminal's help has the page's Chinese sentences."""
    described = dict(re.findall(r"^  '(.*)': '(.*)',$", TEXTS_JS, re.MULTILINE))
    (faults,) = (text for each, text in CHINESE.items() if each.startswith("Faults:\n"))
    (numbers,) = (text for each, text in CHINESE.items() if each.startswith("Test numbers, "))
    sentences = [
        described[(each.__doc__ or "").partition("\n")[0]] for each in FAULT_TYPES.values()
    ]
    assert [each for each in sentences if f" {each}\n" not in f"{faults}\n"] == []
    assert [
        each for each in TEST_NUMBERS if f" {each.description_zh}\n" not in f"{numbers}\n"
    ] == []
