"""Bulk sending over a durable ledger, and once-only single sends: never twice, never lost.

It needs the extra ``bulk``: ``pip install "yunxin-soap[bulk]"``.
"""

from __future__ import annotations

from yunxin_soap.errors import CampaignDiffers, ConfigurationError, LedgerError, NotInLedger

try:
    import sqlalchemy  # noqa: F401 - only whether it is there, before any part needs it
except ModuleNotFoundError as error:
    raise ConfigurationError(
        'Campaigns need SQLAlchemy: pip install "yunxin-soap[bulk]"'
    ) from error

from yunxin_soap.campaign.async_ledger import AsyncLedger
from yunxin_soap.campaign.ledger import Ledger
from yunxin_soap.campaign.lists.rows import Csv, Items, Source, Text
from yunxin_soap.campaign.models import CampaignState, State
from yunxin_soap.campaign.planning import Plan, Refused
from yunxin_soap.campaign.previews import preview
from yunxin_soap.campaign.running.runner import Progress
from yunxin_soap.campaign.storage.reads import Change, Found, Status

__all__ = [
    "AsyncLedger",
    "CampaignDiffers",
    "CampaignState",
    "Change",
    "Csv",
    "Found",
    "Items",
    "Ledger",
    "LedgerError",
    "NotInLedger",
    "Plan",
    "Progress",
    "Refused",
    "Source",
    "State",
    "Status",
    "Text",
    "preview",
]
