"""The do-not-send list: who is on it gets nothing, from any campaign and from no single send."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.integration.campaign.conftest import executed
from tests.support.lists import TEXT, numbers
from yunxin_soap import Client, ConfigurationError, InvalidRequest, RecipientsSuppressed
from yunxin_soap.campaign import Csv, Ledger, SkipKind, SkippedLine, State, Text
from yunxin_soap.campaign.lists import BATCH_SIZE
from yunxin_soap.campaign.storage.schema import suppression
from yunxin_soap.sandbox import Sandbox

A, B, C, D, E = numbers(5)
NAMED = "您好{name}【签名】"


def listed(ledger: Ledger) -> list[tuple[str | None, str, str]]:
    """Return what is on the do-not-send list."""
    return [(each.number, each.reason, each.by) for each in ledger.suppression.entries()]


def raw_values(engine: sa.Engine) -> list[str]:
    """Return the keys of the table, as they are stored."""
    with engine.connect() as connection:
        return list(connection.scalars(sa.select(suppression.c.value)))


def test_list_has_what_was_added_once(ledger: Ledger) -> None:
    """A number is on the list once, with the first reason; it is taken off by any notation."""
    assert ledger.suppression.add([A, f"+86 {B}"], by="ops", reason="asked by phone") == 2
    assert ledger.suppression.add(f"{B},{C}", by="law") == 1
    assert sorted(listed(ledger), key=str) == [
        (A, "asked by phone", "ops"),
        (B, "asked by phone", "ops"),
        (C, "", "law"),
    ]
    assert ledger.suppression.remove([f"0086{A}", D, int(C)]) == 2
    assert listed(ledger) == [(B, "asked by phone", "ops")]
    assert ledger.suppression.add(A, by="ops") == 1


def test_list_reads_every_source(ledger: Ledger, tmp_path: Path) -> None:
    """The list takes what a plan takes; its bad lines are named, and are an error by default."""
    file = tmp_path / "list.csv"
    file.write_text(f"name,手机\n甲,{A}\n乙,12\n丙,{B}\n", "utf-8")
    with pytest.raises(InvalidRequest, match=r"Line 3, '12', has no valid number: .* Nothing was"):
        ledger.suppression.add(Csv(file), by="ops")
    assert listed(ledger) == []
    skipped: list[SkippedLine] = []
    assert ledger.suppression.add(Csv(file), by="ops", on_skipped=skipped.append) == 2
    assert [(each.line, each.value) for each in skipped] == [(3, "12")]
    text = Text(io.BytesIO(f"{C}\n{D}\n".encode()))
    assert ledger.suppression.add(text, by="ops") == 2
    assert ledger.suppression.add([{"phone": E}], by="ops") == 1
    with pytest.raises(InvalidRequest, match="Line 1, 'x', has no valid number"):
        ledger.suppression.remove(["x"])
    assert {number for number, _, _ in listed(ledger)} == {A, B, C, D, E}


def test_list_of_a_source_without_a_number_is_an_error(ledger: Ledger) -> None:
    """A file that was read by the wrong column must not seem to be imported."""
    skipped: list[SkippedLine] = []
    with pytest.raises(InvalidRequest, match=r"No line has a valid number.* line 1, '甲': the num"):
        ledger.suppression.add(["甲", "12"], by="ops", on_skipped=skipped.append)
    assert [each.value for each in skipped] == ["甲", "12"]
    assert ledger.suppression.add([], by="ops", on_skipped=skipped.append) == 0
    assert listed(ledger) == []


def test_list_of_a_source_that_breaks_off_is_not_changed(ledger: Ledger) -> None:
    """A part of a list is not taken for the whole, however far it was read."""

    def broken() -> Iterator[str]:
        yield from numbers(BATCH_SIZE + 1)
        raise OSError(5, "Input/output error")

    with pytest.raises(ConfigurationError, match="The list cannot be read"):
        ledger.suppression.add(broken(), by="ops")
    assert listed(ledger) == []


@pytest.mark.parametrize(
    ("by", "reason"), [("", ""), (" ", ""), ("a\n", ""), ("ops", "a\0"), ("ops", "\ud800")]
)
def test_list_takes_printable_texts_only(ledger: Ledger, by: str, reason: str) -> None:
    """The person and the reason are shown to others, by any database and terminal."""
    with pytest.raises(ConfigurationError, match="must be printable text"):
        ledger.suppression.add(A, by=by, reason=reason)
    assert listed(ledger) == []


def test_list_of_hashes_has_no_number(ledger: Ledger, engine: sa.Engine) -> None:
    """Hashes take the place of numbers, are found like these, and differ between ledgers."""
    ledger.suppression.add([A, B], by="ops", reason="first")
    assert ledger.suppression.add([B, C], by="law", reason="asked", hashed=True) == 1
    # What was on the list stays as it is, but for the number.
    assert sorted(listed(ledger), key=str) == [
        (A, "first", "ops"),
        (None, "asked", "law"),
        (None, "first", "ops"),
    ]
    values = raw_values(engine)
    assert A in values
    assert not any(number in value for value in values for number in (B, C))
    # A number stays a hash: who adds it again need not know that it is one.
    assert ledger.suppression.add([B, C], by="ops") == 0
    assert ledger.suppression.add([B, C], by="ops", hashed=True) == 0
    assert raw_values(engine) == values
    assert ledger.suppression.remove([C, B]) == 2
    assert listed(ledger) == [(A, "first", "ops")]


def test_list_hashes_have_a_key_of_their_ledger(tmp_path: Path) -> None:
    """The same number has another hash in another ledger."""
    found = set()
    for name in ("a", "b"):
        with Ledger(tmp_path / name) as ledger:
            ledger.suppression.add(A, by="ops", hashed=True)
            found |= set(raw_values(ledger._engine))
    assert len(found) == 2


def test_list_takes_foreign_numbers_by_their_pattern(ledger: Ledger) -> None:
    """A list of other numbers works like one of mainland numbers."""
    pattern = r"\+852\d{8}"
    ledger.suppression.add("+852 9123 4567", by="ops", recipient_pattern=pattern)
    given = ["+85291234567", "+85291234568"]
    plan = ledger.plan("a", given, TEXT, channel=37, recipient_pattern=pattern)
    assert (plan.numbers, plan.skipped_by) == (1, {SkipKind.SUPPRESSED: 1})
    assert ledger.suppression.remove("+85291234567", recipient_pattern=pattern) == 1


@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize(
    ("given", "same"),
    [
        ("+85291234567", ["85291234567", "0085291234567", "+852 9123-4567"]),
        ("0085291234567", ["85291234567", "+85291234567"]),
        ("85291234567", ["+85291234567", "0085291234567"]),
        (f"+86{A}", [A, f"0086{A}", f"86{A}", f"+86 (0){A}"]),
        ("+18624017194", ["0018624017194"]),
    ],
)
def test_list_finds_a_number_in_any_notation(
    ledger: Ledger, given: str, same: list[str], hashed: bool
) -> None:
    """A country code with a plus, with two zeros and with neither is of one number."""
    pattern = r"\+?\d{8,15}"
    ledger.suppression.add(given, by="ops", recipient_pattern=pattern, hashed=hashed)
    assert ledger.suppression.add(same, by="ops", recipient_pattern=pattern) == 0
    # American, and of mainland China: they are two.
    others = ["18624017194", B]
    plan = ledger.plan("a", [given, *same, *others], TEXT, channel=37, recipient_pattern=pattern)
    assert (plan.numbers, plan.skipped_by) == (2, {SkipKind.SUPPRESSED: 1 + len(same)})
    for each in same:
        with pytest.raises(RecipientsSuppressed):
            ledger.once.enqueue("k", each, TEXT, channel=37, recipient_pattern=pattern)
    assert ledger.suppression.remove(same[0], recipient_pattern=pattern) == 1
    assert listed(ledger) == []


@pytest.mark.parametrize("hashed", [False, True])
def test_plan_finds_other_notations_in_every_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hashed: bool
) -> None:
    """The list is looked up, held, or too long to be held: each finds the same."""
    pattern = r"\+?\d{8,15}"
    given = [f"852{each}" for each in range(91000000, 91000000 + 3 * BATCH_SIZE)]
    chosen = given[::BATCH_SIZE]
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.suppression.add(
            [f"+{each}" for each in chosen], by="ops", recipient_pattern=pattern, hashed=hashed
        )
        for name, most in (("a", 10), ("b", 2)):
            monkeypatch.setattr("yunxin_soap.campaign.storage.suppression._MAX_HELD", most)
            plan = ledger.plan(name, given, TEXT, channel=37, recipient_pattern=pattern)
            assert plan.skipped_by == {SkipKind.SUPPRESSED: 3}


@pytest.mark.parametrize("hashed", [False, True])
def test_claim_finds_other_notations(
    ledger: Ledger, client: Client, sandbox: Sandbox, hashed: bool
) -> None:
    """What was added after the plan or the enqueuing is found by its number, too."""
    pattern = r"\+?\d{8,15}"
    given = ["85291234567", "+85291234567", A]
    ledger.plan("a", given, TEXT, channel=37, recipient_pattern=pattern)
    ledger.once.enqueue("k", given[0], TEXT, channel=37, recipient_pattern=pattern)
    ledger.suppression.add("0085291234567", by="ops", recipient_pattern=pattern, hashed=hashed)
    with pytest.raises(RecipientsSuppressed):
        ledger.once.send_queued(client, "k")
    ledger.run("a", client)
    assert sandbox.accepted_numbers == {A: 1}


def test_list_takes_no_number_that_no_ledger_keeps(ledger: Ledger) -> None:
    """What a plan refuses is refused by the list and by single sends as well."""
    rule = "matches recipient_pattern .*, but is not written in digits"
    pattern = "[0-9a-z]+"
    with pytest.raises(InvalidRequest, match=rule):
        ledger.suppression.add("139abc", by="ops", recipient_pattern=pattern)
    with pytest.raises(InvalidRequest, match=rule):
        ledger.once.enqueue("k", "139abc", TEXT, channel=37, recipient_pattern=pattern)
    assert ledger.once.counts() == dict.fromkeys(State, 0)


@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize("message", [TEXT, NAMED])
def test_plan_skips_what_is_on_the_list(ledger: Ledger, message: str, hashed: bool) -> None:
    """Its lines are named with the reason and counted by it, the others are planned."""
    ledger.suppression.add([B, D], by="ops", reason="退订", hashed=hashed)
    rows = [{"phone": each, "name": "甲"} for each in (A, B, C, f"+86{B}", C, "12", D)]
    skipped: list[SkippedLine] = []
    plan = ledger.plan("a", rows, message, channel=37, max_recipients=2, on_skipped=skipped.append)
    assert (plan.numbers, plan.submissions, plan.texts, plan.segments) == (2, 1, 1, 2)
    reason = "on the do-not-send list: 退订"
    assert [(each.line, each.reason) for each in skipped if each.line in (2, 4, 7)] == [
        (line, reason) for line in (2, 4, 7)
    ]
    counts = {SkipKind.SUPPRESSED: 3, SkipKind.DUPLICATE: 1, SkipKind.INVALID_NUMBER: 1}
    assert (plan.skipped, plan.skipped_by) == (5, counts)
    status = ledger.status("a")
    assert (status.planned, status.skipped, status.skipped_by) == (2, 5, counts)
    assert {each.number for each in ledger.results("a")} == {A, C}
    assert list(ledger.skipped_lines("a")) == skipped


@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize("message", [TEXT, NAMED])
def test_plan_of_a_long_list_finds_all(ledger: Ledger, message: str, hashed: bool) -> None:
    """What is on the list is found in each batch of a list, also at the edges, once or twice."""
    given = numbers(3 * BATCH_SIZE)
    edges = [0, 1, BATCH_SIZE - 1, BATCH_SIZE, 2 * BATCH_SIZE - 1, 2 * BATCH_SIZE, len(given) - 1]
    chosen = [given[at] for at in edges]
    ledger.suppression.add([*chosen, *numbers(50, 13990000000)], by="ops", hashed=hashed)
    rows = [{"phone": each, "name": str(len(each))} for each in [*given, *chosen]]
    plan = ledger.plan("a", rows, message, channel=37)
    assert (plan.numbers, plan.skipped) == (len(given) - len(edges), 2 * len(edges))
    assert plan.skipped_by == {SkipKind.SUPPRESSED: 2 * len(edges)}
    found = [each.number for each in ledger.results("a")]
    assert len(found) == len(set(found))
    assert set(found) == set(given).difference(chosen)


@pytest.mark.parametrize("hashed", [False, True])
def test_plan_looks_up_a_list_that_is_too_long_to_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hashed: bool
) -> None:
    """The memory of a plan is bounded, however long the do-not-send list is."""
    monkeypatch.setattr("yunxin_soap.campaign.storage.suppression._MAX_HELD", 2)
    given = numbers(3 * BATCH_SIZE)
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.suppression.add(given[::BATCH_SIZE], by="ops", hashed=hashed)
        plan = ledger.plan("a", given, TEXT, channel=37)
        assert (plan.numbers, plan.skipped) == (len(given) - 3, 3)


@pytest.mark.parametrize("message", [TEXT, NAMED])
def test_plan_stays_the_same_when_the_list_grows(ledger: Ledger, message: str) -> None:
    """The same list and text are the same campaign, whoever is on the do-not-send list by then."""
    rows = [{"phone": each, "name": "甲"} for each in (A, B, C)]
    first = ledger.plan("a", rows, message, channel=37)
    ledger.suppression.add([B], by="ops")
    again = ledger.plan("a", rows, message, channel=37)
    assert (again.digest, again.existing) == (first.digest, True)
    assert (again.numbers, again.submissions, again.texts, again.segments) == (3, 1, 1, 3)
    ledger.suppression.add([A, C], by="ops")
    assert ledger.plan("a", rows, message, channel=37).existing
    with pytest.raises(ConfigurationError, match="Every number of the list is on the do-not-send"):
        ledger.plan("b", rows, message, channel=37)
    ledger.suppression.remove([B])
    other = ledger.plan("b", rows, message, channel=37)
    assert (other.digest, other.numbers) == (first.digest, 1)
    ledger.suppression.remove([A, C])
    assert ledger.plan("b", rows, message, channel=37).numbers == 1
    assert ledger.campaigns() == ["a", "b"]


def test_plan_that_is_strict_skips_what_is_on_the_list(ledger: Ledger) -> None:
    """Nothing is wrong with a list that has a number which is not to be sent to."""
    ledger.suppression.add([B], by="ops")
    assert ledger.plan("a", [A, B], TEXT, channel=37, strict=True).numbers == 1
    with pytest.raises(ConfigurationError, match="Line 3 of the list is invalid: a duplicate"):
        ledger.plan("b", [A, B, A], TEXT, channel=37, strict=True)


def test_plan_with_an_empty_list_costs_one_query(ledger: Ledger, engine: sa.Engine) -> None:
    """Whoever has no do-not-send list does not pay for it."""
    with executed() as statements:
        ledger.plan("a", numbers(3 * BATCH_SIZE), TEXT, channel=37)
    assert sum("yunxin_suppression" in text for text, _ in statements) == 1
    del engine


def test_purge_and_delete_leave_the_list(
    ledger: Ledger, client: Client, sandbox: Sandbox, engine: sa.Engine
) -> None:
    """The list is there to outlive the campaigns; with hashes, no number outlives them."""
    ledger.suppression.add([A], by="ops", hashed=True)
    ledger.plan("a", [A, B], TEXT, channel=37)
    ledger.plan("b", [A, C], TEXT, channel=37)
    ledger.delete("b")
    ledger.run("a", client)
    assert ledger.purge(older_than=-1) == 1
    assert listed(ledger) == [(None, "", "ops")]
    assert ledger.status("a").skipped_by == {SkipKind.SUPPRESSED: 1}
    assert list(ledger.skipped_lines("a")) == []
    with engine.connect() as connection:
        for table in sa.inspect(engine).get_table_names():
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}"):
                assert not any(A in str(value) for value in row)
    assert ledger.plan("c", [A, D], TEXT, channel=37).numbers == 1
    assert sandbox.accepted_numbers == {B: 1}
    assert ledger.status("a").numbers[State.ACCEPTED] == 1
