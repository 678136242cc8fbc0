"""The benchmarks run and report every contender; no test checks the measured times."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

from lxml import etree
from rich.console import Console

from tests.benchmarks import chart, codec, report, startup
from tests.benchmarks.contenders import contenders
from tests.benchmarks.measure import CONCURRENCY, NUMBERS


def test_benchmarks_small_run_writes_tables_json_and_picture(tmp_path: Path) -> None:
    """One command prints all tables, and writes them as JSON and as a picture."""
    command = [sys.executable, "-m", "tests.benchmarks", "--rounds=1", "--turn=0", "--starts=1"]
    command.append("--submissions=64")
    done = subprocess.run(
        [*command, "--output", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    written = json.loads((tmp_path / "benchmarks.json").read_text())
    measured = {
        (row["contender"], row["protocol"], row["numbers"], row["concurrency"])
        for row in written["submissions"]
    }
    assert measured == {
        (contender.name, contender.protocol, numbers, concurrency)
        for contender in contenders()
        for numbers in NUMBERS
        for concurrency in CONCURRENCY
        if contender.carries(numbers) and concurrency in contender.concurrencies
    }
    assert all(row["wall_us"] > 0 for row in written["submissions"])
    assert {"yunxin_soap.Client", "zeep", "suds-community"} <= {row[0] for row in measured}
    assert len(written["targets"]) == 12
    not_measured = [target["name"] for target in written["targets"] if target["measured"] is None]
    has_php = "PHP SoapClient" in {row[0] for row in measured}
    assert not_measured == ([] if has_php else ["Client, × 1: time relative to PHP's SoapClient"])
    assert len(written["sandbox"]) == 4
    picture = (tmp_path / "benchmarks.svg").read_bytes()
    assert etree.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"
    assert b"url(http" not in picture.replace(b'url("', b"url(")
    for text in (done.stdout, picture.decode().replace("&#160;", " ")):
        # One row in the table of 1 number, and one in the table of 500.
        assert text.count("yunxin_soap.AsyncClient, http-post") == 2
        assert "Promised limits" in text
    assert (tmp_path / "speed.svg").read_text("utf-8") == chart.draw(written)


def test_chart_is_that_of_the_measured_times() -> None:
    """The README's picture is drawn from the results beside it, and has every contender."""
    docs = Path(__file__).parents[2] / "docs"
    written = json.loads((docs / "benchmarks.json").read_text())
    picture = (docs / "speed.svg").read_text("utf-8")
    assert picture == chart.draw(written)
    shown = set(etree.fromstring(picture.encode()).xpath("//*[contains(@class, 'label')]/text()"))
    assert shown == {
        row["contender"]
        for row in written["submissions"]
        if (row["protocol"], row["concurrency"]) == ("soap", 1)
    }


def test_report_target_without_its_program_is_not_measured() -> None:
    """A limit relative to a program that is not installed is neither kept nor broken."""
    codec_times = dict.fromkeys((codec.OURS, codec.SEND, codec.SEND_MANY, codec.ZEEP), 1.0)
    result = report.Report(1, 0, [], codec_times, {startup.IMPORT: startup.Start(1, 1)}, {})
    first = result.targets[0]
    assert "PHP" in first.name
    assert (first.value, first.within_limit) == (None, None)
    output = io.StringIO()
    Console(file=output, width=report.WIDTH).print(result.targets_table())
    assert "not measured" in output.getvalue()
    assert "NO" not in output.getvalue().splitlines()[4]


def test_campaign_benchmark_small_run_measures_every_combination(
    tmp_path: Path, postgresql_server: None
) -> None:
    """One command measures every gateway with every kind of ledger."""
    command = [sys.executable, "-m", "tests.benchmarks.campaign", "--rounds=1", "--numbers=2000"]
    done = subprocess.run(
        [*command, "--output", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "campaigns.json").read_text())["campaigns"]
    assert {(row["gateway"], row["ledger"]) for row in rows} == {
        (gateway, kind) for gateway in ("sandbox", "responder") for kind in ("sqlite", "postgresql")
    }
    assert all(row["plan_s"] > 0 and row["ledger_mib"] > 0 for row in rows)
    # What is left over when the other parts are taken off may be nothing in so small a run.
    measured = {name for name in rows[0]["parts"] if name not in {"check_s", "busy_s"}}
    assert all(row["parts"][name] > 0 for row in rows for name in measured)
    assert "Where the time goes" in done.stdout


def test_scale_benchmark_small_run_measures_every_size() -> None:
    """The command prints a row for each size of a submission."""
    command = [sys.executable, "-m", "tests.benchmarks.scale", "--divide=200", "--no-latency"]
    done = subprocess.run([*command, "--kind=sqlite"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split("│") for line in done.stdout.splitlines() if "sqlite" in line]
    assert [row[2].strip() for row in rows] == ["own text", "1", "10", "500"]
    sizes = [int(row[6]) for row in rows]
    assert all(size > 0 for size in sizes)
    assert sizes[1] < sizes[3]
