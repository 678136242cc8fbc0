"""``yunxin-soap campaign find``: what happened to a number."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from yunxin_soap.cli.commands import command
from yunxin_soap.cli.language import tr, translate_stored
from yunxin_soap.cli.options import ledger_options, open_ledger, timezone_option
from yunxin_soap.cli.output import handle_errors, print_json, print_text, shorten, state_word

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from yunxin_soap.campaign import HistoryEntry, SubmissionRecord

_SHOWN = 10
"""Names that the answer lists."""


@command("find")
@click.argument("number")
@ledger_options
@timezone_option
def find_command(number: str, ledger_url: str | None, as_json: bool, timezone: str) -> None:
    """Show what happened to a number.

    It shows every submission with the number, its outcome and its history.
    """
    with handle_errors(as_json), open_ledger(ledger_url) as ledger:
        from yunxin_soap.campaign.timezones import parse_timezone

        zone = parse_timezone(timezone)
        records = ledger.find(number)
        if as_json:
            print_json([asdict(each) for each in records])
            return
        if not records:
            purged = [each.name for each in ledger.statuses() if each.purged_at is not None]
            print_text(tr("No submission has that number.{purged}", purged=_hint(purged)))
        for record in records:
            _print_record(record, zone)


def _hint(purged: list[str]) -> str:
    """Say of which campaigns nobody knows any more whether they had the number."""
    if not purged:
        return ""
    names = ", ".join(purged[:_SHOWN]) + (", …" if len(purged) > _SHOWN else "")
    return tr(" (The numbers of {names} were purged.)", names=names)


def _print_record(record: SubmissionRecord, zone: ZoneInfo) -> None:
    owner = record.campaign if record.campaign is not None else tr("key {key}", key=record.key)
    batch = tr(" as batch {batch_no}", batch_no=record.batch_no) if record.batch_no else ""
    print_text(
        tr(
            "{owner}, submission {submission_id}: {state}{batch}: {message}",
            owner=owner,
            submission_id=record.submission_id,
            state=state_word(record.state),
            batch=batch,
            message=record.message,
        )
    )
    for entry in record.history:
        print_text(f"  {_describe(entry, record, zone)}")


def _describe(entry: HistoryEntry, record: SubmissionRecord, zone: ZoneInfo) -> str:
    from yunxin_soap.campaign.timezones import format_time

    detail = (
        f" ({shorten(translate_stored(entry.detail))})"
        if entry.detail not in ("", entry.after.value)
        else ""
    )
    # The part of the history before --isolate split it off belongs to another submission.
    origin = (
        tr("submission {submission_id} ", submission_id=entry.submission_id)
        if entry.submission_id != record.submission_id
        else ""
    )
    who = entry.who if entry.who != entry.by else tr("operator {by}", by=entry.by)
    return tr(
        "{at} {origin}{after}{detail}, by {who}",
        at=format_time(entry.at, zone),
        origin=origin,
        after=state_word(entry.after),
        detail=detail,
        who=who,
    )
