"""Writes a plan into the ledger, whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import TypeVar

import sqlalchemy as sa

from yunxin_soap.campaign.planning import Plan, Planner
from yunxin_soap.campaign.schema import campaign, content, recipients, refused, submit
from yunxin_soap.campaign.states import CampaignState, State
from yunxin_soap.errors import CampaignDiffers

_T = TypeVar("_T")
_ROWS = 500
"""Rows written together."""


class Intake:
    """Adds campaigns.

    Args:
        engine: the ledger's.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(self, plan: Plan, planner: Planner) -> bool:
        """Write it, unless it is there already; say whether it was written.

        Raises:
            CampaignDiffers: there is one of that name with other content.
        """
        try:
            with self._engine.begin() as connection:
                if self._is_there(connection, plan):
                    return False
                self._insert(connection, plan, planner)
                return True
        except sa.exc.IntegrityError:
            # Somebody planned it at the same moment.
            with self._engine.begin() as connection:
                if not self._is_there(connection, plan):
                    raise
                return False

    def _is_there(self, connection: sa.Connection, plan: Plan) -> bool:
        found = connection.scalar(sa.select(campaign.c.digest).where(campaign.c.name == plan.name))
        if found not in (None, plan.digest):
            raise CampaignDiffers(
                f"There is a campaign {plan.name!r} already, with other numbers, text or channel:"
                " nothing was changed. Give this one another name."
            )
        return found is not None

    def _insert(self, connection: sa.Connection, plan: Plan, planner: Planner) -> None:
        made = connection.execute(
            campaign.insert().values(
                name=plan.name,
                digest=plan.digest,
                state=CampaignState.OPEN.value,
                reason="",
                created_at=time.time(),
                numbers=plan.numbers,
                refused=plan.refused,
                segments=plan.segments,
            )
        ).inserted_primary_key
        assert made is not None
        contents: dict[str, int] = {}
        for part in _parts(planner.submits()):
            new = [
                text for text in dict.fromkeys(text for text, _, _ in part) if text not in contents
            ]
            # A text's submits stand together, so that the last text alone can go on.
            contents = {text: contents[text] for text, _, _ in part[:1] if text in contents}
            if new:
                ids = connection.scalars(
                    content.insert().returning(content.c.id, sort_by_parameter_order=True),
                    [
                        {
                            "campaign_id": made[0],
                            "message": text,
                            "channel": planner.channel,
                            "extension": planner.extension,
                        }
                        for text in new
                    ],
                )
                contents.update(zip(new, ids, strict=True))
            ids = connection.scalars(
                submit.insert().returning(submit.c.id, sort_by_parameter_order=True),
                [
                    {
                        "campaign_id": made[0],
                        "content_id": contents[text],
                        "size": size,
                        "state": State.PENDING.value,
                        "attempts": 0,
                        "reason": "",
                        "safe": True,
                    }
                    for text, _, size in part
                ],
            )
            connection.execute(
                recipients.insert(),
                [
                    {"submit_id": each, "numbers": numbers}
                    for each, (_, numbers, _) in zip(ids, part, strict=True)
                ],
            )
            contents = {part[-1][0]: contents[part[-1][0]]}
        for lines in _parts(planner.refused()):
            connection.execute(
                refused.insert(),
                [
                    {
                        "campaign_id": made[0],
                        "line": each.line,
                        "value": each.value,
                        "reason": each.reason,
                    }
                    for each in lines
                ],
            )


def _parts(rows: Iterator[_T]) -> Iterator[list[_T]]:
    while part := list(islice(rows, _ROWS)):
        yield part
