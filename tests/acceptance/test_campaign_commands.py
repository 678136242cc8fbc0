"""``yunxin-soap campaign`` as an operator uses it."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import pty
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from tests.integration.campaign.conftest import ManualRunner, transaction
from tests.support.lists import TEXT, numbers
from yunxin_soap import BalanceRejected, Client, GatewayRejected, OutcomeUnknown
from yunxin_soap.campaign import Activity, Ledger, Progress, State
from yunxin_soap.campaign.running import runner as running_module
from yunxin_soap.campaign.storage import admin
from yunxin_soap.campaign.storage.engine import open_engine
from yunxin_soap.campaign.storage.runners import RunnerIdentity
from yunxin_soap.campaign.storage.schema import history, runner
from yunxin_soap.cli import cli
from yunxin_soap.cli import progress as progress_module
from yunxin_soap.cli.campaign import cancel as cancel_module
from yunxin_soap.extras import install_command
from yunxin_soap.sandbox import Sandbox

Run = Callable[..., subprocess.CompletedProcess[str]]
Process = subprocess.Popen[str]
Start = Callable[..., AbstractContextManager[Process]]
COMMAND = [sys.executable, "-m", "yunxin_soap", "campaign"]


@pytest.fixture
def ledger_file(tmp_path: Path) -> Path:
    """The ledger's file, which does not exist yet."""
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def environment(ledger_file: Path, sandbox: Sandbox) -> dict[str, str]:
    """Settings for the sandbox, without those of the machine."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("YUNXIN_")},
        "YUNXIN_LEDGER": str(ledger_file),
        "YUNXIN_USER_CODE": "demo",
        "YUNXIN_USER_PASS": "demo",
        "YUNXIN_CHANNEL": "37",
        "YUNXIN_ENDPOINT": sandbox.url,
    }


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    """Runs a campaign command as a process of its own, in a directory of its own."""

    def call(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **options,
        )

    return call


@pytest.fixture
def run_in_process(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Runs a campaign command like `run`, but in this process, which is faster."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        done = CliRunner().invoke(cli, ["campaign", *arguments], env=environment)
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    return call


@contextmanager
def started(command: list[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a process; it does not outlive a test that fails."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


@pytest.fixture
def list_file(tmp_path: Path) -> str:
    """A CSV file with 25 numbers and, in its last line, a bad one."""
    path = tmp_path / "list.csv"
    path.write_text("手机,name\n" + "".join(f"{each},甲\n" for each in numbers(25)) + "12,乙\n")
    return str(path)


@pytest.fixture
def plan(run_in_process: Run, list_file: str) -> Callable[..., None]:
    """Plans a campaign of the list, with a submission for each number or for some together."""

    def call(name: str, *, size: int = 1) -> None:
        options = ("--csv", list_file, "--message", TEXT, "--max-recipients", str(size))
        assert run_in_process("plan", *options, "--", name).returncode == 0

    return call


@pytest.fixture
def arrived(sandbox: Sandbox) -> Iterator[threading.Event]:
    """Set once a submission has arrived."""
    event = threading.Event()
    stop = sandbox.store.subscribe(lambda _arrival: event.set())
    yield event
    stop()


@pytest.fixture
def start(environment: dict[str, str]) -> Start:
    """Starts a campaign command as a process; ``terminal`` is one for its standard error."""

    def call(*arguments: str, terminal: int | None = None) -> AbstractContextManager[Process]:
        shown = {} if terminal is None else {"TERM": "xterm", "COLUMNS": "120"}
        return started(
            [*COMMAND, *arguments],
            env={**environment, **shown},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if terminal is None else terminal,
            text=True,
        )

    return call


@pytest.fixture
def running(start: Start, arrived: threading.Event) -> Start:
    """Runs the campaign ``a`` as a process; the test goes on once a submission has arrived."""

    @contextmanager
    def call(*options: str) -> Iterator[Process]:
        with start("run", "a", *options) as process:
            assert arrived.wait(30)
            yield process

    return call


def test_campaign_plan_to_purge_works(
    run: Run, list_file: str, tmp_path: Path, sandbox: Sandbox
) -> None:
    """A list is planned, run, searched, exported, reported and purged."""
    options = ["--csv", list_file, "--message", TEXT, "--max-recipients", "10"]
    dry = run("plan", "a", *options, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "Dry run: nothing was written." in dry.stdout
    assert not (tmp_path / "ledger.sqlite").exists()
    assert "25 numbers in 3 submissions with 1 text, about 25 segments (an estimate)." in dry.stdout
    assert "line 27: '12': the number" in dry.stdout
    planned = run("plan", "a", *options, "--skipped", "skipped.csv", "--json")
    assert json.loads(planned.stdout)["submissions"] == 3
    assert '"27","12",' in (tmp_path / "skipped.csv").read_text("utf-8-sig")
    heading, row = run("status").stdout.splitlines()
    assert heading.split()[:4] == ["campaign", "state", "numbers", "pending"]
    assert row.split()[:4] == ["a", "open", "25", "25"]

    done = run("run", "a")
    assert done.returncode == 0, done.stderr
    assert "a: done" in done.stdout
    assert re.search(r"25 accepted", done.stdout)
    assert sandbox.accepted_numbers == dict.fromkeys(numbers(25), 1)
    assert json.loads(run("status", "a", "--json").stdout)["numbers"]["accepted"] == 25

    found = run("find", numbers(1)[0]).stdout
    assert found.startswith("a, submission 1: accepted as batch ")
    assert TEXT in found
    rows = list(csv.DictReader(io.StringIO(run("export", "a").stdout.lstrip("\ufeff"))))
    assert [row["number"] for row in rows] == numbers(25)
    assert {row["state"] for row in rows} == {"accepted"}
    objects = [json.loads(line) for line in run("export", "a", "--json").stdout.splitlines()]
    assert [str(each["submission_id"]) for each in objects] == [
        row["submission_id"] for row in rows
    ]
    assert run("plan", "a", *options).stdout.startswith("a exists already with the same content")

    assert run("report", "a", "--output", "a.html").returncode == 0
    html = (tmp_path / "a.html").read_text("utf-8")
    assert "<svg" in html
    assert "src=" not in html
    assert numbers(1)[0] not in html
    assert TEXT in html  # that most numbers get; a test of the report says which it shows
    assert run("find", numbers(30)[29]).stdout == "No submission has that number.\n"
    assert run("purge", "--older-than", "0s", "--yes").stdout == "25 numbers removed.\n"
    assert run("find", numbers(1)[0]).stdout == (
        "No submission has that number. (The numbers of a were purged.)\n"
    )
    assert re.search("  purged at .*: its numbers are gone\n", run("status", "a").stdout)


def test_run_failures_set_exit_status(
    run: Run, list_file: str, sandbox: Sandbox, plan: Callable[..., None]
) -> None:
    """A pause is 4, an unknown outcome 5, a rejection 3, a conflicting plan 2."""
    plan("a", size=10)
    sandbox.inject_fault("code", code="-7")
    paused = run("run", "a", "--concurrency", "1")
    assert paused.returncode == 4
    assert "a: paused: The gateway rejected the submission with -7 余额不足" in paused.stdout
    assert '"yunxin-soap campaign resume a" continues' in paused.stdout
    sandbox.inject_fault("close")
    unknown = run("resume", "a", "--concurrency", "1", "--json")
    assert unknown.returncode == 5
    assert json.loads(unknown.stdout)["numbers"]["unknown"] == 10
    assert 'decide with "yunxin-soap campaign resolve a"' in run("status", "a").stdout
    assert "Say what happened to them" in run("resolve", "a").stderr
    assert run("resolve", "a", "--not-sent", "--by", "小王").stdout == "1 submission resolved.\n"
    assert run("run", "a").returncode == 3
    assert run("resolve", "a", "--not-sent").stdout == "0 submissions resolved: none is unknown.\n"
    again = run("plan", "a", "--csv", list_file, "--message", "别的【签名】")
    assert again.returncode == 2
    assert again.stderr.startswith("yunxin-soap: A campaign 'a' exists already")


def test_plan_skipped_file_unwritable_makes_no_campaign(run: Run, list_file: str) -> None:
    """A file that cannot be written fails the plan before there is a campaign."""
    planned = run("plan", "a", "--csv", list_file, "--message", TEXT, "--skipped", "/dev/full")
    assert (planned.returncode, planned.stdout) == (2, "")
    assert planned.stderr == (
        "yunxin-soap: /dev/full cannot be written (No space left on device): check the disk and"
        " the permissions, or name another file.\n"
    )
    assert "There is no ledger" in run("status").stderr
    run("plan", "a", "--csv", list_file, "--message", TEXT)
    exported = run("export", "a", "--output", "/dev/full", "--json")
    assert exported.returncode == 2
    assert "No space left on device" in json.loads(exported.stdout)["message"]


def test_run_json_shows_reason_for_waiting(
    run: Run, environment: dict[str, str], list_file: str
) -> None:
    """With --json, standard error still says why a run waits."""
    run("plan", "a", "--csv", list_file, "--message", TEXT)
    hour = (datetime.now(timezone.utc).hour + 12) % 24
    command = [*COMMAND, "run", "a", "--json", "--timezone", "UTC"]
    command += ["--sending-hours", f"{hour:02}:00-{hour:02}:30"]
    with started(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        assert "it is outside the sending hours" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert json.loads(process.stdout.read())["numbers"]["pending"] == 25


def test_retry_possibly_sent_needs_unsafe(
    run: Run, sandbox: Sandbox, plan: Callable[..., None]
) -> None:
    """A submission that may have been sent is retried only with --unsafe."""
    plan("a", size=10)
    sandbox.inject_fault("code", code="-1")
    assert run("run", "a").returncode == 3
    assert run("retry", "a").stdout == (
        "0 submissions pending again. 1 rejected submission left out, since they may have been"
        " sent (use --unsafe), or were purged.\n"
    )
    assert run("retry", "a", "--unsafe").stdout == "1 submission pending again.\n"
    assert run("run", "a").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["status", "x"], 2, "There is no campaign 'x'"),
        (["resolve", "--key", "x", "--resend"], 2, "The ledger has no single send 'x': check"),
        (["resolve", "x", "--accepted", "--not-sent"], 2, "give one of --resend, --accepted"),
        (["resolve", "x", "--accepted", "--by", "\x07"], 2, "There is no campaign 'x'"),
        (["status", "\udcff"], 2, "An argument is not UTF-8 text"),
        (["retry", "x", "--code", "9" * 20], 2, "is not in the range"),
        (["plan", "a", "--message-file", "gbk.txt", "--text", "-"], 2, "gbk.txt is not UTF-8"),
        (["plan", "a", "--message", TEXT, "--csv", "gbk.txt", "--column", "²"], 2, "column '²'"),
        (
            ["plan", "a", "--message", TEXT, "--text", "gbk.txt", "--encoding", "undefined"],
            2,
            "The list is not undefined text: name its encoding",
        ),
        (
            ["plan", "a", "--message", TEXT, "--text", "-", "--skipped", "-"],
            2,
            "needs the name of a file",
        ),
        (["purge", "--older-than", "²d"], 2, "must be a whole number with a unit"),
        (
            ["purge", "--older-than", "9" * 400 + "d"],
            2,
            "must be a whole number with a unit",
        ),
        (["status", "--ledger", "/dev/null/x"], 6, "There is no ledger"),
        (["status", "--ledger", "postgresql://u:p@h:abc/db"], 6, "is not a URL"),
        (["status", "--ledger", "sqlite:///ledger.sqlite?timeout=abc"], 6, "cannot be used"),
        (
            ["status", "--ledger", "postgresql://u@127.0.0.1:1/db?password=sekret"],
            6,
            "The ledger postgresql://u@127.0.0.1:1/db cannot be used",
        ),
        (["purge", "--older-than", "90"], 2, "has no unit: write 90d, 90h, 90m or 90s."),
        (["plan", "a", "--text", "-"], 2, "Give the text, by --message"),
        (
            ["plan", "a", "--text", "-", "--message", TEXT, "--message-file", "gbk.txt"],
            2,
            "Give either --message or --message-file, not both.",
        ),
        (
            ["plan", "a", "--message", TEXT, "--text", "-", "--csv", "gbk.txt"],
            2,
            "Give only one of --csv, --text and --excel.",
        ),
        (["status", "--ledger", "mysql://h/db?foo=bar"], 6, "(there is no option foo)"),
        (["status", "--ledger", "postgres://u@127.0.0.1:1/db"], 6, "ledger postgres://u@127"),
        (["status", "--ledger", "junk"], 6, "The ledger junk cannot be used (file is not a d"),
        (
            ["plan", "a", "--text", "gbk.txt", "--message", TEXT, "--ledger", "no/l"],
            6,
            "its folder",
        ),
        (["status", "--ledger", "oracle://h/db"], 6, "can only be an SQLite file, or a"),
        (
            ["plan", "a", "--message", TEXT],
            2,
            "Give the numbers, by --csv, by --text or by --excel.",
        ),
        (["plan", "a", "--message", TEXT, "--text", "missing"], 2, "missing cannot be read"),
        (["plan", "a", "--message", "x", "--text", "-"], 2, "does not end in a signature"),
        (["purge", "--older-than", "x"], 2, "must be a whole number with a unit"),
        (["run", "a"], 2, "There is no campaign"),
        (["run", "a", "--rate-limit", "x"], 2, "'x' is not a valid float"),
    ],
)
def test_command_mistake_is_one_line(
    run_in_process: Run,
    tmp_path: Path,
    ledger_file: Path,
    arguments: list[str],
    status: int,
    message: str,
) -> None:
    """A mistake is one line on standard error, without secrets."""
    Ledger(ledger_file).close()
    (tmp_path / "junk").write_text("x")
    (tmp_path / "gbk.txt").write_bytes("您好【签名】\n13900000000".encode("gbk"))
    done = run_in_process(*arguments)
    assert (done.returncode, done.stderr.count("\n")) == (status, 1), done.stderr
    assert message in done.stderr
    assert "sekret" not in done.stderr
    assert (tmp_path / "junk").read_text() == "x"


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["status", "a"],
        ["run", "a"],
        ["resume", "a"],
        ["retry", "a"],
        ["resolve", "a", "--accepted"],
        ["report", "a"],
        ["find", "13900000000"],
        ["export", "a"],
        ["purge", "--older-than", "90d", "--yes"],
    ],
)
@pytest.mark.parametrize("empty", [False, True])
def test_command_missing_ledger_exits_6(
    run_in_process: Run, ledger_file: Path, arguments: list[str], empty: bool
) -> None:
    """Only "campaign plan" makes a ledger."""
    if empty:
        ledger_file.touch()
    done = run_in_process(*arguments)
    assert done.returncode == 6
    assert done.stderr == (
        f'yunxin-soap: There is no ledger {ledger_file}: "campaign plan" creates one, and so does'
        " a program that opens it.\n"
    )
    assert ledger_file.exists() is empty


def test_status_says_what_is_queued(run: Run, ledger_file: Path) -> None:
    """What waits for a worker is shown, with how long the first has waited."""
    with Ledger(ledger_file) as ledger:
        for key in ("a", "b"):
            ledger.once.enqueue(key, "13900000000", TEXT, channel=37)
    shown = run("status").stdout
    assert re.fullmatch(
        r"single sends: 2 pending\n"
        r"  queued: the first has waited for [0-9]+ s \(yunxin-soap worker sends it\)\n",
        shown,
    )


def test_status_retry_resolve_single_sends_by_key(
    run_in_process: Run, ledger_file: Path, sandbox: Sandbox
) -> None:
    """Single sends are shown, retried and resolved by their key."""
    with (
        Ledger(ledger_file) as ledger,
        Client("demo", "demo", channel="37", endpoint=sandbox.url) as client,
    ):
        ledger.once.send(client, "a", "13900000000", TEXT)
        sandbox.inject_fault("code", code="-7")
        with pytest.raises(BalanceRejected):
            ledger.once.send(client, "b", "13900000000", TEXT)
        sandbox.inject_fault("close")
        with pytest.raises(OutcomeUnknown):
            ledger.once.send(client, "c", "13900000000", TEXT)
        run = run_in_process
        assert run("status").stdout == (
            "single sends: 1 accepted, 1 rejected, 1 unknown\n  unknown: c\n"
            '    ask the vendor, then decide with "yunxin-soap campaign resolve --key c"\n'
            '  rejected: b\n    fix the cause, then "yunxin-soap campaign retry --key b"\n'
        )
        assert json.loads(run("status", "--json").stdout) == {
            "campaigns": [],
            "sends": {"accepted": 1, "rejected": 1, "unknown": 1},
            "unknown_keys": ["c"],
        }
        assert f"by process {os.getpid()} on " in run("find", "13900000000").stdout
        assert "by operator" not in run("find", "13900000000").stdout
        assert run("retry", "--key", "b", "--by", "小王").stdout == "1 submission pending again.\n"
        assert "pending (retry), by operator 小王\n" in run("find", "13900000000").stdout
        assert run("resolve", "--key", "c", "--resend").stdout == "1 submission resolved.\n"
        for key in ("b", "c"):
            ledger.once.send(client, key, "13900000000", TEXT)
    assert run("status").stdout == "single sends: 3 accepted\n"
    for arguments in (["retry"], ["retry", "x", "--key", "a"], ["retry", "--key", "a"]):
        assert run(*arguments).returncode == 2


def test_status_shows_ten_rejected_keys(
    run_in_process: Run, ledger_file: Path, sandbox: Sandbox
) -> None:
    """One bad setting may reject thousands: the oldest that may be retried are named."""
    with (
        Ledger(ledger_file) as ledger,
        Client("demo", "demo", channel="37", endpoint=sandbox.url) as client,
    ):
        sandbox.inject_fault("code", code="-1")  # it may have been sent: to retry it is no advice
        with pytest.raises(GatewayRejected):
            ledger.once.send(client, "possibly sent", "13900000000", TEXT)
        sandbox.inject_fault("code", code="-7")
        with pytest.raises(BalanceRejected):
            ledger.once.send(client, "purged", "13900000000", TEXT)
        ledger.purge(older_than=0)
        sandbox.inject_fault("code", code="-7", times=12)
        for number in range(12):
            with pytest.raises(BalanceRejected):
                ledger.once.send(client, f"k {number}", "13900000000", TEXT)
    first, *lines = run_in_process("status").stdout.splitlines()
    assert first == "single sends: 14 rejected"
    assert lines[0::2][:10] == [f"  rejected: k {number}" for number in range(10)]
    assert lines[1].endswith("retry --key 'k 0'\"")
    assert lines[20:] == ["  … and more that were rejected"]


def test_retry_user_without_name_is_recorded_by_uid(
    run: Run, environment: dict[str, str], list_file: str
) -> None:
    """A user id without a name, as in a container, can decide too."""
    run("plan", "a", "--csv", list_file, "--message", TEXT)
    script = (
        "import getpass, sys\n"
        "def none(): raise KeyError('uid not found')\n"
        "getpass.getuser = none\n"
        "from yunxin_soap.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "campaign", "retry", "a"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("0 submissions pending again.\n", "")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["plan", "b", "--csv", "list.csv", "--message", TEXT, "--skipped", "./list.csv"], "list"),
        (["plan", "b", "--csv", "list.csv", "--message", TEXT, "--skipped", "link"], "ledger"),
        (["plan", "b", "--text", "-", "--message-file", "text", "--skipped", "text"], "text"),
        (["plan", "b", "--text", "text", "--message-file", "-", "--skipped", "list.csv"], "text"),
        (["export", "a", "--output", "link"], "ledger"),
        (["report", "a", "--output", "ledger.sqlite"], "ledger"),
        (["report", "a", "--ledger", "a.html"], "ledger"),
        (["export", "a", "--output", "ledger.sqlite-wal"], "ledger"),
        (
            f"plan b --text list.csv --message {TEXT} --ledger n --skipped n".split(),
            "ledger",
        ),
        (["plan", "b", "--csv", "-", "--message", TEXT, "--skipped", "list.csv"], "list"),
    ],
)
def test_output_over_input_is_invalid(
    run: Run,
    run_in_process: Run,
    list_file: str,
    ledger_file: Path,
    tmp_path: Path,
    arguments: list[str],
    what: str,
) -> None:
    """No command writes over the list, the text or the ledger."""
    (tmp_path / "text").write_text(TEXT)
    (tmp_path / "link").symlink_to(ledger_file)
    assert run_in_process("plan", "a", "--csv", list_file, "--message", TEXT).returncode == 0
    (tmp_path / "a.html").symlink_to(ledger_file)
    with Path(list_file).open() as file:
        done = run(*arguments, stdin=file)
    assert done.returncode == 2
    assert done.stderr == (
        f"yunxin-soap: {arguments[-1]} is the {what}: name another file to write to.\n"
    )
    assert not (tmp_path / "n").exists()
    assert len(Path(list_file).read_text().splitlines()) == 27
    (only,) = json.loads(run_in_process("status", "--json").stdout)["campaigns"]
    assert (only["name"], only["state"], only["planned"]) == ("a", "open", 25)


def test_report_default_file_stays_in_directory(run: Run, list_file: str, tmp_path: Path) -> None:
    """A campaign's name cannot move its report to another directory."""
    run("plan", "../a/双十一 <b>", "--csv", list_file, "--message", TEXT)
    done = run("report", "../a/双十一 <b>")
    assert done.stdout == "Written: .._a_双十一 _b_.html\n"
    assert (tmp_path / ".._a_双十一 _b_.html").exists()
    assert run("report", "../a/双十一 <b>", "--output", "-").stdout.startswith("<!")
    assert not (tmp_path / "-").exists()


def test_plan_full_disk_exits_2(run: Run, environment: dict[str, str], tmp_path: Path) -> None:
    """A full disk for temporary files is one line, and no campaign."""
    rows = "".join(f"{each},{each}{'名' * 100}\n" for each in numbers(300_000))
    (tmp_path / "big.csv").write_text("phone,name\n" + rows)
    plan = ["plan", "a", "--csv", "big.csv", "--message", "您好{name}【签名】"]
    done = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -f 20000; exec "$@"', "sh", *COMMAND, *plan],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("yunxin-soap: The scratch file of the plan cannot be written (")
    assert done.stderr.count("\n") == 1
    assert run("status").stdout == "The ledger is empty.\n"


def test_plan_ctrl_c_exits_130(environment: dict[str, str], tmp_path: Path) -> None:
    """Ctrl-C while a list is read ends the command."""
    with (
        _inherited(signal.SIGINT, signal.default_int_handler),
        started(
            [*COMMAND, "plan", "a", "--text", "-", "--message", TEXT],
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        assert process.stdin is not None
        # More than the buffer of a pipe: once it is written, the command is reading the list.
        process.stdin.write(b"13900000000\n" * 100_000)
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.decode().split("\n", 1)[1] == "yunxin-soap: Interrupted.\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("command", [["status", "a"], ["export", "a"], ["find", "13910000000"]])
def test_output_full_disk_exits_1(
    run: Run, environment: dict[str, str], list_file: str, command: list[str]
) -> None:
    """Standard output that cannot be written is one line."""
    run("plan", "a", "--csv", list_file, "--message", TEXT)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, *command], env=environment, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr.startswith("yunxin-soap: The output cannot be written ([Errno 28]")
    assert done.stderr.count("\n") == 1


def test_plan_text_from_stdin_is_read(run: Run, sandbox: Sandbox) -> None:
    """- is standard input."""
    run("plan", "a", "--text", "-", "--message", TEXT, input="\n".join(numbers(3)))
    assert run("run", "a").returncode == 0
    assert sandbox.accepted_numbers == dict.fromkeys(numbers(3), 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_run_signal_drains(
    sandbox: Sandbox, number: int, plan: Callable[..., None], start: Start, arrived: threading.Event
) -> None:
    """The first signal waits for the submissions in flight, and starts no more."""
    plan("a")
    with (
        _inherited(number, signal.SIG_DFL),
        sandbox.inject_fault("delay", seconds=0.3, times=None),
        start("run", "a", "--concurrency", "2") as process,
    ):
        assert arrived.wait(30)
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)
    assert process.returncode == 4
    assert "Stopping once the submissions in flight have ended" in errors
    assert "unknown" not in output
    accepted = len(sandbox.accepted_numbers)
    assert f"{accepted} accepted" in output
    assert 0 < accepted < 25
    last = output.splitlines()[-1]
    assert last == "Go on with this command and the same options: yunxin-soap campaign run a"


@contextmanager
def _inherited(number: int, handler: Any) -> Iterator[None]:
    """Set how a new process handles a signal: the tests themselves may run under nohup."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def test_run_nohup_ignores_hang_up(
    environment: dict[str, str],
    sandbox: Sandbox,
    plan: Callable[..., None],
    arrived: threading.Event,
) -> None:
    """Under nohup, the run goes on when the terminal closes."""
    plan("a", size=5)
    with (
        _inherited(signal.SIGHUP, signal.SIG_IGN),
        sandbox.inject_fault("delay", seconds=0.2, times=None),
        started([*COMMAND, "run", "a"], env=environment, stdout=subprocess.DEVNULL) as it,
    ):
        assert arrived.wait(30)
        it.send_signal(signal.SIGHUP)
        assert it.wait(30) == 0
    assert len(sandbox.accepted_numbers) == 25


def test_run_second_ctrl_c_ends_at_once(
    sandbox: Sandbox, plan: Callable[..., None], start: Start, arrived: threading.Event
) -> None:
    """The second Ctrl-C ends the run; the submission in flight is unknown."""
    plan("a")
    with (
        sandbox.inject_fault("hang", times=None),
        start("run", "a", "--concurrency", "1") as process,
    ):
        assert process.stderr is not None
        assert arrived.wait(30)
        process.send_signal(signal.SIGINT)
        assert "Stopping" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 5
    assert "1 unknown" in output
    assert "24 pending" in output
    assert output.endswith(" the same options: yunxin-soap campaign run a\n")


@pytest.mark.parametrize(
    ("name", "command"),
    [("spring sale", "run 'spring sale'"), ("春节", "run '春节'"), ("-x", "run -- -x")],
)
def test_run_stopped_says_how_to_go_on(
    sandbox: Sandbox,
    plan: Callable[..., None],
    start: Start,
    arrived: threading.Event,
    run: Run,
    name: str,
    command: str,
) -> None:
    """The last line after Ctrl-C is a command to copy, and that command sends the rest."""
    plan(name)
    with (
        _inherited(signal.SIGINT, signal.default_int_handler),
        sandbox.inject_fault("delay", seconds=1, numbers=numbers(25), times=None),
        start("run", "--yes", "--", name) as process,
    ):
        assert arrived.wait(30)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert output.splitlines()[-1] == f"Go on with: yunxin-soap campaign {command}"
    done = run(*shlex.split(command))
    assert "Go on with" not in done.stdout
    assert sandbox.accepted_numbers == dict.fromkeys(numbers(25), 1)


@pytest.mark.parametrize("columns", ["80", "160"])
def test_run_terminal_shows_bar(
    environment: dict[str, str], columns: str, plan: Callable[..., None]
) -> None:
    """A terminal shows a bar with the counts, at any width."""
    plan("a")
    ours, theirs = pty.openpty()
    with started(
        [*COMMAND, "run", "a"],
        env={**environment, "TERM": "xterm", "COLUMNS": columns},
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # Linux reports the closed end as an error
            pass
        process.communicate(timeout=30)
    os.close(ours)
    text = shown.decode()
    assert process.returncode == 0
    assert "25/25" in text
    assert "\u2501" in text  # the bar
    assert "0:00:00" in text  # the remaining time
    assert "25 accepted, 0 rejected, 0 unknown" in text


@pytest.mark.parametrize("kind", ["terminal", "pipe"])
def test_run_closed_stderr_continues(
    environment: dict[str, str],
    sandbox: Sandbox,
    kind: str,
    plan: Callable[..., None],
    arrived: threading.Event,
) -> None:
    """A run goes on when its terminal or pipe is closed."""
    plan("a", size=5)
    ours, theirs = pty.openpty() if kind == "terminal" else os.pipe()
    sandbox.inject_fault("delay", seconds=0.5)
    sandbox.inject_fault("code", code="-7", skip=1)
    with started(
        [*COMMAND, "run", "a", "--concurrency", "1"],
        env={**environment, "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    ) as process:
        os.close(theirs)
        assert arrived.wait(30)
        os.close(ours)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 4
    assert "a: paused: The gateway rejected the submission with -7" in output
    assert "unknown" not in output


def test_export_closed_pipe_exits_1(run: Run, tmp_path: Path, start: Start) -> None:
    """A reader that closes the pipe, as head does, causes no message."""
    (tmp_path / "list.txt").write_text("\n".join(numbers(5000)))
    run("plan", "a", "--text", "list.txt", "--message", TEXT)
    with start("export", "a") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert '"number","state"' in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("pasue", "pause"), ("canncel", "cancel"), ("dellete", "delete"), ("wach", "watch")],
)
def test_command_misspelt_is_suggested(run_in_process: Run, typed: str, meant: str) -> None:
    """An error about a command that does not exist names the one that was meant first."""
    error = run_in_process(typed).stderr
    assert re.search(f"No such command '{typed}'.*Did you mean[^']*'{meant}'", error), error


def test_pause_ends_run_elsewhere(
    run_in_process: Run, plan: Callable[..., None], sandbox: Sandbox, running: Start
) -> None:
    """A pause ends a run in another process after what is in flight; resume sends the rest."""
    plan("a")
    with (
        sandbox.inject_fault("delay", seconds=0.3, times=None),
        running("--concurrency", "2") as process,
    ):
        paused = run_in_process("pause", "a", "--by", "ops", "--reason", "holiday")
        assert (paused.returncode, paused.stderr) == (0, "")
        assert paused.stdout == 'a is paused; "yunxin-soap campaign resume a" continues it.\n'
        other = run_in_process("pause", "a", "--by", "boss")
        assert other.returncode == 2
        assert "is paused already (by ops: holiday), until somebody resumes it." in other.stderr
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 4
    assert "a: paused: by ops: holiday\n" in output
    assert output.endswith('  paused: "yunxin-soap campaign resume a" continues it\n')
    assert "unknown" not in output
    assert 0 < len(sandbox.accepted_numbers) < 25
    assert run_in_process("run", "a").returncode == 4
    assert run_in_process("resume", "a").returncode == 0
    assert sandbox.accepted_numbers == dict.fromkeys(numbers(25), 1)
    for command in ("pause", "cancel", "delete"):
        yes = () if command == "pause" else ("--yes",)
        ended = run_in_process(command, "a", *yes)
        assert ended.returncode == 2
        assert f"'a' is done, so there is nothing to {command}. Nothing was" in ended.stderr


def test_resumed_run_counts_on(
    run_in_process: Run, plan: Callable[..., None], sandbox: Sandbox, start: Start
) -> None:
    """The progress of a resumed run counts what ended before it."""
    plan("a")
    sandbox.inject_fault("code", code="-7", skip=5)
    assert run_in_process("run", "a", "--concurrency", "1").returncode == 4
    with start("resume", "a", "--from", "2100-01-01T00:00") as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        process.kill()
    assert line.startswith("5 of 25 numbers: 5 accepted, 0 rejected, 0 unknown, "), line
    assert len(sandbox.accepted_numbers) == 5


def test_cancel_ends_run_elsewhere(
    run_in_process: Run, plan: Callable[..., None], sandbox: Sandbox, running: Start
) -> None:
    """A cancelled campaign sends what is in flight and nothing more, and refuses to go on."""
    plan("a")
    with (
        sandbox.inject_fault("delay", seconds=0.3, times=None),
        running("--concurrency", "2") as process,
    ):
        cancelled = run_in_process("cancel", "a", "--yes", "--by", "ops")
        assert re.match(r"\d+ submissions cancelled\.", cancelled.stdout), cancelled.stderr
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 3
    assert "a: cancelled: by ops\n" in output
    sent = len(sandbox.accepted_numbers)
    assert 0 < sent < 25
    status = json.loads(run_in_process("status", "a", "--json").stdout)
    assert (status["numbers"]["accepted"], status["numbers"]["cancelled"]) == (sent, 25 - sent)
    for arguments in (["resume", "a"], ["retry", "a"], ["resolve", "a", "--resend"]):
        refused = run_in_process(*arguments)
        assert refused.returncode == 2
        assert "was cancelled, so nothing of it is sent again" in refused.stderr
    assert run_in_process("run", "a").returncode == 3
    exported = run_in_process("export", "a", "--state", "cancelled").stdout
    assert exported.count("cancelled by ops") == 25 - sent
    assert len(sandbox.accepted_numbers) == sent


@pytest.mark.parametrize(
    ("arguments", "question"),
    [
        (["cancel", "a"], "Cancel a, with 25 "),
        (["delete", "a"], "Delete a, with 25 "),
        (["purge", "--older-than", "0s"], "ended more than 0s ago? This is final."),
    ],
)
def test_what_is_final_asks_first(
    run: Run,
    run_in_process: Run,
    plan: Callable[..., None],
    arguments: list[str],
    question: str,
) -> None:
    """It asks at a terminal; without one it needs --yes. A no or an end changes nothing."""
    plan("a")
    if arguments[0] == "purge":
        run_in_process("run", "a")
    before = run_in_process("status", "a").stdout
    refused = run(*arguments, stdin=subprocess.DEVNULL)
    assert refused.returncode == 2
    assert refused.stderr.endswith("There is no terminal to ask for confirmation at: give --yes.\n")
    ours, theirs = pty.openpty()
    try:
        for answer in (b"n\n", b"\x04"):
            os.write(ours, answer)
            refused = run(*arguments, stdin=theirs)
            assert refused.returncode == 2
            assert question in refused.stderr
            assert refused.stderr.endswith("yunxin-soap: Nothing was changed.\n")
            assert run_in_process("status", "a").stdout == before
        os.write(ours, b"y\n")
        assert run(*arguments, stdin=theirs).returncode == 0
    finally:
        os.close(ours)
        os.close(theirs)
    assert run_in_process("status", "a").stdout != before


@contextmanager
def terminal(typed: bytes) -> Iterator[tuple[int, int]]:
    """A terminal at which something was typed: our end and the end of a process."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, typed)
        yield ours, theirs
    finally:
        os.close(theirs)
        os.close(ours)


def ask(
    environment: dict[str, str], typed: bytes, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a command whose input and errors are a terminal; return what this showed as stderr."""
    with terminal(typed) as (ours, theirs):
        done = subprocess.run(
            [*COMMAND, *arguments],
            env={**environment, "TERM": "xterm", "COLUMNS": "200"},
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            timeout=60,
            check=False,
        )
        os.write(theirs, b"\0")
        shown = _read_until(ours, "\0", errors="backslashreplace")
    return subprocess.CompletedProcess(arguments, done.returncode, done.stdout, shown)


@pytest.mark.parametrize("command", ["run", "resume"])
def test_run_asks_at_a_terminal(
    run_in_process: Run,
    plan: Callable[[str], None],
    environment: dict[str, str],
    sandbox: Sandbox,
    command: str,
) -> None:
    """It shows numbers, texts, cost and gateway, and sends after a yes only."""
    plan("a")
    if command == "resume":
        run_in_process("pause", "a")
    before = run_in_process("status", "a").stdout
    options = ("--price", "0.045", "--sending-hours", "00:00-24:00", "--from", "2020-01-02T03:04")
    refused = ask(environment, b"\n", command, "a", *options)
    assert (refused.returncode, refused.stdout) == (2, "")
    lines = [line.rstrip() for line in refused.stderr.splitlines()]
    shown = "a: 25 pending numbers in 25 submissions with 1 text, about 25 segments (an estimate)"
    start = lines.index(shown)
    assert lines[start : start + 6] == [
        shown,
        "Cost: 25 segments × 0.045 = 1.125 (an estimate)",
        "First, longest, shortest text, to 139****0000, 1 segment:",
        f"  {TEXT}",
        f"Gateway: {sandbox.url} (soap), account demo, channel 37; at 00:00-24:00"
        " (Asia/Shanghai), from 2020-01-02 03:04:00+08:00",
        "Send? [y/N]: yunxin-soap: Nothing was sent.",
    ]
    assert run_in_process("status", "a").stdout == before
    assert sandbox.arrivals == ()
    done = ask(environment, b"y\n", command, "a")
    assert done.returncode == 0
    assert "Send? [y/N]" in done.stderr
    assert sandbox.accepted_numbers == dict.fromkeys(numbers(25), 1)
    again = ask(environment, b"", "run", "a")
    assert (again.returncode, "Send?" in again.stderr) == (0, False)


def test_start_asks_at_a_terminal_and_sends_nothing(
    run_in_process: Run, plan: Callable[[str], None], environment: dict[str, str], sandbox: Sandbox
) -> None:
    """`start` shows what is to be sent, and asks; the campaign is started only after a yes."""
    plan("a")
    options = ("start", "a", "--workers", "3", "--sending-hours", "00:00-24:00")
    refused = ask(environment, b"n\n", *options)
    assert (refused.returncode, "Send? [y/N]" in refused.stderr) == (2, True)
    assert "Channel 37; at 00:00-24:00 (Asia/Shanghai)" in refused.stderr
    assert json.loads(run_in_process("status", "a", "--json").stdout)["workers"] is None
    done = ask(environment, b"y\n", *options)
    assert (done.returncode, "a is started for 3 runners" in done.stdout) == (0, True)
    assert "  started for 3 runners\n" in run_in_process("status", "a").stdout
    assert json.loads(run_in_process("status", "a", "--json").stdout)["workers"] == 3
    assert sandbox.arrivals == ()


def test_start_and_stop_by_a_script(run_in_process: Run, plan: Callable[[str], None]) -> None:
    """Without a terminal nothing is asked; `stop` forgets what `start` has kept."""
    plan("a")
    assert json.loads(run_in_process("start", "a", "--json").stdout) == {"started": "a"}
    assert run_in_process("start", "a", "--concurrency", "0").returncode == 2
    assert "started for 2 runners" in run_in_process("status", "a").stdout
    assert json.loads(run_in_process("stop", "a", "--json").stdout) == {"stopped": "a"}
    assert "started" not in run_in_process("status", "a").stdout
    assert run_in_process("stop", "x").returncode == 2


def test_pace_set_list_remove(
    run_in_process: Run, plan: Callable[[str], None], environment: dict[str, str]
) -> None:
    """A pace is set, shown, named by a campaign, and removed once nothing names it."""

    def pace(*arguments: str) -> Any:
        return CliRunner().invoke(cli, ["pace", *arguments], env=environment)

    plan("a")
    done = pace("set", "account-37", "--rate", "50", "--numbers-rate", "2500")
    assert done.stdout == "account-37: 50 submissions a second and 2500 numbers a second\n"
    assert pace("set", "account-37", "--rate", "0").exit_code == 2
    assert pace("list").stdout == done.stdout
    assert json.loads(pace("list", "--json").stdout) == [
        {"name": "account-37", "rate": 50.0, "numbers_rate": 2500.0}
    ]
    assert run_in_process("start", "a", "--pace", "x").returncode == 2
    assert run_in_process("start", "a", "--pace", "account-37").returncode == 0
    assert pace("remove", "account-37").exit_code == 2
    run_in_process("stop", "a")
    assert json.loads(pace("remove", "account-37", "--json").stdout) == {"removed": "account-37"}
    assert pace("list").stdout == "The ledger has no pace.\n"


def test_run_does_not_ask_about_what_it_would_not_send(
    run_in_process: Run, plan: Callable[[str], None], environment: dict[str, str], sandbox: Sandbox
) -> None:
    """A run of a campaign that waits for an operator says so, and ends."""
    plan("a")
    run_in_process("pause", "a")
    done = ask(environment, b"", "run", "a")
    assert (done.returncode, "Send?" in done.stderr) == (4, False)
    assert sandbox.arrivals == ()


@pytest.mark.parametrize("option", ["--yes", "-y"])
def test_run_yes_does_not_ask(
    plan: Callable[[str], None], environment: dict[str, str], sandbox: Sandbox, option: str
) -> None:
    """With --yes, a run at a terminal sends at once."""
    plan("a")
    done = ask(environment, b"", "run", "a", option)
    assert (done.returncode, "Send?" in done.stderr) == (0, False)
    assert len(sandbox.accepted_numbers) == 25


def test_run_whose_errors_are_in_a_file_does_not_ask(
    run: Run, plan: Callable[[str], None], sandbox: Sandbox
) -> None:
    """Nobody would see the question, though the input is a terminal; cron has not even that."""
    plan("a")
    with terminal(b"") as (_, theirs):
        assert run("run", "a", stdin=theirs).returncode == 0
    assert len(sandbox.accepted_numbers) == 25


def test_run_without_time_zone_data_keeps_chinas_hours(
    plan: Callable[[str], None], environment: dict[str, str], sandbox: Sandbox
) -> None:
    """A slim image has neither the system's data nor the package tzdata."""
    plan("a")
    script = "import sys; sys.modules['tzdata'] = None; import yunxin_soap.__main__ as m; m.main()"

    def call(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", script, "campaign", "run", "a", *options],
            env={**environment, "PYTHONTZPATH": ""},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    refused = call("--timezone", "Europe/Berlin")
    assert refused.returncode == 2
    assert refused.stderr.startswith("yunxin-soap: --timezone 'Europe/Berlin' is not known, ")
    assert refused.stderr.endswith(": pip install tzdata.\n")
    assert sandbox.arrivals == ()
    done = call("--sending-hours", "00:00-24:00")
    assert done.returncode == 0, done.stderr
    assert " Asia/Shanghai" in done.stdout
    assert len(sandbox.accepted_numbers) == 25


@pytest.mark.parametrize("streams", ["<&-", "<&- 2>&-"])
def test_run_closed_input_sends(
    plan: Callable[[str], None], environment: dict[str, str], sandbox: Sandbox, streams: str
) -> None:
    """A job whose standard input is closed is not asked, and sends."""
    plan("a")
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {streams}', "sh", *COMMAND, "run", "a"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert "a: done" in done.stdout
    assert len(sandbox.accepted_numbers) == 25


@pytest.mark.parametrize("encoding", ["ascii", "gbk"])
def test_campaign_in_another_encoding_has_no_traceback(
    plan: Callable[[str], None], environment: dict[str, str], sandbox: Sandbox, encoding: str
) -> None:
    """What the terminal cannot show is escaped; a text that was planned is sent as it was."""
    plan("a")
    environment |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment |= {"PYTHONIOENCODING": encoding}
    for answer, status in ((b"n\n", 2), (b"\xff\n", 2), (b"y\n", 0)):
        done = ask(environment, answer, "run", "a", "--price", "0.05")
        assert done.returncode == status
        assert "Traceback" not in done.stderr
        assert "Send? [y/N]" in done.stderr
        assert (sandbox.arrivals == ()) is (status == 2)
    assert {each.message for each in sandbox.inbox} == {TEXT}


def test_delete_only_what_never_sent(
    run_in_process: Run, plan: Callable[..., None], sandbox: Sandbox, running: Start
) -> None:
    """A campaign that runs or has sent is not deleted; another one leaves its name free."""
    plan("a")
    with (
        sandbox.inject_fault("delay", seconds=0.3, times=None),
        running("--concurrency", "2") as process,
    ):
        refused = run_in_process("delete", "a", "--yes")
        assert refused.returncode == 2
        assert f"is being run by process {process.pid} on " in refused.stderr
        run_in_process("pause", "a")
        process.communicate(timeout=30)
    refused = run_in_process("delete", "a", "--yes")
    assert refused.returncode == 2
    assert "has begun to send, so its record stays" in refused.stderr
    plan("b")
    deleted = run_in_process("delete", "b", "--yes", "--json")
    assert json.loads(deleted.stdout) == {"deleted": "b"}
    assert run_in_process("status", "b").returncode == 2
    plan("b")
    assert json.loads(run_in_process("status", "b", "--json").stdout)["planned"] == 25


def _read_until(terminal: int, wanted: str, errors: str = "strict") -> str:
    """Return what a process wrote to a terminal until a text is in it, or until it ended."""
    shown = b""
    with contextlib.suppress(OSError):  # Linux reports the closed end as an error
        while wanted.encode() not in shown and (piece := os.read(terminal, 65536)):
            shown += piece
    return shown.decode(errors=errors)


@pytest.mark.parametrize("interrupted", [False, True])
def test_watch_shows_run_elsewhere(
    run_in_process: Run,
    plan: Callable[..., None],
    sandbox: Sandbox,
    interrupted: bool,
    start: Start,
) -> None:
    """Watch shows the bar of a run in another process, and ends with it, or with Ctrl-C."""
    plan("a")
    ours, theirs = pty.openpty()
    with (
        _inherited(signal.SIGINT, signal.default_int_handler),
        start("watch", "a", terminal=theirs) as process,
    ):
        os.close(theirs)
        shown = _read_until(ours, "0/25")
        assert "Nobody runs a: waiting for a run." in shown
        assert "0/25" in shown
        if interrupted:
            process.send_signal(signal.SIGINT)
            assert "Interrupted" in _read_until(ours, "Interrupted")
        assert run_in_process("run", "a").returncode == 0
        if not interrupted:
            assert "25/25" in _read_until(ours, "25/25")
        output, _ = process.communicate(timeout=30)
    os.close(ours)
    assert process.returncode == (130 if interrupted else 0)
    assert ("25 accepted" in output) is not interrupted
    assert sandbox.accepted_numbers == dict.fromkeys(numbers(25), 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_watch_ends_when_run_was_stopped(
    plan: Callable[..., None], sandbox: Sandbox, number: int, start: Start, running: Start
) -> None:
    """Watch ends when the process that ran the campaign stopped or was killed."""
    plan("a")
    ours, theirs = pty.openpty()
    with (
        sandbox.inject_fault("delay", seconds=0.5, times=None),
        _inherited(signal.SIGINT, signal.default_int_handler),
        running("--concurrency", "1") as process,
        start("watch", "a", terminal=theirs) as watching,
    ):
        os.close(theirs)
        shown = _read_until(ours, "/25")
        process.send_signal(number)
        process.communicate(timeout=30)
        _read_until(ours, "until it ended")
        output, _ = watching.communicate(timeout=30)
    os.close(ours)
    assert "Nobody runs" not in shown
    assert watching.returncode == 4
    assert output.startswith("a: open\n")
    assert " run by " not in output


@pytest.mark.parametrize(
    ("closed", "command", "status"),
    [(0, "run", 0), (1, "run", 5), (0, "pause", 4), (0, "cancel", 3)],
)
def test_watch_has_exit_status_of_run(
    run_in_process: Run,
    plan: Callable[..., None],
    sandbox: Sandbox,
    closed: int,
    command: str,
    status: int,
) -> None:
    """What has ended, or waits for an operator, is shown at once, with the exit status of run."""
    plan("a")
    if closed:
        sandbox.inject_fault("close", times=closed)
    run_in_process(command, "a", *(("--yes",) if command == "cancel" else ()))
    done = run_in_process("watch", "a")
    assert done.returncode == run_in_process("run", "a").returncode == status
    assert done.stdout == run_in_process("status", "a").stdout


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai"])
def test_run_from_waits_until_then(
    run_in_process: Run,
    plan: Callable[..., None],
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    zone: str,
) -> None:
    """Nothing is sent before --from, which is in the time zone of --timezone."""
    plan("a")
    begins = (datetime.now(ZoneInfo(zone)) + timedelta(hours=1)).replace(microsecond=0)
    report, real_time = running_module.Runner._report, time.time
    waits: list[int] = []

    def start_once_reported(self: running_module.Runner, progress: Progress) -> None:
        report(self, progress)
        if progress.reason and not waits:
            waits.append(len(sandbox.arrivals))
            monkeypatch.setattr(time, "time", lambda: real_time() + 3600)

    monkeypatch.setattr(running_module.Runner, "_report", start_once_reported)
    text = begins.replace(tzinfo=None).isoformat()
    done = run_in_process("run", "a", "--from", text, "--timezone", zone)
    assert done.returncode == 0, done.stderr
    assert f"waiting until {begins:%Y-%m-%d %H:%M:%S} {zone}: the run starts then" in done.stderr
    assert waits == [0]
    assert len(sandbox.arrivals) == 25


def test_waiting_run_is_seen_from_elsewhere(
    run_in_process: Run, plan: Callable[..., None], start: Start
) -> None:
    """Status, its JSON and watch say why a run elsewhere waits, and until when."""
    plan("a")
    wait = "waiting until 2100-01-01 00:00:00 Asia/Shanghai: the run starts then"
    with (
        start("run", "a", "--from", "2100-01-01T00:00") as process,
        start("watch", "a") as watching,
    ):
        assert process.stderr is not None
        assert watching.stderr is not None
        assert process.stderr.readline().endswith(f"; {wait}\n")
        who = f"process {process.pid} on {socket.gethostname()}"
        assert f"  run by {who} since " in (shown := run_in_process("status", "a").stdout)
        assert f": nothing in flight; {wait}\n" in shown
        assert run_in_process("status").stdout.endswith(f"  {who}  {wait}\n")
        (runner_,) = json.loads(run_in_process("status", "a", "--json").stdout)["runners"]
        assert runner_["reason"] == "the run starts then"
        assert datetime.fromisoformat(runner_["until"]).astimezone(timezone.utc).year == 2099
        assert any(line.endswith(f"; {wait}\n") for line in watching.stderr)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        watching.communicate(timeout=30)
    assert watching.returncode == process.returncode == 4


def test_last_line_of_run_counts_what_others_did(
    run_in_process: Run,
    plan: Callable[..., None],
    sandbox: Sandbox,
    start: Start,
) -> None:
    """A run's last line is as the ledger is in the end, also if another run has sent all."""
    plan("a")
    with start("run", "a", "--from", "2100-01-01T00:00") as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("0 of 25 numbers: ")
        assert run_in_process("run", "a").returncode == 0
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert errors.splitlines()[-1].startswith("25 of 25 numbers: 25 accepted, "), errors
    assert sandbox.accepted_numbers == dict.fromkeys(numbers(25), 1)


def test_watch_says_who_left_submissions_in_flight(
    run_in_process: Run, plan: Callable[..., None], sandbox: Sandbox, start: Start, running: Start
) -> None:
    """After a kill, it names the process that ran it, before it waits for another run."""
    plan("a")
    with sandbox.inject_fault("hang"), running("--concurrency", "1") as it:
        it.kill()
        it.communicate(timeout=30)
    who = f"process {it.pid} on {socket.gethostname()}"
    with start("watch", "a") as watching:
        assert watching.stderr is not None
        assert [watching.stderr.readline() for _ in range(2)] == [
            f"{who} has ended with 1 submission in flight: the next run makes it unknown.\n",
            "Nobody runs a: waiting for a run.\n",
        ]
        assert run_in_process("run", "a").returncode == 5
        output, _ = watching.communicate(timeout=30)
    assert watching.returncode == 5
    assert "24 accepted" in output


def test_watch_says_until_when_a_silent_process_counts_as_alive(
    run_in_process: Run, plan: Callable[..., None], start: Start, ledger_file: Path
) -> None:
    """A process that cannot be looked at has its submissions until its lease ends."""
    plan("a")
    engine = open_engine(ledger_file)
    here = RunnerIdentity.new()
    here.end()
    boot = here.pid_namespace.partition("/")[0]
    silent = ManualRunner(engine, host="web-3", pid=4711, pid_namespace=f"{boot}/another container")
    silent.claim(2)
    in_flight = "2 submissions in flight, "
    with start("watch", "a", "--timezone", "UTC") as watching:
        assert watching.stderr is not None
        assert re.fullmatch(
            f"process 4711 on web-3 runs a: {in_flight}unknown at .* UTC if it sends no heartbeat"
            r" before\.\n",
            watching.stderr.readline(),
        )
        with engine.begin() as connection:
            connection.execute(sa.update(runner).values(expires_at=1.0))
        output, _ = watching.communicate(timeout=30)
    silent.identity.end()
    engine.dispose()
    assert watching.returncode == 4
    assert ": 2 submissions in flight, and no heartbeat any more: the next run makes them" in output
    with start("watch", "a") as watching:
        assert watching.stderr is not None
        assert [watching.stderr.readline() for _ in range(2)] == [
            "process 4711 on web-3 sends no heartbeat any more, and has 2 submissions in flight:"
            " the next run makes them unknown.\n",
            "Nobody runs a: waiting for a run.\n",
        ]
        watching.kill()


def test_watch_of_a_pause_does_not_wait_for_a_dead_process(
    run_in_process: Run, plan: Callable[..., None], sandbox: Sandbox, running: Start
) -> None:
    """What a killed process left in flight ends with the next run only, so watch ends before."""
    plan("a")
    with sandbox.inject_fault("hang"), running("--concurrency", "1") as it:
        it.kill()
        it.communicate(timeout=30)
    run_in_process("pause", "a")
    watched = run_in_process("watch", "a")
    assert watched.returncode == 4
    assert watched.stdout == run_in_process("status", "a").stdout


def test_watch_counts_only_while_something_moves(
    run_in_process: Run,
    plan: Callable[..., None],
    ledger_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While nobody runs a campaign, watching it does not count its submissions again and again."""
    plan("a")
    monkeypatch.setattr(progress_module, "_WATCH_INTERVAL", 0.01)
    looks, counts = threading.Semaphore(0), []
    with Ledger(ledger_file) as ledger, ThreadPoolExecutor(1) as pool:
        activity, count = ledger.activity, ledger.progress

        def look(name: str) -> Activity:
            looks.release()
            return activity(name)

        def counted(name: str) -> Progress:
            counts.append(name)
            return count(name)

        monkeypatch.setattr(ledger, "activity", look)
        monkeypatch.setattr(ledger, "progress", counted)
        watching = pool.submit(progress_module.watch, ledger, "a", ZoneInfo("UTC"), bar=False)
        for _ in range(5):
            assert looks.acquire(timeout=30)
        assert counts == ["a"]
        assert run_in_process("run", "a").returncode == 0
        assert watching.result(30).numbers[State.ACCEPTED] == 25


def test_status_of_all_shows_pauses_and_holds(
    run_in_process: Run, plan: Callable[..., None], sandbox: Sandbox
) -> None:
    """The line of a campaign says why it waits, and how many of its numbers are on hold."""
    plan("a")
    plan("b")
    run_in_process("pause", "a", "--by", "ops", "--reason", "wrong text?")
    sandbox.inject_fault("code", code="-5")
    assert run_in_process("run", "b", "--concurrency", "1").returncode == 3
    heading, paused, held = run_in_process("status").stdout.splitlines()
    columns = re.split(r"  +", heading)
    assert re.split(r"  +", paused)[-1] == "by ops: wrong text?"
    assert re.split(r"  +", held)[columns.index("on hold")] == "24"


def test_cancel_shows_how_far_it_is(
    run_in_process: Run, plan: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long cancel is not silent."""
    monkeypatch.setattr(admin, "_CANCEL_BATCH", 10)
    monkeypatch.setattr(cancel_module, "_LINE_INTERVAL", 0.0)
    plan("a")
    cancelled = run_in_process("cancel", "a", "--yes")
    assert cancelled.stdout == "25 submissions cancelled.\n"
    assert cancelled.stderr.splitlines() == [
        f"{count} of 25 submissions cancelled" for count in (10, 20, 25)
    ]


def test_export_json_shows_chinese(
    run_in_process: Run, plan: Callable[..., None], sandbox: Sandbox
) -> None:
    """The JSON of an export is UTF-8, and a reason can be read."""
    plan("a")
    sandbox.inject_fault("code", code="-14", times=None)
    run_in_process("run", "a", "--concurrency", "1")
    first, *_ = run_in_process("export", "a", "--json").stdout.splitlines()
    assert "用户黑名单" in first
    assert "用户黑名单" in json.loads(first)["reason"]


def test_find_shortens_long_details(
    run_in_process: Run, plan: Callable[..., None], ledger_file: Path, sandbox: Sandbox
) -> None:
    """The history of a number has short lines; its JSON has all."""
    plan("a")
    sandbox.inject_fault("code", code="-14")
    run_in_process("run", "a", "--concurrency", "1")
    with transaction(ledger_file) as connection:
        connection.execute(sa.update(history).values(detail="x" * 500))
    found = run_in_process("find", numbers(1)[0])
    assert f"({'x' * 99}…)" in found.stdout
    assert "x" * 500 in run_in_process("find", numbers(1)[0], "--json").stdout


def test_export_state_chooses_numbers(
    run_in_process: Run, plan: Callable[..., None], sandbox: Sandbox
) -> None:
    """--state exports the numbers in one state, or in several."""
    plan("a")
    sandbox.inject_fault("close")
    sandbox.inject_fault("code", code="-14")
    assert run_in_process("run", "a", "--concurrency", "1").returncode == 5

    def states(*options: str) -> dict[str, str]:
        exported = run_in_process("export", "a", *options).stdout.lstrip("\ufeff")
        rows = csv.DictReader(io.StringIO(exported))
        return {row["number"]: row["state"] for row in rows}

    first, second = numbers(2)
    assert states("--state", "unknown") == {first: "unknown"}
    several = states("--state", "unknown", "--state", "rejected")
    assert several == {first: "unknown", second: "rejected"}
    assert len(states()) == 25
    rows = run_in_process("export", "a", "--state", "rejected", "--json").stdout.splitlines()
    assert [json.loads(row)["number"] for row in rows] == [second]
    assert run_in_process("export", "a", "--state", "lost").returncode == 2


def test_status_of_all_has_a_line_each(
    run_in_process: Run, plan: Callable[..., None], sandbox: Sandbox, running: Start
) -> None:
    """A line has the counts, the age of the oldest unknown, and the process that runs it."""
    plan("a")
    plan("双十一")
    sandbox.inject_fault("close")
    sandbox.inject_fault("hang", times=None)
    with running("--concurrency", "1") as process:
        # The second arrives once the first is recorded as unknown.
        while len(sandbox.arrivals) < 2:
            assert process.poll() is None
            threading.Event().wait(0.05)
        heading, running_line, other = run_in_process("status").stdout.splitlines()
        (shown, _) = json.loads(run_in_process("status", "--json").stdout)["campaigns"]
        process.kill()
        process.communicate(timeout=30)
    assert re.split(r"  +", heading) == [
        *("campaign", "state", "numbers", "pending", "submitting", "accepted", "rejected"),
        *("unknown", "cancelled", "suppressed", "on hold", "oldest unknown", "workers"),
        *("run by", "reason"),
    ]
    *counts, oldest, workers, runner, reason = re.split(r"  +", running_line)
    assert counts == ["a", "open", "25", "23", "1", "0", "0", "1", "0", "0", "0"]
    assert (workers, reason) == ("-", "-")
    assert re.fullmatch(r"\d+s", oldest)
    assert runner == f"process {process.pid} on {socket.gethostname()}"
    assert other.split() == ["双十一", "open", "25", "25", *"0000000", *"----"]
    assert [each["pid"] for each in shown["runners"]] == [process.pid]
    assert datetime.fromisoformat(shown["oldest_unknown_at"]).utcoffset() == timedelta(0)


def test_resolve_even_if_alive_takes_the_risk(
    run_in_process: Run,
    plan: Callable[..., None],
    ledger_file: Path,
    sandbox: Sandbox,
    running: Start,
) -> None:
    """What a process that is suspended had in flight is sent again only by --even-if-alive."""
    plan("a")
    sandbox.inject_fault("hang")
    with running("--concurrency", "1") as process:
        process.send_signal(signal.SIGSTOP)
        with transaction(ledger_file) as connection:
            connection.execute(sa.update(runner).values(expires_at=1.0))
        assert run_in_process("run", "a").returncode == 5
        refused = run_in_process("resolve", "a", "--resend")
        assert refused.returncode == 2
        assert f"process {process.pid} on {socket.gethostname()}" in refused.stderr
        assert "--even-if-alive" in refused.stderr
        resolved = run_in_process("resolve", "a", "--resend", "--even-if-alive", "--by", "ops")
        assert (resolved.returncode, resolved.stdout) == (0, "1 submission resolved.\n")
        process.kill()
        process.communicate(timeout=30)
    found = run_in_process("find", numbers(1)[0], "--timezone", "UTC").stdout
    assert "pending (resend, although its runner may be alive), by operator ops\n" in found
    assert re.search(
        rf"\d\d:\d\d UTC submitting, by process {process.pid} on {socket.gethostname()}\n", found
    )


def test_campaign_on_sqlite_needs_no_other_driver(
    environment: dict[str, str], tmp_path: Path, sandbox: Sandbox
) -> None:
    """A list is planned and sent where the drivers of other databases cannot be imported."""
    script = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('psycopg', 'pymysql'):\n"
        "            raise ModuleNotFoundError(name + ' is not there', name=name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "from yunxin_soap.__main__ import main\n"
        "main()\n"
    )

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", script, "campaign", *arguments],
            env=environment,
            cwd=tmp_path,
            input="\n".join(numbers(3)),
            capture_output=True,
            text=True,
            timeout=60,
        )

    planned = call("plan", "a", "--text", "-", "--message", TEXT)
    assert (planned.returncode, planned.stderr) == (0, "")
    done = call("run", "a")
    assert (done.returncode, done.stderr) == (0, "")
    assert sandbox.accepted_numbers == dict.fromkeys(numbers(3), 1)
    for database, driver, extra in (
        ("postgresql", "psycopg", "campaign"),
        ("mysql", "pymysql", "campaign-mysql"),
    ):
        other = call("status", "--ledger", f"{database}://127.0.0.1/x")
        assert other.returncode == 2
        assert f"needs {driver}, which is not installed." in other.stderr
        assert other.stderr.endswith(f": {install_command(extra)}\n")


def test_resolve_and_status_say_what_is_still_in_flight(
    run_in_process: Run, plan: Callable[..., None], sandbox: Sandbox, running: Start
) -> None:
    """What a run elsewhere has in flight is not unknown yet: they say whose it is, until when."""
    plan("a")
    sandbox.inject_fault("hang")
    with running("--concurrency", "1") as process:
        who = f"process {process.pid} on {socket.gethostname()}"
        resolved = run_in_process("resolve", "a", "--accepted")
        as_json = json.loads(run_in_process("resolve", "a", "--accepted", "--json").stdout)
        shown = run_in_process("status", "a", "--timezone", "UTC").stdout
        process.kill()
        process.communicate(timeout=30)
    assert re.fullmatch(
        r"0 submissions resolved: none is unknown\.\n"
        rf"1 submission of {who} still in flight, so not yet unknown: if it sends no heartbeat"
        r" within 3\d\d s, a run makes it so\.\n",
        resolved.stdout,
    ), resolved.stdout
    assert (as_json["submissions"], as_json["in_flight"]) == (0, 1)
    (runner_,) = as_json["runners"]
    assert (runner_["pid"], runner_["in_flight"]) == (process.pid, 1)
    until = datetime.fromisoformat(runner_["counts_as_stalled_at"])
    assert until > datetime.now(timezone.utc)
    assert re.search(
        rf"run by {who} since .* UTC: 1 submission in flight, unknown at .* UTC if it sends no"
        " heartbeat before",
        shown,
    ), shown
    assert run_in_process("resolve", "a", "--accepted").stdout.endswith(
        f"1 submission of {who}, which has ended, so not yet unknown: the next run makes it so.\n"
    )
    assert (
        f"  submitting: 1 submission of {who}, which has ended; the next"
        ' "yunxin-soap campaign run a" makes it unknown\n'
    ) in run_in_process("status", "a").stdout


# suppress


def test_suppress_list_is_kept_and_shown(run: Run, tmp_path: Path) -> None:
    """Numbers are added, imported, listed and removed; bad lines are named."""
    file = tmp_path / "stop.csv"
    file.write_text(f"手机\n{numbers(3)[2]}\n12\n", "utf-8")
    assert run("suppress", "list").stderr.startswith("yunxin-soap: There is no ledger")
    done = run("suppress", "add", *numbers(2), "--by", "ops", "--reason", "电话退订")
    assert (done.returncode, done.stdout) == (0, "2 numbers added.\n")
    done = run("suppress", "import", "--csv", str(file), "--hashed", "--by", "law")
    assert done.returncode == 0
    hashed = " What was on the list before is kept as a hash now, with its reason.\n"
    assert done.stdout.startswith(
        f"1 number added.{hashed}Skipped: 1 line.\n  line 3: '12': the number"
    )
    assert run("suppress", "import", "--csv", str(file), "--json").stdout.startswith(
        '{"numbers": 0, "skipped": [{"line": 3, "value": "12", "reason": '
    )
    lines = run("suppress", "list").stdout.splitlines()
    assert [re.sub(r" \d{4}-.*, by", ", by", each) for each in lines] == [
        f"{numbers(2)[0]}, by ops: 电话退订",
        f"{numbers(2)[1]}, by ops: 电话退订",
        "(a hash), by law",
    ]
    listed = [json.loads(each) for each in run("suppress", "list", "--json").stdout.splitlines()]
    assert [each["number"] for each in listed] == [*numbers(2), None]
    assert set(listed[0]) == {"number", "reason", "by", "added_at"}
    done = run("suppress", "remove", *numbers(3), "13900000099", "--json")
    assert (done.returncode, done.stdout) == (0, '{"numbers": 3}\n')
    assert run("suppress", "list").stdout == "The do-not-send list is empty.\n"


def test_suppress_hashed_keeps_the_reason(run: Run) -> None:
    """A number that becomes a hash is not forgotten to have asked, and by whom."""
    number = numbers(1)[0]
    run("suppress", "add", number, "--by", "ops", "--reason", "电话退订")
    done = run("suppress", "add", number, "--hashed", "--by", "law")
    assert done.stdout == (
        "0 numbers added. What was on the list before is kept as a hash now, with its reason.\n"
    )
    (line,) = run("suppress", "list").stdout.splitlines()
    assert re.fullmatch(r"\(a hash\) \d{4}-.*, by ops: 电话退订", line)
    assert run("suppress", "add", number, "--json").stdout == '{"numbers": 0}\n'


def test_suppress_bad_numbers_change_nothing(run: Run) -> None:
    """A mistyped number is an error that quotes it."""
    done = run("suppress", "add", numbers(1)[0], "139")
    assert done.returncode == 2
    # A command line has no lines.
    assert done.stderr.startswith("yunxin-soap: Recipient 2, '139', is not a mainland mobile num")
    assert run("suppress", "list").stdout == "The do-not-send list is empty.\n"


def test_suppressed_numbers_are_named_and_counted_by_a_plan(run: Run, list_file: str) -> None:
    """Plan, status and JSON say how many lines were skipped for which cause."""
    run("suppress", "add", numbers(1)[0], "--reason", "退订")
    planned = run("plan", "a", "--csv", list_file, "--message", TEXT)
    assert "Skipped: 2 lines (invalid number: 1, on the do-not-send list: 1).\n" in planned.stdout
    assert f"  line 2: '{numbers(1)[0]}': on the do-not-send list: 退订\n" in planned.stdout
    again = run("plan", "a", "--csv", list_file, "--message", TEXT, "--json")
    assert json.loads(again.stdout)["skipped_by"] == {"invalid_number": 1, "suppressed": 1}
    status = run("status", "a").stdout
    assert "24 planned, 2 lines skipped (invalid number: 1, on the do-not-send list: 1)\n" in status
    assert json.loads(run("status", "a", "--json").stdout)["skipped_by"] == {
        "invalid_number": 1,
        "suppressed": 1,
    }
    assert run("run", "a").returncode == 0


def test_hints_name_a_campaign_so_that_the_command_takes_it(
    run_in_process: Run, list_file: str, sandbox: Sandbox
) -> None:
    """What a command tells to run next works for a name that looks like an option, too."""
    plan = ("--csv", list_file, "--message", TEXT, "--", "-x y")
    assert run_in_process("plan", *plan).returncode == 0
    hints = [run_in_process("pause", "--", "-x y").stdout]
    with sandbox.inject_fault("close", times=None):
        hints.append(run_in_process("resume", "--yes", "--concurrency", "1", "--", "-x y").stdout)
    hints.append(run_in_process("status", "--", "-x y").stdout)
    commands = re.findall(r'"yunxin-soap campaign ([^"]*)"', "\n".join(hints))
    assert {each.split()[0] for each in commands} >= {"resume", "export", "resolve"}
    answers = {"resume": "--yes", "resolve": "--accepted"}
    for each in commands:
        verb, *arguments = shlex.split(each)
        given = [answers[verb]] if verb in answers else []
        ended = run_in_process(verb, *given, *arguments)
        assert ended.returncode != 2, ended.stderr
