"""A file beside an SQLite ledger that keeps some room on its disk.

Once the disk is full, the file is removed, so that what has ended can still be recorded.
"""

from __future__ import annotations

import os
from pathlib import Path

from yunxin_soap.errors import LedgerError
from yunxin_soap.files import make_private
from yunxin_soap.sentences import Sentence

RESERVE_SIZE = 1 << 20
"""Bytes: enough for the endings of some thousand submissions."""


def reserve_of(file: str) -> Path:
    """Return the path of a ledger's reserve."""
    return Path(f"{file}-reserve")


def make_reserve(file: str) -> None:
    """Write the reserve of a ledger, unless it is there.

    Raises:
        LedgerError: the disk has no room for it.
    """
    path = reserve_of(file)
    try:
        if path.exists() and path.stat().st_size >= RESERVE_SIZE:
            return
        # Random bytes need their space on every file system, also on one that compresses.
        unfinished = path.with_name(f"{path.name}-{os.getpid()}")
        try:
            make_private(str(unfinished))
            with unfinished.open("wb") as stream:
                stream.write(os.urandom(RESERVE_SIZE))
                stream.flush()
                os.fsync(stream.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise LedgerError(
            Sentence(
                "There is no room for {path}, of {reserve_size} MiB, without which a full disk "
                "would lose results ({problem}): free some space. Nothing was sent.",
                path=path,
                reserve_size=RESERVE_SIZE >> 20,
                problem=error.strerror,
            )
        ) from None


def release_reserve(file: str) -> bool:
    """Remove the reserve of a ledger; return whether it was there, and could be removed."""
    try:
        reserve_of(file).unlink()
    except OSError:  # it is gone already, or another user's
        return False
    return True
