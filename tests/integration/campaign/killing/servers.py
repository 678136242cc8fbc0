"""Databases for the ledgers of rounds: on the shared servers, or on servers of a round's own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import sqlalchemy as sa
from filelock import FileLock

from tests.integration.campaign.killing.processes import wait_until
from tests.support.mariadb import mariadb_database
from tests.support.ports import free_port
from tests.support.postgresql import database

POSTGRESQL_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


class Server(ABC):
    """A database server of a round's own, to be restarted at will.

    Args:
        folder: for its data; the whole run shares its templates.
        templates: the folder of the initialised data that new servers start from.
    """

    kind: str
    user: str
    kill_signal: signal.Signals
    """Ends it at once, without a checkpoint or a word to its clients."""

    def __init__(self, folder: Path, templates: Path) -> None:
        self.port = free_port()
        self._data = Path(tempfile.mkdtemp(prefix=f"{self.kind}-", dir=folder))
        template = templates / self.kind
        with FileLock(f"{template}.lock"):
            if not template.exists():
                scratch = templates / f"{self.kind}-new"
                scratch.mkdir()
                self._chown(scratch)
                self._initialise(scratch)
                scratch.rename(template)
        self._data.rmdir()
        shutil.copytree(template, self._data, copy_function=shutil.copy)
        for path in (self._data, *self._data.rglob("*")):
            self._chown(path)
        self._data.chmod(0o700)
        self.start()

    def _chown(self, path: Path) -> None:
        if os.geteuid() == 0:
            shutil.chown(path, self.user, self.user)

    def _run_as(self) -> str | None:
        return self.user if os.geteuid() == 0 else None

    @abstractmethod
    def _initialise(self, data: Path) -> None:
        """Write the data of an empty server."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the command of the server."""

    @property
    @abstractmethod
    def url(self) -> str:
        """The ledger's address on it."""

    def start(self) -> None:
        """Start it, and wait until it lets a client in."""
        with (self._data.parent / f"{self.kind}.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, user=self._run_as(), cwd="/"
            )
        engine = _engine(self.url)

        def listens() -> bool:
            assert self._process.poll() is None, "the server did not start"
            try:
                engine.connect().close()
            except sa.exc.OperationalError:
                return False
            return True

        wait_until(listens, "the server listens")

    def stop(self) -> None:
        """End it at once."""
        self._process.send_signal(self.kill_signal)
        self._process.wait()

    def restart(self) -> None:
        """End it at once, and start it again."""
        self.stop()
        self.start()


class Postgresql(Server):
    """A PostgreSQL server, which ends as by ``pg_ctl stop -m immediate``."""

    kind, user, kill_signal = "postgresql", "postgres", signal.SIGQUIT

    def _initialise(self, data: Path) -> None:
        subprocess.run(
            [
                str(POSTGRESQL_PROGRAMS[-1] / "initdb"),
                *("-D", str(data), "-U", "postgres", "-A", "trust"),
                *("-E", "UTF8", "--no-locale", "--no-sync"),
            ],
            user=self._run_as(),
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )

    def _command(self) -> list[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "shared_buffers": "16MB",
        }
        command = [str(POSTGRESQL_PROGRAMS[-1] / "postgres"), "-D", str(self._data)]
        return command + [part for name in options for part in ("-c", f"{name}={options[name]}")]

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"


class Mariadb(Server):
    """A MariaDB server, which ends by SIGKILL."""

    kind, user, kill_signal = "mariadb", "mysql", signal.SIGKILL

    def _initialise(self, data: Path) -> None:
        subprocess.run(
            [
                *("mariadb-install-db", "--no-defaults", f"--datadir={data}"),
                *("--auth-root-authentication-method=normal", "--skip-test-db"),
            ],
            user=self._run_as(),
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        (data / "yunxin").mkdir()

    def _command(self) -> list[str]:
        return [
            "mariadbd",
            "--no-defaults",
            f"--datadir={self._data}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--socket={self._data / 'socket'}",
            "--innodb-buffer-pool-size=16M",
        ]

    @property
    def url(self) -> str:
        return f"mysql://root@127.0.0.1:{self.port}/yunxin"


_SHARED: dict[str, Callable[[], Iterator[str]]] = {
    "postgresql": database,
    "mariadb": mariadb_database,
}
SERVERS: dict[str, type[Server]] = {"postgresql": Postgresql, "mariadb": Mariadb}
_CUT = {
    "postgresql": (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ),
    "mysql": (
        "SELECT id FROM information_schema.processlist"
        " WHERE db = database() AND id <> connection_id()"
    ),
}
KINDS = ("sqlite", *_SHARED)
"""The kinds of ledgers."""


@contextmanager
def shared_ledger(kind: str, folder: Path) -> Iterator[str]:
    """The address of a new ledger in a file, or on a server that others use, too."""
    if kind == "sqlite":
        yield str(folder / "ledger.sqlite")
    else:
        yield from _SHARED[kind]()


def cut_sessions(url: str) -> None:
    """End all sessions of a ledger's database."""
    engine = _engine(url)
    with engine.connect() as connection:
        sessions = connection.scalars(sa.text(_CUT[engine.dialect.name])).all()
        if engine.dialect.name == "mysql":
            for session in sessions:
                with contextlib.suppress(sa.exc.OperationalError):  # it has ended meanwhile
                    connection.execute(sa.text(f"KILL CONNECTION {session}"))


def _engine(url: str) -> sa.Engine:
    address = sa.make_url(url)
    if address.drivername == "mysql":
        address = address.set(drivername="mysql+pymysql")
    return sa.create_engine(address, poolclass=sa.NullPool)


@contextmanager
def cut_off(port: int, of_pid: int) -> Iterator[None]:
    """Drop all packets of a process's connections to a port, so that neither end hears of it."""
    rules = []
    for local in _local_ports(of_pid, port):
        rules += [
            ["INPUT", "-i", "lo", "-p", "tcp", "--sport", str(local), "--dport", str(port)],
            ["INPUT", "-i", "lo", "-p", "tcp", "--sport", str(port), "--dport", str(local)],
        ]
    for rule in rules:
        subprocess.run(["iptables", "-w", "-I", *rule, "-j", "DROP"], check=True)
    try:
        yield
    finally:
        for rule in rules:
            subprocess.run(["iptables", "-w", "-D", *rule, "-j", "DROP"], check=True)


def _local_ports(pid: int, port: int) -> list[int]:
    """Return the local ports of a process's connections to a port."""
    found = psutil.Process(pid).net_connections("tcp")
    return [each.laddr.port for each in found if getattr(each.raddr, "port", None) == port]


def servers_missing(kind: str) -> str:
    """Return why a round cannot have a server of its own; empty if it can."""
    if kind == "postgresql" and not POSTGRESQL_PROGRAMS:
        return "there are no programs of PostgreSQL"
    if kind == "mariadb" and shutil.which("mariadbd") is None:
        return "there are no programs of MariaDB"
    return ""


def cutting_missing() -> str:
    """Return why a connection cannot be cut; empty if it can."""
    return "" if shutil.which("iptables") else "there is no iptables"
