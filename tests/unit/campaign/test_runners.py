"""Whether the process of a runner is alive, as far as this machine shows it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest

from yunxin_soap.campaign.storage import runners
from yunxin_soap.campaign.storage.runners import RunnerIdentity
from yunxin_soap.clock import lease_clock

pytestmark = pytest.mark.skipif(not psutil.LINUX, reason="only Linux has /proc")


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that psutil reads in place of /proc, with this process in it."""
    (tmp_path / str(os.getpid())).symlink_to(f"/proc/{os.getpid()}")
    (tmp_path / "stat").write_text("btime 1700000000\n")
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    return tmp_path


def test_is_dead_clock_set_meanwhile_is_alive(proc: Path) -> None:
    """A runner is alive after the clock of its machine was set, which moves the boot time."""
    identity = RunnerIdentity.new()
    (proc / "stat").write_text("btime 1700003600\n")
    assert identity.is_dead() is False
    later = RunnerIdentity.new()
    assert later.process_started == identity.process_started
    for each in (identity, later):
        each.end()
        assert each.is_dead() is True


def test_lease_clock_counts_a_suspended_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease runs out while the machine is suspended, although the monotonic clock stands."""
    clocks = {time.CLOCK_BOOTTIME: 5000.0, time.CLOCK_MONOTONIC: 10.0}
    monkeypatch.setattr(time, "clock_gettime", lambda clock: clocks[clock])
    assert lease_clock() == 5000.0


def test_new_boot_time_hidden_is_not_known(proc: Path) -> None:
    """Where the boot time cannot be read, a runner can start, and nobody calls it dead."""
    (proc / "stat").unlink()
    identity = RunnerIdentity.new()
    assert identity.process_started is None
    identity.end()
    assert identity.is_dead() is None


def test_is_dead_machine_renamed_meanwhile_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no boot has an id, a live runner stays alive as the machine's names change."""
    monkeypatch.setattr(psutil, "LINUX", False)
    identity = RunnerIdentity.new()
    monkeypatch.setattr(runners, "_pid_namespace", lambda: "acde48001122/another-name")
    assert identity.is_dead(on_this_machine=True) is False
    assert identity.is_dead() is None
    identity.end()
    assert identity.is_dead(on_this_machine=True) is True
