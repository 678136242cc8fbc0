"""A gateway whose own record says what it accepted."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from tests.integration.campaign.killing.processes import Process, Say
from tests.support.ports import free_port
from yunxin_soap.sandbox.arrivals.sqlite import SqliteArrivals
from yunxin_soap.sandbox.arrivals.store import ArrivalStore
from yunxin_soap.sandbox.faults.model import Fault, FaultKind
from yunxin_soap.sandbox.gateway import Gateway as SandboxGateway
from yunxin_soap.sandbox.server.app import run
from yunxin_soap.sandbox.service import Service


class Gateway:
    """A sandbox in a process of its own, which keeps its record on disk.

    Args:
        folder: for the record.
        faults: what goes wrong; each submission triggers the first fault that matches it.
    """

    def __init__(
        self, folder: Path, faults: Sequence[str] = ("delay:seconds=0.001,jitter=0.02",)
    ) -> None:
        self._folder, self._path, self._port = folder, folder / "gateway.sqlite", free_port()
        self._faults = faults
        self.url = f"http://127.0.0.1:{self._port}/api/MsgSend.asmx"
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._process = Process("gateway", self._serve, self._folder)
        if not self._process.wait_for("listens"):
            raise AssertionError(f"the gateway did not start: {self._process.join()}")

    def _serve(self, say: Say) -> None:
        service = Service(SandboxGateway(), ArrivalStore(SqliteArrivals(self._path)))
        for fault in self._faults:
            service.faults.add(Fault.from_text(fault))
        run(service, "127.0.0.1", self._port, lambda _url: say("listens"))

    def stop(self) -> None:
        """Stop it: from now on, it accepts nothing."""
        self._process.stop()

    def kill(self) -> None:
        """Kill it: what it has not recorded by now, it never accepts."""
        self._process.kill()

    def restart(self) -> None:
        """Kill it, and start it again with the same record."""
        self.kill()
        self.start()

    def accepted(self) -> dict[str, list[str]]:
        """Return the numbers of each batch that it accepted so far."""
        with closing(self._record()) as record:
            rows = record.execute(
                "SELECT batch_no, recipients FROM arrivals WHERE batch_no IS NOT NULL"
            )
            return {batch_no: recipients.split(",") for batch_no, recipients in rows}

    def accepted_count(self) -> int:
        """Return how many batches it accepted so far."""
        with closing(self._record()) as record:
            return int(record.execute("SELECT count(batch_no) FROM arrivals").fetchone()[0])

    def hit_by(self, kind: FaultKind) -> int:
        """Return how many submissions a kind of fault hit so far."""
        with closing(self._record()) as record:
            statement = "SELECT count(*) FROM arrivals WHERE fault = ?"
            return int(record.execute(statement, [kind]).fetchone()[0])

    def _record(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=30)
