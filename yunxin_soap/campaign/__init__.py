"""Bulk sending over a durable ledger, and once-only single sends: never twice, never lost.

It needs the extra ``campaign``: ``pip install "yunxin-soap[campaign]"``.
"""

from __future__ import annotations

from yunxin_soap.errors import ConfigurationError, ContentConflict, LedgerError, NotInLedger

try:
    import sqlalchemy  # noqa: F401 - only whether it is there, before any part needs it
except ModuleNotFoundError as error:
    raise ConfigurationError(
        'Campaigns need SQLAlchemy: pip install "yunxin-soap[campaign]"'
    ) from error

from yunxin_soap.campaign.async_ledger import AsyncLedger
from yunxin_soap.campaign.ledger import Ledger
from yunxin_soap.campaign.lists import Source
from yunxin_soap.campaign.lists.csv import Csv
from yunxin_soap.campaign.lists.rows import Rows
from yunxin_soap.campaign.lists.text import Text
from yunxin_soap.campaign.models import CampaignState, Plan, SkippedLine, State
from yunxin_soap.campaign.planning import preview
from yunxin_soap.campaign.running.runner import Progress
from yunxin_soap.campaign.storage.reads import HistoryEntry, Status, SubmissionRecord

__all__ = [
    "AsyncLedger",
    "CampaignState",
    "ContentConflict",
    "Csv",
    "HistoryEntry",
    "Ledger",
    "LedgerError",
    "NotInLedger",
    "Plan",
    "Progress",
    "Rows",
    "SkippedLine",
    "Source",
    "State",
    "Status",
    "SubmissionRecord",
    "Text",
    "preview",
]
