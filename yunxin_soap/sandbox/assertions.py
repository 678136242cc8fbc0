"""What the assertions of `Sandbox` look for, and what they say when they fail. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from yunxin_soap.cells import cell_width
from yunxin_soap.codes import ResultCode
from yunxin_soap.message import normalise_recipients
from yunxin_soap.sandbox.arrivals.models import Arrival, Outcome
from yunxin_soap.sentences import Sentence

if TYPE_CHECKING:
    from yunxin_soap.sandbox.arrivals.store import ArrivalStore

_MAX_NUMBERS = 100_000
"""The most numbers of one assertion."""
_MAX_LISTED = 5
"""How many arrivals, and how many numbers, a failure lists."""
_MAX_COMPARED = 200
"""How many of the latest arrivals a failure compares."""
_MAX_LENGTH = 1000
"""How many characters of a text are compared."""
_MAX_COLUMNS = 40
"""How many characters of a text are shown."""
_BEFORE_DIFFERENCE = 15
"""How many characters before the first difference are shown of a longer text."""
_ALIKE = 0.4
"""The least share of the characters that two texts have in common for their difference to help."""

_Column = tuple[str, str, bool]
"""A character of what was expected, one of what arrived, and whether they differ."""


@dataclass(frozen=True)
class _Wanted:
    """What an assertion looks for."""

    numbers: tuple[str, ...]
    containing: str | re.Pattern[str]

    def matches_text(self, message: str) -> bool:
        if isinstance(self.containing, str):
            return self.containing in message
        return self.containing.search(message) is not None

    def matches_number(self, arrival: Arrival) -> bool:
        return not set(self.numbers).isdisjoint(arrival.recipients)

    def accepted(self, store: ArrivalStore) -> list[Arrival]:
        return [
            each
            for each in store.accepted
            if self.matches_number(each) and self.matches_text(each.message)
        ]

    def __str__(self) -> str:
        """The end of a sentence: to whom, with which text."""
        count = len(self.numbers)
        to = f"to {self.numbers[0]}" if count == 1 else f"to each of {count} numbers"
        return to + self.text_condition

    @property
    def text_condition(self) -> str:
        if isinstance(self.containing, re.Pattern):
            return f" whose message matches the pattern '{self.containing.pattern}'"
        return f" whose message contains {self.containing!r}" if self.containing else ""


def check_sent(
    store: ArrivalStore,
    recipients: str | int | Iterable[str | int],
    containing: str | re.Pattern[str],
    times: int,
) -> tuple[Arrival, ...]:
    """Return the accepted arrivals; see `Sandbox.assert_sent`."""
    __tracebackhide__ = True
    given: Any = times  # tests are often not type-checked
    if not isinstance(given, int) or isinstance(given, bool) or given < 0:
        raise ValueError(
            Sentence(
                "times={times} must be a whole number from 0 (0: none was sent).", times=repr(times)
            )
        )
    wanted = _Wanted(normalise_recipients(recipients, limit=_MAX_NUMBERS), containing)
    found = wanted.accepted(store)
    counts = dict.fromkeys(wanted.numbers, 0)
    for arrival in found:
        for number in counts.keys() & set(arrival.recipients):
            counts[number] += 1
    wrong = {number: count for number, count in counts.items() if count != times}
    if wrong:
        if len(counts) == 1:
            said = f"found {counts[wanted.numbers[0]]}."
        else:
            some = [f"{count} to {number}" for number, count in wrong.items()]
            said = f"found {_listed(some, 'numbers')}."
        closest = _closest(store, _Wanted(tuple(wrong), containing))
        submissions = "submission" if times == 1 else "submissions"
        raise AssertionError(f"Expected {times} accepted {submissions} {wanted}, {said}{closest}")
    return tuple(found)


def check_not_sent(
    store: ArrivalStore,
    recipients: str | int | Iterable[str | int],
    containing: str | re.Pattern[str],
) -> None:
    """Check that no number got such a message; see `Sandbox.assert_not_sent`."""
    __tracebackhide__ = True
    numbers = normalise_recipients(recipients, limit=_MAX_NUMBERS)
    wanted = _Wanted(numbers, containing)
    to = numbers[0] if len(numbers) == 1 else f"any of {len(numbers)} numbers"
    if found := wanted.accepted(store):
        raise AssertionError(
            f"Expected no accepted submission to {to}{wanted.text_condition},"
            f" found {len(found)}:{_entries(found, wanted)}"
        )
    if not containing and any(map(store.times_accepted, numbers)):
        raise AssertionError(
            f"Expected no accepted submission to {to}, found one that is not in memory any more."
        )


def check_nothing_sent(store: ArrivalStore) -> None:
    """Check that nothing was accepted; see `Sandbox.assert_nothing_sent`."""
    __tracebackhide__ = True
    if found := store.accepted:
        raise AssertionError(
            "Expected that no submission was accepted,"
            f" found {len(found)}:{_entries(found, _Wanted((), ''))}"
        )
    if store.accepted_numbers:
        raise AssertionError(
            "Expected that no submission was accepted, found some that are not in memory any more."
        )


def _closest(store: ArrivalStore, wanted: _Wanted) -> str:
    """Describe what arrived instead, the closest first."""
    arrivals = store.arrivals
    if not arrivals:
        return "\nNothing arrived."
    compared = list(reversed(arrivals[-_MAX_COMPARED:]))
    scored = [(_closeness(each, wanted), each) for each in compared]
    scored.sort(key=lambda each: each[0], reverse=True)
    count = f"{len(arrivals)} arrivals, the closest first" if len(arrivals) > 1 else "1 arrival"
    more = f" ({store.dropped} older ones are not in memory any more)" if store.dropped else ""
    entries = _entries([arrival for _, arrival in scored], wanted, len(arrivals), explain=True)
    return f"\n{count}{more}:{entries}"


def _closeness(arrival: Arrival, wanted: _Wanted) -> float:
    """Return how close an arrival is to what was expected: 0 to 2, and a little for acceptance."""
    number = 1.0
    if not wanted.matches_number(arrival):
        number = 0.9 * _same_digits(*_closest_numbers(arrival, wanted))
    text = 1.0
    if not wanted.matches_text(arrival.message):
        containing = wanted.containing
        text = 0.9 * _likeness(containing, arrival.message) if isinstance(containing, str) else 0.0
    return number + text + 0.01 * (arrival.outcome is Outcome.ACCEPTED)


def _closest_numbers(arrival: Arrival, wanted: _Wanted) -> tuple[str, str]:
    """Return the expected number and the recipient that are closest to each other."""
    pairs = [
        (expected, number)
        for expected in wanted.numbers[:_MAX_LISTED]
        for number in arrival.recipients[:_MAX_COMPARED]
    ]
    return max(pairs, key=lambda pair: _same_digits(*pair), default=(wanted.numbers[0], ""))


def _same_digits(expected: str, number: str) -> float:
    return sum(map(str.__eq__, expected, number)) / max(len(expected), len(number))


def _likeness(expected: str, message: str) -> float:
    """Return the share of an expected text that a message contains in the same order."""
    expected = expected[:_MAX_LENGTH]
    matcher = SequenceMatcher(None, message[:_MAX_LENGTH], expected, autojunk=False)
    return sum(block.size for block in matcher.get_matching_blocks()) / len(expected)


def _entries(
    arrivals: Sequence[Arrival], wanted: _Wanted, total: int | None = None, *, explain: bool = False
) -> str:
    """List the first arrivals, each with its message or with what is different about it."""
    lines: list[str] = []
    for each in arrivals[:_MAX_LISTED]:
        difference = _difference(each, wanted) if explain else ("", [])
        lines.append(f"  #{each.id} {_summary(each)}{difference[0]}")
        lines += difference[1] or [f"      message:   {_cropped(each.message)}"] * bool(
            each.message
        )
    more = (total or len(arrivals)) - _MAX_LISTED
    if more > 0:
        lines.append(f"  and {more} more")
    return "".join(f"\n{line.rstrip()}" for line in lines)


def _summary(arrival: Arrival) -> str:
    if arrival.protocol is None:
        return f"malformed: {arrival.result}"
    result = ""
    if arrival.outcome is Outcome.REJECTED:
        code = arrival.result.partition(":")[0]
        words = {str(int(each)): each.description_zh for each in ResultCode}.get(code, "")
        result = f" {arrival.result} {words}".rstrip()
    fault = f" with the fault {arrival.fault!r}" if arrival.fault else ""
    numbers = _listed(arrival.recipients, "numbers") or "nobody"
    return f"{arrival.outcome.value}{result}{fault}, to {numbers}"


def _listed(items: Sequence[str], what: str) -> str:
    more = len(items) - _MAX_LISTED
    return ", ".join(items[:_MAX_LISTED]) + (f" and {more} more {what}" if more > 0 else "")


def _difference(arrival: Arrival, wanted: _Wanted) -> tuple[str, list[str]]:
    """Return what is different about an arrival: in a few words, and line by line."""
    if arrival.protocol is None:
        return "", []
    same_number = wanted.matches_number(arrival)
    same_text = wanted.matches_text(arrival.message)
    if same_number and same_text:
        accepted = arrival.outcome is Outcome.ACCEPTED
        return (": matches" if accepted else ": matches, but was not accepted"), []
    lines: list[str] = []
    if not same_number:
        expected, number = _closest_numbers(arrival, wanted)
        columns = [
            (one, other, one != other) for one, other in zip_longest(expected, number, fillvalue="")
        ]
        if _same_digits(expected, number) > 0.5:
            lines += _aligned(columns, "number:")
    if not same_text and isinstance(wanted.containing, str):
        expected = wanted.containing[:_MAX_LENGTH]
        if _likeness(expected, arrival.message) >= _ALIKE:
            lines += _aligned(list(_columns(expected, arrival.message[:_MAX_LENGTH])), "message:")
    if not any(line.lstrip().startswith("message:") for line in lines):
        lines.append(f"      message:   {_cropped(arrival.message)}")
    if same_number:
        return ": the message differs", lines
    return (": the number differs" if same_text else ": number and message differ"), lines


def _columns(expected: str, message: str) -> Iterator[_Column]:
    """Align an expected text with the part of a message that is most like it."""
    matcher = SequenceMatcher(None, message, expected, autojunk=False)
    steps = matcher.get_opcodes()
    for step, (tag, start, end, expected_start, expected_end) in enumerate(steps):
        found, missing = message[start:end], expected[expected_start:expected_end]
        if tag == "equal":
            yield from ((each, each, False) for each in found)
            continue
        # What the message has before and after is no difference.
        before = after = ""
        if step == 0:
            before, found = found[: len(found) - len(missing)], found[len(found) - len(missing) :]
            if len(found) < len(missing):
                before, found = "", message[start:end]
        elif step == len(steps) - 1:
            found, after = found[: len(missing)], found[len(missing) :]
        yield from (("", each, False) for each in before)
        for one, other in zip_longest(missing, found, fillvalue=""):
            yield one, other, True
        yield from (("", each, False) for each in after)


def _aligned(columns: list[_Column], label: str) -> list[str]:
    """Write the two texts one below the other, and mark where they differ."""
    first = next((at for at, column in enumerate(columns) if column[2]), 0)
    start = 0 if len(columns) <= _MAX_COLUMNS else max(0, first - _BEFORE_DIFFERENCE)
    shown = columns[start : start + _MAX_COLUMNS]
    rows = ["", "", ""]
    for expected, found, differs in shown:
        expected, found = _printable(expected), _printable(found)
        width = max(cell_width(expected), cell_width(found))
        wide = width == 2 and len(expected or found) == 1
        for row, text in enumerate((expected, found, ("＾" if wide else "^") if differs else "")):
            # A blank as wide as a Chinese character, which no font makes narrower than the other.
            blanks = width - cell_width(text)
            rows[row] += text + ("\u3000" if wide and blanks == 2 else " " * blanks)
    before = "..." if start else ""
    after = "..." if start + _MAX_COLUMNS < len(columns) else ""
    heads = ("expected:", label, "")
    blank = " " * len(before)
    return [
        f"      {heads[0]:<11}{blank}{rows[0]}",
        f"      {heads[1]:<11}{before}{rows[1]}{after}",
        f"      {heads[2]:<11}{blank}{rows[2]}",
    ]


def _cropped(message: str) -> str:
    text = "".join(map(_printable, message[:_MAX_COLUMNS]))
    return text + ("..." if len(message) > _MAX_COLUMNS else "")


def _printable(character: str) -> str:
    """Return a character as it is, or its escape if it does not print."""
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode()
