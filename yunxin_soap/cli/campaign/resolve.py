"""``yunxin-soap campaign resolve``: decide about unknown submissions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, cast

from yunxin_soap.cli.commands import command, option
from yunxin_soap.cli.language import tr
from yunxin_soap.cli.options import (
    by_option,
    check_target,
    key_option,
    ledger_options,
    open_ledger,
    optional_name_argument,
)
from yunxin_soap.cli.output import handle_errors, pluralize, print_json, print_text, them
from yunxin_soap.errors import ConfigurationError

if TYPE_CHECKING:
    from yunxin_soap.campaign import DecisionName, Status


@command("resolve")
@optional_name_argument
@key_option
@option("--resend", is_flag=True, help="Send again: some SMS may go out twice.")
@option("--accepted", is_flag=True, help="Record that they were sent.")
@option(
    "--not-sent",
    is_flag=True,
    help="Record that they were not sent; `campaign retry` may then send them.",
)
@option(
    "--submission",
    "submission_ids",
    type=int,
    multiple=True,
    metavar="ID",
    help="Only this submission, by the id that find and export show. Repeatable.",
)
@option(
    "--even-if-alive",
    is_flag=True,
    help="Also if the process that had them in flight may be alive, and send them later.",
)
@option("--batch-no", help="The vendor's batch number, with --accepted.")
@by_option
@ledger_options
def resolve_command(
    name: str | None,
    key: str | None,
    submission_ids: tuple[int, ...],
    batch_no: str | None,
    even_if_alive: bool,
    by: str,
    ledger_url: str | None,
    as_json: bool,
    **decisions: bool,
) -> None:
    """Decide the outcome of unknown submissions.

    Nothing else changes them.
    """
    with handle_errors(as_json):
        chosen = [each for each, is_chosen in decisions.items() if is_chosen]
        if len(chosen) != 1:
            raise ConfigurationError(
                "Say what happened to them: give one of --resend, --accepted and --not-sent."
            )
        decision = cast("DecisionName", chosen[0])
        check_target(name, key, submission=submission_ids)
        count, status = 1, None
        with open_ledger(ledger_url) as ledger:
            if key is not None:
                ledger.once.resolve(
                    key, decision, by=by, batch_no=batch_no, even_if_alive=even_if_alive
                )
            elif name is not None:
                count = ledger.resolve(
                    name,
                    decision,
                    by=by,
                    submission_ids=submission_ids or None,
                    batch_no=batch_no,
                    even_if_alive=even_if_alive,
                )
                status = ledger.status(name)
        none = tr(": none is unknown") if count == 0 else ""
        text = tr(
            "{submissions} resolved{none}.", submissions=pluralize(count, "submission"), none=none
        )
        if as_json:
            print_json({"submissions": count} | ({} if status is None else _in_flight(status)))
            return
        print_text(text)
        if status is not None:
            for line in _in_flight_lines(status):
                print_text(line)


def _in_flight(status: Status) -> dict[str, Any]:
    """Return what is not known to be unknown yet, and whose it is."""
    from yunxin_soap.campaign import State

    runners = [asdict(each) for each in status.runners if each.in_flight]
    return {"in_flight": status.submissions[State.SUBMITTING], "runners": runners}


def _in_flight_lines(status: Status) -> Iterator[str]:
    """Yield a sentence for each runner that still has submissions in flight."""
    now = datetime.now(timezone.utc)
    for each in status.runners:
        if each.in_flight:
            seconds = max(0.0, (each.counts_as_stalled_at - now).total_seconds())
            yield (
                tr(
                    "{submissions} of {each} still in flight, so not yet unknown: if it sends no "
                    "heartbeat within {seconds} s, a run makes {them} so.",
                    submissions=pluralize(each.in_flight, "submission"),
                    each=each,
                    seconds=f"{seconds:.0f}",
                    them=them(each.in_flight),
                )
            )
    for process, count in status.left_behind.items():
        yield (
            tr(
                "{submissions} of {process}, which has ended, so not yet unknown: the next run "
                "makes {them} so.",
                submissions=pluralize(count, "submission"),
                process=process,
                them=them(count),
            )
        )
