"""``yunxin-soap sandbox``: the sandbox gateway as a process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from yunxin_soap.cli import exit_status
from yunxin_soap.cli.commands import command, option
from yunxin_soap.cli.language import tr
from yunxin_soap.cli.options import read_password
from yunxin_soap.cli.output import handle_errors
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sentences import Sentence

if TYPE_CHECKING:
    from yunxin_soap.sandbox.access import Access, Login

# A copy of the models' texts: the help must not wait for pydantic. A test compares them.
_EPILOG = """\b
Test numbers, alone or among others (--no-test-numbers):
  15499990001 … 15499990099
    The result is the code in the last two digits: 15499990014 gives -14.
  15499991000
    The gateway accepts it, then the method throws: the caller cannot know.
  15499991001
    The method throws before it accepts: the caller sees the same.

\b
Faults:
  delay         The correct response, late.
  close         The connection closes without a response.
  reset         The connection is reset without a response.
  hang          No response; the connection stays open.
  cut           Half a response, then the connection closes.
  garble        A response whose body is random bytes.
  trickle       The correct response, byte by byte.
  content-type  The correct response with the wrong Content-Type.
  html          An error page, as a proxy shows one.
  error         The method throws: a SOAP Server fault, or else HTTP 500.
  code          The gateway rejects the submission with a code.
  balance       The gateway answers -7 once the balance is used up.
  refuse        The TCP port is closed to everybody, also the page and REST.

Options of some faults: seconds, jitter (delay, trickle, refuse), status (html),
code (code), left (balance). Options of all: when (after, before, unread), times,
seed, and, but for refuse, numbers (joined by +), user_code, protocol, text, skip,
probability.
"""


@command(
    "sandbox",
    epilog=exit_status.epilog(
        exit_status.OTHER,
        _EPILOG,
        never=exit_status.OF_WSDL_CHECK | {exit_status.Exit.INTERRUPTED},
    ),
)
@option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@option(
    "--port",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="The TCP port to listen on; 0 takes a free one.",
)
@option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="A public host name of the page and REST, as in sms.example.com, or .example.com for all"
    " below it. Repeatable.",
)
@option(
    "--base-path",
    default="",
    metavar="PATH",
    help="The path in front of all paths, as in /sms, if a proxy has one.",
)
@option(
    "--auth",
    metavar="USER:FILE",
    help="Ask for a login on the page and REST; the file has the password on its first line.",
)
@option(
    "--config",
    type=click.Path(exists=True, dir_okay=False),
    help="A TOML file with accounts, channels and word lists.",
)
@option(
    "--record",
    "path",
    type=click.Path(dir_okay=False),
    help="An SQLite file that keeps the arrivals after the sandbox ends.",
)
@option(
    "--no-test-numbers",
    "test_numbers",
    flag_value=False,
    default=True,
    help="Treat the test numbers as ordinary numbers.",
)
@option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND[:NAME=VALUE,...]",
    help="Inject a fault, as in close:when=before,probability=0.1. Repeatable.",
)
def sandbox_command(
    host: str,
    port: int,
    allowed_hosts: tuple[str, ...],
    base_path: str,
    auth: str | None,
    config: str | None,
    path: str | None,
    test_numbers: bool,
    faults: tuple[str, ...],
) -> None:
    """Run a local gateway that sends no SMS.

    It speaks the service's four protocols. The account is demo / demo with channel 37, unless a
    TOML file names others. The inbox is a web page at /. /health answers 200
    while the sandbox serves.
    """
    with handle_errors(as_json=False):
        from yunxin_soap.sandbox.access import Access
        from yunxin_soap.sandbox.arrivals.sqlite import SqliteArrivals
        from yunxin_soap.sandbox.arrivals.store import ArrivalStore
        from yunxin_soap.sandbox.config import Config
        from yunxin_soap.sandbox.faults.model import Fault
        from yunxin_soap.sandbox.gateway import Gateway
        from yunxin_soap.sandbox.server.app import run
        from yunxin_soap.sandbox.service import Service

        access = Access(allowed_hosts, base_path, _read_login(auth))
        settings = Config.from_toml(config) if config else Config()
        gateway = Gateway(settings if test_numbers else replace(settings, test_numbers=False))
        injected = [Fault.from_text(each) for each in faults]
        store = ArrivalStore(None if path is None else SqliteArrivals(path))
        try:
            service = Service(gateway, store)
            for each in injected:
                service.faults.add(each)
            run(service, host, port, lambda url: _announce(url, host, access), access)
        finally:
            store.close()


def _read_login(auth: str | None) -> Login | None:
    """Return the login of ``USER:FILE``."""
    from yunxin_soap.sandbox.access import Login

    if auth is None:
        return None
    user, _, path = auth.partition(":")
    if not user or not path:
        # Not quoted: it may be a password.
        raise ConfigurationError("--auth must be USER:FILE: the file has the password.")
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            return Login(user, read_password(file))
    except OSError as error:
        raise ConfigurationError(
            Sentence(
                "The password file of --auth cannot be read ({problem}): --auth must be USER:FILE.",
                problem=error.strerror,
            )
        ) from None


def _announce(url: str, host: str, access: Access) -> None:
    click.echo(tr("The sandbox listens on {url}", url=url))
    click.echo(tr("Its WSDL: {url}", url=f"{url}?WSDL"))
    click.echo(tr("Its inbox: {url}", url=f"{url.rpartition('/api/')[0]}/"))
    if access.login is not None:
        click.echo(tr("Its inbox and REST API ask for the login of --auth; the service does not."))
    elif host not in ("127.0.0.1", "::1", "localhost"):
        click.echo(tr("It has no login: anyone on a network that reaches this machine can use it."))
    click.echo(tr("Ctrl-C ends it."))
