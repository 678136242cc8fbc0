"""Changes submits' states, each with a line in the history, and tells the time of the ledger."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from yunxin_soap.campaign.models import ALLOWED, State
from yunxin_soap.campaign.storage.runner_identity import Owner
from yunxin_soap.campaign.storage.schema import history, submit
from yunxin_soap.campaign.turns import Result

LATE = "its answer came after its runner was given up"


def change(
    connection: sa.Connection,
    changes: Sequence[dict[str, Any]],
    before: State,
    now: float | None,
    by: str,
) -> None:
    """Change states, and write it down; ``after`` says to which, the rest is left as it is."""
    if not changes:
        return
    rows = []
    for each in changes:
        assert each["after"] in ALLOWED[before]
        rows.append(
            {
                "id_": each["id"],
                "before_": before.value,
                "state": each["after"].value,
                "batch_no": each.get("batch_no"),
                "code": each.get("code"),
                "keyword": each.get("keyword"),
                "reason": each.get("detail", ""),
                "safe": each.get("safe", each["after"] is State.PENDING),
                "not_before": each.get("not_before"),
                "sent_at": each.get("sent_at"),
                "ended_at": each.get("ended_at", now),
            }
        )
    connection.execute(_UPDATE, rows)
    connection.execute(
        HISTORY,
        [
            {
                "submit_id": each["id_"],
                "at": each["ended_at"],
                "before": before.value,
                "after": each["state"],
                "batch_no": each["batch_no"],
                "code": each["code"],
                "detail": each["reason"],
                "by": by,
            }
            for each in rows
        ],
    )


def recorded(connection: sa.Connection, result: Result, owner: Owner) -> bool:
    """Whether a runner has written down already how a submit ended."""
    mine = sa.exists().where(
        history.c.submit_id == result.work.id,
        history.c.by == owner.id,
        history.c.before == State.SUBMITTING.value,
        history.c.after == result.state.value,
    )
    return bool(connection.scalar(sa.select(mine)))


def note(connection: sa.Connection, results: Sequence[Result], now: float, owner: Owner) -> None:
    """Keep what was learnt too late: the states stay as they are."""
    for each in results:
        (state,) = connection.execute(
            sa.select(submit.c.state).where(submit.c.id == each.work.id)
        ).one()
        connection.execute(
            history.insert().values(
                submit_id=each.work.id,
                at=now,
                before=state,
                after=state,
                batch_no=each.batch_no,
                code=each.code,
                detail=f"{LATE}: {each.state.value} {each.reason}".strip(),
                by=owner.id,
            )
        )


def now_of(connection: sa.Connection) -> float:
    """Return the one clock of all runners: the server's, or this machine's for a file."""
    if connection.dialect.name == "sqlite":
        return time.time()
    clock = sa.func.extract("epoch", sa.func.clock_timestamp())
    return float(connection.execute(sa.select(clock)).scalar_one())


_UPDATE = (
    submit.update()
    .where(submit.c.id == sa.bindparam("id_"), submit.c.state == sa.bindparam("before_"))
    .values(
        state=sa.bindparam("state"),
        batch_no=sa.bindparam("batch_no"),
        code=sa.bindparam("code"),
        keyword=sa.bindparam("keyword"),
        reason=sa.bindparam("reason"),
        safe=sa.bindparam("safe"),
        not_before=sa.bindparam("not_before"),
        sent_at=sa.func.coalesce(sa.bindparam("sent_at", type_=sa.Double), submit.c.sent_at),
        ended_at=sa.bindparam("ended_at"),
        runner_id=None,
    )
)
# Made once: to put a statement together takes longer than to run it.
HISTORY = history.insert()
