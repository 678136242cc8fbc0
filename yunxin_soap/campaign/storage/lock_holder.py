"""Which process holds the lock of an SQLite file."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from yunxin_soap.sentences import Sentence

# https://www.sqlite.org/walformat.html, and the "lockable bytes" of SQLite's os.h
_WAL_WRITE_LOCK = 120
_FIRST_LOCK_BYTE, _LAST_LOCK_BYTE = 0x40000000, 0x40000000 + 511
THIS_PROCESS = Sentence("another transaction of this process")
"""The holder of a lock that this process holds: it would wait for itself until the timeout."""


def lock_holder(file: str) -> Sentence | None:
    """Return what holds the write lock of an SQLite file, for an error message.

    Args:
        file: the path of the file.

    Returns:
        Such as ``process 4711 (python)``, or `THIS_PROCESS`; None if that cannot be seen, as on
        other systems than Linux.
    """
    wanted = {
        # With a write-ahead log, the locks are in the file of its index.
        _inode(f"{file}-shm"): (_WAL_WRITE_LOCK, _WAL_WRITE_LOCK),
        _inode(file): (_FIRST_LOCK_BYTE, _LAST_LOCK_BYTE),
    }
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        # 1: POSIX  ADVISORY  WRITE 4711 08:01:131 120 120
        fields = line.split()
        # A process that waits has an arrow, too. SQLite takes no other kind.
        if len(fields) != 8 or (fields[1], fields[3]) != ("POSIX", "WRITE"):
            continue
        locked = wanted.get(fields[5].rpartition(":")[2])
        if locked is not None and _overlap(locked, (int(fields[6]), _last_byte(fields[7]))):
            return _describe(int(fields[4]))
    return None


def _inode(file: str) -> str:
    try:
        return str(os.stat(file).st_ino)  # noqa: PTH116 - in one line with its error
    except OSError:
        return ""


def _overlap(one: tuple[int, int], other: tuple[int, float]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _last_byte(text: str) -> float:
    return float("inf") if text == "EOF" else int(text)


def _describe(pid: int) -> Sentence:
    if pid <= 0:
        return Sentence("a process outside of this container")
    if pid == os.getpid():
        return THIS_PROCESS
    try:
        # Its arguments may hold a password.
        return Sentence("process {pid} ({name})", pid=pid, name=psutil.Process(pid).name())
    except psutil.Error:
        return Sentence("process {pid}", pid=pid)
