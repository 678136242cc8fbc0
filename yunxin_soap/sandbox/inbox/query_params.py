"""Reads what the REST API is asked, strictly: a mistyped name must not find everything."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType

from multidict import MultiMapping

from yunxin_soap.sandbox.arrivals.store import Outcome
from yunxin_soap.sandbox.inbox.views import Search

MAX_WAIT = 60.0
"""Seconds that one request waits for a message at most."""
MOST = 10**15 - 1
"""The highest whole number that is asked for."""
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,2})?")


class Refused(Exception):
    """A request that is not carried out.

    Args:
        status: the HTTP status.
        why: what is wrong, in words.
        headers: what else the answer says.
    """

    def __init__(self, status: int, why: str, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        super().__init__(why)
        self.status, self.headers = status, headers


def check_names(query: MultiMapping[str], known: Collection[str]) -> None:
    """Refuse a query with a parameter that is not known, or that is there twice."""
    for name in query:
        if name not in known:
            names = ", ".join(sorted(known)) or "none here"
            raise Refused(400, f"{name!r} is not known; known are {names}.")
        if len(query.getall(name)) > 1:
            raise Refused(400, f"{name} is there more than once.")


def search(query: MultiMapping[str]) -> Search:
    """Return what a query asks for."""
    try:
        outcome = Outcome(query["outcome"]) if "outcome" in query else None
    except ValueError:
        outcomes = ", ".join(each.value for each in Outcome)
        raise Refused(422, f"outcome must be one of {outcomes}.") from None
    return Search(
        text=query.get("text", ""),
        outcome=outcome,
        recipient=query.get("recipient", ""),
        batch_no=query.get("batch_no", ""),
        after=whole(query, "after", 0),
        before=whole(query, "before", 0) if "before" in query else None,
    )


def whole(query: MultiMapping[str], name: str, default: int, most: int = MOST) -> int:
    """Return a whole number, from 0."""
    text = query.get(name, str(default))
    if not re.fullmatch("[0-9]{1,15}", text) or int(text) > most:
        raise Refused(422, f"{name} must be a whole number, {most} at most.")
    return int(text)


def seconds(query: MultiMapping[str]) -> float:
    """Return how long is to be waited."""
    text = query.get("timeout", "10")
    if not _NUMBER.fullmatch(text) or float(text) > MAX_WAIT:
        raise Refused(422, f"timeout must be a number of seconds, {MAX_WAIT:g} at most.")
    return float(text)
