"""A disk that is full: what has ended is recorded all the same."""

from __future__ import annotations

import functools
import logging
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from tests.support.lists import TEXT, numbers
from tests.support.services import skip_or_fail
from yunxin_soap import Client, LedgerError
from yunxin_soap.campaign import CampaignState, Ledger, Progress, State
from yunxin_soap.campaign.storage.claims import Claims
from yunxin_soap.campaign.storage.reserve import RESERVE_SIZE, release_reserve, reserve_of
from yunxin_soap.sandbox import Sandbox

TO = "13900000000"


class SmallDisk:
    """A disk of 6 MiB.

    Args:
        path: where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        self.ledger = path / "ledger.sqlite"
        self._filler = path / "filler"

    def fill(self) -> None:
        """Leave no room."""
        with self._filler.open("ab", buffering=0) as stream:
            for size in (4096, 1):
                with suppress(OSError):
                    while stream.write(bytes(size)):
                        pass

    def clear(self) -> None:
        """Make room."""
        self._filler.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A small disk; skips the test where none can be mounted."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m,mode=700", "tmpfs", str(path)]
    try:
        made = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        skip_or_fail("no command mount")
    if made.returncode:
        skip_or_fail(f"only root can mount a small disk ({made.stderr.strip()})")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def test_run_full_disk_pauses_and_loses_no_result(
    disk: SmallDisk, client: Client, sandbox: Sandbox
) -> None:
    """What the gateway answered is recorded with its batch number, and the campaign pauses."""
    filled: list[int] = []

    def on_progress(progress: Progress) -> None:
        if progress.submissions >= 40 and not filled:
            disk.fill()
            filled.append(progress.submissions)

    with Ledger(disk.ledger) as ledger:
        ledger.plan("a", numbers(3000), TEXT, channel=37, max_recipients=1)
        status = ledger.run("a", client, on_progress=on_progress)
        assert filled
        assert status.state is CampaignState.PAUSED
        assert "disk of the ledger is full" in status.reason
        assert not reserve_of(str(disk.ledger)).exists()
        assert status.numbers[State.UNKNOWN] == status.numbers[State.SUBMITTING] == 0
        batches = {each.number: each.batch_no for each in ledger.results("a") if each.batch_no}
        sent = {number: each.batch_no for each in sandbox.arrivals for number in each.recipients}
        assert batches == sent
        ledger.resume("a")
        with pytest.raises(LedgerError, match="free some space"):
            ledger.run("a", client)
        assert len(sandbox.arrivals) == len(sent)
        disk.clear()
        ledger.resume("a")
        assert ledger.run("a", client).numbers[State.ACCEPTED] == 3000
    assert reserve_of(str(disk.ledger)).stat().st_size == RESERVE_SIZE
    assert reserve_of(str(disk.ledger)).stat().st_mode & 0o077 == 0
    assert set(sandbox.accepted_numbers.values()) == {1}


def test_once_send_full_disk_records_the_receipt(
    disk: SmallDisk, client: Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up while a single send is in flight does not make it unknown."""
    submit = Client.submit

    def fill_then_submit(self: Client, *args: object, **options: object) -> object:
        disk.fill()
        return submit(self, *args, **options)  # type: ignore[arg-type]

    with Ledger(disk.ledger) as ledger:
        for key in ("k1", "k2"):
            with monkeypatch.context() as patch:
                patch.setattr(Client, "submit", fill_then_submit)
                receipt = ledger.once.send(client, key, TO, TEXT)
            assert ledger.once.counts()[State.UNKNOWN] == 0
            assert ledger.once.send(client, key, TO, TEXT) == receipt
            disk.clear()
    assert len(sandbox.arrivals) == 2


def test_reserve_that_cannot_be_removed_is_no_reserve(tmp_path: Path) -> None:
    """It is no error of its own, which would hide the results that are to be recorded."""
    file = str(tmp_path / "ledger.sqlite")
    reserve_of(file).mkdir()  # root may remove another user's file
    assert not release_reserve(file)


def test_run_without_room_for_the_reserve_sends_nothing(
    disk: SmallDisk, client: Client, sandbox: Sandbox
) -> None:
    """A run that could not record what it sends does not begin, and says what to do."""
    with Ledger(disk.ledger) as ledger:
        ledger.plan("a", numbers(5), TEXT, channel=37)
        disk.fill()
        with pytest.raises(LedgerError, match=r"[Ff]ree some space"):
            ledger.run("a", client)
    assert sandbox.arrivals == ()


@pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)
def test_run_full_disk_of_a_server_is_waited_for(
    ledger: Ledger,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What has ended is kept and recorded once there is room again, and the log says what to do."""
    exchange = Claims.exchange
    full = iter([True, True])

    @functools.wraps(exchange)
    def fail_when_recording(*args: Any, **options: Any) -> Any:
        if options["endings"] and next(full, False):
            error = psycopg.errors.DiskFull("could not extend file: No space left on device")
            raise sa.exc.OperationalError("", {}, error)
        return exchange(*args, **options)

    monkeypatch.setattr(Claims, "exchange", fail_when_recording)
    ledger.plan("a", numbers(4), TEXT, channel=37, max_recipients=1)
    with caplog.at_level(logging.WARNING, "yunxin_soap.campaign"):
        status = ledger.run("a", client)
    assert status.submissions[State.ACCEPTED] == 4
    messages = [each.getMessage() for each in caplog.records]
    assert len(messages) == 2
    assert all(each.endswith("retrying. Free some space on its disk.") for each in messages)
