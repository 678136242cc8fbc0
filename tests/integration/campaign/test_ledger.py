"""Opening a ledger, purging it, and what a failing database does to a run."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typing_extensions import Self

from tests.integration.campaign.conftest import ManualRunner, ended, transaction, wait_for_locks
from tests.support.lists import TEXT, numbers
from tests.support.ports import free_port
from yunxin_soap import (
    AsyncClient,
    Client,
    ConfigurationError,
    ContentConflict,
    InvalidRequest,
    LedgerError,
    NotInLedger,
    RecipientsRejected,
)
from yunxin_soap.campaign import AsyncLedger, Ledger, Progress, State
from yunxin_soap.campaign.storage import transitions
from yunxin_soap.campaign.storage.plans import Plans
from yunxin_soap.campaign.storage.schema import campaign, submission
from yunxin_soap.sandbox import Sandbox

Make = Callable[[], AsyncClient]
Manual = Callable[..., ManualRunner]


def test_ledger_file_of_something_else_is_an_error_and_unchanged(tmp_path: Path) -> None:
    """A file that is not a ledger is an error, and stays unchanged."""
    text = tmp_path / "text"
    text.write_text("no database" * 1000)
    with pytest.raises(LedgerError, match="file is not a database"):
        Ledger(text)
    assert text.read_text() == "no database" * 1000
    with pytest.raises(LedgerError, match="cannot be used"):
        Ledger(tmp_path / "missing" / "ledger.sqlite")
    for gone in (
        "sqlite://",
        ":memory:",
        "sqlite:///:memory:",
    ):
        with pytest.raises(LedgerError, match="must survive the process"):
            Ledger(gone)
    for uri in ("file:x?mode=memory&uri=1", "file:/x?vfs=memdb&uri=true", "file:x?uri=true"):
        with pytest.raises(LedgerError, match="by its path, not by an SQLite URI"):
            Ledger(f"sqlite:///{uri}")
    with pytest.raises(LedgerError, match="MySQL or MariaDB database, not 'oracle'"):
        Ledger("oracle://localhost/x")
    with pytest.raises(ConfigurationError, match="There is no ledger"):
        Ledger()


def test_ledger_path_of_no_regular_file_is_an_error(tmp_path: Path) -> None:
    """A folder, a device and a pipe are an error, and are not read."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (tmp_path, "/dev/zero", pipe):
        with pytest.raises(
            LedgerError, match=r"cannot be used: it is no regular file\. Name another file\.$"
        ):
            Ledger(path)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else"
)
def test_ledger_in_a_folder_of_somebody_else_is_an_error() -> None:
    """A folder that this user may not look into is an error of the ledger."""
    with tempfile.TemporaryDirectory() as private:
        (Path(private) / "folder").mkdir()
        for path in (Path(private) / "folder" / "ledger", Path(private) / "ledger"):
            done = subprocess.run(
                [sys.executable, "-c", _BY_NOBODY, path], capture_output=True, text=True, timeout=60
            )
            assert (done.returncode, done.stderr) == (0, "")
            assert (
                done.stdout
                == f"The ledger {path} cannot be used (unable to open database file): check its"
                " address, its permissions and its server.\n"
            )


_BY_NOBODY = """
import os, sys
import sqlalchemy.dialects.sqlite  # which nobody may be unable to read
from yunxin_soap import LedgerError
from yunxin_soap.campaign import Ledger
from yunxin_soap.campaign.storage import dialects

os.setuid(65534)
try:
    Ledger(sys.argv[1])
except LedgerError as error:
    print(error)
"""


def test_ledger_after_fork_has_own_connections(ledger_url: str) -> None:
    """Parent and children of a fork use one ledger at the same time."""
    # A process that forks must have no threads, so this one forks in a process of its own.
    done = subprocess.run(
        [sys.executable, "-c", _FORKS, ledger_url], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


_FORKS = """
import os, sys
from yunxin_soap.campaign import Ledger
from tests.integration.campaign.conftest import wait_for_locks
from tests.support.lists import TEXT, numbers

ledger = Ledger(sys.argv[1])
ledger.plan("a", numbers(50), TEXT, channel=37, max_recipients=1)
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        status = 1
        try:
            for number in numbers(50):
                assert ledger.find(number)[0].campaign == "a"
            status = 0
        finally:
            os._exit(status)
    children.append(child)
for number in numbers(50):
    assert ledger.find(number)[0].campaign == "a"
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
ledger.close()
"""


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://u:pa@s3cret@127.0.0.1:1/x",
        "PostgreSQL://u:s3cret@127.0.0.1:1/x",
        "postgres://u:s3cret@127.0.0.1:1/x",
        "jdbc:postgresql://u:s3cret@127.0.0.1:1/x",
        " postgresql://u:s3cret@127.0.0.1:1/x",
        "postgresql:/u:s3cret@127.0.0.1:1/x",
        "postgresql://u:p@s3cret/w@127.0.0.1:1/x",
        "postgresql://u:p@s3cret?w@127.0.0.1:1/x",
        "mysql://u:s3cret@127.0.0.1:1/x",
        "mariadb://u:pa@s3cret@127.0.0.1:1/x",
    ],
)
def test_ledger_invalid_url_error_shows_no_password(address: str) -> None:
    """No error about an address shows the password in it."""
    with pytest.raises(LedgerError) as caught:
        Ledger(address)
    assert "s3cret" not in str(caught.value)


def test_ledger_sqlite_commits_survive_a_power_cut(tmp_path: Path) -> None:
    """An SQLite ledger syncs each commit, and has a write-ahead log."""
    with transaction(tmp_path / "l.sqlite") as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_ledger_server_that_vanishes_is_noticed(on_server: str) -> None:
    """A connection whose other end is gone is given up after half a minute."""
    with transaction(on_server) as connection:
        driver: Any = connection.connection.driver_connection
        assert driver.info.get_parameters()["tcp_user_timeout"] == "30000"


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_ledger_server_lock_timeout_is_an_error(
    ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock on a server is waited for only so long."""
    monkeypatch.setattr("yunxin_soap.campaign.storage.dialects.LOCK_TIMEOUT", 1)
    with Ledger(ledger_url) as ledger:
        ledger.plan("a", numbers(2), TEXT, channel=37)
        with transaction(ledger_url) as suspended:
            suspended.execute(sa.update(campaign).values(reason="x"))
            with pytest.raises(LedgerError, match=r"[Ll]ock (wait )?timeout"):
                ledger.resume("a")


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_plan_same_campaign_meanwhile_waits_longer_than_other_locks(
    ledger: Ledger, ledger_url: str, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second plan of the same campaign waits longer than for other locks."""
    monkeypatch.setattr("yunxin_soap.campaign.storage.dialects.LOCK_TIMEOUT", 1)
    insert, inserted = Plans._insert, threading.Event()

    def slow(*args: Any) -> None:
        insert(*args)
        inserted.set()
        wait_for_locks(engine, 1)
        time.sleep(1.2)  # longer than the timeout of other locks

    with Ledger(ledger_url) as other, ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(Plans, "_insert", slow)
        first = pool.submit(ledger.plan, "a", numbers(5), TEXT, channel=37)
        assert inserted.wait(30)
        monkeypatch.setattr(Plans, "_insert", insert)
        assert other.plan("a", numbers(5), TEXT, channel=37).existing
        assert not first.result(30).existing


def test_results_during_a_split_yield_each_number_once(
    ledger: Ledger, manual_runner: Manual
) -> None:
    """Results that are read while submissions are split yield each number once."""
    ledger.plan("a", numbers(2000), TEXT, channel=37, max_recipients=2)
    exported = ledger.results("a")
    seen = [next(exported).number]
    runner = manual_runner()
    runner.exchange(*(ended(each, State.SPLIT, code=-14) for each in runner.claim(5)))
    seen += [each.number for each in exported]
    assert sorted(seen) == numbers(2000)


def test_once_send_locked_ledger_error_says_nothing_was_sent(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the ledger stays locked, the error says that the call sent nothing."""
    monkeypatch.setattr("yunxin_soap.campaign.storage.dialects.BUSY_TIMEOUT", 0.1)
    with Ledger(tmp_path / "l.sqlite") as ledger:
        writer = sqlite3.connect(tmp_path / "l.sqlite", isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        with Client("demo", "demo", channel="37", endpoint=sandbox.url) as sender:
            with pytest.raises(LedgerError, match=r"is locked: .*\): this call sent nothing"):
                ledger.once.send(sender, "k", "13900000000", TEXT)
            writer.close()
            assert ledger.once.send(sender, "k", "13900000000", TEXT).batch_no
    assert sandbox.times_accepted("13900000000") == 1


def test_ledger_unreachable_server_error_shows_no_password() -> None:
    """The error for an unreachable server does not show the password."""
    with pytest.raises(LedgerError) as caught:
        Ledger("postgresql://somebody:secret-word@127.0.0.1:1/x")
    assert "secret-word" not in str(caught.value)


def test_ledger_newer_version_is_an_error(ledger_url: str) -> None:
    """A ledger of a newer version is an error."""
    Ledger(ledger_url).close()
    with transaction(ledger_url) as connection:
        connection.execute(sa.text("UPDATE yunxin_ledger SET version = 99"))
    with pytest.raises(LedgerError, match=r"has version 99, and this package supports .* to 1"):
        Ledger(ledger_url)


def test_ledger_older_version_is_migrated(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger of an older version is migrated, once."""
    Ledger(ledger_url).close()
    monkeypatch.setattr("yunxin_soap.campaign.storage.schema.VERSION", 3)
    monkeypatch.setattr(
        "yunxin_soap.campaign.storage.schema.MIGRATIONS",
        {2: ("CREATE TABLE two (x INTEGER)",), 3: ("INSERT INTO two VALUES (3)",)},
    )
    for _ in range(2):
        with transaction(ledger_url) as connection:
            assert connection.scalars(sa.text("SELECT x FROM two")).all() == [3]
            assert connection.scalar(sa.text("SELECT version FROM yunxin_ledger")) == 3


@pytest.fixture
def read_only() -> Iterator[None]:
    """Make SQLite read-only by a setting: root may write to any file."""

    def refuse(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA query_only = ON")

    sa.event.listen(sa.Engine, "connect", refuse)
    yield
    sa.event.remove(sa.Engine, "connect", refuse)


def test_ledger_read_only_can_be_read_but_not_written(
    tmp_path: Path, sandbox: Sandbox, client: Client, request: pytest.FixtureRequest
) -> None:
    """A read-only ledger can be read; whatever writes is an error, and nothing is sent."""
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.plan("a", numbers(5), TEXT, channel=37)
    request.getfixturevalue("read_only")
    with Ledger(path) as ledger:
        assert ledger.status("a").planned == 5
        with pytest.raises(LedgerError, match="readonly"):
            ledger.run("a", client)
        with pytest.raises(LedgerError, match="readonly"):
            ledger.plan("b", numbers(5), TEXT, channel=37)
        with pytest.raises(LedgerError, match="readonly"):
            ledger.resume("a")
    assert sandbox.arrivals == ()


def test_status_does_not_wait_for_a_writer(ledger_url: str) -> None:
    """Readers do not wait for a writer."""
    with Ledger(ledger_url) as ledger:
        ledger.plan("a", numbers(5), TEXT, channel=37)
        with transaction(ledger_url) as writer, Ledger(ledger_url, create=False) as other:
            writer.execute(sa.update(submission).values(reason="x"))
            assert other.status("a").planned == 5


@pytest.mark.parametrize("instead", ["nothing", "another"])
def test_run_moved_ledger_file_ends_the_run(
    tmp_path: Path, sandbox: Sandbox, client: Client, instead: str
) -> None:
    """A run ends once its ledger file is gone; the error names what was accepted."""
    path, another = tmp_path / "ledger.sqlite", tmp_path / "another.sqlite"
    for each in (path, another):
        with Ledger(each) as ledger:
            ledger.plan("a", numbers(40), TEXT, channel=37, max_recipients=1)

    def on_progress(progress: Progress) -> None:
        if progress.submissions >= 3 and another.exists():
            if instead == "nothing":
                path.unlink()
                another.unlink()
            else:
                another.replace(path)

    with Ledger(path) as ledger:
        with pytest.raises(LedgerError, match="its file was moved, deleted or replaced") as caught:
            ledger.run("a", client, concurrency=2, on_progress=on_progress)
        for _ in range(2):
            with pytest.raises(LedgerError, match="its file was moved"):
                ledger.status("a")
            ledger.close()  # so that it connects anew
        assert path.exists() is (instead == "another")
    accepted = sandbox.accepted_numbers
    assert 3 <= len(accepted) <= 8
    # It is recorded nowhere else now.
    assert any(f" as {each.batch_no}" in str(caught.value) for each in sandbox.inbox)


def test_ledger_corrupt_file_is_an_error(tmp_path: Path) -> None:
    """A corrupt file is a `LedgerError`."""
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.plan("a", numbers(5000), TEXT, channel=37, max_recipients=5)
    content = bytearray(path.read_bytes())
    content[4096 : len(content) - 4096] = os.urandom(len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="malformed"), Ledger(path) as ledger:
        ledger.status("a")


def test_ledger_relative_path_survives_a_change_of_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger is found again after the process changed its directory."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    for ledger_url in ("ledger.sqlite", "sqlite:///other.sqlite"):
        with Ledger(ledger_url) as ledger:
            ledger.plan("a", numbers(5), TEXT, channel=37)
            monkeypatch.chdir(tmp_path / "elsewhere")
            ledger.close()  # so that it connects anew
            assert ledger.status("a").planned == 5
        monkeypatch.chdir(tmp_path)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_ledger_create_false_changes_no_file(tmp_path: Path) -> None:
    """With ``create=False``, no file is created or changed."""
    empty, other = tmp_path / "empty", tmp_path / "other.sqlite"
    empty.touch()
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE t (x)")
    database.close()
    before = other.read_bytes()
    for path in (empty, other, tmp_path / "missing"):
        with pytest.raises(LedgerError):
            Ledger(path, create=False)
    assert other.read_bytes() == before
    assert empty.read_bytes() == b""
    assert {each.name for each in tmp_path.iterdir()} == {"empty", "other.sqlite"}


def test_ledger_behind_a_link_is_private_and_has_a_wal(tmp_path: Path) -> None:
    """A ledger behind a symbolic link is readable by its owner alone, and has a write-ahead log."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "a" / "link").symlink_to(tmp_path / "b" / "c")
    (tmp_path / "dangling").symlink_to(tmp_path / "b" / "d.sqlite")
    for name in ("a/link/../q.sqlite", "dangling"):
        with transaction(tmp_path / name) as connection:
            assert connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
    made = {str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*.sqlite")}
    assert made == {"b/q.sqlite", "b/d.sqlite"}
    assert {(tmp_path / each).stat().st_mode & 0o777 for each in made} == {0o600}


def test_ledger_version_zero_is_damaged(ledger_url: str) -> None:
    """A version below 1 is an error."""
    with transaction(ledger_url) as connection:
        connection.execute(sa.text("UPDATE yunxin_ledger SET version = 0"))
    with pytest.raises(LedgerError, match="is damaged: it has version 0"):
        Ledger(ledger_url)


def test_ledger_missing_table_is_one_clear_error(
    ledger_url: str, sandbox: Sandbox, client: Client
) -> None:
    """A missing table is a one-line error without a number, whatever is called."""
    with Ledger(ledger_url) as ledger:
        ledger.plan("a", numbers(5), TEXT, channel=37)
        with transaction(ledger_url) as connection:
            connection.execute(sa.text("DROP TABLE yunxin_recipients"))
        calls: list[Callable[[], object]] = [
            lambda: list(ledger.results("a")),
            lambda: ledger.find(numbers(1)[0]),
            lambda: ledger.run("a", client),
            lambda: ledger.purge(older_than=0),
            lambda: ledger.once.send(sender, "k", numbers(1), TEXT),
        ]
        with Client("demo", "demo", channel="37", endpoint=sandbox.url) as sender:
            for call in calls:
                with pytest.raises(LedgerError, match="yunxin_recipients") as caught:
                    call()
                assert numbers(1)[0] not in str(caught.value)
                assert "\n" not in str(caught.value)
    assert sandbox.arrivals == ()


_FULL = """
import logging
import sys
from yunxin_soap import Client, LedgerError
from yunxin_soap.campaign import Ledger

# What is in flight may become unknown, which is logged as well.
logging.getLogger("yunxin_soap").addHandler(logging.NullHandler())
with Ledger(sys.argv[1]) as ledger:
    client = Client("demo", "demo", channel=37, endpoint=sys.argv[2])
    try:
        ledger.run("a", client, concurrency=4)
    except LedgerError as error:
        print(error)
"""


def test_run_full_disk_ends_with_an_error(tmp_path: Path, sandbox: Sandbox, client: Client) -> None:
    """A full disk ends the run; the error names what was accepted, and nothing is sent twice."""
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.plan("a", numbers(12_000), TEXT, channel=37, max_recipients=1)
    size = path.stat().st_size // 512 + 200
    limited = ["/bin/sh", "-c", f'ulimit -f {size}; exec "$@"', "sh"]
    done = subprocess.run(
        [*limited, sys.executable, "-c", _FULL, str(path), sandbox.url],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "The ledger cannot be written (" in done.stdout, done
    assert done.stderr == ""  # the error is printed once
    accepted = re.findall(r"submission ([0-9]+) as ([0-9]{19})", done.stdout)
    batches = {each.batch_no: each.recipients for each in sandbox.arrivals}
    with Ledger(path) as ledger:
        for submit_id, batch_no in accepted:
            (number,) = batches[batch_no]
            (found,) = ledger.find(number)
            assert found.submission_id == int(submit_id)
    arrived = len(sandbox.arrivals)
    assert 0 < arrived < 12_000
    with Ledger(path) as ledger:
        ledger.resume("a")
        status = ledger.run("a", client)
        assert status.submissions[State.UNKNOWN] <= 4
        assert status.numbers[State.ACCEPTED] + status.numbers[State.UNKNOWN] == 12_000
        recorded = {each.number for each in ledger.results("a") if each.state is State.ACCEPTED}
    assert recorded <= set(sandbox.accepted_numbers)
    assert set(sandbox.accepted_numbers.values()) == {1}


def end_plan(connection: sa.Connection) -> bool:
    """End the session that writes submissions; return whether there was one."""
    if connection.dialect.name == "postgresql":
        kill = sa.text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'COPY yunxin_submission%'"
            " AND state = 'active'"
        )
        return bool(connection.execute(kill).all())
    busy = sa.text(
        "SELECT id FROM information_schema.processlist"
        " WHERE db = database() AND info LIKE 'INSERT INTO yunxin_submission%'"
    )
    found = connection.scalars(busy).all()
    for each in found:
        connection.execute(sa.text(f"KILL {each}"))
    return bool(found)


@pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)
def test_plan_lost_server_leaves_no_campaign(ledger: Ledger, ledger_url: str) -> None:
    """If the server is lost during a plan, there is no campaign, and it can be repeated."""
    rows = [{"phone": number, "name": number} for number in numbers(50_000)]
    with Ledger(ledger_url) as other, ThreadPoolExecutor(1) as pool:
        planned = pool.submit(ledger.plan, "a", rows, "您好{name}【签名】", channel=37)
        while not planned.done():
            with transaction(ledger_url) as connection:
                if end_plan(connection):
                    break
        with pytest.raises(LedgerError, match="The ledger cannot be used"):
            planned.result(60)
        assert other.campaigns() == []
        assert ledger.plan("a", rows, "您好{name}【签名】", channel=37).numbers == 50_000


def test_run_restarted_server_is_waited_for(
    postgresql_server: None, sandbox: Sandbox, async_client: Make
) -> None:
    """A run goes on after its server crashed and was started again."""
    with _Postgres() as postgres:

        async def main() -> None:
            half = asyncio.Event()

            def on_progress(progress: Progress) -> None:
                if progress.submissions > 50:
                    half.set()

            async with async_client() as sender, AsyncLedger(postgres.url) as ledger:
                await ledger.plan("a", numbers(400), TEXT, channel=37, max_recipients=1)
                task = asyncio.create_task(
                    ledger.run(
                        "a",
                        sender,
                        concurrency=8,
                        on_progress=lambda progress: (
                            half.set() if progress.submissions > 50 else None
                        ),
                    )
                )
                await half.wait()
                await asyncio.to_thread(postgres.stop)
                before = len(sandbox.arrivals)
                await asyncio.to_thread(postgres.start)
                status = await task
                assert before < 400
                assert status.numbers[State.ACCEPTED] == 400

        with sandbox.inject_fault("delay", seconds=0.01, times=None):
            asyncio.run(main())
    assert sandbox.accepted_numbers == dict.fromkeys(numbers(400), 1)


class _Postgres:
    """A server of one's own, which may be stopped."""

    def __init__(self) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        if not found:
            pytest.skip("no PostgreSQL server is installed")
        self._bin = found[-1].parent
        # Not in pytest's folder: another pytest may make that unreadable for other users.
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._data = Path(self._folder.name) / "data"
        self._log = Path(self._folder.name) / "log"
        self._as: list[str] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Self:
        self.port = free_port()
        self._data.mkdir()
        if os.getuid() == 0:  # PostgreSQL does not run as root
            self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
            subprocess.run(["chown", "-R", "postgres", self._folder.name], check=True)
        initdb = [*self._as, str(self._bin / "initdb"), "-D", str(self._data)]
        subprocess.run([*initdb, "-U", "postgres", "-A", "trust"], check=True, capture_output=True)
        self.start()
        return self

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [*self._as, str(self._bin / "postgres"), "-D", str(self._data), *options.split()],
                stderr=log,
            )
        is_ready = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        give_up = time.monotonic() + 60
        while subprocess.run(is_ready, check=False).returncode:
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < give_up, "the server does not answer"

    def stop(self) -> None:
        self._process.send_signal(signal.SIGQUIT)  # immediate shutdown, as in a crash
        self._process.wait(60)

    def __exit__(self, *_error: object) -> None:
        self.stop()
        self._folder.cleanup()


def test_purge_deletes_numbers_and_texts_but_no_counts(
    ledger: Ledger, client: Client, ledger_url: str
) -> None:
    """A purge deletes numbers and texts, and keeps the counts."""
    ledger.plan("a", [*numbers(7), "13"], TEXT, channel=37, max_recipients=5)
    ledger.run("a", client)
    ledger.plan("b", numbers(3), "还没有发【签名】", channel=37)
    assert ledger.purge(older_than=3600) == 0
    time.sleep(0.01)
    assert ledger.purge(older_than=0) == 7
    assert ledger.status("a").numbers[State.ACCEPTED] == 7
    assert not list(ledger.results("a"))
    assert not list(ledger.skipped_lines("a"))
    assert [found.campaign for found in ledger.find(numbers(1)[0])] == ["b"]
    assert ledger.find(numbers(1)[0])[0].message == "还没有发【签名】"
    with transaction(ledger_url) as connection:
        tables = sa.inspect(connection).get_table_names()
        kept = [
            str(row)
            for table in tables
            if table not in ("yunxin_content", "yunxin_recipients")
            for row in connection.execute(sa.text(f"SELECT * FROM {table}"))
        ]
    # Compare whole numbers: a batch number, a time or a digest may contain any few digits.
    assert not [row for row in kept if TEXT in row or any(each in row for each in numbers(7))]
    with pytest.raises(ContentConflict, match="The numbers of the campaign 'a' were purged"):
        ledger.plan("a", [*numbers(7), "13"], TEXT, channel=37)


def test_purge_overwrites_the_file(tmp_path: Path, client: Client) -> None:
    """What is purged is not in the SQLite file or its log any more."""
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger, Ledger(path) as other:
        ledger.plan("a", [*numbers(700), "13"], TEXT, channel=37, max_recipients=50)
        ledger.run("a", client)
        assert other.status("a").planned == 700
        time.sleep(0.01)
        assert ledger.purge(older_than=0) == 700
        held = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert b"13910000" not in held
    assert TEXT.encode() not in held


def test_purge_while_reading_says_what_is_still_in_the_file(
    tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a reader keeps deleted data in the file, the purge says so."""
    monkeypatch.setattr("yunxin_soap.campaign.storage.dialects.BUSY_TIMEOUT", 0.2)
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger, Ledger(path) as other:
        ledger.plan("a", numbers(700), TEXT, channel=37, max_recipients=50)
        ledger.run("a", client)
        reader = other.results("a")
        next(reader)
        time.sleep(0.01)
        with pytest.raises(LedgerError, match="700 numbers were deleted, and are still in the"):
            ledger.purge(older_than=0)
        assert len(list(reader)) == 699
        assert ledger.purge(older_than=0) == 0
        held = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert b"13910000" not in held


def test_results_many_readers_at_once(ledger: Ledger) -> None:
    """Forty readers at once get their rows."""
    ledger.plan("a", numbers(5), TEXT, channel=37)
    looking = [ledger.results("a") for _ in range(40)]
    assert all(next(each) for each in looking)
    assert ledger.status("a").planned == 5
    for each in looking:
        each.close()  # type: ignore[attr-defined]


def test_ledger_server_isolation_is_read_committed(on_server: str) -> None:
    """Transactions are READ COMMITTED, whatever the server's default is."""
    with transaction(on_server) as connection:
        name = sa.make_url(on_server).database
        connection.execute(
            sa.text(f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'")
        )
    with transaction(on_server) as connection:
        assert connection.scalar(sa.text("SHOW transaction_isolation")) == "read committed"


def test_purge_during_retry_waits(
    ledger_url: str, sandbox: Sandbox, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A purge does not delete what a retry is making pending."""
    with Ledger(ledger_url) as ledger, Ledger(ledger_url) as other, ThreadPoolExecutor(1) as pool:
        ledger.plan("a", numbers(2), TEXT, channel=37)
        sandbox.inject_fault("code", code="-14")
        assert ledger.run("a", client).codes == {-14: 2}
        time.sleep(0.01)
        purges: list[Future[int]] = []
        decide = transitions.decide

        def decided(*args: Any, **options: Any) -> None:
            decide(*args, **options)
            purges.append(pool.submit(other.purge, older_than=0))
            wait(purges, timeout=0.3)  # time enough for the purge, if nothing stopped it

        monkeypatch.setattr(transitions, "decide", decided)
        assert ledger.retry("a", by="test") == 1
        assert purges[0].result() == 0
        assert ledger.run("a", client).numbers[State.ACCEPTED] == 2


def test_retry_during_purge_waits(ledger_url: str, sandbox: Sandbox, client: Client) -> None:
    """A retry makes nothing pending whose numbers a purge is deleting."""
    with Ledger(ledger_url) as ledger, Ledger(ledger_url) as other, ThreadPoolExecutor(2) as pool:
        ledger.plan("a", numbers(2), TEXT, channel=37)
        sandbox.inject_fault("code", code="-14", times=2)
        assert ledger.run("a", client).codes == {-14: 2}
        with pytest.raises(RecipientsRejected):
            ledger.once.send(client, "k", numbers(1), TEXT)
        time.sleep(0.01)
        retries: list[Future[Any]] = []

        def deleted(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if statement.startswith("DELETE FROM yunxin_recipients"):
                retries.append(pool.submit(other.retry, "a", by="test"))
                retries.append(pool.submit(other.once.retry, "k", by="test"))
                wait(retries, timeout=0.5)  # time enough for the retries, if nothing stopped them

        sa.event.listen(sa.Engine, "after_cursor_execute", deleted)
        try:
            assert ledger.purge(older_than=0) == 3
        finally:
            sa.event.remove(sa.Engine, "after_cursor_execute", deleted)
        assert retries[0].result() == 0
        with pytest.raises(NotInLedger):
            retries[1].result()
        assert ledger.status("a").numbers[State.PENDING] == 0
        assert ledger.once.counts()[State.PENDING] == 0


def test_ledger_server_commits_are_synchronous(on_server: str) -> None:
    """Commits are synchronous, whatever the server's default is."""
    with transaction(on_server) as connection:
        name = sa.make_url(on_server).database
        connection.execute(sa.text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
    with transaction(on_server) as connection:
        assert connection.scalar(sa.text("SHOW synchronous_commit")) == "on"


def test_ledger_server_compresses_numbers_by_lz4(on_server: str) -> None:
    """Planning does not wait for the slow compression that servers have by default."""
    with Ledger(on_server) as ledger:
        ledger.plan("a", numbers(500), TEXT, channel=37)
    with transaction(on_server) as connection:
        methods = connection.scalar(
            sa.text("SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'")
        )
        if "lz4" not in (methods or ()):
            pytest.skip("the server was built without LZ4")
        used = sa.text("SELECT pg_column_compression(numbers) FROM yunxin_recipients")
        assert connection.scalar(used) == "lz4"


def test_retry_leaves_out_purged_submissions(
    ledger: Ledger, client: Client, sandbox: Sandbox
) -> None:
    """A retry leaves out what was purged."""
    ledger.plan("a", numbers(2), TEXT, channel=37)
    sandbox.inject_fault("code", code="-14")
    assert ledger.run("a", client).codes == {-14: 2}
    time.sleep(0.01)
    assert ledger.purge(older_than=0) == 2
    assert ledger.retry("a", by="test") == 0


def test_ledger_new_files_are_private(tmp_path: Path) -> None:
    """The files of a new ledger are readable by their owner alone."""
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.plan("a", numbers(1), TEXT, channel=37)
        assert {each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == {0o600}


def test_find_foreign_number_matches_exactly(ledger: Ledger) -> None:
    """A number of another country is found, and none that only starts with it."""
    listed = ["+85291234567", "+852912345678"]
    ledger.plan("a", listed, TEXT, channel=37, recipient_pattern=r"\+852\d{8,9}", max_recipients=1)
    assert len(ledger.find(listed[0])) == 1
    with pytest.raises(InvalidRequest):
        ledger.find("%")


def test_ledger_never_holds_the_password(tmp_path: Path, sandbox: Sandbox, client: Client) -> None:
    """The password is not in the file, even after a failed login."""
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.plan("a", numbers(5), TEXT, channel=37)
        with Client("demo", "s3cr3t-word", channel="37", endpoint=sandbox.url) as wrong:
            ledger.run("a", wrong)
    assert b"s3cr3t-word" not in path.read_bytes()
