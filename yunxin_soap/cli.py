"""The ``yunxin-soap`` command, on click. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import click

from yunxin_soap._version import __version__
from yunxin_soap.codes import DOCUMENTED
from yunxin_soap.errors import (
    ConfigurationError,
    InvalidRequest,
    NotSent,
    OutcomeUnknown,
    Rejected,
    SendError,
    YunxinError,
)

if TYPE_CHECKING:
    from yunxin_soap.client import Client
    from yunxin_soap.results import Receipt

EXIT_STATUS: dict[type[YunxinError], int] = {
    ConfigurationError: 2,
    InvalidRequest: 2,
    Rejected: 3,
    NotSent: 4,
    OutcomeUnknown: 5,
}

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


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="yunxin-soap")
def cli() -> None:
    """Send SMS through the Yunxin gateway (云信短信), or try it on a sandbox."""


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
    help="A file with numbers, one or several a line; - is standard input.",
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
    type=click.File("r", encoding="utf-8"),
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
    with _reporting(as_json):
        recipients = [*numbers, *(_lines(to_file) if to_file else ())]
        arguments = {name: value for name, value in options.items() if value is not None}
        with _gateway(sandbox, arguments), _client(arguments, password_file) as client:
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
            "chinese": each.chinese,
            "english": each.english,
            "temporary": each.temporary,
            "safe_to_resend": each.safe_to_resend,
        }
        for each in DOCUMENTED.values()
        if code in (None, each)
    ]
    if as_json:
        click.echo(json.dumps(rows if code is None else rows[0], ensure_ascii=False, indent=2))
        return
    for row in rows:
        click.echo(f"{row['code']:>4}  {row['category']:<13}  {row['chinese']}")
        click.echo(f"{'':21}{row['english']}")


@cli.command()
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
def sandbox(host: str, port: int, config: str | None) -> None:
    """Run a local gateway that speaks the service's four ports; no SMS leaves it.

    The account is demo / demo with channel 37, unless a TOML file names others.
    """
    with _reporting(as_json=False):
        from yunxin_soap.sandbox.accounts import load
        from yunxin_soap.sandbox.gateway import Gateway
        from yunxin_soap.sandbox.server import run

        run(Gateway(load(config) if config else None), host, port, _announce)


@cli.command()
@click.option("--endpoint", help="The address of the service's page.")
@click.option(
    "--refresh", is_flag=True, help="Fetch it from the gateway into the user's cache first."
)
def wsdl(endpoint: str | None, refresh: bool) -> None:
    """Show which WSDL is in use, and check that it fits."""
    with _reporting(as_json=False):
        from yunxin_soap import wsdl as cached
        from yunxin_soap.settings import DEFAULT_ENDPOINT, from_env, parse_endpoint

        if refresh:
            url = endpoint or from_env(os.environ).get("endpoint", DEFAULT_ENDPOINT)
            cached.refresh(parse_endpoint(url).url)
        document = cached.load()
        for port in cached.PORTS:
            cached.binding(document, port)
        click.echo(f"{document.location}\nIt fits: {', '.join(cached.PORTS)}.")


@contextmanager
def _reporting(as_json: bool) -> Iterator[None]:
    """End with one clear line and the exit status of the outcome."""
    try:
        yield
    except YunxinError as error:
        _fail(error, as_json)


def _fail(error: YunxinError, as_json: bool) -> NoReturn:
    status = next(value for kind, value in EXIT_STATUS.items() if isinstance(error, kind))
    if as_json:
        click.echo(json.dumps(_as_dict(error), ensure_ascii=False))
    else:
        click.echo(f"yunxin-soap: {error}", err=True)
    sys.exit(status)


def _as_dict(error: YunxinError) -> dict[str, Any]:
    described: dict[str, Any] = {
        "outcome": "not sent",
        "error": type(error).__name__,
        "message": str(error),
        "safe_to_resend": True,
    }
    if isinstance(error, SendError):
        described.update(outcome=error.outcome.value, safe_to_resend=error.safe_to_resend)
    if isinstance(error, Rejected):
        described.update(
            code=error.code,
            category=error.category.value,
            description=error.description,
            description_en=error.description_en,
            keyword=error.keyword,
        )
    return described


@contextmanager
def _gateway(sandbox: bool, arguments: dict[str, Any]) -> Iterator[None]:
    """Put the embedded sandbox and its account into the arguments, if it is asked for."""
    if not sandbox:
        yield
        return
    from yunxin_soap.sandbox.accounts import DEMO
    from yunxin_soap.sandbox.server import Sandbox

    if "endpoint" in arguments:
        raise click.UsageError("--sandbox and --endpoint exclude each other.")
    with Sandbox() as running:
        arguments["endpoint"] = running.url
        arguments.setdefault("channel", DEMO.channels[0].number)
        arguments.update(user_code=DEMO.user_code, user_pass=DEMO.user_pass)
        # The embedded gateway is on this machine: no proxy of the environment stands before it.
        arguments["proxy"] = None
        yield


def _client(arguments: dict[str, Any], password_file: Any) -> Client:
    from yunxin_soap.client import Client

    if "user_pass" not in arguments:
        if password_file:
            arguments["user_pass"] = password_file.readline().rstrip("\r\n")
        elif not os.environ.get("YUNXIN_USER_PASS") and sys.stdin.isatty():
            arguments["user_pass"] = click.prompt("Password", hide_input=True, err=True)
    return Client.from_env(**arguments)


def _send(client: Client, recipients: list[str], message: str) -> Receipt:
    try:
        return client.send(recipients, message)
    except KeyboardInterrupt:
        raise OutcomeUnknown(
            "Interrupted: whether the SMS was sent is unknown. Check with the vendor before you"
            " send it again."
        ) from None


def _announce(url: str) -> None:
    click.echo(f"The sandbox listens: {url}")
    click.echo(f"Its WSDL: {url}?WSDL")
    click.echo("Ctrl-C ends it.")


def _lines(file: Any) -> list[str]:
    try:
        return [line for line in file.read().splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise InvalidRequest(f"{file.name} is not UTF-8 text: convert it first.") from None


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
        click.echo(json.dumps({"outcome": "dry run", **shown}, ensure_ascii=False))
        return
    click.echo("Dry run: nothing was sent.")
    shown["recipients"] = f"{len(plan.recipients)} ({', '.join(plan.recipients[:3])}"
    shown["recipients"] += ", …)" if len(plan.recipients) > 3 else ")"
    for name, value in shown.items():
        click.echo(f"{name:>10}: {value}")


def _show_receipt(receipt: Receipt, as_json: bool) -> None:
    if not as_json:
        click.echo(receipt.batch_no)
        return
    click.echo(
        json.dumps(
            {
                "outcome": "accepted",
                "batch_no": receipt.batch_no,
                "recipients": list(receipt.recipients),
                "message": receipt.message,
                "channel": receipt.channel,
                "extension": receipt.extension,
                "protocol": receipt.protocol,
            },
            ensure_ascii=False,
        )
    )
