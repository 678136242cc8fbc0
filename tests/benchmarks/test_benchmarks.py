"""The benchmarks run, and report everybody; what they measure is no matter of a test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from lxml import etree

from tests.benchmarks.contenders import contenders
from tests.benchmarks.measure import IN_FLIGHT, NUMBERS


def test_one_command_writes_tables_json_and_a_picture(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "--rounds=1", "--turn=0", "--starts=1"]
    command.append("--submits=64")
    done = subprocess.run(
        [*command, "--output", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "benchmarks.json").read_text())
    measured = {
        (row["contender"], row["port"], row["numbers"], row["in_flight"])
        for row in report["submits"]
    }
    assert measured == {
        (contender.name, contender.port, numbers, in_flight)
        for contender in contenders()
        for numbers in NUMBERS
        for in_flight in IN_FLIGHT
        if contender.carries(numbers) and in_flight in contender.in_flight
    }
    assert all(row["wall_us"] > 0 for row in report["submits"])
    assert {"yunxin_soap.Client", "zeep", "suds-community"} <= {row[0] for row in measured}
    assert len(report["targets"]) == 6
    assert len(report["sandbox"]) == 4
    picture = (tmp_path / "benchmarks.svg").read_bytes()
    assert etree.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"
    assert b"url(http" not in picture.replace(b'url("', b"url(")
    for text in (done.stdout, picture.decode().replace("&#160;", " ")):
        assert "yunxin_soap.AsyncClient, http-post" in text
        assert "Promised and measured" in text


def test_campaigns_are_measured(tmp_path: Path, server: None) -> None:
    command = [sys.executable, "-m", "tests.benchmarks.campaign", "--rounds=1", "--numbers=2000"]
    done = subprocess.run(
        [*command, "--output", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "campaigns.json").read_text())["campaigns"]
    assert {(row["peer"], row["ledger_in"]) for row in rows} == {
        (peer, kind) for peer in ("sandbox", "responder") for kind in ("sqlite", "postgresql")
    }
    assert all(row["plan_s"] > 0 and row["ledger_mib"] > 0 for row in rows)
