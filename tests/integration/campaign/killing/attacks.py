"""The attacks. Each returns when what it attacked has ended, or will end by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from tests.integration.campaign.killing.processes import Hung, Process, wait_until
from tests.integration.campaign.killing.rounds import Round
from tests.integration.campaign.killing.servers import cut_off, cut_sessions
from tests.integration.campaign.killing.work import IN_FLIGHT, Seam

_PATIENCE_WITH_SERVER = 40.0
"""Seconds in which another process has to take over."""
_PATIENCE_WITH_FILE = 8.0
"""Seconds in which it does if it can."""


def kill(round_: Round) -> None:
    """Kill processes at random moments, and the gateway now and then."""
    rng = round_.rng
    for _ in range(rng.randint(1, 3)):
        runners = [round_.start() for _ in range(rng.choice([1, 1, 2]))]
        if rng.random() < 0.7:
            runners[0].wait_for("sending")
            round_.sleep(0.5)
        else:  # while it plans, perhaps
            round_.sleep(0.3)
        with_gateway = rng.random() < 0.4
        if with_gateway:
            round_.gateway.stop()
            round_.sleep(0.1)  # what is sent now is in flight, and never accepted
            round_.gateway.kill()
        for each in runners:
            each.kill()
            round_.allowed += IN_FLIGHT
        if with_gateway:
            round_.gateway.start()


def freeze(round_: Round) -> None:
    """Stop a process while it sends, let another one take over, and let the first go on."""
    other = round_.start(persistent=True) if round_.rng.random() < 0.5 else None
    victim = round_.start(machine=round_.machine)
    victim.wait_for("sending")
    for _ in range(round_.rng.randint(0, 2)):  # about as long as its lease lasts
        victim.stop()
        round_.sleep(2 * round_.work.heartbeat_timeout)
        victim.thaw()
        round_.sleep(0.1)
    round_.sleep(0.1)
    victim.stop()
    round_.allowed += 2 * IN_FLIGHT
    _step_clock(round_, 0.3)
    _take_over(round_, other or round_.start(persistent=True))
    victim.thaw()


def fence(round_: Round) -> None:
    """Stop a process right before a write, and let others send what they can.

    While it may still write, nothing may let others send the same.
    """
    rng = round_.rng
    seam = Seam(rng.choice(["look", "write"]), rng.randint(0, 30))
    victim = round_.start(seam=seam, machine=round_.machine)
    _wait_for_stop(victim)
    round_.allowed += IN_FLIGHT
    other = round_.start(persistent=True)
    _take_over(round_, other)
    _step_clock(round_, 0.3)
    resent, _ = round_.decide()
    if resent and victim.is_stopped:
        round_.mistakes.append(f"{resent} may be sent again, while their process may send them")
    _take_over(round_, round_.start(persistent=True))
    if rng.random() < 0.5:
        victim.kill()
        if round_.machine is not None:  # only there it can be seen that it is dead
            round_.decide_on(round_.machine)
    victim.thaw()


def _wait_for_stop(process: Process) -> None:
    wait_until(lambda: process.is_stopped or process.is_over, "it stops itself")


def _take_over(round_: Round, other: Process) -> None:
    """Let another process send all that is left, while the first is suspended.

    In a file, it may be suspended in a transaction, which nobody else can end.
    """
    try:
        other.join(_PATIENCE_WITH_SERVER if round_.work.on_server else _PATIENCE_WITH_FILE)
    except Hung:
        if round_.work.on_server:
            raise
        round_.notes.append("it is suspended in a transaction")


def clock(round_: Round) -> None:
    """Set the machine's clock, forward and back, while two processes send."""
    runners = [round_.start(), round_.start()]
    runners[0].wait_for("sending")
    for _ in range(3):
        round_.sleep(0.3)
        _step_clock(round_, 1.0)
    for each in runners:
        each.join()


def _step_clock(round_: Round, probability: float) -> None:
    if round_.rng.random() < probability:
        round_.clock.step(round_.rng.choice([-1, 1]) * round_.rng.uniform(10, 7200))


def cut(round_: Round) -> None:
    """End the sessions of two processes at the database."""
    _disturb(round_, lambda: cut_sessions(round_.work.ledger_url), times=8, pause=0.2)


def restart(round_: Round) -> None:
    """Restart the database server at once, without a word to its clients."""
    assert round_.server is not None
    _disturb(round_, round_.server.restart, times=2, pause=0.5)


def _disturb(round_: Round, disturb: Callable[[], object], times: int, pause: float) -> None:
    runners = [round_.start(), round_.start()]
    runners[0].wait_for("sending")
    for _ in range(times):
        round_.sleep(pause)
        if all(each.is_over for each in runners):
            break
        disturb()
    for each in runners:
        each.join()


def fill(round_: Round) -> None:
    """Fill the disk of an SQLite ledger while two processes send, and empty it again."""
    runners = [round_.start(), round_.start()]
    runners[0].wait_for("sending")
    round_.sleep(0.2)
    filler = Path(round_.work.ledger_url).parent / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    for each in runners:
        each.join()
    filler.unlink()


def vanish(round_: Round) -> None:
    """Stop a process in a transaction, cut its connections, and kill it, or let it go on later."""
    rng, work = round_.rng, round_.work
    work.prepare()  # a plan may last, so that no server ends it
    victim = round_.start(seam=Seam("commit", rng.randint(2, 30)), machine=round_.machine)
    _wait_for_stop(victim)
    round_.allowed += IN_FLIGHT
    with contextlib.ExitStack() as stack:
        if work.on_server and not victim.is_over:
            stack.enter_context(cut_off(_port(work.ledger_url), victim.pid))
            if rng.random() < 0.5:
                victim.kill()
        other = round_.start(persistent=True)
        if work.on_server:
            _take_over(round_, other)
        else:
            with contextlib.suppress(Hung):
                other.join(1.0)
    if rng.random() < 0.5:
        victim.kill()
    victim.thaw()
    other.join()


def _port(url: str) -> int:
    address = sa.make_url(url)
    return address.port or {"postgresql": 5432, "mysql": 3306}[address.get_backend_name()]


@dataclass(frozen=True)
class Attack:
    """An attack, and where it is possible."""

    run: Callable[[Round], None]
    kinds: tuple[str, ...] = ("sqlite", "postgresql", "mariadb")
    heartbeat_timeout: float = 1.0
    elsewhere: bool = False
    """Whether the attacked processes are on another machine."""
    own_server: bool = False
    small_disk: bool = False
    cuts_off: bool = False
    """Whether it drops the packets of connections."""


ATTACKS = {
    "kill": Attack(kill),
    # A silent process that is seen to be alive is waited for eleven times as long.
    "freeze": Attack(freeze, heartbeat_timeout=0.3),
    "freeze elsewhere": Attack(freeze, elsewhere=True),
    "fence": Attack(fence, heartbeat_timeout=0.3),
    "fence elsewhere": Attack(fence, elsewhere=True),
    "clock": Attack(clock),
    "cut": Attack(cut, kinds=("postgresql", "mariadb"), heartbeat_timeout=30.0),
    "restart": Attack(
        restart, kinds=("postgresql", "mariadb"), heartbeat_timeout=30.0, own_server=True
    ),
    "fill": Attack(fill, kinds=("sqlite",), small_disk=True),
    "vanish": Attack(vanish, elsewhere=True, cuts_off=True),
}
