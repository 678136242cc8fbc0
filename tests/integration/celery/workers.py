"""Celery workers in processes of their own, as a supervisor starts, stops and kills them."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.integration.campaign.killing.processes import PATIENCE, wait_until

_names = itertools.count()


@dataclass
class Deployment:
    """What all workers of a test share.

    Args:
        folder: for their output.
        broker_url: the broker.
        queue: the queue of all tasks.
        ledger_url: the ledger.
        gateway_url: the gateway.
        conf: more settings of Celery.
        setup: the options of `setup`, and the heartbeat timeout of the ledger.
        password: of the account.
    """

    folder: Path
    broker_url: str
    queue: str
    ledger_url: str
    gateway_url: str
    conf: dict[str, object] = field(default_factory=dict)
    setup: dict[str, float] = field(default_factory=dict)
    password: str = "demo"

    @property
    def settings(self) -> dict[str, object]:
        """The settings of Celery."""
        return {
            "broker_url": self.broker_url,
            "task_default_queue": self.queue,
            "broker_connection_retry_on_startup": True,
            "worker_prefetch_multiplier": 1,
            **self.conf,
        }

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the ledger, the client and the application."""
        return {
            "YUNXIN_LEDGER": self.ledger_url,
            "YUNXIN_ENDPOINT": self.gateway_url,
            "YUNXIN_USER_CODE": "demo",
            "YUNXIN_USER_PASS": self.password,
            "YUNXIN_CHANNEL": "37",
            "TEST_CELERY_CONF": json.dumps(self.settings),
            "TEST_CELERY_SETUP": json.dumps(self.setup),
        }

    def start(self, *arguments: str, **environment: str) -> Worker:
        """Start a worker, and do not wait for it."""
        name = f"w{next(_names)}"
        return Worker(
            self.folder / f"{name}.log",
            ["worker", "-n", f"{name}-{self.queue}", "--without-mingle", "--without-gossip"],
            *arguments,
            environment={**self.environment, **environment},
        )

    def start_beat(self) -> Worker:
        """Start the beat."""
        name = f"beat{next(_names)}"
        schedule = self.folder / f"{name}.schedule"
        return Worker(
            self.folder / f"{name}.log",
            ["beat", "-s", str(schedule), "--pidfile="],
            environment=self.environment,
        )


class Worker:
    """A worker, or a beat."""

    def __init__(
        self, log: Path, command: list[str], *arguments: str, environment: dict[str, str]
    ) -> None:
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "celery", "-A", "tests.integration.celery.app"),
                    *(*command, "-l", "INFO", *arguments),
                ],
                stdout=output,
                stderr=output,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        self.pid = self._process.pid

    @property
    def log(self) -> str:
        """What it has written."""
        return self._log.read_text("utf-8", errors="replace")

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def wait_for(self, text: str, seconds: float = PATIENCE) -> None:
        """Wait until it writes a text."""
        wait_until(
            lambda: text in self.log or self.is_over, f"{self._log.name} says {text!r}", seconds
        )
        assert text in self.log, self.log

    @property
    def is_ready(self) -> bool:
        """Whether it takes tasks."""
        return " ready." in self.log

    def wait_until_ready(self) -> None:
        """Wait until it takes tasks."""
        self.wait_for(" ready.")

    @property
    def pool(self) -> list[psutil.Process]:
        """The processes of its pool."""
        return psutil.Process(self.pid).children()

    def kill_pool(self) -> None:
        """Kill the processes of its pool, which it replaces."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for each in self.pool:
                each.kill()

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal; SIGTERM is a warm shutdown."""
        self._process.send_signal(number)

    def join(self, seconds: float = PATIENCE) -> int:
        """Wait for its end, and return its exit status."""
        return self._process.wait(seconds)

    def kill(self) -> None:
        """Kill it with its pool, as a power failure."""
        if not self.is_over:
            children = psutil.Process(self.pid).children(recursive=True)
            self._process.kill()
            for each in children:
                if each.is_running():
                    each.kill()
            psutil.wait_procs(children, PATIENCE)
        self._process.wait(PATIENCE)
