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
from yunxin_soap.cli.output import (
    describe_lease,
    describe_wait,
    handle_errors,
    pluralize,
    print_json,
    print_text,
    shorten,
    them,
)

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from yunxin_soap.campaign import ActiveRunner, Ledger, SkipKind, Status


_TEXT_COLUMNS = 2
"""The first and the last columns of the table are aligned at their left; numbers at their right."""


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
            _print_overview(ledger, zone, as_json)


def _print_overview(ledger: Ledger, zone: ZoneInfo, as_json: bool) -> None:
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
    for line in _table(campaigns, zone):
        print_text(line)
    if sends:
        counts = ", ".join(f"{count} {state}" for state, count in sends.items())
        print_text(f"single sends: {counts}")
    if (age := ledger.backlog().oldest_queued_age) is not None:
        print_text(f"  queued: the first has waited for {age:.0f} s (yunxin-soap worker sends it)")
    for key in unknown_keys:
        print_text(f"  unknown: {key}")
        resolve = f"yunxin-soap campaign resolve --key {shlex.quote(key)}"
        print_text(f'    ask the vendor, then decide with "{resolve}"')


def _table(campaigns: list[Status], zone: ZoneInfo) -> Iterator[str]:
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
            "on hold",
            "oldest unknown",
            "workers",
            "run by",
            "reason",
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
                str(sum(each.on_hold.values())),
                "-" if oldest is None else _age((now - oldest).total_seconds()),
                "-" if each.workers is None else str(each.workers),
                ", ".join(str(runner) for runner in each.runners) or "-",
                _reason(each, zone) or "-",
            ]
        )
    widths = [max(_width(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = []
        for index, (cell, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - _width(cell))
            is_text = index < _TEXT_COLUMNS or index >= len(row) - _TEXT_COLUMNS
            cells.append(cell + space if is_text else space + cell)
        yield "  ".join(cells).rstrip()


def _reason(status: Status, zone: ZoneInfo) -> str:
    """Return why a campaign, or who runs it, waits, or who cancelled it."""
    waits = [(each.reason, each.until) for each in status.runners if each.reason]
    if status.reason:
        waits = [(status.reason, status.paused_until)]
    texts = [
        reason if until is None else describe_wait(reason, until, zone) for reason, until in waits
    ]
    return shorten("; ".join(dict.fromkeys(texts)))


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
    if status.workers is not None:
        print_text(f"  started for {pluralize(status.workers, 'runner')}")
    skipped = f"{pluralize(status.skipped, 'line')} skipped{describe_skipped(status.skipped_by)}"
    print_text(f"  {status.planned:9} planned, {skipped}")
    if status.purged_at is not None:
        print_text(f"  purged at {format_time(status.purged_at, zone)}: its numbers are gone")
    counts = [(each.value, count) for each, count in status.numbers.items() if count]
    counts += [(f"rejected with {code}", count) for code, count in status.codes.items()]
    counts += [(f"on hold: {why}", count) for why, count in status.on_hold.items()]
    for what, count in counts:
        print_text(f"  {count:9} {what}")
    if status.oldest_unknown_at is not None:
        print_text(f"  unknown since {format_time(status.oldest_unknown_at, zone)}")
    for runner in status.runners:
        print_text(f"  {_describe_runner(runner, zone)}")
    for hint in _hints(status):
        print_text(f"  {hint}")


def _describe_runner(runner: ActiveRunner, zone: ZoneInfo) -> str:
    from yunxin_soap.campaign.timezones import format_time

    text = f"run by {runner} since {format_time(runner.started_at, zone)}"
    count = runner.in_flight
    text += f": {pluralize(count, 'submission') if count else 'nothing'} in flight"
    if runner.is_stalled:
        text += ", and no heartbeat any more"
        return f"{text}: the next run makes {them(count)} unknown" if count else text
    if count:
        text += f", {describe_lease(runner, zone)}"
    if runner.reason and runner.until is not None:
        text += f"; {describe_wait(runner.reason, runner.until, zone)}"
    return text


def describe_skipped(counts: dict[SkipKind, int]) -> str:
    """Return the counts of skipped lines by their cause, in brackets; empty if there are none."""
    parts = ", ".join(f"{kind.label}: {count}" for kind, count in counts.items())
    return f" ({parts})" if parts else ""


def _hints(status: Status) -> Iterator[str]:
    from yunxin_soap.campaign import CampaignState, State

    command, name = "yunxin-soap campaign", shlex.quote(status.name)
    for process, count in status.left_behind.items():
        yield (
            f"submitting: {pluralize(count, 'submission')} of {process}, which has ended; the next"
            f' "{command} run {name}" makes {them(count)} unknown'
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
        yield f'paused: "{command} resume {name}" continues it'


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
