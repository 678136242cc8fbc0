"""``yunxin-soap campaign export``: every number with its outcome."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain, islice
from typing import TYPE_CHECKING

import click

from yunxin_soap.cli.commands import command, option
from yunxin_soap.cli.options import ledger_options, name_argument, open_ledger
from yunxin_soap.cli.output import handle_errors, open_output, printable, refuse_ledger_overwrite
from yunxin_soap.files import spreadsheet_row

if TYPE_CHECKING:
    from yunxin_soap.campaign import NumberResult

# A copy: the help must not wait for SQLAlchemy. A split submission has no numbers.
_STATES = ("pending", "submitting", "accepted", "rejected", "unknown", "cancelled", "suppressed")
_COLUMNS = ("number", "state", "batch_no", "code", "reason", "submission_id")


@command("export")
@name_argument
@option(
    "--output",
    metavar="FILE",
    default="-",
    help="The file to write; standard output by default.",
)
@option(
    "--state",
    "states",
    type=click.Choice(_STATES),
    multiple=True,
    help="Only the numbers in this state. Repeatable.",
)
@ledger_options
def export_command(
    name: str, output: str, states: tuple[str, ...], ledger_url: str | None, as_json: bool
) -> None:
    """Write every number with its outcome.

    The output is CSV, or one JSON object a line.
    """
    with handle_errors(as_json), open_ledger(ledger_url) as ledger:
        from yunxin_soap.campaign import State

        refuse_ledger_overwrite(output, ledger_url)
        chosen = [State(each) for each in states] or None
        _export(ledger.results(name, states=chosen), output, as_json)


def _export(results: Iterator[NumberResult], output: str, as_json: bool) -> None:
    # Read the first row before the file is truncated: the campaign may not exist.
    first = list(islice(results, 1))
    # Spreadsheets recognise UTF-8 by its byte order mark; JSON must have none.
    with open_output(output, encoding="utf-8" if as_json else "utf-8-sig") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        if not as_json:
            writer.writerow(_COLUMNS)
        for each in chain(first, results):
            if as_json:
                file.write(printable(json.dumps(asdict(each), ensure_ascii=False)) + "\n")
            else:
                writer.writerow(
                    spreadsheet_row(
                        (
                            each.number,
                            each.state.value,
                            each.batch_no,
                            each.code,
                            each.reason,
                            each.submission_id,
                        )
                    )
                )
