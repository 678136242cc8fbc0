"""``yunxin-soap campaign``: bulk sending from the command line."""

from __future__ import annotations

import csv
import getpass
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from yunxin_soap.cli_common import build_client, print_json, reporting
from yunxin_soap.errors import ConfigurationError

if TYPE_CHECKING:
    from yunxin_soap.campaign import Ledger, Refused, Source, Status

_EPILOG = """\b
Exit status of run and resume:
  0  every number was accepted
  2  usage or settings are wrong
  3  some were rejected, or their text was
  4  some are still to be sent: the campaign is paused, or was stopped
  5  some are unknown: they may have been sent
  6  the ledger cannot be used

\b
The ledger is --ledger or YUNXIN_DATABASE_URL: an SQLite file or
postgresql://...; the account and the gateway are those of "send".
"""
_Command = Callable[..., None]


@click.group()
def campaign() -> None:
    """Send to many, over a ledger: never twice, never lost, resumable."""


def _options(*options: Callable[[Any], Any]) -> Callable[[_Command], _Command]:
    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_ledger = _options(
    click.option(
        "--ledger",
        "where",
        envvar="YUNXIN_DATABASE_URL",
        metavar="FILE|URL",
        help="An SQLite file, or postgresql://...",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
)
_running = _options(
    click.option("--in-flight", default=32, show_default=True, help="Submits under way at most."),
    click.option("--rate", type=float, help="Submits a second at most."),
    click.option("--numbers-rate", type=float, help="Numbers a second at most."),
    click.option("--between", metavar="HH:MM-HH:MM", help="Allowed hours."),
    click.option("--zone", default="Asia/Shanghai", show_default=True, help="Of those hours."),
    click.option("--isolate", is_flag=True, help="Find bad numbers (-14 to -17) by halves."),
    click.option("--breaker", default=5, show_default=True, help="Failures in a row that pause."),
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
_name = click.argument("name")
_by = click.option("--by", default=getpass.getuser, help="Who decides; you, by default.")


@campaign.command()
@_name
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
@click.option("--dry-run", is_flag=True, help="Read and check everything, and write nothing.")
@_ledger
def plan(
    name: str,
    csv_file: str | None,
    text_file: str | None,
    column: str | None,
    encoding: str | None,
    message: str | None,
    message_file: Any,
    refused_file: str | None,
    where: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Make a campaign of a list and a text; the same list and text again change nothing."""
    with reporting(as_json):
        if (message is None) == (message_file is None):
            raise ConfigurationError("Give the text, by --message or by --message-file.")
        text = message if message is not None else message_file.read().rstrip("\r\n")
        if not options["channel"]:
            raise ConfigurationError("There is no channel: give --channel, or set YUNXIN_CHANNEL.")
        source = _source(csv_file, text_file, column, encoding)
        refused: list[Refused] = []
        with _RefusedFile(refused_file, refused) as write, _open(where) as ledger:
            made = ledger.plan(name, source, text, refused_to=write, **options)
        if as_json:
            print_json({**asdict(made), "dry_run": options["dry_run"]})
            return
        click.echo("Dry run: nothing was written." if options["dry_run"] else f"Planned {name}.")
        click.echo(
            f"{made.numbers} numbers in {made.submits} submits with {made.texts} texts,"
            f" some {made.segments} segments (an estimate)."
        )
        if made.refused:
            click.echo(f"{made.refused} lines are refused:")
            for line in refused:
                click.echo(f"  line {line.line}: {line.value!r}: {line.reason}")
            if made.refused > len(refused):
                click.echo("  … (--refused FILE writes them all)")


class _RefusedFile:
    """Takes refused lines: the first few to be shown, and all into a file."""

    _SHOWN = 10

    def __init__(self, path: str | None, shown: list[Refused]) -> None:
        self._path, self._shown = path, shown
        self._file: Any = None

    def __enter__(self) -> Callable[[Refused], None]:
        if self._path is not None:
            try:
                self._file = Path(self._path).open("w", encoding="utf-8-sig", newline="")
            except OSError as error:
                raise ConfigurationError(
                    f"{self._path} cannot be written ({error.strerror})."
                ) from None
            self._writer = csv.writer(self._file)
            self._writer.writerow(("line", "value", "reason"))
        return self._take

    def _take(self, line: Refused) -> None:
        if len(self._shown) < self._SHOWN:
            self._shown.append(line)
        if self._file is not None:
            self._writer.writerow((line.line, line.value, line.reason))

    def __exit__(self, *_error: object) -> None:
        if self._file is not None:
            self._file.close()


@campaign.command(epilog=_EPILOG)
@_name
@_ledger
@_running
def run(name: str, **options: Any) -> None:
    """Send what is pending; Ctrl-C stops once what is under way has ended, twice stops now."""
    _run(name, paused_too=False, **options)


@campaign.command(epilog=_EPILOG)
@_name
@_ledger
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
        from yunxin_soap.cli_progress import run_shown

        with _open(where) as ledger:
            client = build_client(
                AsyncClient,
                {each: value for each, value in given.items() if value is not None},
                password_file,
                "user_code",
            )
            if paused_too:
                ledger.resume(name)
            status = run_shown(ledger, name, client, quiet=as_json, **options)
        _show(status, as_json)
        sys.exit(_exit_status(status))


def _exit_status(status: Status) -> int:
    from yunxin_soap.campaign import State

    numbers = status.numbers
    if numbers[State.UNKNOWN]:
        return 5
    if numbers[State.PENDING] - sum(status.held.values()) or numbers[State.SUBMITTING]:
        return 4
    return 3 if numbers[State.REJECTED] or status.held else 0


@campaign.command()
@click.argument("name", required=False)
@_ledger
def status(name: str | None, where: str | None, as_json: bool) -> None:
    """Show where a campaign stands, or all of them."""
    with reporting(as_json), _open(where) as ledger:
        if name is not None:
            _show(ledger.status(name), as_json)
            return
        found = [ledger.status(each) for each in ledger.campaigns()]
        if as_json:
            print_json([_as_dict(each) for each in found])
            return
        for each in found:
            click.echo(f"{each.name}: {each.state.value}, {each.planned} numbers")


@campaign.command()
@_name
@click.option("--code", type=int, help="Only those that were rejected with this code.")
@_by
@_ledger
def retry(name: str, code: int | None, by: str, where: str | None, as_json: bool) -> None:
    """Make rejected submits pending again, where that is safe, and refused texts too."""
    with reporting(as_json), _open(where) as ledger:
        count = ledger.retry(name, code=None if code is None else -abs(code), by=by)
        _tell(as_json, "submits", count, f"{count} submits are pending again.")


@campaign.command()
@click.argument("name", required=False)
@click.option("--key", help="Of a single send, in place of a campaign's name.")
@click.option("--resend", "decision", flag_value="resend", help="Send again: maybe twice.")
@click.option("--accepted", "decision", flag_value="accepted", help="They were sent.")
@click.option("--rejected", "decision", flag_value="rejected", help="They were not sent.")
@click.option("--submit", "submits", type=int, multiple=True, help="Which; all by default.")
@click.option("--batch-no", help="The vendor's batch number of an accepted one.")
@_by
@_ledger
def resolve(
    name: str | None,
    key: str | None,
    decision: Any,
    submits: tuple[int, ...],
    batch_no: str | None,
    by: str,
    where: str | None,
    as_json: bool,
) -> None:
    """Decide what became of unknown submits; nothing else moves them."""
    with reporting(as_json):
        if decision is None:
            raise ConfigurationError("Say what became of them: --resend, --accepted, --rejected.")
        with _open(where) as ledger:
            if name is not None and key is None:
                count = ledger.resolve(
                    name, decision, by=by, submits=submits or None, batch_no=batch_no
                )
            elif key is not None and name is None and not submits:
                ledger.resolve_once(key, decision, by=by, batch_no=batch_no)
                count = 1
            else:
                raise ConfigurationError("Name a campaign, or the --key of a single send.")
        _tell(as_json, "submits", count, f"{count} submits were decided.")


@campaign.command()
@_name
@click.option("--output", metavar="FILE", help="Where to; NAME.html by default.")
@_ledger
def report(name: str, output: str | None, where: str | None, as_json: bool) -> None:
    """Write a page with charts: outcomes, refusals, throughput, answer times."""
    with reporting(as_json):
        from yunxin_soap.campaign.report import page

        with _open(where) as ledger:
            html = page(ledger, name)
        path = Path(output or f"{name}.html")
        try:
            path.write_text(html, encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written ({error.strerror}).") from None
        _tell(as_json, "file", str(path), f"Written: {path}")


@campaign.command()
@click.argument("number")
@_ledger
def find(number: str, where: str | None, as_json: bool) -> None:
    """Tell every submit that a number was in, and how it ended."""
    with reporting(as_json), _open(where) as ledger:
        found = ledger.find(number)
        if as_json:
            print_json([asdict(each) for each in found])
            return
        if not found:
            click.echo("No submit has that number.")
        for each in found:
            of = each.campaign if each.campaign is not None else f"key {each.key}"
            batch = f" as batch {each.batch_no}" if each.batch_no else ""
            click.echo(f"{of}, submit {each.submit}: {each.state.value}{batch}: {each.message}")
            for change in each.history:
                detail = f" ({change.detail})" if change.detail else ""
                click.echo(f"  {_time(change.at)} {change.after.value}{detail}, by {change.by}")


@campaign.command()
@_name
@click.option("--output", type=click.File("w", encoding="utf-8-sig"), default="-", help="Where to.")
@_ledger
def export(name: str, output: Any, where: str | None, as_json: bool) -> None:
    """Write every number with how it ended, as CSV."""
    with reporting(as_json), _open(where) as ledger:
        writer = csv.writer(output)
        writer.writerow(("number", "state", "batch_no", "code", "reason", "submit"))
        for number, state, batch_no, code, reason, submit in ledger.results(name):
            writer.writerow((number, state.value, batch_no, code, reason, submit))


@campaign.command()
@click.option("--older-than", required=True, metavar="DAYSd", help="As in 90d, 12h.")
@_ledger
def purge(older_than: str, where: str | None, as_json: bool) -> None:
    """Remove the numbers and texts of what ended long ago; counts stay."""
    with reporting(as_json):
        units = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
        amount, unit = older_than[:-1], older_than[-1:]
        if unit not in units or not amount.isdigit():
            raise ConfigurationError(f"--older-than {older_than!r} must be as in 90d or 12h.")
        with _open(where) as ledger:
            count = ledger.purge(older_than=int(amount) * units[unit])
        _tell(as_json, "numbers", count, f"{count} numbers were removed.")


def _open(where: str | None) -> Ledger:
    from yunxin_soap.campaign import Ledger

    if not where:
        raise ConfigurationError(
            "There is no ledger: give --ledger FILE, or set YUNXIN_DATABASE_URL."
        )
    return Ledger(where)


def _source(
    csv_file: str | None, text_file: str | None, column: str | None, encoding: str | None
) -> Source:
    from yunxin_soap.campaign import Csv, Text

    if (csv_file is None) == (text_file is None):
        raise ConfigurationError("Give the numbers, by --csv or by --text.")
    path = csv_file if csv_file is not None else text_file
    file: Any = sys.stdin.buffer if path == "-" else path
    return Csv(file, column, encoding) if csv_file is not None else Text(file, encoding)


def _as_dict(status: Status) -> dict[str, Any]:
    values = asdict(status)
    for name in ("numbers", "submits"):
        values[name] = {state.value: count for state, count in values[name].items()}
    return values | {"state": status.state.value}


def _show(status: Status, as_json: bool) -> None:
    if as_json:
        print_json(_as_dict(status))
        return
    click.echo(
        f"{status.name}: {status.state.value}" + (f": {status.reason}" * bool(status.reason))
    )
    if status.paused_until is not None:
        click.echo(f"  goes on at {_time(status.paused_until)}")
    click.echo(f"  {status.planned:9} planned, {status.refused} lines refused")
    for state, count in status.numbers.items():
        if count:
            click.echo(f"  {count:9} {state.value}")
    for code, count in status.codes.items():
        click.echo(f"  {count:9} rejected with {code}")
    for reason, count in status.held.items():
        click.echo(f"  {count:9} held back: {reason}")


def _time(at: float) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(at).astimezone().isoformat(" ", "seconds")


def _tell(as_json: bool, name: str, value: Any, text: str) -> None:
    if as_json:
        print_json({name: value})
    else:
        click.echo(text)
