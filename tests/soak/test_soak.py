"""The soak run's own judgement: it notices a leak of each kind, and takes no noise for one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.soak.judge import FEWEST_SAMPLES, QUANTITIES, Quantity, judge
from tests.soak.member import Member

ROUNDS = 24
# Each holds on to something more in every round; `kept` is what it holds on to.
LEAKS = {
    "nothing": "kept[:] = [socket.socketpair(), open(os.devnull), bytearray(1 << 20)]",
    "threads": "kept.append(threading.Thread(target=threading.Event().wait, daemon=True));"
    " kept[-1].start()",
    "sockets": "kept.append(socket.socketpair())",
    "descriptors": "kept.append(open(os.devnull))",
    "memory": 'kept.append(b"x" * (1 << 20))',
    "objects": "kept.extend([] for _ in range(500))",
}
ALSO = {"sockets": {"descriptors"}}
"""What grows as well: a socket is a descriptor."""


def grown(samples: dict[str, list[float]]) -> set[str]:
    """Return the names of the quantities that are judged to have grown."""
    verdicts = {each.name: judge(samples[each.name], each) for each in QUANTITIES}
    return {name for name, verdict in verdicts.items() if not verdict.is_flat}


@pytest.mark.parametrize("leak", LEAKS)
def test_judgement_names_what_a_real_process_leaks(leak: str, tmp_path: Path) -> None:
    """A process that leaks one kind of thing is found to leak that, and nothing else."""
    program = (
        "import os, socket, threading\n"
        "from tests.soak.member import work_in_rounds\n"
        "kept = []\n"
        f"def one_round():\n    {LEAKS[leak]}\n    return {{}}\n"
        "work_in_rounds(one_round, dict)\n"
    )
    member = Member(leak, "-c", program, log=tmp_path / "log")
    try:
        for _ in range(ROUNDS):
            member.ask()
            member.sample(member.answer()["objects"])
        assert member.finish() == {}
    finally:
        member.stop()
    expected = set() if leak == "nothing" else {leak} | ALSO.get(leak, set())
    assert grown(member.samples) == expected


def test_member_that_ends_too_early_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    """A process that dies is named, and what it said last is shown."""
    member = Member("load", "-c", "raise SystemExit('no ledger')", log=tmp_path / "log")
    try:
        with pytest.raises(RuntimeError, match=r"load has ended too early:\nno ledger"):
            member.answer()
    finally:
        member.stop()


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda each: each.name)
def test_judgement_ignores_the_warm_up_and_single_samples(quantity: Quantity) -> None:
    """What is opened first does not count, nor does a peak, nor noise within what is allowed."""
    noise = random.Random(0)
    samples = [100 + noise.random() * quantity.allowed for _ in range(90)]
    samples[:30] = range(30)
    samples[70] = 1e9
    verdict = judge(samples, quantity)
    assert (verdict.is_flat, verdict.worst) == (True, 1e9)


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda each: each.name)
def test_judgement_finds_slow_growth_within_noise(quantity: Quantity) -> None:
    """Steady growth is found once it exceeds what is allowed, although each step is smaller."""
    allowed = max(quantity.allowed, quantity.allowed_share * 1000)
    noise = random.Random(0)
    samples = [1000 + allowed * (3 * at / 90 + noise.random()) for at in range(90)]
    assert not judge(samples, quantity).is_flat


def test_judgement_of_too_few_samples_is_an_error() -> None:
    """A run that is too short shows nothing, so it does not say that all is flat."""
    with pytest.raises(ValueError, match="run it longer"):
        judge([1.0] * (FEWEST_SAMPLES - 1), QUANTITIES[0])
