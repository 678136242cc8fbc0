"""Bulk sending, and single sends with a key, over a durable ledger: never twice, never lost.

It needs the extra ``campaign``.
"""

from __future__ import annotations

from yunxin_soap.errors import ContentConflict, LedgerError, NotInLedger

try:
    import sqlalchemy  # noqa: F401 - checked before any part of the package needs it
except ModuleNotFoundError as error:
    from yunxin_soap.extras import missing_extra
    from yunxin_soap.sentences import Sentence

    raise missing_extra(Sentence("Campaigns need SQLAlchemy"), "campaign") from error

from yunxin_soap.campaign.async_ledger import AsyncLedger
from yunxin_soap.campaign.ledger import Ledger
from yunxin_soap.campaign.lists import Source
from yunxin_soap.campaign.lists.csv import Csv
from yunxin_soap.campaign.lists.excel import Excel
from yunxin_soap.campaign.lists.rows import Rows
from yunxin_soap.campaign.lists.text import Text
from yunxin_soap.campaign.models import (
    ActiveRunner,
    Activity,
    Backlog,
    CampaignState,
    DecisionName,
    HistoryEntry,
    LanguageName,
    NumberResult,
    Pace,
    Plan,
    Preview,
    Progress,
    Sample,
    SampleName,
    SkipKind,
    SkippedLine,
    Slice,
    State,
    Status,
    SubmissionRecord,
    SuppressedNumber,
    Sweep,
    Timing,
)
from yunxin_soap.campaign.planning import PlanOptions, preview
from yunxin_soap.campaign.running.slices import StartOptions

__all__ = [
    "ActiveRunner",
    "Activity",
    "AsyncLedger",
    "Backlog",
    "CampaignState",
    "ContentConflict",
    "Csv",
    "DecisionName",
    "Excel",
    "HistoryEntry",
    "LanguageName",
    "Ledger",
    "LedgerError",
    "NotInLedger",
    "NumberResult",
    "Pace",
    "Plan",
    "PlanOptions",
    "Preview",
    "Progress",
    "Rows",
    "Sample",
    "SampleName",
    "SkipKind",
    "SkippedLine",
    "Slice",
    "Source",
    "StartOptions",
    "State",
    "Status",
    "SubmissionRecord",
    "SuppressedNumber",
    "Sweep",
    "Text",
    "Timing",
    "preview",
]
