"""Writes a plan into the ledger, whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import TypeVar

import sqlalchemy as sa

from yunxin_soap.campaign.models import CampaignState, Plan, State
from yunxin_soap.campaign.planning import PlannedSubmission, Planner
from yunxin_soap.campaign.storage.engine import new_ids, pour
from yunxin_soap.campaign.storage.schema import campaign, content, recipients, refused, submit
from yunxin_soap.errors import ContentConflict

_T = TypeVar("_T")
_ROWS = 1000
"""Rows written together."""
_PATIENCE = 1800
"""Seconds for which somebody else's plan of the same name is waited for."""


class Intake:
    """Adds campaigns.

    Args:
        engine: the ledger's.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(self, plan: Plan, planner: Planner) -> Plan:
        """Write it, unless it is there already; return what is there now.

        Raises:
            ContentConflict: there is one of that name with other content.
        """
        try:
            with self._engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    # Of two who plan the same, one waits until the other is done.
                    connection.execute(sa.text(f"SET LOCAL lock_timeout = '{_PATIENCE}s'"))
                if (found := self._existing(connection, plan)) is not None:
                    return found
                self._insert(connection, plan, planner)
                return plan
        except sa.exc.IntegrityError:
            # Somebody planned it at the same moment.
            with self._engine.begin() as connection:
                if (found := self._existing(connection, plan)) is None:
                    raise
                return found

    def _existing(self, connection: sa.Connection, plan: Plan) -> Plan | None:
        found = connection.execute(
            sa.select(campaign.c.id, campaign.c.digest).where(campaign.c.name == plan.name)
        ).one_or_none()
        if found is None:
            return None
        if not found.digest:
            raise ContentConflict(
                f"There was a campaign {plan.name!r}, and its numbers were purged: whether this is"
                " the same cannot be told, and nothing was changed. Give this one another name."
            )
        if found.digest != plan.digest:
            raise ContentConflict(
                f"There is a campaign {plan.name!r} already, with other numbers, text, channel or"
                " extension: nothing was changed. Give this one another name."
            )
        # It may have been planned with others in a submit.
        submits = connection.scalar(
            sa.select(sa.func.count()).where(
                submit.c.campaign_id == found.id, submit.c.parent_id.is_(None)
            )
        )
        return replace(plan, submissions=submits or 0, existing=True)

    def _insert(self, connection: sa.Connection, plan: Plan, planner: Planner) -> None:
        made = connection.execute(
            campaign.insert().values(
                name=plan.name,
                digest=plan.digest,
                state=CampaignState.OPEN.value,
                reason="",
                created_at=time.time(),
                numbers=plan.numbers,
                refused=plan.skipped,
                segments=plan.segments,
            )
        ).inserted_primary_key
        assert made is not None
        last: tuple[str, int] | None = None  # a text's submits stand together
        for part in _parts(planner.submissions()):
            last = self._add(connection, made[0], planner, part, last)
        for lines in _parts(planner.skipped_lines()):
            rows = [(made[0], each.line, each.value, each.reason) for each in lines]
            pour(connection, refused, ("campaign_id", "line", "value", "reason"), rows)

    @staticmethod
    def _add(
        connection: sa.Connection,
        campaign_id: int,
        planner: Planner,
        part: list[PlannedSubmission],
        last: tuple[str, int] | None,
    ) -> tuple[str, int]:
        """Write some submits; return the text of the last, and the number of its content."""
        texts = list(dict.fromkeys(text for text, _, _ in part))
        known = dict([last]) if last is not None else {}
        fresh = [text for text in texts if text not in known]
        known.update(zip(fresh, new_ids(connection, content, len(fresh)), strict=True))
        about = campaign_id, planner.channel, planner.extension
        pour(
            connection,
            content,
            ("id", "message", "campaign_id", "channel", "extension"),
            [(known[text], text, *about) for text in fresh],
        )
        ids = new_ids(connection, submit, len(part))
        fixed = campaign_id, State.PENDING.value, 0, "", True
        pour(
            connection,
            submit,
            ("id", "content_id", "size", "campaign_id", "state", "attempts", "reason", "safe"),
            [
                (each, known[text], size, *fixed)
                for each, (text, _, size) in zip(ids, part, strict=True)
            ],
        )
        pour(
            connection,
            recipients,
            ("submit_id", "numbers"),
            [(each, numbers) for each, (_, numbers, _) in zip(ids, part, strict=True)],
        )
        return texts[-1], known[texts[-1]]


def _parts(rows: Iterator[_T]) -> Iterator[list[_T]]:
    while part := list(islice(rows, _ROWS)):
        yield part
