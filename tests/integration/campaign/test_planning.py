"""Plans in the ledger: complete or not at all, once a name, with their skipped lines."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.lists import TEXT, numbers
from yunxin_soap import Client, ConfigurationError, ContentConflict, InvalidRequest
from yunxin_soap.campaign import Csv, Ledger, NotInLedger, PlanOptions, Preview, SkippedLine, State
from yunxin_soap.sandbox import Sandbox

A, B, C = numbers(3)


def test_plan_skipped_lines_are_stored_as_any_database_can(ledger: Ledger) -> None:
    """NUL and halves of surrogate pairs are shown as escapes."""
    skipped: list[SkippedLine] = []
    listed = ["1390000\ud800", "139\0", None, A]
    assert ledger.plan("a", listed, TEXT, channel=37, on_skipped=skipped.append).numbers == 1
    assert [each.value for each in ledger.skipped_lines("a")] == [r"1390000\ud800", r"139\x00", ""]
    assert list(ledger.skipped_lines("a")) == skipped
    assert [each.line for each in skipped] == [1, 2, 3]


@pytest.mark.parametrize("name", ["a\0", " ", "\ud800"])
def test_plan_with_an_unprintable_name_writes_nothing(ledger: Ledger, name: str) -> None:
    """A name that no database or terminal can show is an error."""
    with pytest.raises(ConfigurationError, match="A campaign needs a name"):
        ledger.plan(name, [A], TEXT, channel=37)
    assert ledger.campaigns() == []


def test_plan_same_content_is_the_same_campaign(ledger: Ledger) -> None:
    """Planned again, in any order and size, nothing is written; other content is a conflict."""
    first = ledger.plan("a", [A, B, C], TEXT, channel=37)
    again = ledger.plan("a", [C, A, B, A], TEXT, channel="37", max_recipients=1)
    assert again.digest == first.digest
    assert ledger.status("a").submissions[State.PENDING] == 1
    others: list[tuple[list[str], str, int, str]] = [
        ([A, B], TEXT, 37, ""),
        ([A, B, C], "别的【签名】", 37, ""),
        ([A, B, C], TEXT, 38, ""),
        ([A, B, C], TEXT, 37, "1"),
    ]
    for listed, text, channel, extension in others:
        with pytest.raises(ContentConflict, match="A campaign 'a' exists already"):
            ledger.plan("a", listed, text, channel=channel, extension=extension)
    assert ledger.campaigns() == ["a"]


def test_preview_of_a_ledger_is_what_is_pending(ledger: Ledger, client: Client) -> None:
    """It has the texts of the plan; what was sent, or is on hold, is not in it."""
    rows = [
        {"phone": number, "x": x}
        for number, x in zip(numbers(5), ["短", "长" * 80, "中中", "促销", "促销"], strict=True)
    ]
    seen: list[Preview] = []
    options: PlanOptions = {"channel": 37, "extension": 7, "max_recipients": 1}
    ledger.plan("a", rows, "{x}【签名】", on_preview=seen.append, **options)
    (planned,) = seen
    found = ledger.preview("a")
    assert (found.channel, found.extension) == (planned.channel, planned.extension) == ("37", "7")
    assert found.plan == replace(planned.plan, existing=True)
    assert found.numbers_by_segments == planned.numbers_by_segments == {1: 4, 2: 1}
    assert {each.message for each in found.samples} <= {f"{row['x']}【签名】" for row in rows}
    by_number = {row["phone"]: f"{row['x']}【签名】" for row in rows}
    assert all(by_number[each.number] == each.message for each in found.samples)
    for name in ("first", "longest", "shortest"):
        (ours,), (theirs,) = (
            [replace(each, names=(), values={}) for each in shown.samples if name in each.names]
            for shown in (found, planned)
        )
        assert ours == theirs
    ledger.run("a", client, concurrency=1)
    assert ledger.status("a").on_hold
    done = ledger.preview("a")
    assert (done.plan.numbers, done.plan.submissions, done.samples) == (0, 0, ())
    assert (done.channel, done.extension) == ("37", "7")
    with pytest.raises(NotInLedger, match="no campaign 'b'"):
        ledger.preview("b")


def test_preview_of_a_ledger_leaves_out_what_was_suppressed_since(ledger: Ledger) -> None:
    """It shows what a run would send: no number, text or submission of the do-not-send list."""
    given = numbers(6)
    rows = [
        {"phone": number, "x": x}
        for number, x in zip(given, ["甲", "甲", "乙" * 80, "丙", "丙", "丙"], strict=True)
    ]
    ledger.plan("a", rows, "{x}【签名】", channel=37, max_recipients=2)
    assert ledger.preview("a").plan.notes == ()
    ledger.suppression.add([given[0], given[2], given[5]], by="ops")
    found = ledger.preview("a")
    plan = found.plan
    assert (plan.numbers, plan.submissions, plan.texts, plan.segments) == (3, 2, 2, 3)
    assert plan.notes == (
        "Numbers on the do-not-send list since the plan: 3. A run leaves them out, and they are not"
        " counted here.",
    )
    assert {each.message: each.number for each in found.samples} == {"甲【签名】": given[1]}
    ledger.suppression.add([given[1], given[3]], by="ops", hashed=True)
    found = ledger.preview("a")
    assert [(each.message, each.number) for each in found.samples] == [("丙【签名】", given[4])]
    ledger.suppression.add([given[4]], by="ops")
    found = ledger.preview("a")
    assert (found.plan.numbers, found.plan.submissions, found.samples) == (0, 0, ())


def test_plan_sends_the_first_text_of_the_list_first(ledger: Ledger) -> None:
    """The first text of a preview is the first that is sent, wherever it is in the alphabet."""
    rows = [
        {"phone": number, "x": x}
        for number, x in zip(numbers(4), ["z", "a", "m", "z"], strict=True)
    ]
    ledger.plan("a", rows, "{x}【签名】", channel=37, max_recipients=1)
    texts = [ledger.find(each.number)[0].message[0] for each in ledger.results("a")]
    assert texts == ["z", "z", "a", "m"]


def test_plan_preview_that_raises_writes_nothing(ledger: Ledger) -> None:
    """A caller may look at the texts, and end the planning."""

    def refuse(_preview: Preview) -> None:
        raise RuntimeError("not this text")

    with pytest.raises(RuntimeError, match="not this text"):
        ledger.plan("a", [A], TEXT, channel=37, on_preview=refuse)
    assert ledger.campaigns() == []


def test_plan_existing_campaign_keeps_its_submissions(ledger: Ledger) -> None:
    """The plan that is returned counts the submissions that the ledger has."""
    first = ledger.plan("a", numbers(30), TEXT, channel=37, max_recipients=5)
    again = ledger.plan("a", numbers(30), TEXT, channel=37, max_recipients=10)
    assert (first.existing, first.submissions) == (False, 6)
    assert (again.existing, again.submissions) == (True, 6)


@pytest.mark.parametrize("encoding", ["undefined", "idna", "hex", "ascii", "utf-16", "x" * 99])
def test_plan_with_a_wrong_encoding_writes_nothing(
    ledger: Ledger, tmp_path: Path, encoding: str
) -> None:
    """An encoding that cannot decode the list is an error that names it."""
    path = tmp_path / "list.csv"
    path.write_text("手机\n13900000000\n", "utf-8")
    with pytest.raises(ConfigurationError, match=r"name its encoding|There is no encoding"):
        ledger.plan("a", Csv(path, encoding=encoding), TEXT, channel=37)
    assert ledger.campaigns() == []


def test_plan_that_fails_writes_nothing(ledger: Ledger) -> None:
    """A list that breaks off, has no valid line, or an invalid message leaves no campaign."""

    def broken() -> Iterator[str]:
        yield from numbers(50_000)
        raise OSError(5, "Input/output error")

    with pytest.raises(ConfigurationError, match="The list cannot be read"):
        ledger.plan("a", broken(), TEXT, channel=37)
    with pytest.raises(ConfigurationError, match="No line of the list can be sent"):
        ledger.plan("a", ["x"], TEXT, channel=37)
    with pytest.raises(ConfigurationError, match="The list is empty"):
        ledger.plan("a", [], TEXT, channel=37)
    with pytest.raises(InvalidRequest, match="signature"):
        ledger.plan("a", [A], "no signature", channel=37)
    assert ledger.campaigns() == []
    assert ledger.plan("a", [A, "x"], TEXT, channel=37).existing is False
    assert [each.line for each in ledger.skipped_lines("a")] == [2]


def test_plan_error_of_the_source_is_raised_as_it_is(ledger: Ledger) -> None:
    """An error of a source in SQLite is not taken for one of the ledger."""

    def broken() -> Iterator[str]:
        yield from numbers(3)
        raise sqlite3.OperationalError("no such column: vip")

    with pytest.raises(sqlite3.OperationalError, match="no such column: vip"):
        ledger.plan("a", broken(), TEXT, channel=37)
    assert ledger.campaigns() == []


def test_plan_with_many_texts_keeps_each_number_with_its_own(ledger: Ledger) -> None:
    """Texts are written in several parts; none is lost or doubled at their edges."""
    rows = [{"phone": number, "at": str(at % 700)} for at, number in enumerate(numbers(1400))]
    plan = ledger.plan("a", rows, "第{at}【签名】", channel=37, max_recipients=1)
    assert (plan.texts, plan.submissions) == (700, 1400)
    results = {each.number for each in ledger.results("a")}
    assert results == set(numbers(1400))
    for at in (0, 699, 700, 1399):
        (found,) = ledger.find(numbers(1400)[at])
        assert found.message == f"第{at % 700}【签名】"


def test_run_of_marketing_needs_its_hours(ledger: Ledger, sandbox: Sandbox) -> None:
    """The ledger remembers that a campaign is marketing, and every run is asked for the hours."""
    text = "全场五折，拒收请回复R【签名】"
    ledger.plan("a", [A], text, channel=37, marketing=True)
    ledger.plan("b", [A], text, channel=37)
    with Client("demo", "demo", channel="37", endpoint=sandbox.url) as client:
        for hours in (None, "08:00-22:00", "21:00-08:00"):
            with pytest.raises(
                ConfigurationError, match="from 08:00 to 21:00 in China's time only"
            ):
                ledger.run("a", client, sending_hours=hours)
        with pytest.raises(ConfigurationError, match="in China's time only"):
            ledger.run("a", client, sending_hours="09:00-20:00", timezone="UTC")
        assert ledger.status("a").submissions[State.PENDING] == 1
        assert ledger.run("b", client).numbers[State.ACCEPTED] == 1
        stop = threading.Event()
        stop.set()  # whatever the time is
        status = ledger.run("a", client, sending_hours="09:00-20:00", stop=stop)
    assert status.submissions[State.PENDING] == 1


def test_plan_as_marketing_is_another_campaign(ledger: Ledger) -> None:
    """A second plan must not change silently what the first one promised."""
    text = "全场五折，拒收请回复R【签名】"
    ledger.plan("a", [A], text, channel=37, marketing=True)
    assert ledger.plan("a", [A], text, channel=37, marketing=True).existing
    with pytest.raises(ContentConflict, match="or only one of the two is marketing"):
        ledger.plan("a", [A], text, channel=37)
