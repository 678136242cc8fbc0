"""``yunxin-soap campaign resolve``: decide about unknown submissions."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from yunxin_soap.cli.options import (
    by_option,
    check_target,
    key_option,
    ledger_options,
    open_ledger,
    optional_name_argument,
)
from yunxin_soap.cli.output import handle_errors, pluralize, print_result
from yunxin_soap.errors import ConfigurationError

if TYPE_CHECKING:
    from yunxin_soap.campaign import DecisionName


@click.command("resolve")
@optional_name_argument
@key_option
@click.option("--resend", is_flag=True, help="Send again: some SMS may go out twice.")
@click.option("--accepted", is_flag=True, help="Record that they were sent.")
@click.option(
    "--not-sent",
    is_flag=True,
    help="Record that they were not sent; `campaign retry` may then send them.",
)
@click.option(
    "--submission",
    "submission_ids",
    type=int,
    multiple=True,
    metavar="ID",
    help="Only this submission, by the id that find and export show. Repeatable.",
)
@click.option(
    "--even-if-alive",
    is_flag=True,
    help="Also if the process that had them in flight may be alive, and send them later.",
)
@click.option("--batch-no", help="The vendor's batch number, with --accepted.")
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
        count = 1
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
        none = ": none is unknown" if count == 0 else ""
        text = f"{pluralize(count, 'submission')} resolved{none}."
        print_result(as_json, "submissions", count, text)
