"""Reads a list, and says what a campaign of it would be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from yunxin_soap.campaign.lists.rows import Source, source_of
from yunxin_soap.campaign.planning import Plan, Planner, PlanOptions, SkippedLine
from yunxin_soap.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Unpack


@contextmanager
def planned(
    name: str,
    source: Source | str | int | Iterable[Any],
    message: str,
    on_progress: Callable[[int], None] = lambda _rows: None,
    on_skipped: Callable[[SkippedLine], None] | None = None,
    **options: Unpack[PlanOptions],
) -> Iterator[tuple[Plan, Planner]]:
    """Read a source, and give what it comes to; the arguments are those of `Ledger.plan`."""
    if not name.strip() or not name.isprintable():
        raise ConfigurationError("A campaign needs a name, of characters that can be printed.")
    planner = Planner(message, **options)
    try:
        planner.read(source_of(source), on_progress)
        if on_skipped is not None:
            for line in planner.refused():
                on_skipped(line)
        plan = planner.plan(name)
        if plan.numbers == 0:
            raise ConfigurationError(_nothing_left(planner))
        yield plan, planner
    finally:
        planner.close()


def _nothing_left(planner: Planner) -> str:
    for first in planner.refused():
        return (
            "The list has no line that can be sent, look at its column and at the text: the first,"
            f" line {first.line}, is refused because of this: {first.reason}"
        )
    return "The list is empty."


def preview(
    name: str,
    source: Source | str | int | Iterable[Any],
    message: str,
    *,
    on_progress: Callable[[int], None] = lambda _rows: None,
    on_skipped: Callable[[SkippedLine], None] | None = None,
    **options: Unpack[PlanOptions],
) -> Plan:
    """Say what `Ledger.plan` would make of the same arguments; it needs no ledger.

    Raises:
        InvalidRequest: the text, the channel or another argument breaks a rule.
        ConfigurationError: the list cannot be read or has no number.
    """
    with planned(name, source, message, on_progress, on_skipped, **options) as (plan, _):
        return plan
