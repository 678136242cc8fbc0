"""``yunxin-soap campaign pause``: let a campaign wait for an operator."""

from __future__ import annotations

from yunxin_soap.cli.commands import command, option
from yunxin_soap.cli.language import tr
from yunxin_soap.cli.options import (
    application_settings,
    by_option,
    ledger_options,
    name_argument,
    name_in_command,
    open_ledger,
)
from yunxin_soap.cli.output import handle_errors, print_result


@command("pause")
@name_argument
@option("--reason", default="", help="Why; status shows it.")
@by_option
@ledger_options
def pause_command(name: str, reason: str, by: str, ledger_url: str | None, as_json: bool) -> None:
    """Pause a campaign until it is resumed.

    Its runs end once the submissions in flight have ended. A campaign that waits for an operator
    already keeps the reason that it has.
    """
    with handle_errors(as_json), open_ledger(ledger_url) as ledger:
        ledger.pause(name, by=by, reason=reason)
        resume = f"{application_settings().program} campaign resume {name_in_command(name)}"
        print_result(
            as_json,
            "paused",
            name,
            tr('{name} is paused; "{resume}" continues it.', name=name, resume=resume),
        )
