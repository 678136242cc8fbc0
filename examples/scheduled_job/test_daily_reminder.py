"""The job sends to a sandbox here; the fixtures come with yunxin-soap."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from daily_reminder import main

from yunxin_soap import LedgerError
from yunxin_soap.campaign import Ledger
from yunxin_soap.sandbox import Sandbox

JOB = Path(__file__).with_name("daily_reminder.py")
DAY = date(2026, 11, 27)
PHONES = [f"1390000000{digit}" for digit in range(5)]


@pytest.fixture(autouse=True)
def sandbox(yunxin_env: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The sandbox, and a ledger for one test."""
    monkeypatch.setenv("YUNXIN_LEDGER", str(tmp_path / "ledger.sqlite"))
    return yunxin_env


@pytest.fixture
def customers(tmp_path: Path) -> Path:
    """A list of five customers."""
    path = tmp_path / "customers.csv"
    lines = [f"{phone},客户{phone[-1]},12.50,2026-11-30\n" for phone in PHONES]
    path.write_text("mobile,name,amount,due\n" + "".join(lines), "utf-8")
    return path


def remind(*arguments: object) -> int:
    """Run the job in this process, at any time of the day."""
    given = ["--date", str(DAY), "--hours", "00:00-24:00", *map(str, arguments)]
    return main(given, threading.Event())


def start(*arguments: object) -> subprocess.Popen[str]:
    """Start the job in a process of its own."""
    command = [sys.executable, str(JOB), "--date", str(DAY), *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
    )


def test_each_customer_gets_one_text(
    sandbox: Sandbox, customers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everybody on the list is reminded, once, however often the job runs on that day."""
    report = tmp_path / "report.html"
    for _ in range(2):
        assert remind("--csv", customers, "--report", report) == 0
    sandbox.assert_sent("13900000003", "客户3您好，您的账单12.50元将于11月30日到期【小店】")
    assert sandbox.accepted_numbers == dict.fromkeys(PHONES, 1)
    assert "5 accepted" in capsys.readouterr().out
    assert "bill-reminder-2026-11-27" in report.read_text("utf-8")


def test_a_changed_list_reminds_nobody_twice(
    sandbox: Sandbox, customers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first list of a day holds: who is added later waits for the next day."""
    remind("--csv", customers)
    with customers.open("a", encoding="utf-8") as file:
        file.write("13900000009,新客户,1.00,2026-11-30\n")
    assert remind("--csv", customers) == 0
    assert "the list has changed" in capsys.readouterr().err
    assert sandbox.accepted_numbers == dict.fromkeys(PHONES, 1)


def test_bills_of_a_database(sandbox: Sandbox, tmp_path: Path) -> None:
    """Who has a bill that is due in three days is reminded; on other days, nobody."""
    connection = sqlite3.connect(tmp_path / "shop.sqlite")
    connection.execute("CREATE TABLE bills (mobile TEXT, name TEXT, amount NUMERIC, due DATE)")
    bill = (PHONES[0], "王芳", 12.5, "2026-11-30")
    connection.execute("INSERT INTO bills VALUES (?, ?, ?, ?)", bill)
    connection.commit()
    connection.close()
    database = f"sqlite:///{tmp_path}/shop.sqlite"
    assert remind("--database", database) == 0
    assert remind("--database", database, "--date", DAY + timedelta(days=1)) == 0
    sandbox.assert_sent(PHONES[0], "王芳您好，您的账单12.5元将于11月30日到期", times=1)


def test_exit_status_says_how_it_ended(sandbox: Sandbox, customers: Path) -> None:
    """A rejected number makes it 3, an unknown outcome 5; neither is sent again by itself."""
    sandbox.inject_fault("code", code=-14, numbers=PHONES[0])
    assert remind("--csv", customers) == 3
    sandbox.inject_fault("close", numbers=PHONES[1])
    next_day = ("--date", DAY + timedelta(days=1))
    assert remind("--csv", customers, *next_day) == 5
    assert remind("--csv", customers, *next_day) == 5
    assert sandbox.accepted_numbers == dict.fromkeys(PHONES, 2) | {PHONES[0]: 1}


def test_a_wrong_list_is_an_error(sandbox: Sandbox, tmp_path: Path) -> None:
    """Without a list, its columns or its table, nothing is sent, and the status is 2."""
    (tmp_path / "other.csv").write_text("mobile,name\n13900000000,王芳\n", "utf-8")
    assert remind("--csv", tmp_path / "other.csv") == 2
    assert remind("--csv", tmp_path / "none.csv") == 2
    assert remind("--database", f"sqlite:///{tmp_path}/none.sqlite") == 2
    sandbox.assert_nothing_sent()


def test_two_at_once_send_once(sandbox: Sandbox, customers: Path) -> None:
    """Two processes that run at the same time share the campaign."""
    with start("--csv", customers, "--hours", "00:00-24:00") as other:
        assert remind("--csv", customers) == 0
        output, _ = other.communicate()
    assert other.returncode == 0, output
    assert sandbox.accepted_numbers == dict.fromkeys(PHONES, 1)


def test_a_killed_job_is_continued(sandbox: Sandbox, customers: Path) -> None:
    """What was in flight at a kill is unknown, and is not sent again; all else is sent."""
    with (
        sandbox.inject_fault("delay", seconds=60, times=None),
        start("--csv", customers, "--hours", "00:00-24:00") as job,
    ):
        while not sandbox.arrivals and job.poll() is None:
            time.sleep(0.05)
        job.kill()
    assert remind("--csv", customers) == 5
    assert sandbox.accepted_numbers == dict.fromkeys(PHONES, 1)


def test_it_waits_for_its_hours_and_stops(sandbox: Sandbox, customers: Path) -> None:
    """Outside of the sending hours nothing is sent, and SIGTERM ends the wait with status 4."""
    now = datetime.now(ZoneInfo("Asia/Shanghai"))
    hours = "-".join(f"{now + timedelta(hours=hours):%H}:00" for hours in (3, 4))
    with start("--csv", customers, "--hours", hours) as job:
        while not is_waiting() and job.poll() is None:
            time.sleep(0.05)
        job.terminate()
        output, _ = job.communicate()
    assert (job.returncode, "5 pending" in output) == (4, True), output
    assert f"{hours} Asia/Shanghai" in output, output
    sandbox.assert_nothing_sent()


def is_waiting() -> bool:
    """Return whether a run of the campaign waits for its hours."""
    try:
        with Ledger(create=False) as ledger:
            runners = ledger.activity(f"bill-reminder-{DAY}").runners
    except LedgerError:
        return False  # it is not planned yet
    return any(runner.reason for runner in runners)
