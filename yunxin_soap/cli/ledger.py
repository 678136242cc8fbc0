"""The commands that ask what a campaign's ledger holds, and that decide about it."""

from __future__ import annotations

import csv
import getpass
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from yunxin_soap.cli.options import counted, local_time, print_json, reporting
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.files import escape_spreadsheet_formula, file_id

if TYPE_CHECKING:
    from yunxin_soap.campaign import Ledger, Status

_UNFIT = r"[^\w .-]"
"""Characters of a campaign's name that no file's name gets."""
_NAME_OR_KEY = ConfigurationError("Name a campaign, or the --key of a single send alone.")
_Command = Callable[..., None]


def options(*options: Callable[[Any], Any]) -> Callable[[_Command], _Command]:
    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


ledger_options = options(
    click.option(
        "--ledger",
        "where",
        envvar="YUNXIN_LEDGER",
        metavar="FILE|URL",
        help="An SQLite file, or postgresql://...",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
)
name_argument = click.argument("name")


def _me() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a number without a name, as in a container
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"


_by = click.option("--by", default=_me, help="Who decides; you, by default.")
_Code = click.IntRange(-999_999_999, 999_999_999)


@click.command()
@click.argument("name", required=False)
@ledger_options
def status(name: str | None, where: str | None, as_json: bool) -> None:
    """Show where a campaign stands, or all of them and the single sends."""
    with reporting(as_json), open_ledger(where) as ledger:
        if name is not None:
            show(ledger.status(name), as_json)
            return
        from yunxin_soap.campaign import State

        found = [ledger.status(each) for each in ledger.campaigns()]
        sends = {state.value: count for state, count in ledger.sends().items() if count}
        unknown = list(ledger.keys(State.UNKNOWN))
        if as_json:
            campaigns = [as_dict(each) for each in found]
            print_json({"campaigns": campaigns, "sends": sends, "unknown_keys": unknown})
            return
        if not found and not sends:
            click.echo("The ledger is empty.")
        for each in found:
            click.echo(f"{each.name}: {each.state.value}, {counted(each.planned, 'number')}")
        if sends:
            click.echo("single sends: " + ", ".join(f"{sends[each]} {each}" for each in sends))
        for key in unknown:
            click.echo(f"  unknown: {key}")


@click.command()
@click.argument("name", required=False)
@click.option("--key", help="Of a single send, in place of a campaign's name.")
@click.option("--code", type=_Code, help="Only those that were rejected with this code.")
@click.option("--unsafe", is_flag=True, help="Those that may have been sent too: maybe twice.")
@_by
@ledger_options
def retry(
    name: str | None,
    key: str | None,
    code: int | None,
    unsafe: bool,
    by: str,
    where: str | None,
    as_json: bool,
) -> None:
    """Make rejected submits pending again, where that is safe, and refused texts too."""
    from yunxin_soap.campaign import State

    with reporting(as_json), open_ledger(where) as ledger:
        hint = ""
        if name is not None and key is None:
            exact = None if code is None else -abs(code)
            count = ledger.retry(name, code=exact, unsafe=unsafe, by=by)
            if (
                not unsafe
                and code is None
                and (left := ledger.status(name).submits[State.REJECTED])
            ):
                hint = (
                    f" {left} rejected may have been sent, or were purged: --unsafe retries the"
                    " former."
                )
        elif key is not None and name is None and code is None:
            ledger.retry_once(key, unsafe=unsafe, by=by)
            count = 1
        else:
            raise _NAME_OR_KEY
        _tell(as_json, "submits", count, f"{counted(count, 'submit')} pending again.{hint}")


@click.command()
@click.argument("name", required=False)
@click.option("--key", help="Of a single send, in place of a campaign's name.")
@click.option("--resend", is_flag=True, help="Send again: maybe twice.")
@click.option("--accepted", is_flag=True, help="They were sent.")
@click.option("--rejected", is_flag=True, help="They were not sent.")
@click.option("--submit", "submits", type=int, multiple=True, help="Which; all by default.")
@click.option("--batch-no", help="The vendor's batch number of an accepted one.")
@_by
@ledger_options
def resolve(
    name: str | None,
    key: str | None,
    submits: tuple[int, ...],
    batch_no: str | None,
    by: str,
    where: str | None,
    as_json: bool,
    **decisions: bool,
) -> None:
    """Decide what became of unknown submits; nothing else moves them."""
    with reporting(as_json):
        chosen: list[Any] = [each for each, is_chosen in decisions.items() if is_chosen]
        if len(chosen) != 1:
            raise ConfigurationError(
                "Say what became of them, by one of --resend, --accepted and --rejected."
            )
        (decision,) = chosen
        with open_ledger(where) as ledger:
            if name is not None and key is None:
                count = ledger.resolve(
                    name, decision, by=by, submits=submits or None, batch_no=batch_no
                )
            elif key is not None and name is None and not submits:
                ledger.resolve_once(key, decision, by=by, batch_no=batch_no)
                count = 1
            else:
                raise _NAME_OR_KEY
        none = ": none is unknown" if count == 0 else ""
        _tell(as_json, "submits", count, f"{counted(count, 'submit')} decided{none}.")


@click.command()
@name_argument
@click.option(
    "--output", metavar="FILE", help="Where to; NAME.html by default, - is standard output."
)
@ledger_options
def report(name: str, output: str | None, where: str | None, as_json: bool) -> None:
    """Write a page with charts: outcomes, refusals, throughput, answer times."""
    with reporting(as_json):
        path = output or f"{re.sub(_UNFIT, '_', name)}.html"
        keep_the_ledger(path, where)
        with open_ledger(where) as ledger:
            html = ledger.report(name)
        if path == "-":
            click.echo(html)
            return
        try:
            Path(path).write_text(html, encoding="utf-8")
        except OSError as error:
            raise unwritable(path, error) from None
        _tell(as_json, "file", path, f"Written: {path}")


@click.command()
@click.argument("number")
@ledger_options
def find(number: str, where: str | None, as_json: bool) -> None:
    """Tell every submit that a number was in, and how it ended."""
    with reporting(as_json), open_ledger(where) as ledger:
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
                told = change.detail not in ("", change.after.value)
                detail = f" ({change.detail})" if told else ""
                earlier = f"submit {change.submit} " if change.submit != each.submit else ""
                click.echo(
                    f"  {local_time(change.at)} {earlier}{change.after.value}{detail},"
                    f" by {change.by}"
                )


@click.command()
@name_argument
@click.option("--output", metavar="FILE", default="-", help="Where to; standard output by default.")
@ledger_options
def export(name: str, output: str, where: str | None, as_json: bool) -> None:
    """Write every number with how it ended: as CSV, or with --json as an object on each line."""
    with reporting(as_json), open_ledger(where) as ledger:
        keep_the_ledger(output, where)
        _export(ledger.results(name), output, as_json)


def _export(results: Iterator[tuple[Any, ...]], output: str, as_json: bool) -> None:
    # The first is read before anything is written over: there may be no such campaign.
    first = list(islice(results, 1))
    with _writable(output, as_json) as file:
        titles = ("number", "state", "batch_no", "code", "reason", "submit")
        writer = csv.writer(file)
        if not as_json:
            writer.writerow(titles)
        for number, state, batch_no, code, reason, submit in chain(first, results):
            if as_json:
                row = (number, state.value, batch_no, code, reason, submit)
                file.write(json.dumps(dict(zip(titles, row, strict=True))) + "\n")
            else:
                kept = (
                    escape_spreadsheet_formula(batch_no),
                    code,
                    escape_spreadsheet_formula(reason),
                )
                writer.writerow((number, state.value, *kept, submit))


@click.command()
@click.option("--older-than", required=True, metavar="AGE", help="As in 90d, 12h, 30m, 0s.")
@ledger_options
def purge(older_than: str, where: str | None, as_json: bool) -> None:
    """Remove the numbers and texts of what ended long ago; counts stay."""
    with reporting(as_json):
        units = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
        if not re.fullmatch("[0-9]{1,9}[dhms]", older_than):
            raise ConfigurationError(f"--older-than {older_than!r} must be as in 90d or 12h.")
        amount, unit = older_than[:-1], older_than[-1]
        with open_ledger(where) as ledger:
            count = ledger.purge(older_than=int(amount) * units[unit])
        _tell(as_json, "numbers", count, f"{counted(count, 'number')} removed.")


def keep_the_ledger(output: str | None, where: str | None) -> None:
    """Refuse to write over the ledger."""
    from yunxin_soap.campaign.storage.engine import file_of

    file = file_of(where) if where else None
    for end in ("", "-wal", "-shm") if file else ():
        keep_apart(output, **{"the ledger": f"{file}{end}"})


def keep_apart(output: str | None, **inputs: str | None) -> None:
    """Refuse to write over what is read: a slip would cost a list, or who got a message."""
    for what, path in inputs.items():
        if not output or not path:
            continue
        found = file_id(sys.stdin.fileno() if path == "-" else path)
        # By name as well: neither may be there yet.
        one = Path(output).resolve() == Path(path).resolve() and output != "-"
        if one or (found is not None and found == file_id(output)):
            raise ConfigurationError(f"{output} is {what}: name another file to write to.")


@contextmanager
def _writable(path: str, as_json: bool) -> Iterator[IO[str]]:
    try:
        # Spreadsheets know UTF-8 by its mark; JSON has none.
        with click.open_file(path, "w", encoding="utf-8" if as_json else "utf-8-sig") as file:
            yield file
    except OSError as error:
        if path == "-":
            raise
        raise unwritable(path, error) from None


def unwritable(path: str | None, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"{path} cannot be written ({error.strerror}).")


def open_ledger(where: str | None, *, create: bool = False) -> Ledger:
    from yunxin_soap.campaign import Ledger

    if not where:
        raise ConfigurationError("There is no ledger: give --ledger FILE, or set YUNXIN_LEDGER.")
    return Ledger(where, create=create)


def as_dict(status: Status) -> dict[str, Any]:
    values = asdict(status)
    for name in ("numbers", "submits"):
        values[name] = {state.value: count for state, count in values[name].items()}
    return values | {"state": status.state.value}


def show(status: Status, as_json: bool) -> None:
    if as_json:
        print_json(as_dict(status))
        return
    click.echo(
        f"{status.name}: {status.state.value}" + (f": {status.reason}" * bool(status.reason))
    )
    if status.paused_until is not None:
        click.echo(f"  goes on at {local_time(status.paused_until)}")
    click.echo(f"  {status.planned:9} planned, {counted(status.refused, 'line')} refused")
    for state, count in status.numbers.items():
        if count:
            click.echo(f"  {count:9} {state.value}")
    for code, count in status.codes.items():
        click.echo(f"  {count:9} rejected with {code}")
    for reason, count in status.held.items():
        click.echo(f"  {count:9} held back: {reason}")
    for hint in _hints(status):
        click.echo(f"  {hint}")


def _hints(status: Status) -> Iterator[str]:
    """Say what a person may do about it."""
    from yunxin_soap.campaign import CampaignState, State

    if status.numbers[State.UNKNOWN]:
        yield (
            'unknown: ask the vendor ("campaign export" has their numbers), then decide with'
            ' "campaign resolve"'
        )
    if status.held:
        yield 'held back: once the text is allowed, "campaign retry" has it sent'
    if status.state is CampaignState.PAUSED and status.paused_until is None:
        yield 'paused: once that is mended, "campaign resume" goes on'


def _tell(as_json: bool, name: str, value: Any, text: str) -> None:
    if as_json:
        print_json({name: value})
    else:
        click.echo(text)
