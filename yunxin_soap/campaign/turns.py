"""What a runner and the ledger tell each other; plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from yunxin_soap.campaign.models import CampaignState, State


@dataclass(frozen=True)
class Work:
    """A submit that a runner has committed itself to send."""

    id: int
    numbers: str
    size: int
    message: str
    channel: str
    extension: str
    content_id: int
    attempts: int


@dataclass(frozen=True)
class Result:
    """How a submit of a runner's ended."""

    work: Work
    state: State
    sent_at: float
    ended_at: float
    batch_no: str | None = None
    code: int | None = None
    reason: str = ""
    safe: bool = False
    """Whether it may be sent again without any risk of a second copy."""
    wait: float = 0.0
    """Seconds before a pending one is tried again."""
    stop_text: bool = False
    """Whether submits with the same text are to be held back."""
    keyword: str | None = None


@dataclass(frozen=True)
class Pause:
    """Why a campaign is to wait, and for how many seconds; None is until it is resumed."""

    reason: str
    seconds: float | None = None


@dataclass(frozen=True)
class Turn:
    """What a runner is told at each exchange with the ledger."""

    work: list[Work]
    state: CampaignState
    reason: str
    wait: float | None
    """Seconds until something may be sent again; None if nothing is left for this runner."""
    others: bool = field(default=False)
    """Whether other runners have submits under way."""
