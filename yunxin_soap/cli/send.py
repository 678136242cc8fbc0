"""``yunxin-soap send``: one submission."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any, TypedDict

import click

from yunxin_soap.cells import cell_width
from yunxin_soap.cli import exit_status
from yunxin_soap.cli.commands import command, option
from yunxin_soap.cli.language import tr, translate
from yunxin_soap.cli.options import (
    build_client,
    client_options,
    given_arguments,
    json_option,
    read_numbers,
)
from yunxin_soap.cli.output import (
    discard_rest,
    format_json,
    handle_errors,
    outcomes_unlogged,
    pluralize,
    print_json,
    print_notes,
    print_text,
)
from yunxin_soap.clock import wall_clock
from yunxin_soap.environment import read_variable
from yunxin_soap.errors import ConfigurationError, OutcomeUnknown
from yunxin_soap.marketing import check_sending_time, describe_marketing
from yunxin_soap.sentences import Sentence

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from yunxin_soap.client import Client
    from yunxin_soap.message import Submission
    from yunxin_soap.results import Receipt
    from yunxin_soap.settings import ClientArguments

_MORE = Sentence(
    "Settings are read from YUNXIN_USER_CODE, YUNXIN_USER_PASS, YUNXIN_CHANNEL, YUNXIN_SIGNATURE,"
    " YUNXIN_EXTENSION, YUNXIN_ENDPOINT, YUNXIN_PROTOCOL, YUNXIN_TIMEOUT, YUNXIN_PROXY and"
    " YUNXIN_MAX_SEGMENTS; options take precedence. The password comes from YUNXIN_USER_PASS, a"
    " file or a prompt, never from an argument."
)
_RECIPIENTS_SHOWN = 3
_SHOWN = {
    "endpoint": Sentence("endpoint"),
    "protocol": Sentence("protocol"),
    "channel": Sentence("channel"),
    "extension": Sentence("extension"),
    "recipients": Sentence("recipients"),
    "message": Sentence("message"),
}
"""What a dry run shows."""
quiet_option = option(
    "--quiet",
    "-q",
    is_flag=True,
    help="Print the batch number alone, without the line on standard error that explains it.",
)


class SendOptions(TypedDict, total=False):
    """The options of `Client.send`."""

    channel: str | None
    extension: str | None
    literal: bool
    marketing: bool


@command("send", epilog=exit_status.epilog(exit_status.SEND, _MORE))
@option(
    "--to",
    "numbers",
    multiple=True,
    metavar="NUMBER",
    help="A number, or several joined by commas. Repeatable.",
)
@option(
    "--to-file",
    type=click.File("rb"),
    help="A file with numbers, one a line or joined by commas; - is standard input.",
)
@option("--message", required=True, help="The text; it ends in its signature, as in XXX【签名】.")
@option("--signature", variable="SIGNATURE", help="Appended as 【…】 to a text that has none.")
@option("--channel", variable="CHANNEL", help="The channel number, such as 37.")
@option("--extension", variable="EXTENSION", help="The extension number.")
@option(
    "--max-segments",
    type=int,
    variable="MAX_SEGMENTS",
    help="The most segments of the text (default 10).",
)
@option(
    "--literal",
    is_flag=True,
    help="Send what looks like an unfilled placeholder, such as {name} or ${HOME}, as it is.",
)
@option(
    "--marketing",
    is_flag=True,
    help="The text must have an opt-out, such as 拒收请回复R, and it must be 08:00-21:00 in China.",
)
@client_options
@option(
    "--sandbox",
    is_flag=True,
    help="Send to an embedded sandbox gateway; no SMS leaves this machine.",
)
@option(
    "--dry-run", is_flag=True, help="Check everything and show what would be sent; send nothing."
)
@quiet_option
@json_option
def send_command(
    numbers: tuple[str, ...],
    to_file: IO[bytes] | None,
    message: str,
    password_file: IO[str] | None,
    sandbox: bool,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
    literal: bool,
    marketing: bool,
    **options: Any,
) -> None:
    """Send one text, and print the batch number.

    One submission takes up to 500 numbers. Standard output gets the batch number and nothing else,
    as for batch=$(yunxin-soap send ...).
    """
    from yunxin_soap.client import Client

    with handle_errors(as_json), outcomes_unlogged():
        recipients = [*numbers, *(read_numbers(to_file) if to_file else ())]
        arguments = given_arguments(**options)
        with _embedded_sandbox(sandbox, arguments):
            if dry_run:
                # Nothing is sent, so the account may be missing.
                arguments.setdefault("user_code", read_variable("USER_CODE") or "-")
                arguments.setdefault("user_pass", "-")
            required = ("user_code", "channel")
            with build_client(Client, arguments, password_file, *required) as client:
                kind: SendOptions = {"literal": literal, "marketing": marketing}
                if dry_run:
                    _print_dry_run(client, recipients, message, as_json, **kind)
                else:
                    receipt = send(client, recipients, message, **kind)
                    taker = "" if sandbox else client.endpoint
                    print_receipt(receipt, as_json, taker=taker, quiet=quiet)


@contextmanager
def _embedded_sandbox(wanted: bool, arguments: ClientArguments) -> Iterator[None]:
    """Run a sandbox, if wanted, and put its address and account into the arguments."""
    if not wanted:
        yield
        return
    from yunxin_soap.sandbox.config import DEMO
    from yunxin_soap.sandbox.sandbox import Sandbox

    for each in ("endpoint", "user_code", "proxy"):
        if each in arguments:
            name = each.replace("_", "-")
            raise ConfigurationError(
                Sentence("--sandbox and --{name} exclude each other: leave one out.", name=name)
            )
    with Sandbox() as running:
        arguments["endpoint"] = running.url
        arguments.setdefault("channel", DEMO.channels[0].number)
        arguments.update({"user_code": DEMO.user_code, "user_pass": DEMO.user_pass})
        # The embedded gateway is on this machine: ignore the environment's proxy.
        arguments["proxy"] = None
        yield


def send(
    client: Client, recipients: list[str], message: str, **options: Unpack[SendOptions]
) -> Receipt:
    """Print the notes about a message, and send it; Ctrl-C makes the outcome unknown."""
    submission = _check(client, recipients, message, **options)
    if options.get("marketing"):
        check_sending_time(wall_clock())
    print_notes(_notes(submission))
    try:
        return client.submit(submission)
    except KeyboardInterrupt:
        raise OutcomeUnknown(
            "Interrupted: the outcome is unknown, the SMS may have been sent. Check with the vendor"
            " before you send it again."
        ) from None


def _check(
    client: Client, recipients: list[str], message: str, **options: Unpack[SendOptions]
) -> Submission:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the notes are printed
        return client.check(recipients, message, **options)


def _notes(submission: Submission) -> list[str]:
    """Return what a person should know about a submission, also that it looks like marketing."""
    marketing = describe_marketing(submission.message)
    return [*submission.notes, *([marketing] if marketing else [])]


def _print_dry_run(
    client: Client,
    recipients: list[str],
    message: str,
    as_json: bool,
    **options: Unpack[SendOptions],
) -> None:
    submission = _check(client, recipients, message, **options)
    shown: dict[str, Any] = {
        "endpoint": client.endpoint,
        "protocol": client.protocol,
        "channel": submission.channel,
        "extension": submission.extension,
        "recipients": list(submission.recipients),
        "message": submission.message,
    }
    if as_json:
        print_json({"outcome": "dry_run", **shown, "notes": _notes(submission)})
        return
    click.echo(tr("Dry run: nothing was sent."))
    count, first = len(submission.recipients), submission.recipients[:_RECIPIENTS_SHOWN]
    rest = ", …" if count > _RECIPIENTS_SHOWN else ""
    shown["recipients"] = f"{count} ({', '.join(first)}{rest})"
    words = {translate(_SHOWN[name]): value for name, value in shown.items()}
    width = max(cell_width(name) for name in words)
    for name, value in words.items():
        click.echo(f"{' ' * (width - cell_width(name))}{name}: {value}")
    print_notes(_notes(submission))


def print_receipt(receipt: Receipt, as_json: bool, *, taker: str, quiet: bool) -> None:
    """Print the batch number, or the receipt as JSON.

    Args:
        receipt: the receipt.
        as_json: which of the two.
        taker: the address of the gateway that accepted it; empty for the embedded sandbox.
        quiet: whether standard error gets no line that explains the number.
    """
    accepted = {"outcome": "accepted", **asdict(receipt)}
    try:
        click.echo(format_json(accepted) if as_json else receipt.batch_no)
    except OSError as error:
        # A full disk or a closed pipe must not make an accepted SMS look like a failed one.
        click.echo(
            tr(
                "yunxin-soap: Accepted as batch {batch_no}, but that cannot be printed "
                "({problem}).",
                batch_no=receipt.batch_no,
                problem=error.strerror,
            ),
            err=True,
        )
        discard_rest(sys.stdout)
        return
    if not (quiet or as_json):
        try:
            print_text(_explain(receipt, taker), err=True)
        except OSError:
            discard_rest(sys.stderr)


def _explain(receipt: Receipt, taker: str) -> str:
    """Say what the printed number is, and who took the SMS."""
    if not taker:
        return tr(
            "This is the batch number. A sandbox accepted it: nothing was sent to a phone. Next:"
            ' "yunxin-soap sandbox" shows an inbox in the browser.'
        )
    return tr(
        "This is the batch number, by which the vendor finds the SMS. {taker} accepted it:"
        " {numbers}, {segments}.",
        taker=taker,
        numbers=pluralize(len(receipt.recipients), "number"),
        segments=pluralize(receipt.segments, "segment"),
    )
