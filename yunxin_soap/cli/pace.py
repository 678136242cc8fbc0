"""``yunxin-soap pace``: limits that campaigns and single sends keep to together."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from yunxin_soap.cli.commands import group, option
from yunxin_soap.cli.completion import complete_pace
from yunxin_soap.cli.language import tr
from yunxin_soap.cli.options import ledger_options, open_ledger
from yunxin_soap.cli.output import handle_errors, print_json, print_result, print_text

if TYPE_CHECKING:
    from yunxin_soap.campaign import Pace

_name_argument = click.argument("name", shell_complete=complete_pace)


@group("pace")
def pace_group() -> None:
    """Keep limits that hold for many campaigns and single sends together, as for an account.

    "campaign run --pace NAME", "campaign start --pace NAME" and once.send(..., pace="NAME") keep to
    one, in whatever process and on whatever machine.
    """


@pace_group.command("set")
@_name_argument
@option("--rate", type=float, help="The most submissions a second.")
@option("--numbers-rate", type=float, help="The most numbers a second.")
@ledger_options
def set_command(
    name: str, rate: float | None, numbers_rate: float | None, ledger_url: str | None, as_json: bool
) -> None:
    """Create a pace, or change it.

    What runs by it follows within a second or so. A limit that is not given does not hold any more.
    """
    with handle_errors(as_json), open_ledger(ledger_url, create=True) as ledger:
        ledger.pace.set(name, rate=rate, numbers_rate=numbers_rate)
        (found,) = [each for each in ledger.pace.list() if each.name == name]
        print_result(as_json, "pace", asdict(found), _describe(found))


@pace_group.command("list")
@ledger_options
def list_command(ledger_url: str | None, as_json: bool) -> None:
    """Show the paces."""
    with handle_errors(as_json), open_ledger(ledger_url) as ledger:
        paces = ledger.pace.list()
        if as_json:
            print_json([asdict(each) for each in paces])
            return
        for each in paces:
            print_text(_describe(each))
        if not paces:
            print_text(tr("The ledger has no pace."))


@pace_group.command("remove")
@_name_argument
@ledger_options
def remove_command(name: str, ledger_url: str | None, as_json: bool) -> None:
    """Remove a pace that no started campaign and no queued send names."""
    with handle_errors(as_json), open_ledger(ledger_url) as ledger:
        ledger.pace.remove(name)
        print_result(as_json, "removed", name, tr("The pace {name} is removed.", name=name))


def _describe(pace: Pace) -> str:
    limits = [
        tr("{rate} {what} a second", rate=f"{rate:g}", what=what)
        for rate, what in ((pace.rate, tr("submissions")), (pace.numbers_rate, tr("numbers")))
        if rate is not None
    ]
    return f"{pace.name}: {tr(' and ').join(limits) or tr('no limit')}"
