"""Processes that a round starts, stops and kills, on this machine or as if on another one."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

PATIENCE = 60.0
"""Seconds to wait for a process; longer is a mistake."""
_NEW_MOUNTS, _NEW_HOST, _NEW_PIDS = 0x00020000, 0x04000000, 0x20000000
_RECURSIVE_PRIVATE = 0x4000 | 0x40000

Say = Callable[[str], None]
"""Sends one line from a process to the round."""


class Hung(Exception):
    """A process did not do in time what it was waited for."""


def wait_until(met: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait until a condition is met.

    Raises:
        Hung: it was not met in time.
    """
    give_up = time.monotonic() + seconds
    while not met():
        if time.monotonic() >= give_up:
            raise Hung(f"waited {seconds:.0f} s in vain until {what}")
        time.sleep(0.005)


class Process:
    """A forked process.

    Args:
        name: for messages, and for the file that keeps its standard error.
        work: what it does; it gets a function that sends a line to the round.
        folder: for its standard error.
        machine: where it runs; None: on this machine.
    """

    def __init__(
        self, name: str, work: Callable[[Say], None], folder: Path, machine: Machine | None = None
    ) -> None:
        self.name = name
        self.end: str | None = None
        """How its work ended: empty if well, or the error; None if it was killed."""
        self._lines: list[str] = []
        self._rest = b""
        self._joined = False
        self._reader, writer = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(self._reader)
            errors = os.open(folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(errors, 2)
            if machine is not None:
                _enter(machine, writer)
            _run(work, writer)
        os.close(writer)
        self.pid = self._child
        if machine is not None:
            self.pid = int(self.wait_for("pid").split()[1])

    def wait_for(self, word: str, seconds: float = PATIENCE) -> str:
        """Return the next line that begins with a word; empty if the process ended before.

        Raises:
            Hung: neither came in time.
        """
        give_up = time.monotonic() + seconds
        while True:
            while self._lines:
                line = self._lines.pop(0)
                if line.startswith(word):
                    return line
            if not self._read(give_up - time.monotonic()):
                return ""
            if time.monotonic() >= give_up:
                raise Hung(f"{self.name} did not say {word!r} in {seconds:.0f} s")

    def _read(self, seconds: float) -> bool:
        """Wait for lines; return whether more may follow."""
        if self._joined or not select.select([self._reader], [], [], max(0.0, seconds))[0]:
            return not self._joined
        data = os.read(self._reader, 65536)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            word, _, text = line.decode().partition(" ")
            if word == "end":
                self.end = text
            else:
                self._lines.append(line.decode())
        return bool(data)

    @property
    def is_stopped(self) -> bool:
        """Whether all of it is suspended."""
        return _state(self.pid) == "T"

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return _state(self.pid) in ("", "Z", "X")

    def stop(self) -> None:
        """Suspend it, if it has not ended."""
        self._signal(signal.SIGSTOP)
        wait_until(lambda: self.is_stopped or self.is_over, f"{self.name} is suspended")

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it, and wait for its end."""
        self._signal(signal.SIGKILL)
        self.join()

    def join(self, seconds: float = PATIENCE) -> str | None:
        """Wait for its end, and return how its work ended.

        Raises:
            Hung: it did not end in time.
        """
        if not self._joined:
            give_up = time.monotonic() + seconds
            while self._read(give_up - time.monotonic()):
                if time.monotonic() >= give_up:
                    raise Hung(f"{self.name} did not end in {seconds:.0f} s")
            os.waitpid(self._child, 0)
            os.close(self._reader)
            self._joined = True
        return self.end

    def _signal(self, number: int) -> None:
        if not self._joined:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Machine:
    """Another machine, as far as a runner can tell: host name and processes of its own.

    It shares files and the loopback interface with this one.
    """

    def __init__(self, host: str) -> None:
        reader, writer = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            _libc("unshare", _NEW_MOUNTS | _NEW_HOST | _NEW_PIDS)
            init = os.fork()
            if init == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_IGN)
                _libc("mount", b"none", b"/", None, _RECURSIVE_PRIVATE, None)
                _libc("mount", b"proc", b"/proc", b"proc", 0, None)
                socket.sethostname(host)
                os.write(writer, b".")
                while True:
                    signal.pause()
            os.write(writer, f"{init}\n".encode())
            os.waitpid(init, 0)
            os._exit(0)
        os.close(writer)
        said = b""
        while b"." not in said or b"\n" not in said:
            data = os.read(reader, 100)
            assert data, "no namespaces"
            said += data
        os.close(reader)
        self.init = int(said.replace(b".", b""))

    def close(self) -> None:
        """End all its processes."""
        os.kill(self.init, signal.SIGKILL)
        os.waitpid(self._child, 0)


def small_disk(folder: Path, megabytes: int) -> Path:
    """Give this process, and what it starts, a file system of a few megabytes."""
    disk = folder / "disk"
    disk.mkdir()
    _libc("unshare", _NEW_MOUNTS)
    _libc("mount", b"none", b"/", None, _RECURSIVE_PRIVATE, None)
    _libc("mount", b"none", bytes(disk), b"tmpfs", 0, f"size={megabytes}m".encode())
    return disk


@functools.cache
def namespaces_missing() -> str:
    """Return why neither another machine nor a disk can be made here; empty if they can."""
    if not sys.platform.startswith("linux"):
        return "namespaces need Linux"
    if os.geteuid() != 0:
        return "namespaces need root"
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            _libc("unshare", _NEW_MOUNTS | _NEW_HOST | _NEW_PIDS)
            os._exit(0)
        os._exit(1)
    return "this system allows no namespaces" if os.waitpid(child, 0)[1] else ""


def _enter(machine: Machine, writer: int) -> None:
    """Continue in a child on another machine; this process waits for it, and ends."""
    for kind in ("pid", "uts", "mnt"):
        namespace = os.open(f"/proc/{machine.init}/ns/{kind}", os.O_RDONLY)
        _libc("setns", namespace, 0)
        os.close(namespace)
    child = os.fork()
    if child:
        os.write(writer, f"pid {child}\n".encode())
        os.close(writer)
        os.waitpid(child, 0)
        os._exit(0)


def _run(work: Callable[[Say], None], writer: int) -> None:
    """Do the work, say how it ended, and end."""
    end = "it left by an exit"
    try:
        work(lambda line: _say(writer, line))
        end = ""
    except BaseException as error:  # noqa: BLE001 - the round reads it
        traceback.print_exc()
        end = f"{type(error).__name__}: {error}".replace("\n", " ")
    finally:
        _say(writer, f"end {end}")
        os._exit(0)


def _say(writer: int, line: str) -> None:
    os.write(writer, f"{line}\n".encode())


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _libc(name: str, *args: object) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*args) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
