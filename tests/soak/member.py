"""The processes of a soak run, seen from outside and from inside.

A member that works in rounds reads a line for each round, and answers with one line of JSON once it
is at rest. Its last answer follows when its input ends.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

CHECKOUT = Path(__file__).parents[2]


class Member:
    """A process of the run.

    Args:
        name: what the table calls it.
        command: its arguments after ``python``.
        log: the file for its standard error.
        environment: its environment; default: that of this process.
    """

    def __init__(
        self,
        name: str,
        *command: str,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.samples: dict[str, list[float]] = {}
        """What was seen of it, by the name of the quantity."""
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                cwd=CHECKOUT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._seen = psutil.Process(self._process.pid)

    def ask(self) -> None:
        """Let it begin its next round."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Wait until it is at rest, and return what it says.

        Raises:
            RuntimeError: it has ended; the text has the end of its log.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def sample(self, objects: int | None) -> None:
        """Take one sample of everything that it holds.

        Args:
            objects: the count of its Python objects, if it has told it.

        Raises:
            RuntimeError: it has ended; the text has the end of its log.
        """
        try:
            with self._seen.oneshot():
                seen: dict[str, float] = {
                    "threads": self._seen.num_threads(),
                    "sockets": len(self._seen.net_connections("all")),
                    "descriptors": self._seen.num_fds(),
                    "memory": self._seen.memory_info().rss / (1 << 20),
                }
        except psutil.Error:
            raise self._ended() from None
        if objects is not None:
            seen["objects"] = objects
        for name, value in seen.items():
            self.samples.setdefault(name, []).append(value)

    def finish(self) -> dict[str, Any]:
        """Let a member that works in rounds end, and return its last answer."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        answer = self.answer()
        if self._process.wait() != 0:
            raise self._ended()
        return answer

    def stop(self) -> None:
        """End it, as an operator does, and wait for it. Stopping it twice is no error."""
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def _ended(self) -> RuntimeError:
        said = self._log.read_text("utf-8", "replace")[-4000:]
        return RuntimeError(f"the process {self.name} has ended too early:\n{said}")


def work_in_rounds(
    one_round: Callable[[], Mapping[str, Any]], last: Callable[[], Mapping[str, Any]]
) -> None:
    """Answer each line of the standard input after a round, until it ends.

    Args:
        one_round: does the work of a round; what it returns is added to the answer.
        last: returns the last answer.
    """
    for _ in sys.stdin:
        said = one_round()
        gc.collect()
        _say({"objects": len(gc.get_objects()), **said})
    _say(last())


def _say(answer: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
