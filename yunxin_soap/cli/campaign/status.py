"""``yunxin-soap campaign status``: the state of campaigns and single sends."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timezone
from itertools import islice
from typing import TYPE_CHECKING

from yunxin_soap.cells import cell_width
from yunxin_soap.cli.commands import command
from yunxin_soap.cli.language import tr, translate, translate_stored
from yunxin_soap.cli.options import (
    application_settings,
    ledger_options,
    name_in_command,
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
    state_word,
    them,
)

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from yunxin_soap.campaign import ActiveRunner, Ledger, SkipKind, Status


_MAX_REJECTED = 10
"""Keys of rejected single sends that are shown, at most: a bad setting rejects all of them."""
_TEXT_COLUMNS = 2
"""The first and the last columns of the table are aligned at their left; numbers at their right."""


@command("status")
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
    sends = {state: count for state, count in ledger.once.counts().items() if count}
    unknown_keys = list(ledger.once.keys(State.UNKNOWN))
    if as_json:
        print_json(
            {
                "campaigns": [asdict(each) for each in campaigns],
                "sends": {state.value: count for state, count in sends.items()},
                "unknown_keys": unknown_keys,
            }
        )
        return
    program = application_settings().program
    if not campaigns and not sends:
        print_text(tr("The ledger is empty."))
    for line in _table(campaigns, zone):
        print_text(line)
    if sends:
        counts = ", ".join(f"{count} {state_word(state)}" for state, count in sends.items())
        print_text(tr("single sends: {counts}", counts=counts))
    if (age := ledger.backlog().oldest_queued_age) is not None:
        print_text(
            tr(
                "  queued: the first has waited for {age} s ({program} worker sends it)",
                age=f"{age:.0f}",
                program=program,
            )
        )
    for key in unknown_keys:
        print_text(tr("  unknown: {key}", key=key))
        resolve = f"{program} campaign resolve --key {shlex.quote(key)}"
        print_text(tr('    ask the vendor, then decide with "{resolve}"', resolve=resolve))
    keys = list(islice(ledger.once.keys(State.REJECTED, can_retry=True), _MAX_REJECTED + 1))
    for key in keys[:_MAX_REJECTED]:
        print_text(tr("  rejected: {key}", key=key))
        retry = f"{program} campaign retry --key {shlex.quote(key)}"
        print_text(tr('    fix the cause, then "{retry}"', retry=retry))
    if len(keys) > _MAX_REJECTED:
        print_text(tr("  … and more that were rejected"))


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
            tr("campaign"),
            tr("state"),
            tr("numbers"),
            *(state_word(each) for each in states),
            tr("on hold"),
            tr("oldest unknown"),
            tr("workers"),
            tr("run by"),
            tr("reason"),
        ]
    ]
    for each in campaigns:
        oldest = each.oldest_unknown_at
        rows.append(
            [
                each.name,
                state_word(each.state),
                str(each.planned),
                *(str(each.numbers[state]) for state in states),
                str(sum(each.on_hold.values())),
                "-" if oldest is None else _age((now - oldest).total_seconds()),
                "-" if each.workers is None else str(each.workers),
                ", ".join(str(runner) for runner in each.runners) or "-",
                _reason(each, zone) or "-",
            ]
        )
    widths = [max(cell_width(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = []
        for index, (cell, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - cell_width(cell))
            is_text = index < _TEXT_COLUMNS or index >= len(row) - _TEXT_COLUMNS
            cells.append(cell + space if is_text else space + cell)
        yield "  ".join(cells).rstrip()


def _reason(status: Status, zone: ZoneInfo) -> str:
    """Return why a campaign, or who runs it, waits, or who cancelled it."""
    waits = [(each.reason, each.until) for each in status.runners if each.reason]
    if status.reason:
        waits = [(status.reason, status.paused_until)]
    texts = [
        translate_stored(reason) if until is None else describe_wait(reason, until, zone)
        for reason, until in waits
    ]
    return shorten("; ".join(dict.fromkeys(texts)))


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

    reason = f": {translate_stored(status.reason)}" if status.reason else ""
    print_text(f"{status.name}: {state_word(status.state)}{reason}")
    if status.paused_until is not None:
        print_text(
            tr("  continues at {paused_until}", paused_until=format_time(status.paused_until, zone))
        )
    print_text(tr("  planned at {created_at}", created_at=format_time(status.created_at, zone)))
    if status.workers is not None:
        print_text(tr("  started for {runners}", runners=pluralize(status.workers, "runner")))
    skipped = tr(
        "{lines} skipped{skipped_by}",
        lines=pluralize(status.skipped, "line"),
        skipped_by=describe_skipped(status.skipped_by),
    )
    print_text(tr("  {planned} planned, {skipped}", planned=f"{status.planned:9}", skipped=skipped))
    if status.purged_at is not None:
        print_text(
            tr(
                "  purged at {purged_at}: its numbers are gone",
                purged_at=format_time(status.purged_at, zone),
            )
        )
    counts = [(state_word(each), count) for each, count in status.numbers.items() if count]
    counts += [
        (tr("rejected with {code}", code=code), count) for code, count in status.codes.items()
    ]
    counts += [
        (tr("on hold: {why}", why=translate_stored(why)), count)
        for why, count in status.on_hold.items()
    ]
    for what, count in counts:
        print_text(f"  {count:9} {what}")
    if status.oldest_unknown_at is not None:
        print_text(
            tr(
                "  unknown since {oldest_unknown_at}",
                oldest_unknown_at=format_time(status.oldest_unknown_at, zone),
            )
        )
    for runner in status.runners:
        print_text(f"  {_describe_runner(runner, zone)}")
    for hint in _hints(status):
        print_text(f"  {hint}")


def _describe_runner(runner: ActiveRunner, zone: ZoneInfo) -> str:
    from yunxin_soap.campaign.timezones import format_time

    text = tr(
        "run by {runner} since {started_at}",
        runner=runner,
        started_at=format_time(runner.started_at, zone),
    )
    count = runner.in_flight
    text += tr(
        ": {submissions} in flight",
        submissions=pluralize(count, "submission") if count else tr("nothing"),
    )
    if runner.is_stalled:
        text += tr(", and no heartbeat any more")
        return (
            tr("{text}: the next run makes {them} unknown", text=text, them=them(count))
            if count
            else text
        )
    if count:
        text += f", {describe_lease(runner, zone)}"
    if runner.reason and runner.until is not None:
        text += f"; {describe_wait(runner.reason, runner.until, zone)}"
    return text


def describe_skipped(counts: dict[SkipKind, int]) -> str:
    """Return the counts of skipped lines by their cause, in brackets; empty if there are none."""
    parts = ", ".join(f"{translate(kind.label)}: {count}" for kind, count in counts.items())
    return f" ({parts})" if parts else ""


def _hints(status: Status) -> Iterator[str]:
    from yunxin_soap.campaign import CampaignState, State

    command, name = f"{application_settings().program} campaign", name_in_command(status.name)
    for process, count in status.left_behind.items():
        yield (
            tr(
                'submitting: {submissions} of {process}, which has ended; the next "{command} '
                'run {name}" makes {them} unknown',
                submissions=pluralize(count, "submission"),
                process=process,
                command=command,
                name=name,
                them=them(count),
            )
        )
    if status.numbers[State.UNKNOWN]:
        yield (
            tr(
                'unknown: ask the vendor ("{command} export --state unknown {name}" lists the '
                'numbers), then decide with "{command} resolve {name}"',
                command=command,
                name=name,
            )
        )
    if status.on_hold:
        yield (
            tr(
                'on hold: once the gateway allows the text, "{command} retry {name}" makes it '
                "pending again",
                command=command,
                name=name,
            )
        )
    if status.state is CampaignState.CANCELLED and status.numbers[State.PENDING]:
        yield tr(
            'pending: the cancelling broke off; "{command} cancel {name}" completes it',
            command=command,
            name=name,
        )
    if status.state is CampaignState.PAUSED and status.paused_until is None:
        yield tr('paused: "{command} resume {name}" continues it', command=command, name=name)
