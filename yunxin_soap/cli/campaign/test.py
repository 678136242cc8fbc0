"""``yunxin-soap campaign test``: one text of a campaign, to one's own number."""

from __future__ import annotations

from typing import IO, Any

import click

from yunxin_soap.cli import exit_status
from yunxin_soap.cli.commands import command, option
from yunxin_soap.cli.options import (
    build_client,
    client_options,
    given_arguments,
    ledger_options,
    name_argument,
    open_ledger,
)
from yunxin_soap.cli.output import handle_errors
from yunxin_soap.cli.send import print_receipt, quiet_option, send
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sentences import Sentence


@command("test", epilog=exit_status.epilog(exit_status.SEND))
@name_argument
@option("--to", "number", required=True, metavar="NUMBER", help="Your own number.")
@option(
    "--sample",
    "sample_name",
    type=click.Choice(["first", "longest", "shortest"]),
    default="first",
    show_default=True,
    help="Which of the texts that are pending.",
)
@quiet_option
@ledger_options
@client_options
def test_command(
    name: str,
    number: str,
    sample_name: str,
    quiet: bool,
    ledger_url: str | None,
    as_json: bool,
    password_file: IO[str] | None,
    **options: Any,
) -> None:
    """Send one finished text of a planned campaign to your own number.

    It is a send of its own, which costs what an SMS costs: the campaign does not count it, the
    ledger does not record it, and a second call sends again. A number on the do-not-send list is
    refused.
    """
    with handle_errors(as_json):
        from yunxin_soap.client import Client
        from yunxin_soap.message import normalise_recipients

        recipients = normalise_recipients(number)
        if len(recipients) > 1:
            raise ConfigurationError(
                Sentence("--to {number} has several numbers: give one.", number=repr(number))
            )
        with open_ledger(ledger_url) as ledger:
            ledger.suppression.for_plan().refuse(recipients)
            preview = ledger.preview(name)
        chosen = [each for each in preview.samples if sample_name in each.names]
        if not chosen:
            raise ConfigurationError(
                Sentence(
                    "The campaign {name} has no text that is still pending: plan "
                    "another one to test its text.",
                    name=repr(name),
                )
            )
        arguments = given_arguments(**options)
        with build_client(Client, arguments, password_file, "user_code") as client:
            receipt = send(
                client,
                [number],
                chosen[0].message,
                channel=preview.channel,
                extension=preview.extension,
                literal=True,  # the plan has checked it
            )
            print_receipt(receipt, as_json, taker=client.endpoint, quiet=quiet)
