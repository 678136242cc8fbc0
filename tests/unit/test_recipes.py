"""The recipes in ``docs/recipes`` are what their programs take, and name options that exist."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from yunxin_soap.cli.exit_status import MEANINGS, WORKER, Exit
from yunxin_soap.cli.worker import worker_command
from yunxin_soap.settings import Settings

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"
UNIT = RECIPES / "yunxin-worker@.service"
LONGEST = Settings("demo", "demo").total_timeout


def options(line: str) -> set[str]:
    """Return the long options of the worker that a line gives."""
    return set(re.findall(r"--[a-z-]+", line.partition("yunxin-soap worker")[2]))


def known_options() -> set[str]:
    return {name for each in worker_command.params for name in each.opts}


def read_unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(UNIT, "utf-8")
    return parser


def test_unit_waits_for_the_longest_submission_and_restarts_but_for_wrong_settings() -> None:
    """Stopping drains, and what a person has to correct is not started again."""
    service = read_unit()["Service"]
    assert int(service["TimeoutStopSec"]) > LONGEST
    assert options(service["ExecStart"]) == {"--password-file"} <= known_options()
    assert service["RestartPreventExitStatus"] == str(Exit.INVALID.value)
    assert Exit.INVALID in MEANINGS[WORKER]
    assert service["Restart"] == "on-failure"


def test_unit_is_verified_by_systemd(tmp_path: Path) -> None:
    """systemd itself finds nothing wrong with the unit."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze")
    program = tmp_path / "yunxin-soap"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / UNIT.name
    text = UNIT.read_text("utf-8").replace("/opt/yunxin/bin/yunxin-soap", str(program))
    unit.write_text(text.replace("User=yunxin", "User=root"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_container_gets_the_signal_itself() -> None:
    """No shell stands between the container's SIGTERM and the worker."""
    text = (RECIPES / "Dockerfile").read_text("utf-8")
    found = re.search(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)
    assert found is not None
    assert json.loads(found[1]) == ["yunxin-soap", "worker"]
    compose = (RECIPES / "compose.yaml").read_text("utf-8")
    grace = re.search(r"stop_grace_period: (\d+)s", compose)
    assert grace is not None
    assert int(grace[1]) > LONGEST
    assert set(re.findall(r'"(--[a-z-]+)"', compose)) <= known_options()


def test_cron_ends_a_worker_before_the_next_minute() -> None:
    """``timeout`` drains the worker, and kills it only after the longest submission."""
    (line,) = (
        line
        for line in (RECIPES / "crontab").read_text("utf-8").splitlines()
        if line.startswith("*")
    )
    found = re.search(r"timeout --signal=TERM --kill-after=(\d+) (\d+) ", line)
    assert found is not None
    assert int(found[1]) > LONGEST
    assert int(found[2]) < 60
    assert options(line) <= known_options()
