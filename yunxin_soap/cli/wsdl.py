"""``yunxin-soap wsdl``: the WSDL in use, and how it differs from the live one."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from yunxin_soap.cli.commands import group, option
from yunxin_soap.cli.exit_status import Exit
from yunxin_soap.cli.language import tr, translate
from yunxin_soap.cli.options import combine, json_option, proxy_option
from yunxin_soap.cli.output import handle_errors, print_json
from yunxin_soap.sentences import Sentence

if TYPE_CHECKING:
    from yunxin_soap.settings import ClientArguments
    from yunxin_soap.wsdl import Wsdl

_url_options = combine(
    option(
        "--url",
        "endpoint",  # the name of the argument, which errors replace by the option
        variable="ENDPOINT",
        help="The URL of the service's page, or of its WSDL.",
    ),
    option(
        "--timeout",
        type=float,
        variable="TIMEOUT",
        help="Seconds for the whole download (default 30).",
    ),
    proxy_option,
    json_option,
)


@group("wsdl")
def wsdl_group() -> None:
    """Show, check and refresh the WSDL.

    The package contains the WSDL, and sends need no other. If the vendor changes the service,
    `check` says so, `refresh` fetches the new WSDL, and `rollback` brings the old one back.
    """


@wsdl_group.command("show")
@option("--wsdl", "path", metavar="FILE", help="Show this file instead of the one in use.")
@json_option
def show_command(path: str | None, as_json: bool) -> None:
    """Show the WSDL in use: its file, ports, operations and types."""
    with handle_errors(as_json):
        from yunxin_soap import wsdl

        shown = _describe(wsdl.load(path), "named" if path else None)
        if as_json:
            print_json(shown)
            return
        click.echo(f"{shown['path']} ({translate(_ORIGINS[shown['origin']])})")
        for protocol, found in shown["protocols"].items():
            fits = (
                tr("fits")
                if found["fits"]
                else tr("does not fit: {difference}", difference=found["difference"])
            )
            click.echo(f"{protocol}: {fits}")
        for port in shown["ports"]:
            click.echo(
                tr("\nPort {port} ({protocol})", port=port["name"], protocol=port["protocol"])
            )
            for operation in port["operations"]:
                click.echo(f"  {operation['signature']}")
                if operation["unreachable"]:
                    click.echo(tr("    cannot be called: {why}", why=operation["unreachable"]))
        click.echo(tr("\nElements and types"))
        for each in shown["types"]:
            click.echo(f"  {each}")


_ORIGINS = {
    "shipped": Sentence("came with the package"),
    "cached": Sentence('in the user\'s cache; "yunxin-soap wsdl rollback" goes back'),
    "named": Sentence("named by --wsdl"),
}


def _describe(loaded: Wsdl, origin: str | None) -> dict[str, Any]:
    from yunxin_soap import wsdl
    from yunxin_soap.operation import PROTOCOLS
    from yunxin_soap.wire import zeep_adapter

    differences = {each: zeep_adapter.misfit(loaded, each) or None for each in PROTOCOLS}
    shipped = loaded.location == str(wsdl.shipped_path())
    return {
        "path": loaded.location,
        "origin": origin or ("shipped" if shipped else "cached"),
        "protocols": {
            protocol: {"fits": difference is None, "difference": difference}
            for protocol, difference in differences.items()
        },
        "ports": [
            {
                "name": port.name,
                "protocol": port.protocol,
                "address": port.address,
                "operations": [
                    {
                        "name": name,
                        "signature": signature,
                        "unreachable": zeep_adapter.unreachable(loaded, port.protocol, name)
                        or None,
                    }
                    for name, signature in port.operations.items()
                ],
            }
            for port in zeep_adapter.list_ports(loaded)
        ],
        "types": zeep_adapter.list_types(loaded),
    }


def _fetch_arguments(
    endpoint: str | None, timeout: float | None, proxy: str | None
) -> dict[str, Any]:
    """Return the arguments of `wsdl.fetch` from the options and the environment."""
    from yunxin_soap.settings import DEFAULT_ENDPOINT, arguments_from_env

    found: ClientArguments = arguments_from_env(os.environ)
    return {
        "endpoint": endpoint or found.get("endpoint", DEFAULT_ENDPOINT),
        "timeout": found.get("timeout", 30.0) if timeout is None else timeout,
        "proxy": proxy or found.get("proxy"),
    }


@wsdl_group.command("check")
@_url_options
def check_command(
    endpoint: str | None, timeout: float | None, proxy: str | None, as_json: bool
) -> None:
    """Fetch the live WSDL, and say how it differs from the one in use.

    The exit status is 0 if nothing differs, 7 if something differs and sends are not affected, 8
    if sends over some protocol are affected, and 2 if the live WSDL cannot be fetched or is none.
    Nothing is changed.
    """
    with handle_errors(as_json):
        from yunxin_soap import wsdl

        used = wsdl.load()
        live = wsdl.fetch(**_fetch_arguments(endpoint, timeout, proxy))
        found = wsdl.compare(used, live)
        status = Exit.DONE
        if found.lines or found.misfits:
            status = Exit.WSDL_AFFECTS_SENDS if found.misfits else Exit.WSDL_DIFFERS
        if as_json:
            print_json(
                {
                    "used": used.location,
                    "live": live.location,
                    "same": not status,
                    "differences": list(found.lines),
                    "affected": dict(found.misfits),
                }
            )
        else:
            _print_comparison(used, live, found.lines, dict(found.misfits))
    sys.exit(status)


def _print_comparison(
    used: Wsdl, live: Wsdl, lines: tuple[str, ...], misfits: dict[Any, str]
) -> None:
    if not lines:
        click.echo(
            tr(
                "{live} says the same as {used}.",
                live=live.location,
                used=used.location,
            )
        )
        return
    click.echo(tr("{live} differs from {used}:", live=live.location, used=used.location))
    for line in lines:
        click.echo(f"  {line}")
    if not misfits:
        click.echo(tr('Sends are not affected. "yunxin-soap wsdl refresh" fetches the live WSDL.'))
        return
    for protocol, reason in misfits.items():
        click.echo(
            tr("Sends over {protocol} are affected: {reason}.", protocol=protocol, reason=reason)
        )
    click.echo(tr("Ask the vendor what changed. Do not send over these protocols until then."))


@wsdl_group.command("refresh")
@_url_options
def refresh_command(
    endpoint: str | None, timeout: float | None, proxy: str | None, as_json: bool
) -> None:
    """Fetch the live WSDL, and put it into use if it fits.

    It must fit all four protocols. It becomes the copy in the user's cache, which all clients use
    that are built later. The copy that it replaces is kept for `rollback`.
    """
    with handle_errors(as_json):
        from yunxin_soap import wsdl

        path = wsdl.refresh(**_fetch_arguments(endpoint, timeout, proxy))
        _print_path(as_json, str(path), tr("{path} is in use now.", path=path))


@wsdl_group.command("rollback")
@json_option
def rollback_command(as_json: bool) -> None:
    """Bring back the WSDL that the last refresh replaced.

    Without an earlier copy, the WSDL that came with the package is in use again.
    """
    with handle_errors(as_json):
        from yunxin_soap import wsdl

        path = wsdl.rollback()
        _print_path(as_json, str(path), tr("{path} is in use again.", path=path))


def _print_path(as_json: bool, path: str, sentence: str) -> None:
    if as_json:
        print_json({"path": path})
    else:
        click.echo(sentence)
