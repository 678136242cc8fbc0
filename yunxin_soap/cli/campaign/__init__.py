"""``yunxin-soap campaign``: bulk sending from the command line, one file a command."""

from __future__ import annotations

from yunxin_soap.cli.campaign.cancel import cancel_command
from yunxin_soap.cli.campaign.delete import delete_command
from yunxin_soap.cli.campaign.export import export_command
from yunxin_soap.cli.campaign.find import find_command
from yunxin_soap.cli.campaign.pause import pause_command
from yunxin_soap.cli.campaign.plan import plan_command
from yunxin_soap.cli.campaign.purge import purge_command
from yunxin_soap.cli.campaign.report import report_command
from yunxin_soap.cli.campaign.resolve import resolve_command
from yunxin_soap.cli.campaign.resume import resume_command
from yunxin_soap.cli.campaign.retry import retry_command
from yunxin_soap.cli.campaign.run import run_command
from yunxin_soap.cli.campaign.start import start_command
from yunxin_soap.cli.campaign.status import status_command
from yunxin_soap.cli.campaign.stop import stop_command
from yunxin_soap.cli.campaign.suppress import suppress_group
from yunxin_soap.cli.campaign.test import test_command
from yunxin_soap.cli.campaign.watch import watch_command
from yunxin_soap.cli.commands import group
from yunxin_soap.cli.exit_status import CAMPAIGN, epilog


@group("campaign")
def campaign_group() -> None:
    """Send to many numbers: never twice, never lost.

    A ledger records every submission before it is sent, so that a campaign can resume after any
    crash.
    """


for _command in (
    plan_command,
    test_command,
    run_command,
    start_command,
    stop_command,
    watch_command,
    status_command,
    pause_command,
    resume_command,
    cancel_command,
    retry_command,
    resolve_command,
    find_command,
    export_command,
    report_command,
    purge_command,
    delete_command,
    suppress_group,
):
    if _command.epilog is None:
        _command.epilog = epilog(CAMPAIGN)
    campaign_group.add_command(_command)
