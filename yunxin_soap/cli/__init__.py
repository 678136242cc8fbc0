"""The ``yunxin-soap`` command, on click. No heavy module is imported before it is needed."""

from __future__ import annotations

import click

from yunxin_soap._version import __version__
from yunxin_soap.cli.campaign import campaign_group
from yunxin_soap.cli.codes import codes_command
from yunxin_soap.cli.commands import Option, option
from yunxin_soap.cli.exit_status import CAMPAIGN, OF_WSDL_CHECK, OTHER, epilog
from yunxin_soap.cli.language import LANGUAGES
from yunxin_soap.cli.output import CommandGroup
from yunxin_soap.cli.pace import pace_group
from yunxin_soap.cli.sandbox import sandbox_command
from yunxin_soap.cli.send import send_command
from yunxin_soap.cli.worker import worker_command
from yunxin_soap.cli.wsdl import wsdl_group


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@option(
    "--lang",
    type=click.Choice(LANGUAGES),
    expose_value=False,  # `CommandGroup` has read it
    help="The language of help, prompts, tables and errors; that of the locale by default. Stands"
    " before the command.",
)
@click.version_option(
    __version__,
    prog_name="yunxin-soap",
    cls=Option,
    message="%(prog)s, version %(version)s",
    help="Show the version and exit.",
)
def cli() -> None:
    """Send SMS through the Yunxin gateway (云信短信), or try it on a sandbox."""


for _command in (
    send_command,
    campaign_group,
    pace_group,
    worker_command,
    codes_command,
    sandbox_command,
    wsdl_group,
):
    cli.add_command(_command)
for _each in pace_group.commands.values():
    _each.epilog = epilog(CAMPAIGN)
for _each in (codes_command, *wsdl_group.commands.values()):
    _each.epilog = epilog(OTHER, never=() if _each.name == "check" else OF_WSDL_CHECK)
