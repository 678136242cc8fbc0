"""The ledger, driven at random against a model: endings, deaths, reclaims, decisions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.integration.campaign.conftest import ended
from tests.support.lists import TEXT, numbers
from yunxin_soap.campaign import CampaignState, Ledger, State
from yunxin_soap.campaign.models import ALLOWED, ClaimedSubmission, Ending, Pause
from yunxin_soap.campaign.storage.claims import ClaimResult, Claims
from yunxin_soap.campaign.storage.reads import Reads
from yunxin_soap.campaign.storage.runners import RunnerIdentity
from yunxin_soap.campaign.storage.schema import TABLES, suppression_state
from yunxin_soap.campaign.storage.schema import ledger as ledger_table
from yunxin_soap.errors import NotInLedger

_COUNT = 24
_SIZE = 4


class Campaigns(RuleBasedStateMachine):
    """Up to two runners, which may die; the model knows the state of each number.

    Args:
        ledger: it may have the campaign of an earlier example.
        engine: its database.
    """

    def __init__(self, ledger: Ledger, engine: sa.Engine) -> None:
        super().__init__()
        self._ledger, self._engine = ledger, engine
        self._claims = Claims(self._engine)
        with engine.begin() as connection:
            for table in reversed(TABLES.sorted_tables):
                if table not in (ledger_table, suppression_state):
                    connection.execute(table.delete())
        self._model: dict[str, State] = {}
        self._runners: dict[int, RunnerIdentity] = {}
        self._in_flight: dict[int, dict[int, ClaimedSubmission]] = {0: {}, 1: {}}
        self._accepted: dict[str, int] = {}
        self._suppressed: set[str] = set()
        self._campaign = CampaignState.OPEN
        self._paused_by_run = False

    @initialize(suppressed=st.sets(st.sampled_from(numbers(3, 13920000000))))
    def plan(self, suppressed: set[str]) -> None:
        self._ledger.suppression.add(suppressed, by="test")
        listed = [*numbers(_COUNT), *suppressed]
        self._ledger.plan("a", listed, TEXT, channel=37, max_recipients=_SIZE)
        self._model = dict.fromkeys(numbers(_COUNT), State.PENDING)
        self._id = Reads(self._engine).campaign_id("a")

    def _mark(self, claimed: ClaimedSubmission, state: State) -> None:
        for number in claimed.submission.recipients:
            assert self._model[number] in ALLOWED or state in ALLOWED[self._model[number]]
            self._model[number] = state

    def _runner(self, which: int) -> RunnerIdentity:
        if which not in self._runners:
            self._reclaim()
            self._runners[which] = RunnerIdentity.new()
            self._claims.runners.register(self._runners[which], self._id)
        return self._runners[which]

    def _reclaim(self) -> None:
        for other, in_flight in self._in_flight.items():
            if other not in self._runners:  # it died
                for claimed in in_flight.values():
                    self._mark(claimed, State.UNKNOWN)
                in_flight.clear()

    @rule(
        which=st.integers(0, 1),
        limit=st.integers(0, 4),
        ends=st.lists(
            st.sampled_from(
                [State.ACCEPTED, State.REJECTED, State.UNKNOWN, State.PENDING, State.SPLIT]
            ),
            max_size=4,
        ),
        twice=st.booleans(),
        pause=st.booleans(),
    )
    def exchange(self, which: int, limit: int, ends: list[State], twice: bool, pause: bool) -> None:
        runner, in_flight = self._runner(which), self._in_flight[which]
        endings = self._end_some(in_flight, ends)
        is_left = State.PENDING in self._model.values()
        if pause and is_left and self._campaign is not CampaignState.CANCELLED:
            if self._campaign is not CampaignState.PAUSED:
                self._paused_by_run = True
            self._campaign = CampaignState.PAUSED

        def go() -> ClaimResult:
            return self._claims.exchange(
                runner,
                self._id,
                endings=endings,
                in_flight=set(in_flight),
                limit=limit,
                pause=Pause("because") if pause else None,
            )

        result = go()
        if twice:
            # The response to the first was lost: the ledger takes back what it had claimed.
            result = go()
        self._reopen()
        self._note_suppressed()
        if self._campaign is not CampaignState.OPEN:
            assert not result.claimed
        elif (limit or not in_flight) and not result.claimed:
            self._reclaim()  # nothing else was left to do
        if self._campaign is CampaignState.CANCELLED:
            self._move(State.PENDING, State.CANCELLED)
        for claimed in result.claimed:
            assert self._suppressed.isdisjoint(claimed.submission.recipients)
            in_flight[claimed.id] = claimed
            self._mark(claimed, State.SUBMITTING)

    def _end_some(
        self, in_flight: dict[int, ClaimedSubmission], states: list[State]
    ) -> list[Ending]:
        """Let some of a runner's submissions end in these states."""
        endings = []
        for state in states[: len(in_flight)]:
            _, claimed = in_flight.popitem()
            if state is State.SPLIT and claimed.size == 1:
                state = State.REJECTED
            endings.append(
                ended(
                    claimed,
                    state,
                    batch_no="1" if state is State.ACCEPTED else None,
                    code=-14 if state in (State.REJECTED, State.SPLIT) else None,
                    safe_to_resend=state is State.REJECTED,
                )
            )
            self._mark(claimed, State.PENDING if state is State.SPLIT else state)
            if state is State.ACCEPTED:
                for number in claimed.submission.recipients:
                    self._accepted[number] = self._accepted.get(number, 0) + 1
        return endings

    @rule(
        chosen=st.sets(st.sampled_from(numbers(_COUNT)), min_size=1, max_size=6),
        hashed=st.booleans(),
    )
    def suppress(self, chosen: set[str], hashed: bool) -> None:
        assert self._ledger.suppression.add(chosen, by="test", hashed=hashed) == len(
            chosen - self._suppressed
        )
        self._suppressed |= chosen

    @rule(chosen=st.sets(st.sampled_from(numbers(_COUNT)), max_size=6))
    def release(self, chosen: set[str]) -> None:
        removed = self._ledger.suppression.remove(chosen)
        assert removed == len(chosen & self._suppressed)
        self._suppressed -= chosen

    def _note_suppressed(self) -> None:
        """Take over which of the suppressed numbers the ledger has left out of a claim."""
        for each in self._ledger.results("a", states=[State.SUPPRESSED]):
            if self._model[each.number] is State.PENDING:
                assert each.number in self._suppressed
                self._model[each.number] = State.SUPPRESSED

    @rule(which=st.integers(0, 1))
    def die(self, which: int) -> None:
        runner = self._runners.pop(which, None)
        if runner is not None:
            runner.end()

    def _move(self, before: State, after: State) -> None:
        for number, state in self._model.items():
            if state is before:
                self._model[number] = after

    @contextmanager
    def _refused_if(self, *states: CampaignState) -> Iterator[bool]:
        """Expect an error if the campaign is in one of these states; yield whether it is."""
        refused = self._campaign in states
        with pytest.raises(NotInLedger) if refused else nullcontext():
            yield refused

    @rule(decision=st.sampled_from(["resend", "accepted", "not_sent"]))
    def resolve(self, decision: Any) -> None:
        after = {"resend": State.PENDING, "accepted": State.ACCEPTED, "not_sent": State.REJECTED}
        final = [CampaignState.CANCELLED] if decision == "resend" else []
        with self._refused_if(*final) as refused:
            self._ledger.resolve("a", decision, by="test")
        if not refused:
            self._move(State.UNKNOWN, after[decision])
            if decision == "resend":
                self._reopen()

    @rule()
    def retry(self) -> None:
        with self._refused_if(CampaignState.CANCELLED) as refused:
            self._ledger.retry("a", by="test")
        if not refused:
            self._move(State.REJECTED, State.PENDING)
            self._reopen()

    def _reopen(self) -> None:
        if self._campaign is CampaignState.DONE:
            self._campaign = CampaignState.OPEN

    @rule()
    def resume(self) -> None:
        with self._refused_if(CampaignState.CANCELLED) as refused:
            self._ledger.resume("a")
        if not refused:
            self._campaign = CampaignState.OPEN

    @rule()
    def pause(self) -> None:
        states = [CampaignState.CANCELLED, CampaignState.DONE]
        if self._paused_by_run:  # by another reason, which stays
            states.append(CampaignState.PAUSED)
        with self._refused_if(*states) as refused:
            self._ledger.pause("a", by="test")
        if not refused:
            self._campaign = CampaignState.PAUSED
            self._paused_by_run = False

    @rule(sure=st.integers(0, 3))
    def cancel(self, sure: int) -> None:
        if sure < 3:  # else most examples would be cancelled soon
            return
        with self._refused_if(CampaignState.DONE) as refused:
            self._ledger.cancel("a", by="test")
        if not refused:
            self._campaign = CampaignState.CANCELLED
            self._move(State.PENDING, State.CANCELLED)

    @rule()
    def finish(self) -> None:
        self._claims.finish(self._id)
        left = {State.PENDING, State.SUBMITTING} & set(self._model.values())
        if not left and self._campaign is not CampaignState.CANCELLED:
            self._campaign = CampaignState.DONE

    @invariant()
    def every_number_stands_where_the_model_has_it(self) -> None:
        if not self._model:
            return
        seen = {each.number: each.state for each in self._ledger.results("a")}
        assert seen == self._model
        status = self._ledger.status("a")
        assert status.state is self._campaign
        assert sum(status.numbers.values()) == status.planned == _COUNT

    @invariant()
    def nothing_is_accepted_twice(self) -> None:
        assert set(self._accepted.values()) <= {1}

    @invariant()
    def the_history_tells_how_each_came_where_it_is(self) -> None:
        if not self._model:
            return
        number = numbers(_COUNT)[7]
        (found,) = self._ledger.find(number)
        state = State.PENDING
        for change in found.history:
            if change.before is State.PENDING and state is State.SPLIT:
                state = State.PENDING  # a smaller submission replaces it
            assert change.before is state
            assert change.after in ALLOWED[change.before]
            state = change.after
        assert found.state is (State.PENDING if state is State.SPLIT else state)

    def teardown(self) -> None:
        for runner in self._runners.values():
            runner.end()


def test_ledger_random_calls_follow_the_model(ledger: Ledger, engine: sa.Engine) -> None:
    """Whatever runners and operators do, every number stands where the model has it."""

    class InThisLedger(Campaigns):
        def __init__(self) -> None:
            super().__init__(ledger, engine)

    run_state_machine_as_test(
        InThisLedger,
        settings=settings(
            max_examples=40,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
