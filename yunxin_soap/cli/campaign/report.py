"""``yunxin-soap campaign report``: one HTML page with outcomes, charts and what to do next."""

from __future__ import annotations

import re

from yunxin_soap.cli.commands import command, option
from yunxin_soap.cli.language import current, tr
from yunxin_soap.cli.options import ledger_options, name_argument, open_ledger, timezone_option
from yunxin_soap.cli.output import (
    handle_errors,
    open_output,
    print_result,
    refuse_ledger_overwrite,
)

_UNSAFE_IN_FILE_NAMES = re.compile(r"[^\w .-]")


@command("report")
@name_argument
@option(
    "--output",
    metavar="FILE",
    help="The file to write; NAME.html by default, - is standard output.",
)
@ledger_options
@timezone_option
def report_command(
    name: str, output: str | None, ledger_url: str | None, as_json: bool, timezone: str
) -> None:
    """Write an HTML page about a campaign, with charts.

    It shows outcomes, what to do next, rejections, throughput, response times and the first words
    of the texts that most numbers get. It shows no number, and no text that only one number gets.
    A switch in the page changes its language; it opens in the language of this command.
    """
    with handle_errors(as_json):
        path = output or f"{_UNSAFE_IN_FILE_NAMES.sub('_', name)}.html"
        refuse_ledger_overwrite(path, ledger_url)
        with open_ledger(ledger_url) as ledger:
            html = ledger.report(name, timezone=timezone, language=current())
        # The page says that it is UTF-8, whatever the terminal's encoding.
        with open_output(path, encoding="utf-8") as file:
            file.write(html)
        if path != "-":
            print_result(as_json, "file", path, tr("Written: {path}", path=path))
