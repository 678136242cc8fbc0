"""``yunxin-soap campaign run``: send the pending submissions."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from yunxin_soap.cli import exit_status
from yunxin_soap.cli.campaign.status import print_status
from yunxin_soap.cli.campaign.texts import parse_price, price_option, print_preview
from yunxin_soap.cli.commands import command, option
from yunxin_soap.cli.completion import complete_pace
from yunxin_soap.cli.language import tr
from yunxin_soap.cli.options import (
    LEDGER_AND_GATEWAY,
    application_settings,
    ask,
    build_client,
    client_options,
    combine,
    given_arguments,
    ledger_options,
    name_argument,
    name_in_command,
    open_ledger,
    timezone_option,
    yes_option,
)
from yunxin_soap.cli.output import (
    handle_errors,
    outcomes_unlogged,
    pluralize,
    print_notes,
    print_text,
)
from yunxin_soap.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal
    from zoneinfo import ZoneInfo

    from yunxin_soap.campaign import Ledger, Status

EPILOG = exit_status.epilog(exit_status.RUN, LEDGER_AND_GATEWAY)


def _parse_time(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        raise click.BadParameter(
            tr("{text} is no time such as 2026-12-12T10:00.", text=repr(text))
        ) from None


sending_options = combine(
    option("--concurrency", default=32, show_default=True, help="The most submissions in flight."),
    option("--rate-limit", type=float, help="The most submissions a second, over all its runs."),
    option(
        "--numbers-rate-limit", type=float, help="The most numbers a second, over all its runs."
    ),
    option(
        "--pace",
        metavar="NAME",
        shell_complete=complete_pace,
        help='Keep to this pace, as made by "pace set".',
    ),
    option("--sending-hours", metavar="HH:MM-HH:MM", help="Send only within these hours."),
    option(
        "--from",
        "start_at",
        metavar="TIME",
        callback=_parse_time,
        help="Wait until then before sending, as in 2026-12-12T10:00.",
    ),
    timezone_option,
    option(
        "--isolate",
        is_flag=True,
        help="Split a submission rejected with -14 to -17 in halves, until only bad numbers fail.",
    ),
    option(
        "--failure-threshold",
        default=5,
        show_default=True,
        help="Failures in a row that pause the campaign; ten successes cancel out one.",
    ),
)
"""How to send, as `Ledger.run` takes them."""
run_options = combine(sending_options, price_option, yes_option, client_options)


@command("run", epilog=EPILOG)
@name_argument
@ledger_options
@run_options
def run_command(name: str, **options: Any) -> None:
    """Send the pending submissions.

    At a terminal it first shows what it would send, and asks. Without one, as in a job, it does not
    ask.

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
    proxy: str | None,
    timezone: str,
    price: str | None,
    yes: bool,
    **options: Any,
) -> None:
    """Run a campaign, print its status, and exit.

    Args:
        name: the campaign.
        resume: whether to end a pause first.
        ledger_url: where the ledger is.
        as_json: whether the status is printed as JSON.
        user_code: the account; this and the next five are the `client_options`.
        password_file: an open file with the password.
        protocol: the protocol.
        endpoint: the URL of the service's page.
        timeout: seconds to wait for a response.
        proxy: the address of a proxy.
        timezone: the name of the time zone of all times.
        price: the price of one segment, for the question.
        yes: whether to run without a question.
        options: the rest of `run_options`, as `AsyncLedger.run` takes them.
    """
    with handle_errors(as_json):
        from yunxin_soap.async_client import AsyncClient
        from yunxin_soap.campaign import AsyncLedger
        from yunxin_soap.campaign.ledger import check_run
        from yunxin_soap.campaign.timezones import parse_timezone
        from yunxin_soap.cli.progress import run_with_progress

        zone = parse_timezone(timezone)
        exact_price = parse_price(price)
        arguments = given_arguments(
            user_code=user_code,
            protocol=protocol,
            endpoint=endpoint,
            timeout=timeout,
            proxy=proxy,
        )
        # A missing ledger is reported before the prompt for the password.
        with open_ledger(ledger_url) as opened:
            client = build_client(AsyncClient, arguments, password_file, "user_code")
            # A refused command must not end a pause, nor ask first.
            check_run(opened, name, timezone=timezone, **options)
            if not yes and sys.stdin.isatty() and sys.stderr.isatty():
                status = opened.status(name)
                if resume or not waits_for_operator(status):  # else the run sends nothing
                    gateway = tr(
                        "Gateway: {endpoint} ({protocol}), account {user_code}, ",
                        endpoint=client.endpoint,
                        protocol=client.protocol,
                        user_code=client.user_code,
                    )
                    ask_to_send(opened, name, options, zone, exact_price, where=gateway)
            if resume:
                opened.resume(name)
        ledger = AsyncLedger(ledger_url, create=False)
        with outcomes_unlogged():
            status = run_with_progress(
                ledger, name, client, zone, bar=not as_json, timezone=timezone, **options
            )
        print_status(status, zone, as_json)
        if not as_json and _is_to_be_run(status):
            print_text(_how_to_go_on(name))
        sys.exit(status.exit_status)


def _is_to_be_run(status: Status) -> bool:
    """Return whether something is left to send that nobody sends without another run."""
    from yunxin_soap.campaign import CampaignState, State

    # The status of a cancelled or paused campaign names "cancel" or "resume" where one helps.
    if status.state is CampaignState.CANCELLED or waits_for_operator(status):
        return False
    is_sent_elsewhere = status.workers is not None or any(
        not runner.is_stalled for runner in status.runners
    )
    is_left = status.numbers[State.PENDING] > sum(status.on_hold.values())
    return is_left and not is_sent_elsewhere


def _how_to_go_on(name: str) -> str:
    """Return the sentence with the command that sends the rest of a campaign."""
    command = f"{application_settings().program} campaign run {name_in_command(name)}"
    context = click.get_current_context()
    given = {
        parameter
        for parameter in context.params
        if context.get_parameter_source(parameter) is ParameterSource.COMMANDLINE
    }
    # The options are not repeated: the address of a proxy may have a password in it.
    if given - {"name", "yes"}:
        return tr("Go on with this command and the same options: {command}", command=command)
    return tr("Go on with: {command}", command=command)


def waits_for_operator(status: Status) -> bool:
    """Return whether a campaign is paused until it is resumed."""
    from yunxin_soap.campaign import CampaignState

    return status.state is CampaignState.PAUSED and status.paused_until is None


def ask_to_send(
    ledger: Ledger,
    name: str,
    options: Mapping[str, Any],
    zone: ZoneInfo,
    price: Decimal | None,
    *,
    where: str = "",
) -> None:
    """Show what is pending, if anything is, and ask whether to send it.

    Args:
        ledger: the ledger.
        name: the campaign.
        options: how to send it, as `Ledger.run` takes them.
        zone: the time zone of all times.
        price: the price of one segment.
        where: what the line about the channel begins with.

    Raises:
        ConfigurationError: the answer is no.
    """
    preview = ledger.preview(name)
    plan = preview.plan
    if plan.numbers == 0:
        return
    hours, start_at = options["sending_hours"], options["start_at"]
    when = tr("at {hours} ({zone})", hours=hours or tr("any time"), zone=zone.key)
    if start_at is not None:
        when += tr(", from {time}", time=start_at.replace(tzinfo=start_at.tzinfo or zone))
    print_text(
        tr(
            "{name}: {pending_numbers} in {submissions} with {texts}, about {segments} (an "
            "estimate)",
            name=name,
            pending_numbers=pluralize(plan.numbers, "pending number"),
            submissions=pluralize(plan.submissions, "submission"),
            texts=pluralize(plan.texts, "text"),
            segments=pluralize(plan.segments, "segment"),
        ),
        err=True,
    )
    print_preview(preview, price, err=True)
    print_notes(plan.notes)
    shown = tr("Channel {channel}; {when}", channel=preview.channel, when=when)
    if where:
        shown = where + tr("channel {channel}; {when}", channel=preview.channel, when=when)
    print_text(shown, err=True)
    ask(tr("Send?"), refusal=Sentence("Nothing was sent."))
