"""The record file: what survives a kill, and every file that cannot be one."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.support.arrivals import add_arrival
from tests.support.asmx_requests import GOOD
from tests.support.raw_http import exchange, written
from yunxin_soap import ConfigurationError
from yunxin_soap.sandbox import Sandbox
from yunxin_soap.sandbox.arrivals.models import Outcome, StorageError
from yunxin_soap.sandbox.arrivals.sqlite import SqliteArrivals
from yunxin_soap.sandbox.arrivals.store import ArrivalStore, StoreLimits
from yunxin_soap.sandbox.asmx.handler import PATH

FORM = {"Content_Type": "application/x-www-form-urlencoded"}
CALL = written("GET", f"{PATH}/sendMesExt?{urlencode(GOOD)}")


_KILLED = """
import sys
from yunxin_soap import Client
from yunxin_soap.sandbox import ArrivalStore, Sandbox, SqliteArrivals

with Sandbox(store=ArrivalStore(SqliteArrivals(sys.argv[1]))) as sandbox:
    with Client("demo", "demo", channel="37", endpoint=sandbox.url) as client:
        while True:
            print(client.send("13900000000", "您好【签名】").batch_no, flush=True)
"""


def test_record_file_survives_sigkill(tmp_path: Path) -> None:
    """Every arrival whose response was sent is in the file after SIGKILL."""
    path = tmp_path / "record.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        seen = [process.stdout.readline().strip() for _ in range(20)]
        os.kill(process.pid, signal.SIGKILL)
        seen += process.stdout.read().split()
    store = ArrivalStore(SqliteArrivals(path))
    try:
        kept = [arrival.batch_no for arrival in store.arrivals]
        # The client may not have received the last response.
        assert kept[: len(seen)] == seen
        assert len(kept) - len(seen) in (0, 1)
        assert store.times_accepted("13900000000") == len(kept)
    finally:
        store.close()


def test_record_file_continues_after_reopening(tmp_path: Path) -> None:
    """Arrivals, ids and counts continue; `clear` empties the file."""
    path = tmp_path / "record.sqlite"
    first = ArrivalStore(SqliteArrivals(path))
    before = add_arrival(
        first, batch_no="1", recipients=("13900000000",), protocol="soap", fault="delay"
    )
    add_arrival(first, outcome=Outcome.MALFORMED, result="x", http_status=400)
    first.close()
    second = ArrivalStore(SqliteArrivals(path))
    assert second.arrivals[0] == before
    assert add_arrival(second, batch_no="2", recipients=("13900000000",)).id == 3
    assert second.times_accepted("13900000000") == 2
    second.clear()
    second.close()
    third = ArrivalStore(SqliteArrivals(path))
    assert (third.arrivals, third.accepted_numbers) == ((), {})
    third.close()


def test_record_file_counts_dropped_arrivals(tmp_path: Path) -> None:
    """Arrivals beyond memory are counted as dropped, also after reopening."""
    limits = StoreLimits(max_arrivals=3)
    path = tmp_path / "record.sqlite"
    for dropped in (2, 7):
        store = ArrivalStore(SqliteArrivals(path), limits=limits)
        for _ in range(5):
            add_arrival(store, message="x")
        assert (store.kept, store.dropped) == (3, dropped)
        store.close()
    store = ArrivalStore(SqliteArrivals(path))
    store.clear()
    store.close()
    again = ArrivalStore(SqliteArrivals(path))
    assert add_arrival(again).id == 11
    again.close()


def test_record_file_is_private(tmp_path: Path) -> None:
    """Only the owner can read the file and SQLite's files beside it."""
    store = ArrivalStore(SqliteArrivals(tmp_path / "record.sqlite"))
    add_arrival(store)
    files = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}
    store.close()
    lock = files.pop("record.sqlite-lock")
    assert files == dict.fromkeys(
        ("record.sqlite", "record.sqlite-shm", "record.sqlite-wal"), 0o600
    )
    assert lock  # the lock file has no content to protect


def test_record_file_is_locked_by_one_sandbox(tmp_path: Path) -> None:
    """A second sandbox gets an error that names the file, until the first closes it."""
    path = tmp_path / "record.sqlite"
    first = SqliteArrivals(path)
    with pytest.raises(
        ConfigurationError, match=f"{path} cannot be opened: another sandbox uses it"
    ):
        SqliteArrivals(path)
    first.close()
    SqliteArrivals(path).close()


def test_record_file_with_hard_links_is_an_error(tmp_path: Path) -> None:
    """A file with two names could be locked twice, so it is an error."""
    path, other = tmp_path / "a.sqlite", tmp_path / "b.sqlite"
    first = SqliteArrivals(path)
    other.hardlink_to(path)
    with pytest.raises(ConfigurationError, match="hard links"):
        SqliteArrivals(other)
    first.close()


@pytest.mark.parametrize("replaced", [False, True])
def test_record_file_moved_meanwhile_accepts_nothing(tmp_path: Path, replaced: bool) -> None:
    """A file that was moved or replaced is a 500, and nothing is accepted."""
    path = tmp_path / "record.sqlite"
    with closing(ArrivalStore(SqliteArrivals(path))) as store, Sandbox(store=store) as sandbox:
        path.rename(tmp_path / "elsewhere")
        if replaced:
            path.touch()
        assert exchange(sandbox, CALL).status == 500
        assert sandbox.inbox == ()


def test_record_file_failed_write_is_rolled_back(tmp_path: Path) -> None:
    """A submission that cannot be stored costs no balance."""
    path = tmp_path / "record.sqlite"
    with (
        closing(ArrivalStore(SqliteArrivals(path))) as store,
        Sandbox(store=store) as sandbox,
        closing(sqlite3.connect(path)) as other,
    ):
        sandbox.inject_fault("balance", left=2)
        other.execute("BEGIN IMMEDIATE")
        assert [exchange(sandbox, CALL).status for _ in range(2)] == [500, 500]
        other.rollback()
        assert [b">-7<" in exchange(sandbox, CALL).body for _ in range(3)] == [False, False, True]
        assert len(sandbox.inbox) == 2


_FULL = """
import sys
from yunxin_soap import Client, OutcomeUnknown
from yunxin_soap.sandbox import ArrivalStore, Sandbox, SqliteArrivals

with Sandbox(store=ArrivalStore(SqliteArrivals(sys.argv[1]))) as sandbox:
    with Client("demo", "demo", channel="37", endpoint=sandbox.url) as client:
        for sent in range(1000):
            try:
                client.send("13900000000", "您好【签名】")
            except OutcomeUnknown as error:
                print(error.http_status, sent - sandbox.times_accepted("13900000000"))
                print(sandbox.arrivals[-1].outcome.value, sent - len(sandbox.inbox))
                break
"""


def test_record_file_full_disk_is_a_500_and_one_log_line(tmp_path: Path) -> None:
    """On a full disk the client gets 500, and the log one line."""
    path = tmp_path / "record.sqlite"
    # No file may grow beyond 400 blocks of 512 bytes.
    limited = ["/bin/sh", "-c", 'ulimit -f 400; exec "$@"', "sh"]
    done = subprocess.run(
        [*limited, sys.executable, "-c", _FULL, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "500 0\nfailed 0\n"
    assert done.stderr.startswith(f"The record {path} cannot be written (")
    assert done.stderr.count("cannot be written") == 1
    kept = ArrivalStore(SqliteArrivals(path))
    assert kept.times_accepted("13900000000") == len(kept.arrivals) > 0
    kept.close()


def test_record_file_other_file_is_an_error(tmp_path: Path) -> None:
    """Another file is an error and stays as it is."""
    text = tmp_path / "text"
    text.write_text("no database" * 100)
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        SqliteArrivals(text)
    assert text.read_text() == "no database" * 100
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE t (x)")
    database.close()
    with pytest.raises(ConfigurationError, match="no record of this sandbox"):
        SqliteArrivals(other)
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        SqliteArrivals(tmp_path / "missing" / "record.sqlite")


def test_record_file_failed_clear_keeps_everything(tmp_path: Path) -> None:
    """If the file cannot be cleared, memory keeps the arrivals too."""
    path = tmp_path / "record.sqlite"
    file = SqliteArrivals(path, busy_timeout=0.01)
    with Sandbox(store=ArrivalStore(file)) as sandbox, closing(sqlite3.connect(path)) as other:
        assert (
            exchange(
                sandbox, written("POST", f"{PATH}/sendMesExt", urlencode(GOOD).encode(), **FORM)
            ).status
            == 200
        )
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="cannot be cleared"):
            sandbox.store.clear()
        gone = exchange(sandbox, written("DELETE", "/api/v1/arrivals"))
        assert (gone.status, gone.content_type) == (500, "application/json; charset=utf-8")
        assert len(sandbox.arrivals) == len(sandbox.inbox) == 1
    file.close()


def test_record_file_lock_follows_symbolic_links(tmp_path: Path) -> None:
    """A symbolic link leads to the same lock; a file needs a name."""
    path, link = tmp_path / "record.sqlite", tmp_path / "link.sqlite"
    link.symlink_to(path)
    first = SqliteArrivals(path)
    with pytest.raises(ConfigurationError, match="another sandbox uses it"):
        SqliteArrivals(link)
    first.close()
    with pytest.raises(ConfigurationError, match="has no name"):
        SqliteArrivals("")


def test_record_file_damaged_is_an_error(tmp_path: Path) -> None:
    """A damaged file is an error."""
    path = tmp_path / "record.sqlite"
    store = ArrivalStore(SqliteArrivals(path))
    for _ in range(200):
        add_arrival(store)
    store.close()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + os.urandom(len(content) // 2))
    with pytest.raises(ConfigurationError, match=r"cannot be (read|opened)"):
        ArrivalStore(SqliteArrivals(path))
