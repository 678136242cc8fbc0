"""The ``yunxin-soap`` command, on click. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from yunxin_soap._version import __version__
from yunxin_soap.cli.campaign import campaign
from yunxin_soap.cli.options import Commands, build_client, lines_of, print_json, reporting
from yunxin_soap.codes import DOCUMENTED
from yunxin_soap.errors import (
    ConfigurationError,
    OutcomeUnknown,
)

if TYPE_CHECKING:
    from yunxin_soap.client import Client
    from yunxin_soap.results import Receipt

_EPILOG = """\b
Exit status:
  0  accepted: the batch number is printed
  2  usage, settings or request are wrong; nothing was sent
  3  rejected by the gateway; mend the cause, then send again
  4  not sent: the gateway was not reached; may be sent again at once
  5  unknown: it may have been sent; check before you send it again

\b
Settings are read from YUNXIN_USER_CODE, YUNXIN_USER_PASS, YUNXIN_CHANNEL,
YUNXIN_SIGNATURE, YUNXIN_EXTENSION, YUNXIN_ENDPOINT, YUNXIN_PROTOCOL,
YUNXIN_TIMEOUT and YUNXIN_PROXY; options take precedence. The password comes
from YUNXIN_USER_PASS, a file or a prompt, never from an argument.
"""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="yunxin-soap")
def cli() -> None:
    """Send SMS through the Yunxin gateway (云信短信), or try it on a sandbox."""


cli.add_command(campaign)


@cli.command(epilog=_EPILOG)
@click.option(
    "--to",
    "numbers",
    multiple=True,
    metavar="NUMBER",
    help="A number, or several joined by commas. Repeatable.",
)
@click.option(
    "--to-file",
    type=click.File("r", encoding="utf-8-sig"),
    help="A file with numbers, one a line or joined by commas; - is standard input.",
)
@click.option(
    "--message", required=True, help="The text; it ends in its signature, as in XXX【签名】."
)
@click.option("--signature", help="Appended as 【…】 to a text that has none.")
@click.option("--channel", help="The channel number, such as 37.")
@click.option("--extension", help="The extension number.")
@click.option("--user-code", help="The login name.")
@click.option(
    "--password-file",
    type=click.File("r", encoding="utf-8-sig"),
    help="A file with the password on its first line.",
)
@click.option("--protocol", help="soap (default), soap12, http-get or http-post.")
@click.option("--endpoint", help="The address of the service's page.")
@click.option("--timeout", type=float, help="Seconds to wait for the answer (default 30).")
@click.option(
    "--sandbox",
    is_flag=True,
    help="Send to an embedded sandbox gateway; no SMS leaves this machine.",
)
@click.option(
    "--dry-run", is_flag=True, help="Check everything and show what would be sent; send nothing."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, also for a failure.")
def send(
    numbers: tuple[str, ...],
    to_file: Any,
    message: str,
    password_file: Any,
    sandbox: bool,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Send one text to up to 500 numbers in one submit, and print the batch number."""
    from yunxin_soap.client import Client

    with reporting(as_json):
        recipients = [*numbers, *(lines_of(to_file) if to_file else ())]
        arguments = {name: value for name, value in options.items() if value is not None}
        with _gateway(sandbox, arguments):
            if dry_run:
                # Nothing is sent, so nobody has to give them.
                arguments.setdefault("user_code", os.environ.get("YUNXIN_USER_CODE") or "-")
                arguments.setdefault("user_pass", "-")
            needed = ("user_code", "channel")
            with build_client(Client, arguments, password_file, *needed) as client:
                if dry_run:
                    _show_plan(client, recipients, message, as_json)
                else:
                    _show_receipt(_send(client, recipients, message), as_json)


@cli.command(context_settings={"ignore_unknown_options": True})
@click.argument("code", required=False, type=int)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def codes(code: int | None, as_json: bool) -> None:
    """List the gateway's result codes, or explain one, as in: yunxin-soap codes -5."""
    if code is not None:
        code = -abs(code)
        if code not in DOCUMENTED:
            raise click.BadParameter(
                f"{code} is not in the vendor's manual: a refusal of an unknown kind.",
                param_hint="CODE",
            )
    rows = [
        {
            "code": int(each),
            "name": each.name,
            "category": each.category.value,
            "description_zh": each.description_zh,
            "description_en": each.description_en,
            "temporary": each.temporary,
            "safe_to_resend": each.safe_to_resend,
        }
        for each in DOCUMENTED.values()
        if code in (None, each)
    ]
    if as_json:
        print_json(rows if code is None else rows[0])
        return
    for row in rows:
        click.echo(f"{row['code']:>4}  {row['category']:<13}  {row['description_zh']}")
        click.echo(f"{'':21}{row['description_en']}")


_FAULTS = """\b
Faults: delay, trickle, refuse (seconds, jitter); close, reset, hang, cut,
garble, content-type, error; html (status); code (code); balance (left).
Which submits: when (after, before, unread), numbers (joined by +), user_code,
port, text, skip, times, probability, seed.
"""


@cli.command(epilog=_FAULTS)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="The port to listen on; 0 takes a free one.",
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False),
    help="A TOML file with accounts, channels and word lists.",
)
@click.option(
    "--record",
    "path",
    type=click.Path(dir_okay=False),
    help="A SQLite file that keeps what arrives; it survives the sandbox.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND[:NAME=VALUE,...]",
    help="Fail on purpose, as in close:when=before,probability=0.1. Repeatable.",
)
def sandbox(
    host: str, port: int, config: str | None, path: str | None, faults: tuple[str, ...]
) -> None:
    """Run a local gateway that speaks the service's four ports; no SMS leaves it.

    The account is demo / demo with channel 37, unless a TOML file names others. Its inbox is a web
    page at /.
    """
    with reporting(as_json=False):
        from yunxin_soap.sandbox.arrivals.sqlite import Journal
        from yunxin_soap.sandbox.arrivals.store import Record
        from yunxin_soap.sandbox.config import load
        from yunxin_soap.sandbox.faults import model as kinds
        from yunxin_soap.sandbox.gateway import Gateway
        from yunxin_soap.sandbox.server.server import run
        from yunxin_soap.sandbox.service import Service

        gateway = Gateway(load(config) if config else None)
        provoked = [kinds.parse(each) for each in faults]
        record = Record(None if path is None else Journal(path))
        try:
            service = Service(gateway, record)
            for each in provoked:
                service.faults.add(each)
            run(service, host, port, lambda url: _announce(url, host))
        finally:
            record.close()


@cli.command()
@click.option("--endpoint", help="The address of the service's page.")
@click.option(
    "--refresh", is_flag=True, help="Fetch it from the gateway into the user's cache first."
)
def wsdl(endpoint: str | None, refresh: bool) -> None:
    """Show which WSDL is in use, and check that it fits."""
    with reporting(as_json=False):
        from yunxin_soap import wsdl as cached
        from yunxin_soap.settings import DEFAULT_ENDPOINT, arguments_from_env, parse_endpoint

        if refresh:
            url = endpoint or arguments_from_env(os.environ).get("endpoint", DEFAULT_ENDPOINT)
            cached.refresh(parse_endpoint(url).url)
        document = cached.load()
        for port in cached.PROTOCOLS:
            cached.binding(document, port)
        shipped = str(document.location) == str(cached.shipped_path())
        origin = "came with the package" if shipped else "in the user's cache; delete it to go back"
        click.echo(f"{document.location} ({origin})")
        click.echo(f"It fits: {', '.join(cached.PROTOCOLS)}.")


@contextmanager
def _gateway(sandbox: bool, arguments: dict[str, Any]) -> Iterator[None]:
    """Put the embedded sandbox and its account into the arguments, if it is asked for."""
    if not sandbox:
        yield
        return
    from yunxin_soap.sandbox.config import DEMO
    from yunxin_soap.sandbox.sandbox import Sandbox

    for option in ("endpoint", "user_code"):
        if option in arguments:
            name = option.replace("_", "-")
            raise ConfigurationError(f"--sandbox and --{name} exclude each other: leave one out.")
    with Sandbox() as running:
        arguments["endpoint"] = running.url
        arguments.setdefault("channel", DEMO.channels[0].number)
        arguments.update(user_code=DEMO.user_code, user_pass=DEMO.user_pass)
        # The embedded gateway is on this machine: no proxy of the environment stands before it.
        arguments["proxy"] = None
        yield


def _send(client: Client, recipients: list[str], message: str) -> Receipt:
    try:
        return client.send(recipients, message)
    except KeyboardInterrupt:
        raise OutcomeUnknown(
            "Interrupted: whether the SMS was sent is unknown. Check with the vendor before you"
            " send it again."
        ) from None


def _announce(url: str, host: str) -> None:
    click.echo(f"The sandbox listens: {url}")
    click.echo(f"Its WSDL: {url}?WSDL")
    click.echo(f"Its inbox: {url.partition('/api/')[0]}/")
    if host not in ("127.0.0.1", "::1", "localhost"):
        click.echo("It has no login: whoever reaches this machine can use it.")
    click.echo("Ctrl-C ends it.")


def _show_plan(client: Client, recipients: list[str], message: str, as_json: bool) -> None:
    plan = client.check(recipients, message)
    shown: dict[str, Any] = {
        "endpoint": client.endpoint,
        "protocol": client.protocol,
        "channel": plan.channel,
        "extension": plan.extension,
        "recipients": list(plan.recipients),
        "message": plan.message,
    }
    if as_json:
        print_json({"outcome": "dry_run", **shown})
        return
    click.echo("Dry run: nothing was sent.")
    shown["recipients"] = f"{len(plan.recipients)} ({', '.join(plan.recipients[:3])}"
    shown["recipients"] += ", …)" if len(plan.recipients) > 3 else ")"
    for name, value in shown.items():
        click.echo(f"{name:>10}: {value}")


def _show_receipt(receipt: Receipt, as_json: bool) -> None:
    try:
        if as_json:
            print_json({"outcome": "accepted", **vars(receipt)})
        else:
            click.echo(receipt.batch_no)
    except OSError as error:
        # A full disk or a closed pipe must not make an accepted SMS look like a failed one.
        click.echo(
            f"yunxin-soap: Accepted as batch {receipt.batch_no}, which could not be printed"
            f" ({error.strerror}).",
            err=True,
        )
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
