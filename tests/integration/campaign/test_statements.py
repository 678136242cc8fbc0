"""What the statements of a runner cost the database, however large the campaign is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from tests.integration.campaign.conftest import ManualRunner, ended, executed
from tests.support.lists import TEXT, numbers
from yunxin_soap import Client
from yunxin_soap.campaign import Ledger, State
from yunxin_soap.campaign.running import runner as running
from yunxin_soap.campaign.running.runner import Runner, RunOptions
from yunxin_soap.campaign.storage.claims import ClaimResult, Claims
from yunxin_soap.campaign.storage.engine import open_engine
from yunxin_soap.campaign.storage.reads import Reads
from yunxin_soap.message import Submission
from yunxin_soap.results import Receipt
from yunxin_soap.sandbox import Sandbox

_PARAMETER = re.compile(r"%\((\w+)\)s")
_HELD = r"SELECT yunxin_submission\.id\s+FROM yunxin_submission\s+WHERE \S+\.runner_id ="
_SIZE, _DONE = 1_000_000, 500_000
_FILL = (
    # Without a log, and unchecked: the pages are the same, and are filled in a third of the time.
    "ALTER TABLE yunxin_recipients SET UNLOGGED",
    "ALTER TABLE yunxin_history SET UNLOGGED",
    "ALTER TABLE yunxin_submission SET UNLOGGED",
    "ALTER TABLE yunxin_submission SET (autovacuum_enabled = off)",
    "ALTER TABLE yunxin_recipients SET (autovacuum_enabled = off)",
    "SET LOCAL session_replication_role = replica",
    "INSERT INTO yunxin_campaign"
    " (name, digest, state, reason, created_at, numbers, skipped, skipped_by, segments, marketing,"
    " suppression_generation)"
    f" VALUES ('a', 'x', 'open', '', 0, {_SIZE}, 0, '{{}}', 1, false, 0)",
    "INSERT INTO yunxin_content (campaign_id, message, channel, extension)"
    " SELECT id, 'text', '37', '' FROM yunxin_campaign",
    "INSERT INTO yunxin_submission"
    " (campaign_id, content_id, size, state, attempts, reason, safe_to_resend)"
    " SELECT campaign_id, id, 1, 'pending', 0, '', true"
    f" FROM yunxin_content, generate_series(1, {_SIZE})",
    "INSERT INTO yunxin_recipients SELECT id, '13900000000' FROM yunxin_submission",
)
_MARK_DONE = (
    "SET LOCAL session_replication_role = replica",
    f"UPDATE yunxin_submission SET state = 'accepted' WHERE id <= {_DONE}",
)


def cte(plan: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the part of a plan that is a CTE."""
    if plan.get("Subplan Name") == f"CTE {name}":
        return plan
    found = (cte(each, name) for each in plan.get("Plans", ()))
    return next((each for each in found if each), {})


def buffers(plan: dict[str, Any]) -> int:
    """Return how many buffers a part of a plan used, found in memory or not."""
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])


def explain(url: str, mode: str, statement: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Execute a statement, roll it back, and return what the server did.

    Args:
        url: the database.
        mode: ``force_custom_plan``, or ``force_generic_plan``, to which a server may change after
            it has executed a statement a few times.
        statement: its text, as the driver takes it.
        parameters: its values.
    """
    names = list(dict.fromkeys(_PARAMETER.findall(statement)))
    prepared = _PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", statement)
    address = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute(f"SET plan_cache_mode = {mode}".encode())
        connection.execute(f"PREPARE explained AS {prepared}".encode())
        values = ", ".join(f"%({name})s" for name in names)
        found = connection.execute(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE explained ({values})".encode(),
            parameters,
        ).fetchone()
        connection.rollback()
    assert found is not None
    plan: dict[str, Any] = found[0][0]["Plan"]
    return plan


def claim_statement(engine: sa.Engine, limit: int) -> tuple[str, dict[str, Any]]:
    """Claim submissions, and return the statement that did it, with its parameters."""
    runner = ManualRunner(engine)
    with executed(engine) as statements:
        runner.claim(limit)
    runner.identity.end()
    return next(each for each in statements if "SKIP LOCKED" in each[0])


def test_claim_reads_only_what_it_claims(on_server: str) -> None:
    """A claim reads a few pages, of a million submissions that the server has not analysed.

    From the id that it found last, it does not see what is done. From 0, as now and then, it passes
    the entries of all that is done, which the database has not removed from the index yet.
    """
    engine = open_engine(on_server)
    for part in (_FILL, _MARK_DONE):
        with engine.begin() as connection:
            for statement in part:
                connection.exec_driver_sql(statement)
    statement, parameters = claim_statement(engine, 32)
    single, _ = claim_statement(engine, 1)
    engine.dispose()
    for mode in ("force_custom_plan", "force_generic_plan"):
        values = {**parameters, "lowest": _DONE + 1}
        plan = explain(on_server, mode, statement, values)
        assert plan["Actual Rows"] == 32
        assert buffers(cte(plan, "chosen")) < 200
        # The rest is what 32 changes, 32 entries of the history, and their indexes need.
        assert buffers(plan) < 32 * 40
        assert buffers(explain(on_server, mode, single, values)) < 200
        from_0 = explain(on_server, mode, statement, {**values, "lowest": 0})
        assert buffers(cte(from_0, "chosen")) < _DONE / 100
        nothing = explain(on_server, mode, statement, {**values, "lowest": _SIZE + 1})
        assert nothing["Actual Rows"] == 0
        assert buffers(nothing) < 20


def test_exchange_statements_do_not_grow(
    ledger: Ledger, engine: sa.Engine, manual_runner: Callable[..., ManualRunner]
) -> None:
    """An exchange takes the same statements for 32 endings and claims as for one of each."""
    ledger.plan("a", numbers(100), TEXT, channel=37, max_recipients=1)
    counts = []
    for count in (1, 32):
        runner = manual_runner()
        claimed = runner.claim(count)
        endings = [ended(each, State.ACCEPTED, batch_no="1") for each in claimed]
        with executed(engine) as statements:
            result = runner.exchange(*endings, limit=count)
        assert len(endings) == len(result.claimed) == count
        counts.append(len(statements))
        runner.exchange(*[ended(each, State.ACCEPTED) for each in result.claimed])
    assert counts[0] == counts[1]
    assert ledger.status("a").submissions[State.ACCEPTED] == 66


def test_busy_exchange_is_three_statements(on_server: str) -> None:
    """A heartbeat, the endings and the claim take a server one statement each."""
    with Ledger(on_server) as ledger:
        ledger.plan("a", numbers(100), TEXT, channel=37, max_recipients=1)
    engine = open_engine(on_server)
    runner = ManualRunner(engine)
    claimed = runner.claim(8)
    with executed(engine) as statements:
        result = runner.claims.exchange(
            runner.identity,
            runner.campaign_id,
            endings=[ended(each, State.ACCEPTED) for each in claimed],
            in_flight=(),
            limit=8,
            is_certain=True,
        )
    runner.identity.end()
    engine.dispose()
    assert len(result.claimed) == 8
    assert len(statements) == 3


class OneByOne:
    """Accepts one submission after the other."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def submit(
        self, submission: Submission, /, *, valid_until: float | None = None
    ) -> Receipt:
        """Accept it in its turn."""
        del valid_until
        async with self._turn:
            await asyncio.sleep(0.01)
        return Receipt("1", submission.recipients, submission.message, "37", "", "soap")


def test_run_seldom_asks_what_is_left(ledger: Ledger, engine: sa.Engine) -> None:
    """While something is in flight, a run does not ask after each ending what else it may send."""
    ledger.plan("a", numbers(60), TEXT, channel=37, max_recipients=1)
    claims, campaign_id = Claims(engine), Reads(engine).campaign_id("a")
    runner = Runner(claims, campaign_id, OneByOne(), RunOptions(concurrency=60))
    with executed(engine) as statements:
        asyncio.run(runner.run())
    texts = [text for text, _ in statements]
    exchanges = sum("UPDATE yunxin_runner" in text for text in texts)
    assert sum("min(coalesce" in text for text in texts) < exchanges / 3
    # What it holds, it knows.
    held = [each for each in texts if re.match(_HELD, each)]
    assert len(held) < exchanges / 2
    assert ledger.status("a").submissions[State.ACCEPTED] == 60


@pytest.mark.parametrize(("look_back", "looks_back"), [(0.0, True), (3600.0, False)])
@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_run_looks_now_and_then_at_what_was_claimed_before(
    ledger: Ledger,
    engine: sa.Engine,
    monkeypatch: pytest.MonkeyPatch,
    *,
    look_back: float,
    looks_back: bool,
) -> None:
    """A run claims from the id that it found last, and now and then from 0."""
    monkeypatch.setattr(running, "_LOOK_BACK", look_back)
    ledger.plan("a", numbers(20), TEXT, channel=37, max_recipients=1)
    exchange, lowest = Claims.exchange, []

    def note(*args: Any, **options: Any) -> ClaimResult:
        result = exchange(*args, **options)
        if result.claimed:
            lowest.append(options["lowest"])
        return result

    monkeypatch.setattr(Claims, "exchange", note)
    runner = Runner(Claims(engine), Reads(engine).campaign_id("a"), OneByOne(), RunOptions())
    asyncio.run(runner.run())
    assert lowest[0] == 0
    assert len(lowest) > 2
    assert set(lowest[1:]) == {0} if looks_back else 0 not in lowest[1:]
    assert ledger.status("a").submissions[State.ACCEPTED] == 20


def test_exchange_finds_what_is_pending_before_the_lowest_id(
    ledger: Ledger, manual_runner: Callable[..., ManualRunner]
) -> None:
    """Only if nothing is pending from the lowest id on, an exchange looks before it."""
    ledger.plan("a", numbers(3), TEXT, channel=37, max_recipients=1)
    runner = manual_runner()
    first, second = runner.claim(2)
    for endings, found in (([ended(first, State.PENDING)], second.id + 1), ([], first.id)):
        result = runner.claims.exchange(
            runner.identity,
            runner.campaign_id,
            endings=endings,
            in_flight=(),
            limit=1,
            lowest=second.id,
            is_certain=True,
        )
        assert [each.id for each in result.claimed] == [found]


def test_exchange_whose_answer_is_lost(
    ledger: Ledger, client: Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a commit without an answer recorded and claimed is neither lost nor sent twice."""
    exchange = Claims.exchange
    calls: list[ClaimResult] = []

    def lose_answers(*args: Any, **options: Any) -> ClaimResult:
        calls.append(exchange(*args, **options))
        if len(calls) % 2 == 0:
            lost = ConnectionError("the connection was lost")
            raise sa.exc.OperationalError("COMMIT", {}, lost, connection_invalidated=True)
        return calls[-1]

    monkeypatch.setattr(Claims, "exchange", lose_answers)
    monkeypatch.setattr("yunxin_soap.campaign.running.runner.is_transient", lambda _error: True)
    ledger.plan("a", numbers(20), TEXT, channel=37, max_recipients=1)
    status = ledger.run("a", client, concurrency=4)
    assert any(each.claimed for each in calls[1::2])
    assert status.submissions[State.ACCEPTED] == 20
    assert sandbox.accepted_numbers == dict.fromkeys(numbers(20), 1)
