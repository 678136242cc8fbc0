"""``yunxin-soap campaign resume``: end a pause, then run."""

from __future__ import annotations

from typing import Any

from yunxin_soap.cli.campaign.run import EPILOG, run_campaign, run_options
from yunxin_soap.cli.commands import command
from yunxin_soap.cli.options import ledger_options, name_argument


@command("resume", epilog=EPILOG)
@name_argument
@ledger_options
@run_options
def resume_command(name: str, **options: Any) -> None:
    """End a pause, and send the pending submissions."""
    run_campaign(name, resume=True, **options)
