"""Writes a planned campaign into the ledger, completely or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import TypeVar

import sqlalchemy as sa

from yunxin_soap.campaign.models import CampaignState, Plan
from yunxin_soap.campaign.planning import PlannedSubmission, Planner
from yunxin_soap.campaign.storage.dialects import (
    bulk_insert,
    insert_with_ids,
    ledger_time,
    lift_timeouts,
    set_lock_timeout,
)
from yunxin_soap.campaign.storage.engine import repeat_after_deadlock
from yunxin_soap.campaign.storage.schema import campaign, content, skipped_line, submission
from yunxin_soap.campaign.storage.transitions import insert_pending
from yunxin_soap.errors import ConfigurationError, ContentConflict
from yunxin_soap.sentences import Sentence

_T = TypeVar("_T")
_BATCH = 1000
"""Rows of one insert."""
_PLAN_LOCK_TIMEOUT = 1800
"""Seconds to wait for another process that plans a campaign of the same name."""


class Plans:
    """Adds campaigns to the ledger.

    Args:
        engine: the ledger's database.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @repeat_after_deadlock
    def add(self, plan: Plan, planner: Planner, suppression_generation: int) -> Plan:
        """Write a campaign, unless the ledger has it already; return what the ledger has now.

        Args:
            plan: the campaign.
            planner: has its submissions.
            suppression_generation: what of the do-not-send list it has left out.

        Raises:
            ConfigurationError: all of its numbers are on the do-not-send list.
            ContentConflict: a campaign of that name has other content.
        """
        try:
            with self._engine.begin() as connection:
                # The second of two processes that plan the same waits until the first is done.
                set_lock_timeout(connection, _PLAN_LOCK_TIMEOUT)
                lift_timeouts(connection)
                if (found := self._existing(connection, plan)) is not None:
                    return found
                if plan.numbers == 0:
                    raise ConfigurationError(
                        "Every number of the list is on the do-not-send list: there is nothing to"
                        " send."
                    )
                self._insert(connection, plan, planner, suppression_generation)
                return plan
        except sa.exc.IntegrityError:
            # Another process planned it at the same moment.
            with self._engine.begin() as connection:
                if (found := self._existing(connection, plan)) is None:
                    raise
                return found

    def _existing(self, connection: sa.Connection, plan: Plan) -> Plan | None:
        found = connection.execute(
            sa.select(
                campaign.c.id, campaign.c.digest, campaign.c.numbers, campaign.c.segments
            ).where(campaign.c.name == plan.name)
        ).one_or_none()
        if found is None:
            return None
        if not found.digest:
            raise ContentConflict(
                Sentence(
                    "The numbers of the campaign {plan} were purged, so it cannot be compared with "
                    "this one. Nothing was changed: give this one another name.",
                    plan=repr(plan.name),
                )
            )
        if found.digest != plan.digest:
            raise ContentConflict(
                Sentence(
                    "A campaign {plan} exists already, with other numbers, text, channel or "
                    "extension, or only one of the two is marketing. Nothing was changed: give "
                    "this one another name.",
                    plan=repr(plan.name),
                )
            )
        # It may have been planned with another count of numbers in a submission, and when other
        # numbers were on the do-not-send list.
        submissions = connection.scalar(
            sa.select(sa.func.count()).where(
                submission.c.campaign_id == found.id, submission.c.parent_id.is_(None)
            )
        )
        texts = connection.scalar(
            sa.select(sa.func.count()).where(content.c.campaign_id == found.id)
        )
        return replace(
            plan,
            numbers=found.numbers,
            submissions=submissions or 0,
            texts=texts or 0,
            segments=found.segments,
            existing=True,
        )

    def _insert(
        self,
        connection: sa.Connection,
        plan: Plan,
        planner: Planner,
        suppression_generation: int,
    ) -> None:
        made = connection.execute(
            campaign.insert().values(
                name=plan.name,
                digest=plan.digest,
                state=CampaignState.OPEN.value,
                reason="",
                created_at=ledger_time(connection),
                numbers=plan.numbers,
                skipped=plan.skipped,
                skipped_by=json.dumps(plan.skipped_by),
                segments=plan.segments,
                suppression_generation=suppression_generation,
                marketing=planner.marketing,
            )
        ).inserted_primary_key
        assert made is not None
        last: tuple[str, int] | None = None  # the submissions of one text follow each other
        for batch in _batches(planner.submissions()):
            last = self._insert_submissions(connection, made[0], planner, batch, last)
        for lines in _batches(planner.skipped_lines()):
            rows = [(made[0], each.line, each.value, each.reason) for each in lines]
            bulk_insert(connection, skipped_line, ("campaign_id", "line", "value", "reason"), rows)

    @staticmethod
    def _insert_submissions(
        connection: sa.Connection,
        campaign_id: int,
        planner: Planner,
        batch: list[PlannedSubmission],
        last: tuple[str, int] | None,
    ) -> tuple[str, int]:
        """Insert a batch of submissions; return the last text and the id of its content."""
        texts = list(dict.fromkeys(text for text, _, _ in batch))
        known = dict([last]) if last is not None else {}
        new = [text for text in texts if text not in known]
        about = campaign_id, planner.channel, planner.extension
        contents = insert_with_ids(
            connection,
            content,
            ("message", "campaign_id", "channel", "extension"),
            [(text, *about) for text in new],
        )
        known.update(zip(new, contents, strict=True))
        rows = [(known[text], None, size, numbers) for text, numbers, size in batch]
        insert_pending(connection, campaign_id, rows)
        return texts[-1], known[texts[-1]]


def _batches(rows: Iterator[_T]) -> Iterator[list[_T]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch
