"""``yunxin-soap campaign``: bulk sending from the command line."""

from __future__ import annotations

import contextlib
import csv
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from yunxin_soap.cli.ledger import (
    export,
    find,
    keep_apart,
    keep_the_ledger,
    ledger_options,
    name_argument,
    open_ledger,
    options,
    purge,
    report,
    resolve,
    retry,
    show,
    status,
    unwritable,
)
from yunxin_soap.cli.options import build_client, counted, print_json, reporting, text_of
from yunxin_soap.errors import ConfigurationError, InvalidRequest
from yunxin_soap.files import escape_spreadsheet_formula

if TYPE_CHECKING:
    from yunxin_soap.campaign import SkippedLine, Source, Status

_EPILOG = """\b
Exit status of run and resume:
  0  every number was accepted
  2  usage, settings, the list or the name are wrong
  3  some were rejected, or their text was
  4  some are still to be sent: the campaign is paused, or was stopped
  5  some are unknown: they may have been sent
  6  the ledger cannot be used

\b
The ledger is --ledger or YUNXIN_LEDGER: an SQLite file or
postgresql://...; the account and the gateway are those of "send".
"""


@click.group()
def campaign() -> None:
    """Send to many, over a ledger: never twice, never lost, resumable."""


_running = options(
    click.option("--in-flight", default=32, show_default=True, help="Submits under way at most."),
    click.option("--rate", type=float, help="Submits a second at most."),
    click.option("--numbers-rate", type=float, help="Numbers a second at most."),
    click.option("--between", metavar="HH:MM-HH:MM", help="Allowed hours."),
    click.option("--zone", default="Asia/Shanghai", show_default=True, help="Of those hours."),
    click.option("--isolate", is_flag=True, help="Find bad numbers (-14 to -17) by halves."),
    click.option(
        "--breaker",
        default=5,
        show_default=True,
        help="Failures in a row that pause; ten successes make up for one.",
    ),
    click.option("--user-code", help="The login name."),
    click.option(
        "--password-file",
        type=click.File("r", encoding="utf-8-sig"),
        help="A file with the password on its first line.",
    ),
    click.option("--protocol", help="soap (default), soap12, http-get or http-post."),
    click.option("--endpoint", help="The address of the service's page."),
    click.option("--timeout", type=float, help="Seconds to wait for an answer (default 30)."),
)


@campaign.command()
@name_argument
@click.option("--csv", "csv_file", metavar="FILE", help="A CSV file; - is standard input.")
@click.option("--text", "text_file", metavar="FILE", help="Numbers on lines; - is standard input.")
@click.option("--column", help="Of the CSV file: its heading, or its place from 1.")
@click.option("--encoding", help="Of the file; found by default (UTF-8 or GBK).")
@click.option("--message", help="The text; {name} in it is filled from the column of that name.")
@click.option("--message-file", type=click.File("r", encoding="utf-8-sig"), help="A file with it.")
@click.option("--channel", envvar="YUNXIN_CHANNEL", help="The channel number, such as 37.")
@click.option("--signature", envvar="YUNXIN_SIGNATURE", help="Appended to a text that has none.")
@click.option("--extension", envvar="YUNXIN_EXTENSION", default="", help="The extension number.")
@click.option("--max-recipients", default=500, show_default=True, help="Numbers in one submit.")
@click.option("--refused", "refused_file", metavar="FILE", help="Write refused lines as CSV.")
@click.option("--strict", is_flag=True, help="Refuse the whole list for one bad line.")
@click.option("--dry-run", is_flag=True, help="Read and check everything, and write no ledger.")
@ledger_options
def plan(
    name: str,
    csv_file: str | None,
    text_file: str | None,
    column: str | None,
    encoding: str | None,
    message: str | None,
    message_file: Any,
    refused_file: str | None,
    dry_run: bool,
    where: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Make a campaign of a list and a text; the same list and text again change nothing."""
    with reporting(as_json):
        if (message is None) == (message_file is None):
            raise ConfigurationError("Give the text, by --message or by --message-file.")
        text = message if message is not None else _whole(message_file)
        if not options["channel"]:
            raise ConfigurationError("There is no channel: give --channel, or set YUNXIN_CHANNEL.")
        source = _source(csv_file, text_file, column, encoding)
        keep_apart(
            refused_file,
            **{"the list": csv_file or text_file, "the text": getattr(message_file, "name", None)},
        )
        keep_the_ledger(refused_file, where)
        refused: list[SkippedLine] = []
        with _RefusedFile(refused_file, refused) as write:
            if dry_run:
                from yunxin_soap.campaign import preview

                made = preview(name, source, text, on_skipped=write, **options)
            else:
                with open_ledger(where, create=True) as ledger:
                    made = ledger.plan(name, source, text, on_skipped=write, **options)
        if as_json:
            print_json({**asdict(made), "dry_run": dry_run})
            return
        if dry_run:
            click.echo("Dry run: nothing was written.")
        else:
            there = f"{name} is there already, the same: nothing was written."
            click.echo(there if made.existing else f"Planned {name}.")
        click.echo(
            f"{counted(made.numbers, 'number')} in {counted(made.submissions, 'submit')} with"
            f" {counted(made.texts, 'text')}, some {counted(made.segments, 'segment')} (an"
            " estimate)."
        )
        if made.skipped:
            click.echo(f"SkippedLine: {counted(made.skipped, 'line')}.")
            for line in refused:
                click.echo(f"  line {line.line}: {line.value!r}: {line.reason}")
            if made.skipped > len(refused):
                click.echo("  … (--refused FILE writes them all)")


def _whole(file: Any) -> str:
    return text_of(file, file.read, InvalidRequest).rstrip("\r\n")


class _RefusedFile:
    """Takes refused lines: the first few to be shown, and all into a file."""

    _SHOWN = 10

    def __init__(self, path: str | None, shown: list[SkippedLine]) -> None:
        self._path, self._shown = path, shown
        self._file: Any = None

    def __enter__(self) -> Callable[[SkippedLine], None]:
        if self._path == "-":
            raise ConfigurationError("--refused names a file: - is none.")
        if self._path is not None:
            try:
                # Line by line: whatever is wrong shows before there is a campaign.
                self._file = Path(self._path).open(
                    "w", buffering=1, encoding="utf-8-sig", newline=""
                )
            except OSError as error:
                raise unwritable(self._path, error) from None
            self._writer = csv.writer(self._file)
            self._write("line", "value", "reason")
        return self._take

    def _take(self, line: SkippedLine) -> None:
        if len(self._shown) < self._SHOWN:
            self._shown.append(line)
        if self._file is not None:
            self._write(
                line.line,
                escape_spreadsheet_formula(line.value),
                escape_spreadsheet_formula(line.reason),
            )

    def _write(self, *row: object) -> None:
        try:
            self._writer.writerow(row)
        except OSError as error:
            raise unwritable(self._path, error) from None

    def __exit__(self, *_error: object) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # of what could not be written before
                self._file.close()


@campaign.command(epilog=_EPILOG)
@name_argument
@ledger_options
@_running
def run(name: str, **options: Any) -> None:
    """Send what is pending; Ctrl-C stops once what is under way has ended, twice stops now."""
    _run(name, paused_too=False, **options)


@campaign.command(epilog=_EPILOG)
@name_argument
@ledger_options
@_running
def resume(name: str, **options: Any) -> None:
    """Let a paused campaign go on, and send what is pending."""
    _run(name, paused_too=True, **options)


def _run(
    name: str,
    *,
    paused_too: bool,
    where: str | None,
    as_json: bool,
    password_file: Any,
    **options: Any,
) -> None:
    with reporting(as_json):
        account = ("user_code", "protocol", "endpoint", "timeout")
        given = {each: options.pop(each) for each in account}
        from yunxin_soap.async_client import AsyncClient
        from yunxin_soap.cli.progress import run_shown

        with open_ledger(where) as ledger:
            client = build_client(
                AsyncClient,
                {each: value for each, value in given.items() if value is not None},
                password_file,
                "user_code",
            )
            if paused_too:
                ledger.resume(name)
            status = run_shown(ledger, name, client, bar=not as_json, **options)
        show(status, as_json)
        sys.exit(_exit_status(status))


def _exit_status(status: Status) -> int:
    from yunxin_soap.campaign import State

    numbers = status.numbers
    if numbers[State.UNKNOWN]:
        return 5
    if numbers[State.PENDING] - sum(status.held.values()) or numbers[State.SUBMITTING]:
        return 4
    return 3 if numbers[State.REJECTED] or status.held else 0


def _source(
    csv_file: str | None, text_file: str | None, column: str | None, encoding: str | None
) -> Source:
    from yunxin_soap.campaign import Csv, Text

    if (csv_file is None) == (text_file is None):
        raise ConfigurationError("Give the numbers, by --csv or by --text.")
    path = csv_file if csv_file is not None else text_file
    file: Any = sys.stdin.buffer if path == "-" else path
    return Csv(file, column, encoding) if csv_file is not None else Text(file, encoding)


for each in (status, retry, resolve, report, find, export, purge):
    campaign.add_command(each)
