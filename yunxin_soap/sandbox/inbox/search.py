"""The inbox's search: ``to:139 outcome:rejected "any text"``. Pure.

A search is a list of terms with spaces between them; an arrival must match every term. A term is a
word, which may be anywhere in the arrival, or a name, a colon and a value. Quotes keep spaces and
colons: ``text:"a b"``; two quotes inside of them stand for one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone

from yunxin_soap.sandbox.arrivals.models import Arrival, Outcome, code_of
from yunxin_soap.sentences import Sentence

NAMES = ("to", "outcome", "code", "text", "account", "before")
"""The names that a term can have."""
MAX_TERMS = 20
"""More terms would search too long while everybody waits."""
_TERM = re.compile(
    r"""
    (?:(?P<name>[A-Za-z_]+)[:：])?
    (?: "(?P<quoted>(?:[^"]|"")*)(?:"|\Z) | (?P<word>[^\s"][^\s]*) )?
    """,
    re.VERBOSE,
)
_CODE = re.compile("-?([0-9]{1,9})")
_CLOCK = re.compile("[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?")
_COUNTRY_CODE = re.compile(r"(?:\+|00)86(?=1)")
"""What people write before a number, but the recipients of an arrival lack."""
_Test = Callable[[Arrival], bool]


class SearchError(ValueError):
    """A search that cannot be understood; the message says why."""


@dataclass(frozen=True)
class Term:
    """One condition of a search."""

    name: str
    """One of `NAMES`; empty for a word that may be anywhere."""
    value: str
    """What the arrival must have; a number has no spaces, hyphens and country code any more."""


def parse(search: str) -> tuple[Term, ...]:
    """Return the terms of a search.

    Args:
        search: the text that a person typed. An unclosed quote ends with the text.

    Raises:
        SearchError: a name is unknown, a term has no value, or there are too many terms.
    """
    terms: list[Term] = []
    rest = search.strip()
    while rest:
        found = _TERM.match(rest)
        assert found is not None  # every part of the pattern is optional
        terms.append(_term(found))
        rest = rest[found.end() :].lstrip()
    if len(terms) > MAX_TERMS:
        raise SearchError(Sentence("has more than {count} terms: leave some out", count=MAX_TERMS))
    return tuple(terms)


def _term(found: re.Match[str]) -> Term:
    name = (found["name"] or "").lower()
    quoted = found["quoted"]
    value = quoted.replace('""', '"') if quoted is not None else found["word"] or ""
    if name and name not in NAMES:
        raise SearchError(
            Sentence(
                "has no term {name}:, only {names}; write quotes around a text with a colon, as in"
                ' "a:b"',
                name=name,
                names=", ".join(f"{each}:" for each in NAMES),
            )
        )
    if name == "to":
        value = _digits(value)
    if not value.strip():
        raise SearchError(Sentence("has a term without a value: write one, or leave the term out"))
    return Term(name, value)


def matcher(search: str, utc_offset: int, now: datetime | None = None) -> _Test:
    """Return a function that says whether an arrival matches a search.

    Args:
        search: the text that a person typed; empty matches all.
        utc_offset: minutes east of UTC, for times without a zone.
        now: an aware time, whose date a time of day has; the present by default.

    Raises:
        SearchError: the search cannot be understood.
    """
    zone = timezone(timedelta(minutes=utc_offset))
    today = (now or datetime.now(timezone.utc)).astimezone(zone)
    tests = [_test(term, today) for term in parse(search)]
    return lambda arrival: all(test(arrival) for test in tests)


def _test(term: Term, today: datetime) -> _Test:
    text = term.value.lower()
    if term.name == "to":
        return lambda arrival: text in "\n".join(arrival.recipients)
    if term.name == "outcome":
        outcome = _outcome(text)
        return lambda arrival: arrival.outcome is outcome
    if term.name == "code":
        code = _code(text)
        return lambda arrival: code_of(arrival) == code
    if term.name == "text":
        return lambda arrival: text in arrival.message.lower()
    if term.name == "account":
        return lambda arrival: text in arrival.user_code.lower()
    if term.name == "before":
        before = _moment(text, today)
        return lambda arrival: arrival.received_at < before
    return lambda arrival: matches_text(arrival, text)


def matches_text(arrival: Arrival, text: str) -> bool:
    """Return whether an arrival contains a text anywhere.

    Args:
        arrival: the arrival.
        text: the text in lower case.
    """
    # One text is several times faster than one for each of a thousand recipients.
    values = (arrival.message, arrival.result, arrival.batch_no or "", arrival.user_code)
    return text in "\n".join((*values, *arrival.recipients)).lower()


def _digits(number: str) -> str:
    digits = re.sub(r"[\s-]", "", number)
    found = _COUNTRY_CODE.match(digits)
    return digits[found.end() :] if found else digits


def _outcome(text: str) -> Outcome:
    try:
        return Outcome(text)
    except ValueError:
        names = ", ".join(each.value for each in Outcome)
        raise SearchError(
            Sentence("has an unknown outcome: after outcome: write {names}", names=names)
        ) from None


def _code(text: str) -> int:
    found = _CODE.fullmatch(text)
    if found is None:
        raise SearchError(
            Sentence("has a code that is no number: after code: write one such as -7")
        )
    return -int(found[1])


def _moment(text: str, today: datetime) -> datetime:
    try:
        if _CLOCK.fullmatch(text):
            clock = text.zfill(5 if text.count(":") == 1 else 8)
            return datetime.combine(today, time.fromisoformat(clock), today.tzinfo)
        # Python 3.10 does not parse a Z.
        moment = datetime.fromisoformat(text.upper().replace("Z", "+00:00"))
    except ValueError:
        raise SearchError(
            Sentence(
                "has a time that cannot be read: after before: write 2026-11-30, 14:30 or"
                " 2026-11-30T14:30"
            )
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=today.tzinfo)
