"""The ledger, driven at random against a model: answers, deaths, takeovers, decisions."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.integration.campaign.conftest import TEXT, numbers
from yunxin_soap.campaign import Ledger, State
from yunxin_soap.campaign.models import ALLOWED
from yunxin_soap.campaign.storage.claims import Store
from yunxin_soap.campaign.storage.runner_identity import Owner
from yunxin_soap.campaign.turns import Pause, Result, Work

_COUNT = 24
_SIZE = 4


class Campaigns(RuleBasedStateMachine):
    """Two runners at most, of which each may die; the model knows what each submit may be."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._ledger = Ledger(Path(self._folder.name) / "ledger.sqlite")
        self._store = Store(self._ledger._engine)
        self._model: dict[str, State] = {}
        self._owners: dict[int, Owner] = {}
        self._flying: dict[int, dict[int, Work]] = {0: {}, 1: {}}
        self._accepted: dict[str, int] = {}
        self._paused = False

    @initialize()
    def plan(self) -> None:
        self._ledger.plan("a", numbers(_COUNT), TEXT, channel=37, max_recipients=_SIZE)
        self._model = dict.fromkeys(numbers(_COUNT), State.PENDING)
        self._id = self._ledger._named("a").id

    def _mark(self, work: Work, state: State) -> None:
        for number in work.numbers.split(","):
            assert self._model[number] in ALLOWED or state in ALLOWED[self._model[number]]
            self._model[number] = state

    def _runner(self, which: int) -> Owner:
        if which not in self._owners:
            self._bury()
            self._owners[which] = Owner.new()
            self._store.join(self._owners[which], self._id)
        return self._owners[which]

    def _bury(self) -> None:
        for other, flying in self._flying.items():
            if other not in self._owners:  # it died
                for work in flying.values():
                    self._mark(work, State.UNKNOWN)
                flying.clear()

    @rule(
        which=st.integers(0, 1),
        want=st.integers(0, 4),
        ends=st.lists(
            st.sampled_from(
                [State.ACCEPTED, State.REJECTED, State.UNKNOWN, State.PENDING, State.SPLIT]
            ),
            max_size=4,
        ),
        twice=st.booleans(),
        pause=st.booleans(),
    )
    def exchange(self, which: int, want: int, ends: list[State], twice: bool, pause: bool) -> None:
        owner, flying = self._runner(which), self._flying[which]
        results = []
        for state in ends:
            if not flying:
                break
            _, work = flying.popitem()
            if state is State.SPLIT and work.size == 1:
                state = State.REJECTED
            batch_no = "1" if state is State.ACCEPTED else None
            code = -14 if state in (State.REJECTED, State.SPLIT) else None
            results.append(
                Result(work, state, 1.0, 2.0, batch_no, code, safe=state is State.REJECTED)
            )
            self._mark(work, State.PENDING if state is State.SPLIT else state)
            if state is State.ACCEPTED:
                for number in work.numbers.split(","):
                    self._accepted[number] = self._accepted.get(number, 0) + 1
        why = Pause("because") if pause else None
        self._paused = self._paused or pause

        def go(want: int) -> Any:
            return self._store.exchange(
                owner, self._id, results=results, flying=set(flying), want=want, pause=why
            )

        turn = go(want)
        if twice:
            # The answer to the first was lost: what it gave was never heard of, and is taken back.
            turn = go(want)
        assert not (self._paused and turn.work)
        if (want or not flying) and not self._paused and not turn.work:
            self._bury()  # nothing else was left to do
        for work in turn.work:
            flying[work.id] = work
            self._mark(work, State.SUBMITTING)

    @rule(which=st.integers(0, 1))
    def die(self, which: int) -> None:
        owner = self._owners.pop(which, None)
        if owner is not None:
            owner.end()

    @rule(decision=st.sampled_from(["resend", "accepted", "rejected"]))
    def resolve(self, decision: Any) -> None:
        self._ledger.resolve("a", decision, by="test")
        after = {"resend": State.PENDING, "accepted": State.ACCEPTED, "rejected": State.REJECTED}
        for number, state in self._model.items():
            if state is State.UNKNOWN:
                self._model[number] = after[decision]

    @rule()
    def resume(self) -> None:
        self._ledger.resume("a")
        self._paused = False

    @rule()
    def finish(self) -> None:
        self._store.finish(self._id)
        self._paused = self._paused and any(
            state in (State.PENDING, State.SUBMITTING) for state in self._model.values()
        )

    @invariant()
    def every_number_stands_where_the_model_has_it(self) -> None:
        if not self._model:
            return
        seen = {number: state for number, state, *_ in self._ledger.results("a")}
        assert seen == self._model
        status = self._ledger.status("a")
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
                state = State.PENDING  # it went over to a smaller submit
            assert change.before is state
            assert change.after in ALLOWED[change.before]
            state = change.after
        assert found.state is (State.PENDING if state is State.SPLIT else state)

    def teardown(self) -> None:
        for owner in self._owners.values():
            owner.end()
        self._ledger.close()
        self._folder.cleanup()


TestCampaigns = Campaigns.TestCase
TestCampaigns.settings = settings(
    max_examples=50,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
