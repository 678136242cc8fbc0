"""``yunxin-soap campaign stop``: let workers send nothing more of a campaign."""

from __future__ import annotations

from yunxin_soap.cli.commands import command
from yunxin_soap.cli.language import tr
from yunxin_soap.cli.options import ledger_options, name_argument, open_ledger
from yunxin_soap.cli.output import handle_errors, print_result


@command("stop")
@name_argument
@ledger_options
def stop_command(name: str, ledger_url: str | None, as_json: bool) -> None:
    """Let the workers of this ledger send nothing more of a campaign.

    Submissions in flight end as they end. A run by hand goes on.
    """
    with handle_errors(as_json), open_ledger(ledger_url) as ledger:
        ledger.stop(name)
        print_result(as_json, "stopped", name, tr("{name} is not started any more.", name=name))
