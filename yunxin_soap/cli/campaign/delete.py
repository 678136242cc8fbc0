"""``yunxin-soap campaign delete``: remove a campaign that never sent anything."""

from __future__ import annotations

from yunxin_soap.cli.commands import command
from yunxin_soap.cli.language import tr
from yunxin_soap.cli.options import (
    confirm,
    ledger_options,
    name_argument,
    open_ledger,
    yes_option,
)
from yunxin_soap.cli.output import handle_errors, pluralize, print_result


@command("delete")
@name_argument
@yes_option
@ledger_options
def delete_command(name: str, yes: bool, ledger_url: str | None, as_json: bool) -> None:
    """Delete a campaign that never sent anything.

    Its numbers and texts are gone, and its name is free. The record of a campaign that has begun
    to send stays; purge removes its numbers and texts once they are old.
    """
    with handle_errors(as_json), open_ledger(ledger_url) as ledger:
        planned = pluralize(ledger.status(name).planned, "number")
        confirm(tr("Delete {name}, with {planned}?", name=name, planned=planned), yes=yes)
        ledger.delete(name)
        print_result(as_json, "deleted", name, tr("{name} was deleted.", name=name))
