"""Plays rounds side by side, each in a process of its own."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import random
import select
import shutil
import signal
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.integration.campaign.killing.attacks import ATTACKS
from tests.integration.campaign.killing.gateway import Gateway
from tests.integration.campaign.killing.processes import Machine, namespaces_missing, small_disk
from tests.integration.campaign.killing.rounds import Outcome, Round, play
from tests.integration.campaign.killing.servers import (
    SERVERS,
    Server,
    cutting_missing,
    servers_missing,
    shared_ledger,
)
from tests.integration.campaign.killing.work import Campaign, Clock, Singles, Work
from yunxin_soap.campaign.storage import dialects

LIMIT = 150.0
"""Seconds after which a round is a mistake."""
_CLEANING = 20.0
"""Seconds to wait for such a round to clean up."""


@dataclass(frozen=True)
class Setting:
    """What a round is made of; all else follows from its seed."""

    seed: int
    attack: str
    kind: str
    work: type[Work]

    def outcome(self) -> Outcome:
        """Return an outcome without a result."""
        return Outcome(self.seed, self.attack, self.kind, self.work.__name__)


def settings(
    rounds: int, seed: int, attacks: tuple[str, ...], kinds: tuple[str, ...]
) -> list[Setting]:
    """Return the rounds: every attack on every kind of ledger before any of them comes again.

    Raises:
        ValueError: none of the attacks exists on these kinds.
    """
    pairs = [
        (attack, kind) for attack in attacks for kind in kinds if kind in ATTACKS[attack].kinds
    ]
    if not pairs:
        raise ValueError("These attacks do not exist on these ledgers.")
    made = []
    for number in range(seed, seed + rounds):
        cycle, place = divmod(number, len(pairs))
        attack, kind = random.Random(cycle).sample(pairs, len(pairs))[place]
        rng = random.Random(number)
        made.append(Setting(number, attack, kind, Singles if rng.random() < 0.3 else Campaign))
    return made


def missing(setting: Setting) -> str:
    """Return why a round cannot be played here; empty if it can."""
    attack = ATTACKS[setting.attack]
    return (
        ((attack.elsewhere or attack.small_disk) and namespaces_missing())
        or (attack.own_server and servers_missing(setting.kind))
        or (attack.cuts_off and cutting_missing())
        or ""
    )


def run_round(setting: Setting, folder: Path, templates: Path) -> Outcome:
    """Play one round in this process."""
    attack = ATTACKS[setting.attack]
    outcome = setting.outcome()
    clock = Clock()
    dialects.IDLE_TIMEOUT = 2
    with contextlib.ExitStack() as stack:
        server: Server | None = None
        if attack.own_server:
            server = SERVERS[setting.kind](folder, templates)
            stack.callback(server.stop)
            url = server.url
        else:
            place = small_disk(folder, 12) if attack.small_disk else folder
            url = stack.enter_context(shared_ledger(setting.kind, place))
        gateway = Gateway(folder)
        stack.callback(gateway.kill)
        work = setting.work(url, gateway.url, attack.heartbeat_timeout)
        round_ = Round(random.Random(setting.seed), work, gateway, folder, clock, server)
        if attack.elsewhere:
            round_.machine = Machine(f"machine-{setting.seed}")
            stack.callback(round_.machine.close)
        play(round_, attack.run, outcome)
    return outcome


@dataclass
class _Running:
    setting: Setting
    pid: int
    result: int
    folder: Path
    deadline: float


class Pool:
    """Plays rounds, some of them side by side, each in a process of its own.

    Args:
        folder: for the files of all rounds.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._templates = folder / "templates"
        self._templates.mkdir()
        self._running: list[_Running] = []
        self._stopped = False

    def play(self, settings: Iterable[Setting], jobs: int) -> Iterator[Outcome]:
        """Play rounds, so many at a time; yield the outcome of each as it ends."""
        waiting = iter(settings)
        try:
            while True:
                free = 0 if self._stopped else jobs - len(self._running)
                for setting in itertools.islice(waiting, free):
                    self._start(setting)
                if not self._running:
                    return
                yield self._wait()
        finally:
            for each in self._running:
                self._end(each, in_time=False)

    def stop(self) -> None:
        """Start no more rounds."""
        self._stopped = True

    def _start(self, setting: Setting) -> None:
        folder = self._folder / str(setting.seed)
        folder.mkdir(mode=0o755)
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            os.setpgid(0, 0)
            # To be ended early, it still has to clean up: databases, servers, filtered packets.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            random.seed()  # else all rounds would pick the same ports
            try:
                outcome = run_round(setting, folder, self._templates)
            except BaseException as error:  # noqa: BLE001 - it is a mistake of the round
                outcome = setting.outcome()
                outcome.mistakes.append(f"{type(error).__name__}: {error}")
                outcome.notes.append(traceback.format_exc())
            with os.fdopen(writer, "wb") as file:
                pickle.dump(outcome, file)
            os._exit(0)
        os.close(writer)
        self._running.append(_Running(setting, pid, reader, folder, time.monotonic() + LIMIT))

    def _wait(self) -> Outcome:
        while True:
            ready, _, _ = select.select([each.result for each in self._running], [], [], 1.0)
            for each in list(self._running):
                if each.result in ready or time.monotonic() > each.deadline:
                    self._running.remove(each)
                    return self._end(each, in_time=each.result in ready)

    def _end(self, running: _Running, *, in_time: bool) -> Outcome:
        outcome = running.setting.outcome()
        if not in_time:
            os.kill(running.pid, signal.SIGTERM)
            select.select([running.result], [], [], _CLEANING)
        with os.fdopen(running.result, "rb") as file:
            try:
                if in_time or select.select([file], [], [], 0)[0]:
                    outcome = pickle.load(file)
            except EOFError:
                outcome.mistakes.append("its process died")
        if not in_time:
            outcome.mistakes.append(f"it did not end in {LIMIT:.0f} s")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        os.waitpid(running.pid, 0)
        if outcome.is_good:
            shutil.rmtree(running.folder, ignore_errors=True)
        return outcome
