"""``yunxin-soap campaign run``: send the pending submissions."""

from __future__ import annotations

import sys
from typing import IO, TYPE_CHECKING, Any

import click

from yunxin_soap.cli.campaign.status import print_status
from yunxin_soap.cli.options import (
    build_client,
    client_options,
    combine,
    given_arguments,
    ledger_options,
    name_argument,
    open_ledger,
)
from yunxin_soap.cli.output import handle_errors

if TYPE_CHECKING:
    from yunxin_soap.campaign import Status

EPILOG = """\b
Exit status of run and resume:
  0  every number was accepted
  2  the options, the settings, the list or the name are invalid
  3  some numbers or messages were rejected
  4  some numbers are still pending: the campaign is paused, or was stopped
  5  some outcomes are unknown: those SMS may have been sent
  6  the ledger cannot be used

\b
The ledger is --ledger or YUNXIN_LEDGER: an SQLite file or
postgresql://...; the account and the gateway are those of "send".
"""

run_options = combine(
    click.option(
        "--concurrency", default=32, show_default=True, help="The most submissions in flight."
    ),
    click.option("--rate-limit", type=float, help="The most submissions a second."),
    click.option("--numbers-rate-limit", type=float, help="The most numbers a second."),
    click.option("--sending-hours", metavar="HH:MM-HH:MM", help="Send only within these hours."),
    click.option(
        "--timezone",
        default="Asia/Shanghai",
        show_default=True,
        help="The time zone of those hours.",
    ),
    click.option(
        "--isolate",
        is_flag=True,
        help="Split a submission rejected with -14 to -17 in halves, until only bad numbers fail.",
    ),
    click.option(
        "--failure-threshold",
        default=5,
        show_default=True,
        help="Failures in a row that pause the campaign; ten successes cancel out one.",
    ),
    client_options,
)


@click.command("run", epilog=EPILOG)
@name_argument
@ledger_options
@run_options
def run_command(name: str, **options: Any) -> None:
    """Send the pending submissions.

    Ctrl-C stops the run once the submissions in flight have ended; a second one ends it now.
    """
    run_campaign(name, resume=False, **options)


def run_campaign(
    name: str,
    *,
    resume: bool,
    ledger_url: str | None,
    as_json: bool,
    user_code: str | None,
    password_file: IO[str] | None,
    protocol: str | None,
    endpoint: str | None,
    timeout: float | None,
    **options: Any,
) -> None:
    """Run a campaign, print its status, and exit.

    Args:
        name: the campaign.
        resume: whether to end a pause first.
        ledger_url: where the ledger is.
        as_json: whether the status is printed as JSON.
        user_code: the account; this and the next four are the `client_options`.
        password_file: an open file with the password.
        protocol: the protocol.
        endpoint: the URL of the service's page.
        timeout: seconds to wait for a response.
        options: the rest of `run_options`, as `AsyncLedger.run` takes them.
    """
    with handle_errors(as_json):
        from yunxin_soap.async_client import AsyncClient
        from yunxin_soap.campaign import AsyncLedger
        from yunxin_soap.cli.progress import run_with_progress

        arguments = given_arguments(
            user_code=user_code, protocol=protocol, endpoint=endpoint, timeout=timeout
        )
        # A missing ledger is reported before the prompt for the password.
        with open_ledger(ledger_url) as opened:
            client = build_client(AsyncClient, arguments, password_file, "user_code")
            if resume:
                opened.resume(name)
        ledger = AsyncLedger(ledger_url, create=False)
        status = run_with_progress(ledger, name, client, bar=not as_json, **options)
        print_status(status, as_json)
        sys.exit(_exit_status(status))


def _exit_status(status: Status) -> int:
    from yunxin_soap.campaign import State

    numbers = status.numbers
    if numbers[State.UNKNOWN]:
        return 5
    if numbers[State.PENDING] - sum(status.on_hold.values()) or numbers[State.SUBMITTING]:
        return 4
    return 3 if numbers[State.REJECTED] or status.on_hold else 0
