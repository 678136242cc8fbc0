"""Run everything for a long time, and show that nothing grows.

``python -m tests.soak [--minutes N]`` starts a sandbox gateway that breaks connections all the
time, a process that sends with threads, one that sends with tasks, and a worker, over one SQLite
ledger. After each round, when all are at rest, it samples what each process holds. The exit status
is 1 if something grew, if the gateway accepted a number twice, or if the outcomes do not agree with
what it accepted.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.soak.judge import FEWEST_SAMPLES, QUANTITIES, judge
from tests.soak.member import Member
from yunxin_soap.campaign import Ledger


def main() -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long (default 60)")
    options = parser.parse_args()
    # Whoever ends it by a signal ends its processes, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as folder:
        return soak(options.minutes * 60, Path(folder))


def soak(seconds: float, folder: Path) -> int:
    """Run for a while, print what came of it, and return the exit status.

    Args:
        seconds: how long. The run is longer if the machine is too busy for enough rounds.
        folder: an empty folder for the ledger and the logs.
    """
    ledger = str(folder / "ledger.sqlite")
    Ledger(ledger).close()
    environment = {
        **{name: text for name, text in os.environ.items() if not name.startswith("YUNXIN_")},
        "YUNXIN_USER_CODE": "demo",
        "YUNXIN_USER_PASS": "demo",
        # Else glibc keeps memory for each thread that comes and goes, and grows for minutes.
        "MALLOC_ARENA_MAX": "1",
    }
    began = time.monotonic()
    with ExitStack() as stack:

        def start(name: str, *command: str) -> Member:
            log = folder / f"{name}.log"
            member = Member(name, *command, log=log, environment=environment)
            stack.callback(member.stop)
            return member

        gateway = start("gateway", "-m", "tests.soak.gateway")
        gateway.ask()
        url = gateway.answer()["url"]
        worker = start(
            "worker",
            *("-m", "yunxin_soap", "worker", "--ledger", ledger),
            *("--endpoint", url, "--timeout", "1", "--concurrency", "4"),
        )
        threads = start("threads", "-m", "tests.soak.load", "sync", url, ledger)
        tasks = start("tasks", "-m", "tests.soak.load", "async", url, ledger)
        rounds = 0
        while time.monotonic() - began < seconds or rounds < FEWEST_SAMPLES:
            for load in (threads, tasks):
                load.ask()
            told = {load: load.answer()["objects"] for load in (threads, tasks)}
            gateway.ask()
            told[gateway] = gateway.answer()["objects"]
            for member in (threads, tasks, worker, gateway):
                member.sample(told.get(member))
            rounds += 1
        elapsed = time.monotonic() - began
        # The ledger's counts are read by one of them, once nobody sends any more.
        outcomes = Counter(tasks.finish()["outcomes"]) + Counter(threads.finish()["outcomes"])
        worker.stop()
        processed = gateway.finish()
    is_flat = _show([threads, tasks, worker, gateway])
    says = ", ".join(f"{count:,} {name}" for name, count in sorted(outcomes.items()))
    accepted, repeated = processed["accepted"], processed["repeated"]
    agrees = outcomes["accepted"] <= accepted <= outcomes["accepted"] + outcomes["unknown"]
    _say(f"{rounds} rounds in {elapsed:.0f} s; each number got one message: {says}")
    _say(
        f"the gateway accepted {accepted:,} numbers, {len(repeated)} of them more than once"
        f" {repeated[:10] or ''}".rstrip()
        + ("" if agrees else "; this does NOT agree with the outcomes")
    )
    return 0 if is_flat and agrees and not repeated else 1


def _show(members: list[Member]) -> bool:
    """Print the table; return whether all is flat."""
    _say(f"{'process':<9}{'what':<18}{'start':>10}{'end':>10}{'worst':>10}  flat?")
    all_flat = True
    for member in members:
        for quantity in QUANTITIES:
            if quantity.name not in member.samples:
                continue
            found = judge(member.samples[quantity.name], quantity)
            all_flat &= found.is_flat
            name = f"{quantity.name}, {quantity.unit}" if quantity.unit else quantity.name
            figures = "".join(
                f"{value:>10,.1f}" if quantity.unit else f"{value:>10,.0f}"
                for value in (found.start, found.end, found.worst)
            )
            _say(f"{member.name:<9}{name:<18}{figures}  {'yes' if found.is_flat else 'NO'}")
            if not found.is_flat:
                samples = ", ".join(f"{value:,.0f}" for value in member.samples[quantity.name])
                _say(f"{'':<9}its samples: {samples}")
    return all_flat


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
