"""Fuzz the readers of bytes from outside: ``python -m tests.fuzz [--seconds N] [TARGET …]``.

Each target runs in a process of its own, side by side, for N seconds. It starts with valid inputs
and with those that earlier runs have found (``tests/corpus/fuzz/``). A finding is kept in
``artefacts/fuzz/``, and the exit status is 1. ``--grow`` adds new inputs to the corpus, as few as
reach the same code.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fuzz.targets import LONGEST, TARGETS, found_inputs

CHECKOUT = Path(__file__).parents[2]
FINDINGS = CHECKOUT / "artefacts" / "fuzz"
_PACKAGE = str(CHECKOUT / "yunxin_soap")
_Step = tuple[str, int, int]
"""A file, a line, and the line after it."""
_SLOWEST = 20
"""Seconds of one input that count as a finding."""
_STATISTIC = re.compile(r"^stat::(\w+):\s+(\d+)", re.MULTILINE)


def main() -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default 60)")
    parser.add_argument("--grow", action="store_true", help="add new inputs to the corpus")
    options = parser.parse_args()
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    if importlib.util.find_spec("atheris") is None:
        _say('Fuzzing needs atheris, for Python 3.11 to 3.13: pip install -e ".[all,test,fuzz]"')
        return 2
    with tempfile.TemporaryDirectory() as folder:
        return fuzz(options.targets or list(TARGETS), options.seconds, Path(folder), options.grow)


def fuzz(names: list[str], seconds: int, folder: Path, grow: bool) -> int:
    """Fuzz targets side by side, print what came of it, and return the exit status."""
    began = time.monotonic()
    runs = {name: _start(name, seconds, folder / name) for name in names}
    outputs = {name: run.communicate()[0] for name, run in runs.items()}
    elapsed = time.monotonic() - began
    failed = False
    for name, run in runs.items():
        figures = dict(_STATISTIC.findall(outputs[name]))
        executions = int(figures.get("number_of_executed_units", 0))
        added = figures.get("new_units_added", "0")
        summary = f"{name}: {executions:,} executions, {added} new inputs"
        if run.returncode == 0 and executions:
            _say(f"{summary}, no finding")
            if grow:
                _grow(name, folder / name)
        else:
            failed = True
            _say(f"{summary}, a FINDING in {FINDINGS}:\n{outputs[name][-6000:]}")
    _say(f"{len(names)} targets, side by side, {elapsed:.0f} s")
    return int(failed)


def _start(name: str, seconds: int, folder: Path) -> subprocess.Popen[str]:
    """Start the process that fuzzes a target."""
    seeds, new = folder / "seeds", folder / "new"
    for each in (seeds, new, FINDINGS, found_inputs(name)):
        each.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(TARGETS[name].seeds()):
        (seeds / str(number)).write_bytes(content)
    words = folder / "words"
    words.write_text("".join(f'"{_escape(word)}"\n' for word in TARGETS[name].words))
    arguments = (
        new,
        seeds,
        found_inputs(name),
        f"-dict={words}",
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-timeout={_SLOWEST}",
        f"-artifact_prefix={FINDINGS}/{name}-",
        "-print_final_stats=1",
        "-verbosity=0",
    )
    command = [sys.executable, "-m", "tests.fuzz.child", name, *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _grow(name: str, folder: Path) -> None:
    """Add the new inputs that take a way through the code that neither seeds nor corpus take."""
    target, corpus = TARGETS[name], found_inputs(name)
    taken: set[_Step] = set()
    for content in [*target.seeds(), *(path.read_bytes() for path in corpus.iterdir())]:
        taken |= _steps(target.check, content)
    for path in sorted((folder / "new").iterdir(), key=lambda path: path.stat().st_size):
        steps = _steps(target.check, path.read_bytes())
        if not steps <= taken:
            taken |= steps
            (corpus / path.name[:12]).write_bytes(path.read_bytes())


def _steps(check: Callable[[bytes], None], content: bytes) -> set[_Step]:
    """Return each step from a line of the package to another that a check takes."""
    steps: set[_Step] = set()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        file = frame.f_code.co_filename
        if not file.startswith(_PACKAGE):
            return None
        before = frame.f_lineno

        def trace_line(frame: FrameType, event: str, _: object) -> Any:
            nonlocal before
            steps.add((file, before, frame.f_lineno))
            before = frame.f_lineno
            return trace_line

        return trace_line

    sys.settrace(trace)
    try:
        check(content)
    finally:
        sys.settrace(None)
    return steps


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _escape(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    sys.exit(main())
