"""``yunxin-soap campaign suppress``: the do-not-send list."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from yunxin_soap.cli.campaign.plan import ListOptions, list_options, list_source
from yunxin_soap.cli.commands import group, option
from yunxin_soap.cli.exit_status import CAMPAIGN, epilog
from yunxin_soap.cli.language import tr, translate
from yunxin_soap.cli.options import (
    by_option,
    combine,
    ledger_options,
    open_ledger,
    timezone_option,
)
from yunxin_soap.cli.output import handle_errors, pluralize, print_json, print_result, print_text

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from yunxin_soap.campaign import SkippedLine

_MAX_NUMBERS = 100_000
"""More than a command line can have."""
_numbers_argument = click.argument("numbers", nargs=-1, required=True)
_decision_options = combine(
    option("--reason", default="", help="Why: skipped lines and histories show it."),
    option(
        "--hashed",
        is_flag=True,
        help="Keep only a keyed hash of each number; the key is in the ledger.",
    ),
    by_option,
)


def _checked(numbers: tuple[str, ...]) -> tuple[str, ...]:
    """Return the numbers of a command line, where an error need not name the line of a list."""
    from yunxin_soap.message import normalise_recipients

    return normalise_recipients(numbers, limit=_MAX_NUMBERS)


def _describe_added(count: int, hashed: bool) -> str:
    added = tr("{numbers} added.", numbers=pluralize(count, "number"))
    if hashed:
        added += tr(" What was on the list before is kept as a hash now, with its reason.")
    return added


@group("suppress")
def suppress_group() -> None:
    """Keep the do-not-send list: numbers that nothing is sent to.

    Plans skip its numbers, and runs leave out those that were added after the plan. Purging or
    deleting campaigns leaves the list as it is.
    """


@suppress_group.command("add")
@_numbers_argument
@_decision_options
@ledger_options
def add_command(
    numbers: tuple[str, ...],
    reason: str,
    hashed: bool,
    by: str,
    ledger_url: str | None,
    as_json: bool,
) -> None:
    """Put numbers on the list.

    Once the command has ended, nothing more is sent to them. What is in flight at that moment ends
    as it ends.
    """
    with handle_errors(as_json), open_ledger(ledger_url, create=True) as ledger:
        count = ledger.suppression.add(_checked(numbers), by=by, reason=reason, hashed=hashed)
        print_result(as_json, "numbers", count, _describe_added(count, hashed))


@suppress_group.command("import")
@list_options
@_decision_options
@ledger_options
def import_command(
    reason: str,
    hashed: bool,
    by: str,
    ledger_url: str | None,
    as_json: bool,
    **options: Unpack[ListOptions],
) -> None:
    """Put the numbers of a file on the list.

    It names every line without a valid number, and adds all others; one valid number is needed.
    """
    with handle_errors(as_json):
        source = list_source(**options)
        skipped: list[SkippedLine] = []
        with open_ledger(ledger_url, create=True) as ledger:
            count = ledger.suppression.add(
                source, by=by, reason=reason, hashed=hashed, on_skipped=skipped.append
            )
        if as_json:
            print_json({"numbers": count, "skipped": [asdict(each) for each in skipped]})
            return
        print_text(_describe_added(count, hashed))
        if skipped:
            print_text(tr("Skipped: {lines}.", lines=pluralize(len(skipped), "line")))
        for each in skipped:
            print_text(
                tr(
                    "  line {line}: {value}: {reason}",
                    line=each.line,
                    value=repr(each.value),
                    reason=translate(each.reason),
                )
            )


@suppress_group.command("remove")
@_numbers_argument
@ledger_options
def remove_command(numbers: tuple[str, ...], ledger_url: str | None, as_json: bool) -> None:
    """Take numbers off the list.

    Later plans contain them again. What a campaign has left out stays left out.
    """
    with handle_errors(as_json), open_ledger(ledger_url) as ledger:
        count = ledger.suppression.remove(_checked(numbers))
        print_result(
            as_json, "numbers", count, tr("{numbers} removed.", numbers=pluralize(count, "number"))
        )


@suppress_group.command("list")
@ledger_options
@timezone_option
def list_command(ledger_url: str | None, as_json: bool, timezone: str) -> None:
    """Show the list, the oldest numbers first.

    The output is text, or one JSON object a line. A number that is kept as a hash is not shown.
    """
    with handle_errors(as_json), open_ledger(ledger_url) as ledger:
        from yunxin_soap.campaign.timezones import format_time, parse_timezone

        zone = parse_timezone(timezone)
        is_empty = True
        for each in ledger.suppression.entries():
            is_empty = False
            if as_json:
                print_json(asdict(each))
                continue
            reason = f": {each.reason}" if each.reason else ""
            at = format_time(each.added_at, zone)
            print_text(
                tr(
                    "{number} {at}, by {by}{reason}",
                    number=each.number or tr("(a hash)"),
                    at=at,
                    by=each.by,
                    reason=reason,
                )
            )
        if is_empty and not as_json:
            print_text(tr("The do-not-send list is empty."))


for _command in suppress_group.commands.values():
    _command.epilog = epilog(CAMPAIGN)
