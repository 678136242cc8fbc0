"""``yunxin-soap campaign find``: what happened to a number."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from yunxin_soap.cli.options import ledger_options, open_ledger, timezone_option
from yunxin_soap.cli.output import handle_errors, print_json, print_text, shorten

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from yunxin_soap.campaign import HistoryEntry, SubmissionRecord

_SHOWN = 10
"""Names that the answer lists."""


@click.command("find")
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
            print_text(f"No submission has that number.{_hint(purged)}")
        for record in records:
            _print_record(record, zone)


def _hint(purged: list[str]) -> str:
    """Say of which campaigns nobody knows any more whether they had the number."""
    if not purged:
        return ""
    names = ", ".join(purged[:_SHOWN]) + (", …" if len(purged) > _SHOWN else "")
    return f" (The numbers of {names} were purged.)"


def _print_record(record: SubmissionRecord, zone: ZoneInfo) -> None:
    owner = record.campaign if record.campaign is not None else f"key {record.key}"
    batch = f" as batch {record.batch_no}" if record.batch_no else ""
    print_text(
        f"{owner}, submission {record.submission_id}: {record.state.value}{batch}: {record.message}"
    )
    for entry in record.history:
        print_text(f"  {_describe(entry, record, zone)}")


def _describe(entry: HistoryEntry, record: SubmissionRecord, zone: ZoneInfo) -> str:
    from yunxin_soap.campaign.timezones import format_time

    detail = f" ({shorten(entry.detail)})" if entry.detail not in ("", entry.after.value) else ""
    # The part of the history before --isolate split it off belongs to another submission.
    origin = (
        f"submission {entry.submission_id} " if entry.submission_id != record.submission_id else ""
    )
    who = entry.who if entry.who != entry.by else f"operator {entry.by}"
    return f"{format_time(entry.at, zone)} {origin}{entry.after.value}{detail}, by {who}"
