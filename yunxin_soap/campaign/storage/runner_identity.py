"""Who works on a campaign, and whether that process is dead for sure."""

from __future__ import annotations

import contextlib
import os
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path

_alive: set[str] = set()
"""The runners of this process."""


@dataclass(frozen=True)
class Owner:
    """One runner, in one process."""

    id: str
    host: str
    machine: str
    """This boot of this machine, and this set of processes on it; empty where that is not known."""
    pid: int
    started: str
    """When its process started, as its machine counts; empty where that is not known."""

    @classmethod
    def new(cls) -> Owner:
        """Return a new runner of this process, alive until `end`."""
        pid = os.getpid()
        owner = cls(uuid.uuid4().hex, socket.gethostname(), _machine(), pid, _started(pid) or "")
        _alive.add(owner.id)
        return owner

    def end(self) -> None:
        """Let others take over what it may have left."""
        _alive.discard(self.id)

    def is_dead(self) -> bool | None:
        """Whether it has ended for sure; None where that cannot be told from here."""
        if not self.machine or self.machine != _machine():
            return None
        started = _started(self.pid)
        if self.pid == os.getpid() and self.started == started:
            return self.id not in _alive
        return None if started == "" else started != self.started

    def __str__(self) -> str:
        """Say where it runs."""
        return f"process {self.pid} on {self.host}"


def _machine() -> str:
    # Another container has the same boot, and other processes under the same numbers.
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - no path
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """Return when a process started; None if there is none, a zombie included.

    Empty where that cannot be seen, as of another user's process under ``hidepid``.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        if os.name == "nt":  # where to ask would be to interrupt it
            return ""
        with contextlib.suppress(PermissionError):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return None
        return ""
    state, *rest = text.rpartition(")")[2].split()
    return None if state in "ZX" else rest[18]
