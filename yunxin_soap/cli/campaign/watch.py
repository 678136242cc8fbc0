"""``yunxin-soap campaign watch``: the progress of a run elsewhere."""

from __future__ import annotations

import sys

from yunxin_soap.cli import exit_status
from yunxin_soap.cli.campaign.status import print_status
from yunxin_soap.cli.commands import command
from yunxin_soap.cli.options import ledger_options, name_argument, open_ledger, timezone_option
from yunxin_soap.cli.output import handle_errors


@command("watch", epilog=exit_status.epilog(exit_status.RUN))
@name_argument
@ledger_options
@timezone_option
def watch_command(name: str, ledger_url: str | None, as_json: bool, timezone: str) -> None:
    """Show the progress of a run elsewhere, until it ends.

    If nobody runs it yet, it waits for a run. It ends once the campaign is done, is cancelled, or
    waits for an operator, and nothing is in flight; and when no process is left that runs it. It
    only reads the ledger, and Ctrl-C ends only the watching.
    """
    with handle_errors(as_json):
        from yunxin_soap.campaign.timezones import parse_timezone
        from yunxin_soap.cli.progress import watch

        zone = parse_timezone(timezone)
        with open_ledger(ledger_url) as ledger:
            status = watch(ledger, name, zone, bar=not as_json)
        print_status(status, zone, as_json)
        sys.exit(status.exit_status)
