"""``yunxin-soap campaign plan``: a list and a text become a campaign."""

from __future__ import annotations

import contextlib
import csv
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any, TypedDict

import click

from yunxin_soap.cli.campaign.status import describe_skipped
from yunxin_soap.cli.campaign.texts import (
    parse_price,
    preview_as_dict,
    price_option,
    print_preview,
)
from yunxin_soap.cli.commands import command, option
from yunxin_soap.cli.language import tr, translate
from yunxin_soap.cli.options import (
    VariableOption,
    combine,
    ledger_options,
    name_argument,
    open_ledger,
    read_text,
)
from yunxin_soap.cli.output import (
    handle_errors,
    pluralize,
    print_json,
    print_notes,
    print_text,
    refuse_ledger_overwrite,
    refuse_overwrite,
    unwritable,
)
from yunxin_soap.errors import ConfigurationError, InvalidRequest
from yunxin_soap.files import open_private, spreadsheet_row
from yunxin_soap.sentences import Sentence

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from yunxin_soap.campaign import Plan, Preview, SkippedLine, Source
    from yunxin_soap.campaign.lists.excel import HiddenRows
    from yunxin_soap.campaign.planning import PlanOptions

_SKIPPED_SHOWN = 10
"""Skipped lines that the terminal shows; ``--skipped`` has them all."""


class ListOptions(TypedDict):
    """The values of `list_options`."""

    csv_file: str | None
    text_file: str | None
    excel_file: str | None
    sheet: str | None
    hidden_rows: HiddenRows | None
    column: str | None
    encoding: str | None
    multiline: bool


list_options = combine(
    option("--csv", "csv_file", metavar="FILE", help="A CSV file; - is standard input."),
    option("--text", "text_file", metavar="FILE", help="Numbers on lines; - is standard input."),
    option("--excel", "excel_file", metavar="FILE", help="An Excel workbook (.xlsx)."),
    option("--sheet", help="The workbook's sheet; by default the one with numbers."),
    option(
        "--hidden-rows",
        type=click.Choice(["skip", "send"]),
        help="Skip the workbook's hidden rows, or read them; an error by default.",
    ),
    option(
        "--column",
        help="The column of the numbers: its heading, or its position, counted from 1.",
    ),
    option("--encoding", help="The list's encoding; detected by default (UTF-8, GBK, UTF-16)."),
    option("--multiline", is_flag=True, help="Let a quoted CSV field have several lines."),
)
"""Where the numbers come from; `list_source` takes their values."""


@command("plan")
@name_argument
@list_options
@option(
    "--message",
    help="The text; {name} in it is filled from the column of that name, {due:%m月%d日} from one"
    " with dates.",
)
@option("--message-file", type=click.File("r", encoding="utf-8-sig"), help="A file with the text.")
@option(
    "--channel",
    cls=VariableOption,
    envvar="YUNXIN_CHANNEL",
    show_envvar=True,
    help="The channel number, such as 37.",
)
@option(
    "--signature",
    cls=VariableOption,
    envvar="YUNXIN_SIGNATURE",
    show_envvar=True,
    help="Appended to a text that has none.",
)
@option(
    "--extension",
    cls=VariableOption,
    envvar="YUNXIN_EXTENSION",
    show_envvar=True,
    default="",
    help="The extension number.",
)
@option(
    "--max-recipients", default=500, show_default=True, help="The most numbers in one submission."
)
@option(
    "--max-segments",
    cls=VariableOption,
    envvar="YUNXIN_MAX_SEGMENTS",
    show_envvar=True,
    default=10,
    show_default=True,
    help="The most segments of a text.",
)
@price_option
@option("--skipped", "skipped_file", metavar="FILE", help="Write skipped lines as CSV.")
@option("--dash-is-empty", is_flag=True, help="Skip a line if a used column holds a lone -.")
@option(
    "--marketing",
    is_flag=True,
    help="Every text must have an opt-out, such as 拒收请回复R, and runs must keep to 08:00-21:00.",
)
@option("--strict", is_flag=True, help="Fail on the first bad line; plan nothing.")
@option("--dry-run", is_flag=True, help="Read and check everything; write no ledger.")
@ledger_options
def plan_command(
    name: str,
    csv_file: str | None,
    text_file: str | None,
    excel_file: str | None,
    sheet: str | None,
    hidden_rows: HiddenRows | None,
    column: str | None,
    encoding: str | None,
    multiline: bool,
    message: str | None,
    message_file: IO[str] | None,
    price: str | None,
    skipped_file: str | None,
    dry_run: bool,
    ledger_url: str | None,
    as_json: bool,
    **options: Unpack[PlanOptions],
) -> None:
    """Make a campaign from a list and a text, and show finished texts.

    A plan with the same name, list and text as before changes nothing.
    """
    with handle_errors(as_json):
        text = _text(message, message_file)
        if not options["channel"]:
            raise ConfigurationError("There is no channel: give --channel, or set YUNXIN_CHANNEL.")
        exact_price = parse_price(price)
        source = list_source(
            csv_file=csv_file,
            text_file=text_file,
            excel_file=excel_file,
            sheet=sheet,
            hidden_rows=hidden_rows,
            column=column,
            encoding=encoding,
            multiline=multiline,
        )
        skipped_lines = _SkippedLines(skipped_file)
        refuse_overwrite(
            skipped_file, list=csv_file or text_file or excel_file, text=_path_of(message_file)
        )
        refuse_ledger_overwrite(skipped_file, ledger_url)
        with skipped_lines as skipped:
            if dry_run:
                from yunxin_soap.campaign import preview

                shown = preview(name, source, text, on_skipped=skipped.add, **options)
                plan = shown.plan
            else:
                previews: list[Preview] = []
                with open_ledger(ledger_url, create=True) as ledger:
                    plan = ledger.plan(
                        name,
                        source,
                        text,
                        on_skipped=skipped.add,
                        on_preview=previews.append,
                        **options,
                    )
                (shown,) = previews
        if as_json:
            texts = preview_as_dict(shown, exact_price)
            print_json({**asdict(plan), "dry_run": dry_run, **texts})
        else:
            _print_counts(plan, dry_run)
            print_preview(shown, exact_price)
            _print_skipped(plan, skipped.first)
            print_notes(plan.notes)


def _text(message: str | None, file: IO[str] | None) -> str:
    if message is not None and file is not None:
        raise ConfigurationError("Give either --message or --message-file, not both.")
    if message is not None:
        return message
    if file is not None:
        return read_text(file, file.read, InvalidRequest).rstrip("\r\n")
    raise ConfigurationError("Give the text, by --message or by --message-file.")


def _path_of(file: IO[str] | None) -> str | None:
    """Return the path of an open file as it was given; "-" is standard input."""
    name: str | None = getattr(file, "name", None)
    return "-" if name == "<stdin>" else name


_OPTIONS_OF = {
    "csv": ("column", "encoding", "multiline"),
    "text": ("encoding",),
    "excel": ("column", "sheet", "hidden_rows"),
}


def list_source(**options: Unpack[ListOptions]) -> Source:
    """Return the list that the options of a command name.

    Raises:
        ConfigurationError: there is none or more than one, or an option does not go with it.
    """
    from yunxin_soap.campaign import Csv, Excel, Text

    given = {name: value for name, value in options.items() if value not in (None, False)}
    paths = {kind: given.pop(f"{kind}_file", None) for kind in _OPTIONS_OF}
    found = [(kind, path) for kind, path in paths.items() if path is not None]
    if len(found) > 1:
        raise ConfigurationError("Give only one of --csv, --text and --excel.")
    if not found:
        raise ConfigurationError("Give the numbers, by --csv, by --text or by --excel.")
    ((kind, path),) = found
    for name in given:
        if name not in _OPTIONS_OF[kind]:
            raise ConfigurationError(
                Sentence(
                    "--{option} does not go with --{kind}: leave it out.",
                    option=name.replace("_", "-"),
                    kind=kind,
                )
            )
    file: Any = sys.stdin.buffer if path == "-" else path
    kinds: dict[str, Callable[..., Source]] = {"csv": Csv, "text": Text, "excel": Excel}
    return kinds[kind](file, **given)


def _print_counts(plan: Plan, dry_run: bool) -> None:
    if dry_run:
        click.echo(tr("Dry run: nothing was written."))
    elif plan.existing:
        click.echo(
            tr("{name} exists already with the same content: nothing was written.", name=plan.name)
        )
    else:
        click.echo(tr("Planned {name}.", name=plan.name))
    click.echo(
        tr(
            "{numbers} in {submissions} with {texts}, about {segments} (an estimate).",
            numbers=pluralize(plan.numbers, "number"),
            submissions=pluralize(plan.submissions, "submission"),
            texts=pluralize(plan.texts, "text"),
            segments=pluralize(plan.segments, "segment"),
        )
    )
    for note in plan.source_notes:
        print_text(translate(note))


def _print_skipped(plan: Plan, skipped: list[SkippedLine]) -> None:
    if plan.skipped:
        by_cause = describe_skipped(plan.skipped_by)
        click.echo(
            tr(
                "Skipped: {lines}{by_cause}.",
                lines=pluralize(plan.skipped, "line"),
                by_cause=by_cause,
            )
        )
        for line in skipped:
            click.echo(
                tr(
                    "  line {line}: {value}: {reason}",
                    line=line.line,
                    value=repr(line.value),
                    reason=translate(line.reason),
                )
            )
        if plan.skipped > len(skipped):
            click.echo(tr("  … (--skipped FILE writes all of them)"))


class _SkippedLines:
    """Collects skipped lines: the first few to be shown, and all of them in a file.

    Args:
        path: the CSV file to write, or None.

    Raises:
        ConfigurationError: the path is "-", or the file cannot be written.
    """

    def __init__(self, path: str | None) -> None:
        if path == "-":
            raise ConfigurationError("--skipped needs the name of a file, and - is none: give one.")
        self.first: list[SkippedLine] = []
        self._path = path
        self._file: IO[str] | None = None
        self._write_row: Callable[[tuple[object, ...]], object] = lambda _row: None

    def __enter__(self) -> Self:
        """Open the file, before the list is read."""
        if self._path is not None:
            try:
                # Line buffered: a write error must come before the campaign is made.
                self._file = open_private(self._path, encoding="utf-8-sig", buffering=1)
            except OSError as error:
                raise unwritable(self._path, error) from None
            self._write_row = csv.writer(self._file, quoting=csv.QUOTE_ALL).writerow
            self._write("line", "value", "reason")
        return self

    def add(self, line: SkippedLine) -> None:
        """Take a line."""
        if len(self.first) < _SKIPPED_SHOWN:
            self.first.append(line)
        self._write(*spreadsheet_row((line.line, line.value, line.reason)))

    def _write(self, *row: object) -> None:
        try:
            self._write_row(row)
        except OSError as error:
            raise unwritable(str(self._path), error) from None

    def __exit__(self, *_error: object) -> None:
        """Close the file."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # reported when the line was written
                self._file.close()
