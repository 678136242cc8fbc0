"""``yunxin-soap campaign status``: the state of campaigns and single sends."""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from yunxin_soap.cli.exit_status import Exit
from yunxin_soap.cli.options import (
    ledger_options,
    open_ledger,
    optional_name_argument,
    timezone_option,
)
from yunxin_soap.cli.output import handle_errors, pluralize, print_json, print_text

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from yunxin_soap.campaign import Ledger, Status


_TEXT_COLUMNS = 2
"""The first columns of the table, which are aligned at their left; numbers are at their right."""


@click.command("status")
@optional_name_argument
@ledger_options
@timezone_option
def status_command(name: str | None, ledger_url: str | None, as_json: bool, timezone: str) -> None:
    """Show the state of campaigns and single sends.

    Without a name, it shows all of them.
    """
    with handle_errors(as_json), open_ledger(ledger_url) as ledger:
        from yunxin_soap.campaign.timezones import parse_timezone

        zone = parse_timezone(timezone)
        if name is not None:
            print_status(ledger.status(name), zone, as_json)
        else:
            _print_overview(ledger, as_json)


def _print_overview(ledger: Ledger, as_json: bool) -> None:
    from yunxin_soap.campaign import State

    campaigns = ledger.statuses()
    sends = {state.value: count for state, count in ledger.once.counts().items() if count}
    unknown_keys = list(ledger.once.keys(State.UNKNOWN))
    if as_json:
        print_json(
            {
                "campaigns": [asdict(each) for each in campaigns],
                "sends": sends,
                "unknown_keys": unknown_keys,
            }
        )
        return
    if not campaigns and not sends:
        print_text("The ledger is empty.")
    for line in _table(campaigns):
        print_text(line)
    if sends:
        counts = ", ".join(f"{count} {state}" for state, count in sends.items())
        print_text(f"single sends: {counts}")
    for key in unknown_keys:
        print_text(f"  unknown: {key}")
        resolve = f"yunxin-soap campaign resolve --key {shlex.quote(key)}"
        print_text(f'    ask the vendor, then decide with "{resolve}"')


def _table(campaigns: list[Status]) -> Iterator[str]:
    """Yield the lines of a table of campaigns, whose first line names the columns."""
    from yunxin_soap.campaign import State

    if not campaigns:
        return
    now = datetime.now(timezone.utc)
    # A split submission has no numbers: the smaller ones have them.
    states = [each for each in State if each is not State.SPLIT]
    rows = [
        [
            "campaign",
            "state",
            "numbers",
            *(each.value for each in states),
            "oldest unknown",
            "run by",
        ]
    ]
    for each in campaigns:
        oldest = each.oldest_unknown_at
        rows.append(
            [
                each.name,
                each.state.value,
                str(each.planned),
                *(str(each.numbers[state]) for state in states),
                "-" if oldest is None else _age((now - oldest).total_seconds()),
                ", ".join(str(runner) for runner in each.runners) or "-",
            ]
        )
    widths = [max(_width(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = []
        for index, (cell, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - _width(cell))
            is_text = index < _TEXT_COLUMNS or index == len(row) - 1
            cells.append(cell + space if is_text else space + cell)
        yield "  ".join(cells).rstrip()


def _width(text: str) -> int:
    """Return the columns that a text takes on a terminal; a Chinese character takes two."""
    return sum(1 + (unicodedata.east_asian_width(each) in "WF") for each in text)


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f}{unit}"
    return f"{max(0, seconds):.0f}s"


def print_status(status: Status, zone: ZoneInfo, as_json: bool) -> None:
    """Print the status of a campaign, with a hint for each thing that waits for an operator."""
    if as_json:
        print_json(asdict(status))
        return
    from yunxin_soap.campaign.timezones import format_time

    reason = f": {status.reason}" if status.reason else ""
    print_text(f"{status.name}: {status.state.value}{reason}")
    if status.paused_until is not None:
        print_text(f"  continues at {format_time(status.paused_until, zone)}")
    print_text(f"  planned at {format_time(status.created_at, zone)}")
    print_text(f"  {status.planned:9} planned, {pluralize(status.skipped, 'line')} skipped")
    for state, count in status.numbers.items():
        if count:
            print_text(f"  {count:9} {state.value}")
    for code, count in status.codes.items():
        print_text(f"  {count:9} rejected with {code}")
    for held_for, count in status.on_hold.items():
        print_text(f"  {count:9} on hold: {held_for}")
    if status.oldest_unknown_at is not None:
        print_text(f"  unknown since {format_time(status.oldest_unknown_at, zone)}")
    for runner in status.runners:
        since = format_time(runner.started_at, zone)
        stalled_at = format_time(runner.counts_as_stalled_at, zone)
        in_flight = (
            f"{pluralize(runner.in_flight, 'submission')} in flight, unknown at {stalled_at} if it"
            " sends no heartbeat before"
            if runner.in_flight
            else "nothing in flight"
        )
        print_text(f"  run by {runner} since {since}: {in_flight}")
    for hint in _hints(status):
        print_text(f"  {hint}")


def _hints(status: Status) -> Iterator[str]:
    from yunxin_soap.campaign import CampaignState, State

    command, name = "yunxin-soap campaign", shlex.quote(status.name)
    if left := submissions_left_behind(status):
        yield (
            f"submitting: {pluralize(left, 'submission')} of a process that has ended; the next"
            f' "{command} run {name}" makes {"it" if left == 1 else "them"} unknown'
        )
    if status.numbers[State.UNKNOWN]:
        yield (
            f'unknown: ask the vendor ("{command} export {name} --state unknown" lists the'
            f' numbers), then decide with "{command} resolve {name}"'
        )
    if status.on_hold:
        yield (
            f'on hold: once the gateway allows the text, "{command} retry {name}" makes it pending'
            " again"
        )
    if status.state is CampaignState.CANCELLED and status.numbers[State.PENDING]:
        yield f'pending: the cancelling broke off; "{command} cancel {name}" completes it'
    if status.state is CampaignState.PAUSED and status.paused_until is None:
        yield f'paused: fix the cause, then "{command} resume {name}" continues'


def submissions_left_behind(status: Status) -> int:
    """Return the count of submissions in flight whose process is known to have ended."""
    from yunxin_soap.campaign import State

    claimed = sum(each.in_flight for each in status.runners)
    return max(0, status.submissions[State.SUBMITTING] - claimed)


def exit_status_of(status: Status) -> Exit:
    """Return the exit status of a command that runs or watches a campaign."""
    from yunxin_soap.campaign import State

    numbers = status.numbers
    if numbers[State.UNKNOWN]:
        return Exit.UNKNOWN
    if numbers[State.PENDING] - sum(status.on_hold.values()) or numbers[State.SUBMITTING]:
        return Exit.NOT_SENT
    if numbers[State.REJECTED] or numbers[State.CANCELLED] or status.on_hold:
        return Exit.REJECTED
    return Exit.DONE
