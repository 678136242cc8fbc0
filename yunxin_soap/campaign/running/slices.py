"""Started campaigns: the options of their runs, slices of work on them, and the sweep."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from yunxin_soap.campaign.models import CampaignState, Progress, Slice, Sweep
from yunxin_soap.campaign.running.runner import (
    NOT_DUE,
    Runner,
    RunOptions,
    Sender,
    SliceLimits,
    StopEvent,
)
from yunxin_soap.campaign.storage.claims import Claims
from yunxin_soap.campaign.storage.column_types import LedgerDamaged, damaged
from yunxin_soap.campaign.storage.engine import as_ledger_errors
from yunxin_soap.campaign.storage.paces import Paces
from yunxin_soap.campaign.storage.singles import Singles
from yunxin_soap.campaign.storage.started import Standing, Started
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.observer import Origin, sent_from
from yunxin_soap.sentences import Sentence

_log = logging.getLogger("yunxin_soap.campaign")
SLICE_SECONDS = 30.0
"""Seconds of a slice, unless the caller says otherwise."""
_DUE_KEYS = 1000
"""The most keys that a sweep returns."""
_NOTHING_LEFT = "nothing is left that may be sent"
_IN_FLIGHT_ELSEWHERE = "what is left is in flight in other runners"
_RESTARTED = "it was started again with other options"


class StartOptions(TypedDict, total=False):
    """The options of a started campaign beside its workers: those of `Ledger.run`."""

    concurrency: int
    """Submissions in flight at most, of each runner. Default: 32."""
    rate_limit: float | None
    """Submissions a second at most. Default: no limit."""
    numbers_rate_limit: float | None
    """Numbers a second at most. Default: no limit."""
    pace: str | None
    """The pace to keep to, together with all others that name it. Default: none."""
    sending_hours: str | None
    """The daily hours in which to send, as in ``08:00-21:00``. Default: always."""
    timezone: str
    """Of the sending hours, and of a ``start_at`` that has none. Default: Asia/Shanghai."""
    start_at: datetime | None
    """When to begin to send. Default: at once."""
    isolate: bool
    """Whether to split a submission that is rejected for its numbers. Default: False."""
    failure_threshold: int
    """Failures in a row that pause the campaign. Default: 5."""


def encode_options(options: StartOptions) -> str:
    """Return the options of a started campaign as the ledger keeps them.

    Raises:
        ConfigurationError: one of them is out of range.
    """
    start_at = RunOptions.parse(**options).start_at
    kept: dict[str, Any] = {**options}
    if start_at is not None:
        kept["start_at"] = start_at.isoformat()
    return json.dumps(kept, sort_keys=True, ensure_ascii=False)


def decode_options(text: str) -> RunOptions:
    """Return the options of a started campaign.

    Raises:
        LedgerError: they are damaged.
    """
    try:
        kept = json.loads(text)
        if kept.get("start_at") is not None:
            kept["start_at"] = datetime.fromisoformat(kept["start_at"])
        return RunOptions.parse(**kept)
    except (ValueError, TypeError, AttributeError, ConfigurationError):
        raise damaged("yunxin_campaign.run_options is no options of a run") from None


@dataclass(frozen=True)
class BegunSlice:
    """A slice of a campaign that was started when the slice began."""

    name: str
    campaign_id: int
    run_options: str
    options: RunOptions
    paces: Sequence[int]
    """The ids of the paces that it keeps to."""


@dataclass(frozen=True)
class EndedSlice:
    """What a runner did in a slice."""

    sent: int = 0
    """Submissions that ended."""
    worked: bool = False
    """Whether it worked on the campaign at all."""
    pace_wait: tuple[float, str] | None = None
    """Seconds until its pace has a slot, and how that is said, if it ended for that."""


def paces_of(paces: Paces, campaign_id: int, options: RunOptions) -> Sequence[int]:
    """Return the ids of the paces that a run keeps to, in ascending order.

    Raises:
        ConfigurationError: there is no pace of the name that it has.
    """
    return paces.of_run(
        campaign_id,
        rate=options.rate_limit,
        numbers_rate=options.numbers_rate_limit,
        name=options.pace,
    )


class Slices:
    """Works on started campaigns, a slice at a time.

    Args:
        claims: the ledger.
        started: knows which campaigns are started.
        singles: knows the queued single sends.
        paces: knows the paces that runs keep to.
    """

    def __init__(self, claims: Claims, started: Started, singles: Singles, paces: Paces) -> None:
        self._claims, self._started, self._singles = claims, started, singles
        self._paces = paces

    def begin(self, name: str) -> BegunSlice | None:
        """Return how a campaign is to run; None if it is not started.

        Raises:
            NotInLedger: there is no campaign of that name.
        """
        campaign_id, options = self._started.find(name)
        if options is None:
            return None
        decoded = decode_options(options)
        paces = paces_of(self._paces, campaign_id, decoded)
        return BegunSlice(name, campaign_id, options, decoded, paces)

    async def work(
        self,
        begun: BegunSlice,
        sender: Sender,
        *,
        seconds: float,
        on_progress: Callable[[Progress], None],
        stop: StopEvent | None,
    ) -> EndedSlice:
        """Work on a campaign."""
        runner = Runner(
            self._claims,
            begun.campaign_id,
            sender,
            begun.options,
            on_progress,
            stop,
            limits=SliceLimits(begun.run_options, seconds),
            paces=begun.paces,
        )
        with as_ledger_errors(), sent_from(Origin(campaign=begun.name)):
            worked = await runner.run()
        return EndedSlice(runner.ended, worked, runner.pace_wait)

    def describe(
        self, name: str, begun: BegunSlice | None, ended: EndedSlice = EndedSlice()
    ) -> Slice:
        """Return what a slice did, and when another one makes sense."""
        standing = self._started.standing(name)
        wait, reason = self._outlook(standing)
        if wait == 0.0 and begun is not None and standing.run_options != begun.run_options:
            reason = _RESTARTED
        elif wait == 0.0 and ended.pace_wait is not None:
            wait, reason = ended.pace_wait
        elif wait == 0.0 and not ended.worked:
            workers = standing.workers
            runs = "1 runner works" if workers == 1 else f"{workers} runners work"
            wait, reason = None, f"{runs} on it, which is all that it is started for"
        # Not the reason: that of a pause may quote a response.
        _log.info(
            "A slice of the campaign %r has ended: %d submissions sent, %d left, next slice %s.",
            name,
            ended.sent,
            standing.left,
            "once somebody acts" if wait is None else f"in {wait:.0f} s",
            extra={"campaign": name},
        )
        return Slice(ended.sent, standing.left, wait, reason)

    def sweep(self) -> Sweep:
        """Reclaim what stalled runners left in flight, and return what should run."""
        with as_ledger_errors():
            reclaimed, campaign_ids = self._claims.runners.sweep()
            for each in sorted(campaign_ids):
                self._claims.finish(each)
            wanted = {
                each.name: each.runners
                for each in self._started.wanted()
                if _may_send_now(each.run_options)
            }
            return Sweep(reclaimed, wanted, self.due_keys(_DUE_KEYS))

    def due_keys(self, limit: int) -> tuple[str, ...]:
        """Return the keys of queued single sends to be tried now, the oldest first."""
        with as_ledger_errors():
            return tuple(self._singles.due_keys(limit))

    def _outlook(self, standing: Standing) -> tuple[float | None, str]:
        """Return when a slice of a campaign makes sense, and why not now."""
        state, options = standing.state, standing.run_options
        if state is CampaignState.DONE:
            return None, "it is done"
        if state is CampaignState.CANCELLED:
            return None, f"it was cancelled {standing.reason}"
        if options is None:
            return None, "it is not started"
        if state is CampaignState.PAUSED and standing.pause_wait != 0.0:
            return standing.pause_wait, standing.reason
        if (wait := (parsed := decode_options(options)).hours_wait()) > 0.0:
            return wait, parsed.describe_hours_wait()
        if standing.due_in is None:
            # One that is stalled is the sweep's; one that is alive may bring some back.
            poll = self._claims.runners.heartbeat_timeout / 3
            return (poll, _IN_FLIGHT_ELSEWHERE) if standing.in_flight else (None, _NOTHING_LEFT)
        return standing.due_in, NOT_DUE if standing.due_in > 0.0 else ""


def _may_send_now(run_options: str) -> bool:
    """Return whether it is within the hours of a started campaign.

    True, too, if this version cannot read its options: its slice says so, and all others go on.
    """
    try:
        return decode_options(run_options).hours_wait() == 0.0
    except LedgerDamaged:
        return True


def check_seconds(seconds: float) -> None:
    """Check how long a slice is to last.

    Raises:
        ConfigurationError: it is no number above 0.
    """
    if not 0 < seconds < math.inf:
        raise ConfigurationError(
            Sentence("seconds={seconds} must be a number above 0.", seconds=repr(seconds))
        )
