"""``yunxin-soap wsdl``: which WSDL is in use."""

from __future__ import annotations

import os

import click

from yunxin_soap.cli.output import handle_errors


@click.command("wsdl")
@click.option("--endpoint", help="The URL of the service's page.")
@click.option(
    "--refresh", is_flag=True, help="Fetch it from the gateway into the user's cache first."
)
def wsdl_command(endpoint: str | None, refresh: bool) -> None:
    """Show which WSDL is in use, and check that it fits."""
    with handle_errors(as_json=False):
        from yunxin_soap import wsdl
        from yunxin_soap.operation import PROTOCOLS
        from yunxin_soap.settings import DEFAULT_ENDPOINT, arguments_from_env, parse_endpoint

        if refresh:
            url = endpoint or arguments_from_env(os.environ).get("endpoint", DEFAULT_ENDPOINT)
            wsdl.refresh(parse_endpoint(url).url)
        document = wsdl.load()
        for protocol in PROTOCOLS:
            wsdl.binding(document, protocol)
        shipped = str(document.location) == str(wsdl.shipped_path())
        origin = "came with the package" if shipped else "in the user's cache; delete it to go back"
        click.echo(f"{document.location} ({origin})")
        click.echo(f"It fits: {', '.join(PROTOCOLS)}.")
