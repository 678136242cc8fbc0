"""``yunxin-soap campaign status``: the state of campaigns and single sends."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from yunxin_soap.cli.options import ledger_options, open_ledger, optional_name_argument
from yunxin_soap.cli.output import format_local_time, handle_errors, pluralize, print_json

if TYPE_CHECKING:
    from yunxin_soap.campaign import Ledger, Status


@click.command("status")
@optional_name_argument
@ledger_options
def status_command(name: str | None, ledger_url: str | None, as_json: bool) -> None:
    """Show the state of campaigns and single sends.

    Without a name, it shows all of them.
    """
    with handle_errors(as_json), open_ledger(ledger_url) as ledger:
        if name is not None:
            print_status(ledger.status(name), as_json)
        else:
            _print_overview(ledger, as_json)


def _print_overview(ledger: Ledger, as_json: bool) -> None:
    from yunxin_soap.campaign import State

    campaigns = [ledger.status(each) for each in ledger.campaigns()]
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
        click.echo("The ledger is empty.")
    for each in campaigns:
        click.echo(f"{each.name}: {each.state.value}, {pluralize(each.planned, 'number')}")
    if sends:
        counts = ", ".join(f"{count} {state}" for state, count in sends.items())
        click.echo(f"single sends: {counts}")
    for key in unknown_keys:
        click.echo(f"  unknown: {key}")
        resolve = f"yunxin-soap campaign resolve --key {shlex.quote(key)}"
        click.echo(f'    ask the vendor, then decide with "{resolve}"')


def print_status(status: Status, as_json: bool) -> None:
    """Print the status of a campaign, with a hint for each thing that waits for an operator."""
    if as_json:
        print_json(asdict(status))
        return
    reason = f": {status.reason}" if status.reason else ""
    click.echo(f"{status.name}: {status.state.value}{reason}")
    if status.paused_until is not None:
        click.echo(f"  continues at {format_local_time(status.paused_until)}")
    click.echo(f"  {status.planned:9} planned, {pluralize(status.skipped, 'line')} skipped")
    for state, count in status.numbers.items():
        if count:
            click.echo(f"  {count:9} {state.value}")
    for code, count in status.codes.items():
        click.echo(f"  {count:9} rejected with {code}")
    for held_for, count in status.on_hold.items():
        click.echo(f"  {count:9} on hold: {held_for}")
    for hint in _hints(status):
        click.echo(f"  {hint}")


def _hints(status: Status) -> Iterator[str]:
    from yunxin_soap.campaign import CampaignState, State

    command, name = "yunxin-soap campaign", shlex.quote(status.name)
    if status.numbers[State.UNKNOWN]:
        yield (
            f'unknown: ask the vendor ("{command} export {name}" lists the numbers), then decide'
            f' with "{command} resolve {name}"'
        )
    if status.on_hold:
        yield (
            f'on hold: once the gateway allows the text, "{command} retry {name}" makes it pending'
            " again"
        )
    if status.state is CampaignState.PAUSED and status.paused_until is None:
        yield f'paused: fix the cause, then "{command} resume {name}" continues'
