"""Plays rounds side by side, and prints a table of what became of them."""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import click

from tests.integration.campaign.killing.attacks import ATTACKS
from tests.integration.campaign.killing.gateway import Gateway
from tests.integration.campaign.killing.processes import Machine, namespaces_missing, small_disk
from tests.integration.campaign.killing.report import Table
from tests.integration.campaign.killing.rounds import Outcome, Round, play
from tests.integration.campaign.killing.servers import (
    KINDS,
    SERVERS,
    Server,
    cutting_missing,
    servers_missing,
    shared_ledger,
)
from tests.integration.campaign.killing.work import Campaign, Clock, Singles, Work
from yunxin_soap import wsdl

LIMIT = 150.0
"""Seconds after which a round is a mistake."""


@dataclass(frozen=True)
class Setting:
    """What a round is made of; all else follows from its seed."""

    seed: int
    attack: str
    kind: str
    work: type[Work]


def settings(
    rounds: int, seed: int, attacks: tuple[str, ...], kinds: tuple[str, ...]
) -> list[Setting]:
    """Return the rounds: every attack on every kind of ledger before any of them comes again."""
    pairs = [
        (attack, kind) for attack in attacks for kind in kinds if kind in ATTACKS[attack].kinds
    ]
    if not pairs:
        raise click.UsageError("These attacks do not exist on these ledgers.")
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
    outcome = Outcome(setting.seed, setting.attack, setting.kind, setting.work.__name__)
    clock = Clock()
    with contextlib.ExitStack() as stack:
        server: Server | None = None
        if attack.own_server:
            server = SERVERS[setting.kind](folder, templates)
            stack.callback(server.stop)
            url = server.url
        else:
            place = small_disk(folder, 3) if attack.small_disk else folder
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


class Rounds:
    """Plays rounds, some of them side by side, each in a process of its own.

    Args:
        folder: for the files of all rounds.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._templates = folder / "templates"
        self._templates.mkdir()
        self._running: list[_Running] = []

    def start(self, setting: Setting) -> None:
        """Start a round."""
        folder = self._folder / str(setting.seed)
        folder.mkdir(mode=0o755)
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            os.setpgid(0, 0)
            random.seed()  # else all rounds would pick the same ports
            try:
                outcome = run_round(setting, folder, self._templates)
            except BaseException as error:  # noqa: BLE001 - it is a mistake of the round
                outcome = Outcome(setting.seed, setting.attack, setting.kind, setting.work.__name__)
                outcome.mistakes.append(f"{type(error).__name__}: {error}")
                outcome.notes.append(traceback.format_exc())
            with os.fdopen(writer, "wb") as file:
                pickle.dump(outcome, file)
            os._exit(0)
        os.close(writer)
        self._running.append(_Running(setting, pid, reader, folder, time.monotonic() + LIMIT))

    def wait(self) -> Outcome:
        """Wait for one round to end, and return its outcome."""
        while True:
            ready, _, _ = select.select([each.result for each in self._running], [], [], 1.0)
            for each in list(self._running):
                if each.result in ready or time.monotonic() > each.deadline:
                    self._running.remove(each)
                    return self._end(each, in_time=each.result in ready)

    def _end(self, running: _Running, *, in_time: bool) -> Outcome:
        setting = running.setting
        outcome = Outcome(setting.seed, setting.attack, setting.kind, setting.work.__name__)
        if in_time:
            with contextlib.suppress(EOFError), os.fdopen(running.result, "rb") as file:
                outcome = pickle.load(file)
        else:
            os.close(running.result)
            outcome.mistakes.append(f"it did not end in {LIMIT:.0f} s")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        os.waitpid(running.pid, 0)
        if outcome.is_good:
            shutil.rmtree(running.folder, ignore_errors=True)
        return outcome

    def close(self) -> None:
        """End what is still running."""
        for each in self._running:
            self._end(each, in_time=False)


@click.command()
@click.option("--rounds", default=100, show_default=True, help="How many rounds.")
@click.option("--seed", default=0, show_default=True, help="Of the first round.")
@click.option("--jobs", default=2, show_default=True, help="Rounds side by side.")
@click.option("--attack", "attacks", multiple=True, type=click.Choice(list(ATTACKS)))
@click.option("--database", "kinds", multiple=True, type=click.Choice(list(KINDS)))
@click.option("--keep-going", is_flag=True, help="Play on after a mistake.")
@click.option("--verbose", is_flag=True, help="Say how the attacked processes ended.")
def main(
    rounds: int,
    seed: int,
    jobs: int,
    attacks: tuple[str, ...],
    kinds: tuple[str, ...],
    keep_going: bool,
    verbose: bool,
) -> None:
    """Attack, run to the end, compare; print a table, or stop at the first mistake."""
    waiting = settings(rounds, seed, attacks or tuple(ATTACKS), kinds or KINDS)
    waiting.reverse()
    wsdl.load(None)  # else each process would load it first, and be attacked during that
    table = Table()
    folder = Path(tempfile.mkdtemp(prefix="yunxin-killing-"))
    folder.chmod(0o755)  # the users of database servers pass through it
    playing = Rounds(folder)
    active = 0
    try:
        while waiting or active:
            while waiting and active < jobs:
                setting = waiting.pop()
                if why := missing(setting):
                    table.skip(setting.attack, why)
                    continue
                playing.start(setting)
                active += 1
            if not active:
                break
            outcome = playing.wait()
            active -= 1
            table.add(outcome)
            click.echo(outcome.line())
            if verbose or not outcome.is_good:
                for each in (*outcome.mistakes, *outcome.notes):
                    click.echo(f"    {each}")
            if not outcome.is_good and not keep_going:
                waiting.clear()
    finally:
        playing.close()
        if table.mistakes:
            click.echo(f"The files of what went wrong are in {folder}.")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    click.echo(table.text())
    sys.exit(1 if table.mistakes else 0)


if __name__ == "__main__":
    main()
