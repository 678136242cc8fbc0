"""Every option of ``yunxin-soap campaign``, and the JSON that each command prints."""

from __future__ import annotations

import csv
import inspect
import io
import json
import stat
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from click.testing import CliRunner, Result
from openpyxl.worksheet.worksheet import Worksheet

from tests.support.lists import TEXT, numbers
from yunxin_soap import Client, OutcomeUnknown
from yunxin_soap.campaign import AsyncLedger, Ledger
from yunxin_soap.cli import cli
from yunxin_soap.cli.campaign import campaign_group
from yunxin_soap.sandbox import Account, Channel, Sandbox

Run = Callable[..., Result]
COUNTS = {
    "pending": 0,
    "submitting": 0,
    "accepted": 0,
    "rejected": 0,
    "unknown": 0,
    "split": 0,
    "cancelled": 0,
    "suppressed": 0,
}
CHINA = ZoneInfo("Asia/Shanghai")
BLACKLISTED = "15499990014"
"""The sandbox rejects it with -14."""


@pytest.fixture
def run(tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a campaign command in this process, in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    environment = {
        "YUNXIN_LEDGER": "ledger.sqlite",
        "YUNXIN_USER_CODE": "demo",
        "YUNXIN_USER_PASS": "demo",
        "YUNXIN_CHANNEL": "37",
        "YUNXIN_ENDPOINT": sandbox.url,
    }

    def call(*arguments: str, stdin: str | bytes | None = None, **env: str) -> Result:
        return CliRunner().invoke(
            cli, ["campaign", *arguments], input=stdin, env={**environment, **env}
        )

    return call


@pytest.fixture
def plan(run: Run) -> Callable[..., Result]:
    """Plans the campaign "a" of some numbers, and checks that it could."""

    def call(of: list[str] | int, *options: str) -> Result:
        listed = numbers(of) if isinstance(of, int) else of
        result = run(
            "plan", "a", "--text", "-", "--message", TEXT, *options, stdin="\n".join(listed)
        )
        assert result.exit_code == 0, result.stderr
        return result

    return call


def parsed(result: Result, status: int = 0) -> Any:
    """Return the JSON that a command printed; it printed nothing else."""
    assert (result.exit_code, result.stderr) == (status, ""), result.output
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)


def failed(result: Result, status: int = 2) -> str:
    """Return the one line of a command that failed."""
    assert (result.exit_code, result.stdout) == (status, ""), result.output
    assert result.stderr.count("\n") == 1
    return result.stderr


# plan


def test_plan_json_has_counts(run: Run, tmp_path: Path) -> None:
    """The JSON of a plan has its counts, and says whether it was a dry run or existed before."""
    (tmp_path / "list.txt").write_text("13900000000\n12\n13900000001\n")
    options = ("a", "--text", "list.txt", "--message", TEXT, "--max-recipients", "1", "--json")
    dry = parsed(run("plan", *options, "--dry-run"))
    expected = {
        "name": "a",
        "digest": dry["digest"],
        "numbers": 2,
        "submissions": 2,
        "texts": 1,
        "segments": 2,
        "skipped": 1,
        "skipped_by": {"invalid_number": 1},
        "existing": False,
        "notes": [],
        "source_notes": ["The list was read as UTF-8; line 1 is '13900000000'."],
        "dry_run": True,
        "numbers_by_segments": {"1": 2},
        "price": None,
        "cost": None,
        "samples": [
            {
                "names": ["first", "longest", "shortest"],
                "number": "13900000000",
                "message": TEXT,
                "segments": 1,
                "values": {},
            }
        ],
    }
    assert dry == expected
    assert not (tmp_path / "ledger.sqlite").exists()
    assert parsed(run("plan", *options)) == {**expected, "dry_run": False}
    assert parsed(run("plan", *options)) == {**expected, "dry_run": False, "existing": True}


def test_plan_shows_how_the_list_was_read(run: Run, tmp_path: Path) -> None:
    """The encoding with a line in it, the title, the delimiter and the column."""
    content = "客户名单;\n姓名;手机号\n甲;13900000000\n"
    (tmp_path / "list.csv").write_bytes(content.encode("gbk"))
    result = run("plan", "a", "--csv", "list.csv", "--message", TEXT)
    assert result.stdout.splitlines()[2:7] == [
        "The list was read as GBK (GB18030); line 1 is '客户名单;'.",
        "The fields are separated by semicolons.",
        "Line 1 is a title and was left out: '客户名单'.",
        "The headings are in line 2.",
        "The numbers are in column 2, '手机号'.",
    ]


def test_plan_asks_for_the_column_by_its_option(run: Run, tmp_path: Path) -> None:
    """The error names the option that answers, which then does."""
    (tmp_path / "list.csv").write_text("联系电话,手机\n13900000000,13900000001\n", "utf-8")
    options = ("plan", "a", "--csv", "list.csv", "--message", TEXT)
    assert "name the one to write to with --column, by its heading" in failed(run(*options))
    assert parsed(run(*options, "--column", "手机", "--json"))["numbers"] == 1


@pytest.mark.parametrize(
    ("content", "options", "error"),
    [
        (b"a,b\n1,2\n", (), "Name it with --column, one of: a, b."),
        (b"a,b\n1,2\n", ("--column", "c"), "Name one with --column."),
        (b"a,b\n1,2\n", ("--column", "3"), "Name one with --column."),
        (b"x\n", ("--encoding", "x"), "name another with --encoding, or leave it out"),
        ("姓名\n".encode("gbk"), ("--encoding", "utf-8"), "name its encoding with --encoding, or"),
        ("Иванов\nМария\n".encode("cp1251"), (), "say so with --encoding 'cp1251'"),
    ],
)
def test_plan_error_of_a_list_names_the_option_that_helps(
    run: Run, tmp_path: Path, content: bytes, options: tuple[str, ...], error: str
) -> None:
    """Not the argument of Python."""
    (tmp_path / "list.csv").write_bytes(content)
    result = run("plan", "a", "--csv", "list.csv", "--message", TEXT, *options)
    assert error in failed(result)


def test_plan_multiline_lets_a_field_have_several_lines(run: Run, tmp_path: Path) -> None:
    """Without it, its lines are skipped and say so."""
    (tmp_path / "list.csv").write_text('phone,x\n13900000000,"a\nb"\n13900000001,c\n', "utf-8")
    options = ("plan", "a", "--csv", "list.csv", "--message", TEXT, "--dry-run")
    result = run(*options)
    assert "Skipped: 2 lines (unreadable: 2)." in result.stdout
    assert "--multiline" in result.stdout
    assert parsed(run(*options, "--multiline", "--json"))["numbers"] == 2


def test_plan_excel_reads_a_sheet(run: Run, tmp_path: Path) -> None:
    """The sheet is named or found, and hidden rows are asked about."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    for row in (["手机", "姓名"], [13900000000, "甲"], ["13900000001", "乙"]):
        sheet.append(row)
    sheet.row_dimensions[3].hidden = True
    book.create_sheet("名单").append([13900000002])
    book.save(tmp_path / "list.xlsx")
    options = ("plan", "a", "--excel", "list.xlsx", "--message", TEXT, "--dry-run")
    assert "Several sheets have numbers: 'Sheet', '名单'. Name one with --sheet." in failed(
        run(*options)
    )
    assert "--hidden-rows 'skip', or send to them" in failed(run(*options, "--sheet", "Sheet"))
    hidden = (*options, "--sheet", "Sheet", "--json", "--hidden-rows")
    assert parsed(run(*hidden, "skip"))["numbers"] == 1
    assert parsed(run(*hidden, "send"))["numbers"] == 2
    assert parsed(run(*options, "--sheet", "名单", "--json"))["numbers"] == 1
    piped = run(
        *("plan", "a", "--excel", "-", "--sheet", "名单", "--message", TEXT, "--dry-run"),
        stdin=(tmp_path / "list.xlsx").read_bytes(),
    )
    assert piped.exit_code == 0, piped.stderr


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--text", "x", "--column", "2"), "--column does not go with --text"),
        (("--text", "x", "--sheet", "a"), "--sheet does not go with --text"),
        (("--csv", "x", "--hidden-rows", "skip"), "--hidden-rows does not go with --csv"),
        (("--excel", "x", "--encoding", "gbk"), "--encoding does not go with --excel"),
        (("--excel", "x", "--multiline"), "--multiline does not go with --excel"),
        (("--excel", "x", "--csv", "x"), "Give only one of --csv, --text and --excel."),
        (("--excel", "missing.xlsx"), "missing.xlsx cannot be read (No such file"),
    ],
)
def test_plan_list_options_that_do_not_fit_exit_2(
    run: Run, options: tuple[str, ...], error: str
) -> None:
    """An option that would be ignored is a mistake."""
    assert error in failed(run("plan", "a", *options, "--message", TEXT))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("skipped.csv", ("plan", "b", "--text", "list.txt", "--message", TEXT, "--skipped")),
        ("export.csv", ("export", "a", "--output")),
        ("export.json", ("export", "a", "--json", "--output")),
        ("report.html", ("report", "a", "--output")),
    ],
)
def test_output_is_readable_by_its_owner_alone(
    run: Run,
    plan: Callable[..., Result],
    tmp_path: Path,
    exists: bool,
    name: str,
    command: tuple[str, ...],
) -> None:
    """Whatever a command writes is private, also if the file was not."""
    plan(1)
    path = tmp_path / name
    if exists:
        path.write_text("before" * 100_000)
        path.chmod(0o644)
    (tmp_path / "list.txt").write_text("13900000000\nx")
    done = run(*command, name)
    assert done.exit_code == 0, done.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "beforebefore" not in path.read_text("utf-8-sig")


def test_export_has_no_formula_whatever_the_delimiter(
    run: Run, plan: Callable[..., Result], sandbox: Sandbox
) -> None:
    """A word from the gateway cannot become a formula; each cell is quoted."""
    sandbox.inject_fault("code", code="-6:a;=cmd()")
    plan(1)
    assert run("run", "a").exit_code == 3
    text = run("export", "a").stdout
    assert "a;'=cmd()" in text
    for line in text.removeprefix("\ufeff").splitlines():
        assert line[0] == line[-1] == '"'
    for row in csv.reader(io.StringIO(text), delimiter=";"):
        assert not [cell for cell in row if cell.startswith("=")]


@pytest.mark.parametrize("dry_run", [("--dry-run",), ()])
def test_plan_shows_finished_texts(run: Run, tmp_path: Path, dry_run: tuple[str, ...]) -> None:
    """A plan shows the first, the longest and the shortest text, what was filled in, and the cost.

    Only JSON has whole numbers and whole texts.
    """
    long = "长" * 300
    rows = f"phone,name\n13900000000,甲甲\n13900000001,{long}\n13900000002,乙\n"
    (tmp_path / "list.csv").write_text(rows)
    options = ("--csv", "list.csv", "--message", "您好{name}，\n再见【签名】", "--price", "0.045")
    shown = run("plan", "a", *options, *dry_run)
    assert shown.exit_code == 0, shown.stderr
    _, counts, *lines = shown.stdout.splitlines()
    assert "about 7 segments" in counts
    lines = [each for each in lines if not each.startswith("The ")]  # how the list was read
    start, name = f"您好{long[:198]}", f"'{long[:40]}…'"
    assert lines == [
        "Segments: 2 numbers with 1, 1 number with 5",
        "Cost: 7 segments × 0.045 = 0.315 (an estimate)",
        "First text, to 139****0000, 1 segment, name = '甲甲':",
        "  您好甲甲，\\n再见【签名】",
        f"Longest text, to 139****0001, 5 segments, name = {name}:",
        f"  {start} … {long[:52]}，\\n再见【签名】",
        "Shortest text, to 139****0002, 1 segment, name = '乙':",
        "  您好乙，\\n再见【签名】",
    ]
    found = parsed(run("plan", "b", *options, *dry_run, "--json"))
    assert (found["price"], found["cost"]) == ("0.045", "0.315")
    assert found["numbers_by_segments"] == {"1": 2, "5": 1}
    longest = found["samples"][1]
    assert (longest["number"], longest["values"]) == ("13900000001", {"name": long})
    assert longest["message"] == f"您好{long}，\n再见【签名】"


@pytest.mark.parametrize("price", ["x", "-1", "NaN", "1e9", "0.00000000001", "0,045", ""])
def test_plan_price_that_is_no_amount_exits_2(run: Run, tmp_path: Path, price: str) -> None:
    """A wrong price is found before anything is written."""
    line = failed(
        run("plan", "a", "--text", "-", "--message", TEXT, "--price", price, stdin="13900000000")
    )
    assert f"--price {price!r} must be an amount such as 0.045" in line
    assert not (tmp_path / "ledger.sqlite").exists()


def test_plan_text_options_reach_the_submission(run: Run, tmp_path: Path, sandbox: Sandbox) -> None:
    """The text comes from a file, with the signature, channel and extension of the options."""
    (tmp_path / "text.txt").write_text("\ufeff您好\r\n", "utf-8")
    sandbox.add_account(Account("other", "p", channels=(Channel("99"),)))
    options = ("--message-file", "text.txt", "--signature", "别的", "--channel", "99")
    planned = run("plan", "a", "--text", "-", *options, "--extension", "8", stdin="13900000000")
    assert planned.exit_code == 0, planned.stderr
    done = run("run", "a", YUNXIN_USER_CODE="other", YUNXIN_USER_PASS="p")
    assert done.exit_code == 0, done.stderr
    (arrival,) = sandbox.inbox
    assert (arrival.message, arrival.extension, arrival.channel) == ("您好【别的】", "8", "99")


@pytest.mark.parametrize("column", ["备用", "3"])
def test_plan_column_chooses_the_numbers(
    run: Run, tmp_path: Path, sandbox: Sandbox, column: str
) -> None:
    """--column names the column of the numbers by its heading or its place."""
    rows = "手机,姓名,备用\n13900000000,甲,13900000001\n"
    (tmp_path / "list.csv").write_bytes(rows.encode("gb18030"))
    options = ("--csv", "list.csv", "--column", column, "--encoding", "gb18030")
    assert run("plan", "a", *options, "--message", "您好{姓名}【签名】").exit_code == 0
    assert run("run", "a").exit_code == 0
    (arrival,) = sandbox.inbox
    assert (arrival.recipients, arrival.message) == (("13900000001",), "您好甲【签名】")


def test_plan_strict_bad_line_exits_2(run: Run) -> None:
    """With --strict, one bad line fails the plan."""
    arguments = ("plan", "a", "--text", "-", "--message", TEXT, "--strict")
    assert "Line 2 of the list" in failed(run(*arguments, stdin="13900000000\n12\n"))
    assert run("status").stdout == "The ledger is empty.\n"


def test_plan_notes_and_max_segments(run: Run) -> None:
    """A long text is refused, or noted where the option allows it."""
    options = ("plan", "a", "--text", "-", "--message", "长" * 1000 + TEXT)
    error = failed(run(*options, stdin="13900000000"))
    assert "has 16 segments (1006 characters), more than" in error
    result = run(*options, "--max-segments", "16", stdin="13900000000")
    assert result.exit_code == 0
    assert result.stderr.startswith("yunxin-soap: Note: The message has 1006 characters")
    as_json = run(*options, "--json", stdin="13900000000", YUNXIN_MAX_SEGMENTS="16")
    assert [len(each) > 9 for each in parsed(as_json)["notes"]] == [True]


def test_plan_marketing_asks_for_an_opt_out_and_hours(run: Run) -> None:
    """--marketing refuses a text without an opt-out, and a run outside of the hours."""
    plan = ("plan", "a", "--text", "-", "--message")
    noted = run(*plan, "全场五折【签名】", "--dry-run", stdin="13900000000")
    assert "yunxin-soap: Note: The message looks like marketing (五折)" in noted.stderr
    error = failed(run(*plan, "全场五折【签名】", "--marketing", stdin="13900000000"))
    assert "marketing without an opt-out" in error
    made = run(*plan, "全场五折，拒收请回复R【签名】", "--marketing", stdin="13900000000")
    assert (made.exit_code, made.stderr) == (0, "")
    assert "give --sending-hours '08:00-21:00' or narrower" in failed(run("run", "a"))
    assert "--sending-hours" in failed(run("resume", "a", "--sending-hours", "08:00-22:00"))


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--sending-hours", "08:00-22:00"),
        ("--sending-hours", "08:00-21:00", "--rate-limit", "-1"),
        ("--sending-hours", "08:00-21:00", "--concurrency", "0"),
    ],
)
def test_resume_that_is_refused_leaves_the_pause(run: Run, options: tuple[str, ...]) -> None:
    """A runner elsewhere, which waits for the end of the pause, must not go on."""
    plan = ("plan", "a", "--text", "-", "--marketing", "--message")
    assert run(*plan, "五折，拒收请回复R【签名】", stdin="13900000000").exit_code == 0
    assert run("pause", "a").exit_code == 0
    before = run("status", "a", "--json").stdout
    failed(run("resume", "a", *options))
    assert run("status", "a", "--json").stdout == before


def test_plan_dash_is_empty_skips_the_line(run: Run, tmp_path: Path, sandbox: Sandbox) -> None:
    """With --dash-is-empty, a lone - is a hole; dates follow the format in the text."""
    rows = "手机,到期\n13900000000,2026-11-30\n13900000001,-\n"
    (tmp_path / "list.csv").write_text(rows, "utf-8")
    options = ("--csv", "list.csv", "--message", "{到期:%m月%d日}到期【签名】", "--dash-is-empty")
    planned = run("plan", "a", *options)
    assert "line 3: '13900000001': The message's column '到期' is empty: it holds" in (
        planned.stdout
    )
    assert run("run", "a").exit_code == 0
    (arrival,) = sandbox.inbox
    assert (arrival.recipients, arrival.message) == (("13900000000",), "11月30日到期【签名】")


def test_plan_skipped_file_has_every_line(run: Run, tmp_path: Path) -> None:
    """The terminal shows the first ten skipped lines, the file all of them, formulas escaped."""
    listed = ["13900000000", *(f"={each}" for each in range(12))]
    (tmp_path / "list.txt").write_text("\n".join(listed))
    arguments = ("plan", "a", "--text", "list.txt", "--message", TEXT)
    result = run(*arguments, "--skipped", "skipped.csv")
    assert result.stdout.count("\n  line ") == 10
    assert "Skipped: 12 lines (invalid number: 12)." in result.stdout
    assert result.stdout.endswith("  … (--skipped FILE writes all of them)\n")
    with (tmp_path / "skipped.csv").open(encoding="utf-8-sig", newline="") as file:
        heading, *rows = csv.reader(file)
    assert heading == ["line", "value", "reason"]
    assert [row[:2] for row in rows] == [[str(i + 2), f"'={i}"] for i in range(12)]


# run


def test_run_json_is_the_status(run: Run, plan: Callable[..., Result]) -> None:
    """run, resume and status print the same JSON: counts by state, and times in ISO 8601."""
    plan([*numbers(2), BLACKLISTED, "12"], "--max-recipients", "1")
    status = parsed(run("run", "a", "--json"), 3)
    assert datetime.fromisoformat(status["created_at"]).utcoffset() is not None
    assert status["created_at"][10] == "T"
    assert status == {
        "name": "a",
        "state": "done",
        "reason": "",
        "paused_until": None,
        "created_at": status["created_at"],
        "purged_at": None,
        "planned": 3,
        "skipped": 1,
        "skipped_by": {"invalid_number": 1},
        "numbers": {**COUNTS, "accepted": 2, "rejected": 1},
        "submissions": {**COUNTS, "accepted": 2, "rejected": 1},
        "codes": {"-14": 1},
        "on_hold": {},
        "oldest_unknown_at": None,
        "runners": [],
        "left_behind": {},
        "workers": None,
    }
    assert parsed(run("status", "a", "--json")) == status
    assert parsed(run("resume", "a", "--json"), 3) == status


def test_run_on_hold_text_exits_3(run: Run, plan: Callable[..., Result], sandbox: Sandbox) -> None:
    """A rejected text holds the rest back; status names it, and retry makes it pending again."""
    plan(3, "--max-recipients", "1")
    sandbox.inject_fault("code", code="-6:促销")
    status = parsed(run("run", "a", "--concurrency", "1", "--json"), 3)
    (reason,) = status["on_hold"]
    assert "促销" in reason
    assert status["on_hold"] == {reason: 2}
    shown = run("status", "a").stdout
    assert f"on hold: {reason}" in shown
    assert '"yunxin-soap campaign retry a" makes it pending again' in shown
    assert parsed(run("retry", "a", "--json")) == {"submissions": 1}
    assert run("run", "a").exit_code == 0
    assert len(sandbox.inbox) == 3


def test_run_timed_pause_shows_when_it_continues(
    run: Run, plan: Callable[..., Result], sandbox: Sandbox
) -> None:
    """A pause that ends by itself is an ISO time in JSON, and in a named time zone in the text."""
    plan(1)
    with (
        Ledger("ledger.sqlite") as ledger,
        Client("demo", "demo", channel=37, endpoint=sandbox.url) as client,
    ):
        stop = threading.Event()
        sandbox.inject_fault("code", code="-8")
        ledger.run("a", client, on_progress=lambda p: stop.set() if p.reason else None, stop=stop)
    status = parsed(run("status", "a", "--json"))
    assert status["state"] == "paused"
    until = datetime.fromisoformat(status["paused_until"])
    assert until.utcoffset() is not None
    text = run("status", "a").stdout
    assert f"  continues at {until.astimezone(CHINA):%Y-%m-%d %H:%M:%S} Asia/Shanghai\n" in text
    assert "campaign resume" not in text
    expected = f"  continues at {until.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC\n"
    assert expected in run("status", "a", "--timezone", "UTC").stdout
    assert expected in run("status", "a", YUNXIN_TIMEZONE="UTC").stdout


def test_run_isolate_finds_bad_number(
    run: Run, plan: Callable[..., Result], sandbox: Sandbox
) -> None:
    """--isolate halves a submission until only the bad number is left; find names the origin."""
    plan([*numbers(3), BLACKLISTED])
    assert run("run", "a", "--isolate").exit_code == 3
    assert sandbox.accepted_numbers == dict.fromkeys(numbers(3), 1)
    status = parsed(run("status", "a", "--json"))
    assert status["numbers"] == {**COUNTS, "accepted": 3, "rejected": 1}
    assert status["submissions"]["split"] == 2
    assert "submission 1 split" in run("find", BLACKLISTED).stdout


def test_run_failure_threshold_pauses(
    run: Run, plan: Callable[..., Result], sandbox: Sandbox
) -> None:
    """--failure-threshold counts the failures that pause a campaign."""
    plan(5, "--max-recipients", "1")
    with sandbox.inject_fault("close"):
        done = run("run", "a", "--concurrency", "1", "--failure-threshold", "1")
    assert done.exit_code == 5
    assert "a: paused" in done.stdout
    assert len(sandbox.arrivals) == 1


def test_run_concurrency_limits_submissions_in_flight(
    run: Run, plan: Callable[..., Result], sandbox: Sandbox
) -> None:
    """--concurrency 1 sends one submission after the other."""
    plan(3, "--max-recipients", "1")
    with sandbox.inject_fault("hang"):
        # The second would be accepted while the first hangs.
        done = run("run", "a", "--concurrency", "1", "--timeout", "0.3", "--failure-threshold", "1")
    assert done.exit_code == 5
    assert (sandbox.inbox, len(sandbox.arrivals)) == (sandbox.inbox[:1], 1)


@pytest.mark.parametrize(("option", "size"), [("--rate-limit", "1"), ("--numbers-rate-limit", "2")])
def test_run_rate_limit_spreads_submissions(
    run: Run, plan: Callable[..., Result], option: str, size: str
) -> None:
    """Two submissions, or two numbers, a second: the rest waits for the next second."""
    plan(4, "--max-recipients", size)
    assert run("run", "a", option, "2").exit_code == 0
    with Ledger("ledger.sqlite") as ledger:
        sent = sorted(each.sent_at for each in ledger.timings("a"))
    # The limit keeps them a second apart; how much later they are depends on the machine.
    assert sent[-1] - sent[0] > timedelta(seconds=0.9)


def test_run_client_options_reach_the_gateway(
    run: Run, plan: Callable[..., Result], tmp_path: Path, sandbox: Sandbox
) -> None:
    """Account, protocol and endpoint are those of the options."""
    sandbox.add_account(Account("cli", "from file"))
    (tmp_path / "password").write_text("from file\n")
    plan(1)
    done = run(
        *("run", "a", "--user-code", "cli", "--password-file", "password"),
        *("--protocol", "http-get", "--endpoint", sandbox.url),
        YUNXIN_ENDPOINT="http://127.0.0.1:1/api/MsgSend.asmx",
        YUNXIN_USER_PASS="wrong",
    )
    assert done.exit_code == 0, done.stderr
    (arrival,) = sandbox.inbox
    assert (arrival.user_code, arrival.protocol) == ("cli", "http-get")


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--concurrency", "0", "--concurrency 0 "),
        ("--failure-threshold", "0", "--failure-threshold 0 "),
        ("--rate-limit", "0", "--rate-limit 0.0 "),
        ("--numbers-rate-limit", "nan", "--numbers-rate-limit nan "),
        ("--timeout", "0", "--timeout 0.0 "),
        ("--protocol", "x", "--protocol 'x' "),
        ("--sending-hours", "8-9", "--sending-hours '8-9' "),
        ("--timezone", "Mars/Olympus", "--timezone 'Mars/Olympus' is no time zone"),
    ],
)
def test_run_invalid_option_exits_2(
    run: Run, plan: Callable[..., Result], sandbox: Sandbox, option: str, value: str, named: str
) -> None:
    """An invalid option is named as it was given, and nothing is sent."""
    plan(1)
    extra = ("--sending-hours", "08:00-21:00") if option == "--timezone" else ()
    assert named in failed(run("run", "a", option, value, *extra))
    assert sandbox.arrivals == ()


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("YUNXIN_USER_CODE", "give --user-code, or set YUNXIN_USER_CODE"),
        ("YUNXIN_USER_PASS", "There is no password"),
        ("YUNXIN_LEDGER", "give --ledger FILE, or set YUNXIN_LEDGER"),
    ],
)
def test_run_missing_setting_names_option(
    run: Run, plan: Callable[..., Result], missing: str, named: str
) -> None:
    """A missing setting is named by its option and its variable."""
    plan(1)
    assert named in failed(run("run", "a", **{missing: ""}))


@pytest.mark.parametrize("command", ["run", "resume"])
def test_run_options_are_those_of_the_ledger(command: str) -> None:
    """Each option of `AsyncLedger.run` is an option of the command, with the same default."""
    accepted = inspect.signature(AsyncLedger.run).parameters
    expected = {
        each.name: each.default
        for each in accepted.values()
        if each.kind is each.KEYWORD_ONLY and each.name not in ("on_progress", "stop")
    }
    defaults = campaign_group.commands[command].make_context(command, ["a"]).params
    assert {name: defaults[name] for name in expected} == expected
    names = [name for each in campaign_group.commands[command].params for name in each.opts]
    options = {"start_at": "--from"}
    assert {options.get(name, f"--{name.replace('_', '-')}") for name in expected} <= set(names)


@pytest.mark.parametrize("command", ["run", "resume"])
def test_run_help_lists_exit_statuses(run: Run, command: str) -> None:
    """The help of run and resume explains every exit status."""
    text = run(command, "--help").stdout
    for status in ("0", "2", "3", "4", "5", "6"):
        assert f"\n    {status}  " in text


# test


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "您好甲甲【签名】"),  # the first of the list, which is sent first
        (("--sample", "longest"), "您好甲甲甲【签名】"),
        (("--sample", "shortest"), "您好甲【签名】"),
    ],
)
def test_test_sends_one_text_outside_of_the_campaign(
    run: Run, tmp_path: Path, sandbox: Sandbox, options: tuple[str, ...], message: str
) -> None:
    """The text goes to one's own number by the campaign's channel; the campaign does not change."""
    rows = "phone,name\n13900000001,甲甲\n13900000002,甲\n13900000003,甲甲甲\n"
    (tmp_path / "list.csv").write_text(rows)
    planned = ("--csv", "list.csv", "--message", "您好{name}【签名】", "--extension", "7")
    assert run("plan", "a", *planned).exit_code == 0
    before = run("status", "a", "--json").stdout
    others = {"YUNXIN_CHANNEL": "99", "YUNXIN_EXTENSION": "8", "YUNXIN_SIGNATURE": "别的"}
    done = parsed(run("test", "a", "--to", "+86 139-0000-0000", *options, "--json", **others))
    (arrival,) = sandbox.inbox
    assert (arrival.recipients, arrival.message) == (("13900000000",), message)
    assert (arrival.channel, arrival.extension) == ("37", "7")
    assert (done["outcome"], done["batch_no"]) == ("accepted", arrival.batch_no)
    assert run("status", "a", "--json").stdout == before
    assert run("find", "13900000000").stdout == "No submission has that number.\n"


@pytest.mark.parametrize(("number", "status"), [("15499990007", 3), ("15499991000", 5)])
def test_test_exits_as_send(
    run: Run, plan: Callable[..., Result], number: str, status: int
) -> None:
    """A rejected or unknown test has the exit status of send."""
    plan(1)
    failed(run("test", "a", "--to", number), status)


@pytest.mark.parametrize(
    ("to", "named"),
    [
        ("13900000000,13900000001", "--to '13900000000,13900000001' has several numbers"),
        ("139", "Recipient 1, '139', is not a mainland mobile number"),
    ],
)
def test_test_needs_one_number(
    run: Run, plan: Callable[..., Result], sandbox: Sandbox, to: str, named: str
) -> None:
    """A list in the wrong place is refused."""
    plan(1)
    assert named in failed(run("test", "a", "--to", to))
    assert sandbox.arrivals == ()


@pytest.mark.parametrize("hashed", [(), ("--hashed",)])
def test_test_refuses_a_number_on_the_do_not_send_list(
    run: Run, plan: Callable[..., Result], sandbox: Sandbox, hashed: tuple[str, ...]
) -> None:
    """Nothing is sent to such a number, in no way."""
    plan(1)
    assert run("suppress", "add", "13900000009", "--by", "甲", *hashed).exit_code == 0
    assert "is on the do-not-send list" in failed(run("test", "a", "--to", "+86 139-0000-0009"))
    assert sandbox.arrivals == ()


def test_test_without_a_pending_text_exits_2(run: Run, plan: Callable[..., Result]) -> None:
    """A campaign that is sent, or that is not there, has no text to test."""
    plan(1)
    assert run("run", "a").exit_code == 0
    assert "has no text that is still pending" in failed(run("test", "a", "--to", "13900000000"))
    assert "no campaign 'b'" in failed(run("test", "b", "--to", "13900000000"))


# status


def test_status_json_lists_campaigns_and_sends(run: Run, plan: Callable[..., Result]) -> None:
    """Without a name, the JSON has the status of every campaign and the counts of single sends."""
    plan(1)
    assert parsed(run("status", "--json")) == {
        "campaigns": [parsed(run("status", "a", "--json"))],
        "sends": {},
        "unknown_keys": [],
    }


# retry and resolve


def test_retry_code_selects_submissions(
    run: Run, plan: Callable[..., Result], sandbox: Sandbox
) -> None:
    """--code retries only the submissions with that code; its sign may be left out."""
    plan([BLACKLISTED, "15499990016"], "--max-recipients", "1")
    assert run("run", "a").exit_code == 3
    assert parsed(run("retry", "a", "--code", "16", "--json")) == {"submissions": 1}
    assert parsed(run("status", "a", "--json"))["codes"] == {"-14": 1}
    assert parsed(run("retry", "a", "--code", "-14", "--json")) == {"submissions": 1}


@pytest.mark.parametrize(
    ("decision", "state"),
    [("--resend", "pending"), ("--accepted", "accepted"), ("--not-sent", "rejected")],
)
def test_resolve_decision_moves_chosen_submission(
    run: Run, plan: Callable[..., Result], sandbox: Sandbox, decision: str, state: str
) -> None:
    """A decision moves only the submission of --submission; --by is in the history."""
    plan(2, "--max-recipients", "1")
    with sandbox.inject_fault("close", times=2):
        assert run("run", "a", "--concurrency", "1").exit_code == 5
    (record,) = parsed(run("find", numbers(2)[1], "--json"))
    chosen = ("--submission", str(record["submission_id"]), "--by", "小王")
    batch_no = ("--batch-no", "2114355899380234221") if state == "accepted" else ()
    result = run("resolve", "a", decision, *chosen, *batch_no, "--json")
    assert parsed(result) == {"submissions": 1, "in_flight": 0, "runners": []}
    (record,) = parsed(run("find", numbers(2)[1], "--json"))
    assert record["state"] == state
    assert record["batch_no"] == (batch_no[1] if batch_no else None)
    last = record["history"][-1]
    assert (last["before"], last["after"], last["by"]) == ("unknown", state, "小王")
    (other,) = parsed(run("find", numbers(2)[0], "--json"))
    assert other["state"] == "unknown"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("retry",), "name of a campaign or the --key"),
        (("retry", "a", "--key", "b"), "name of a campaign or the --key"),
        (("retry", "--key", "b", "--code", "-7"), "--code goes with a campaign"),
        (("resolve", "--not-sent"), "name of a campaign or the --key"),
        (("resolve", "a", "--key", "b", "--not-sent"), "name of a campaign or the --key"),
        (("resolve", "--key", "b", "--not-sent", "--submission", "1"), "--submission goes with"),
        (("resolve", "a"), "give one of --resend, --accepted and --not-sent"),
        (("resolve", "a", "--not-sent", "--batch-no", "1"), "--batch-no"),
    ],
)
def test_retry_resolve_wrong_target_exits_2(
    run: Run, plan: Callable[..., Result], arguments: tuple[str, ...], named: str
) -> None:
    """A command is about one campaign or one single send, with the options that go with it."""
    plan(1)
    assert named in failed(run(*arguments))


# find, export, report, purge


def test_find_json_has_history(run: Run, plan: Callable[..., Result], sandbox: Sandbox) -> None:
    """The JSON has each submission with the number, and its history with times in ISO 8601."""
    plan(2)
    assert run("run", "a").exit_code == 0
    (record,) = parsed(run("find", numbers(1)[0], "--json"))
    history = record.pop("history")
    assert record == {
        "campaign": "a",
        "key": None,
        "submission_id": 1,
        "state": "accepted",
        "batch_no": sandbox.inbox[0].batch_no,
        "code": None,
        "reason": "",
        "message": TEXT,
    }
    assert [(each["before"], each["after"]) for each in history] == [
        ("pending", "submitting"),
        ("submitting", "accepted"),
    ]
    for each in history:
        assert set(each) == {
            *("submission_id", "at", "before", "after", "batch_no", "code", "detail", "by"),
        }
        assert datetime.fromisoformat(each["at"]).utcoffset() is not None
    assert parsed(run("find", "13999999999", "--json")) == []


def test_find_single_send_shows_key(run: Run, sandbox: Sandbox) -> None:
    """A single send is found by its key, in text and in JSON."""
    with (
        Ledger("ledger.sqlite") as ledger,
        Client("demo", "demo", channel=37, endpoint=sandbox.url) as client,
    ):
        sandbox.inject_fault("close")
        with pytest.raises(OutcomeUnknown):
            ledger.once.send(client, "order-1", "13900000000", TEXT)
    assert run("find", "13900000000").stdout.startswith("key order-1, submission 1: unknown: ")
    (record,) = parsed(run("find", "13900000000", "--json"))
    assert (record["campaign"], record["key"]) == (None, "order-1")


def test_export_output_writes_csv_or_json(
    run: Run, plan: Callable[..., Result], tmp_path: Path, sandbox: Sandbox
) -> None:
    """The CSV has a byte order mark and batch numbers that no spreadsheet rounds; JSON neither."""
    plan([*numbers(1), BLACKLISTED], "--max-recipients", "1")
    run("run", "a")
    assert run("export", "a", "--output", "a.csv").stdout == ""
    assert (tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as file:
        heading, *rows = csv.reader(file)
    assert heading == ["number", "state", "batch_no", "code", "reason", "submission_id"]
    by_number = {row[0]: row for row in rows}
    batch_no = sandbox.inbox[0].batch_no
    assert by_number[numbers(1)[0]][1:4] == ["accepted", f"'{batch_no}", ""]
    assert by_number[BLACKLISTED][1:4] == ["rejected", "", "-14"]
    assert run("export", "a", "--output", "a.jsonl", "--json").stdout == ""
    lines = (tmp_path / "a.jsonl").read_text("utf-8").splitlines()
    objects = {each["number"]: each for each in map(json.loads, lines)}
    assert objects[numbers(1)[0]] == {
        "number": numbers(1)[0],
        "state": "accepted",
        "batch_no": batch_no,
        "code": None,
        "reason": "",
        "submission_id": int(by_number[numbers(1)[0]][5]),
    }


def test_report_json_names_file(run: Run, plan: Callable[..., Result], tmp_path: Path) -> None:
    """The JSON of a report names the file; a file that cannot be written is one line."""
    plan(1)
    assert parsed(run("report", "a", "--output", "r.html", "--json")) == {"file": "r.html"}
    assert (tmp_path / "r.html").read_text("utf-8").startswith("<!")
    assert "cannot be written" in failed(run("report", "a", "--output", "missing/r.html"))


@pytest.mark.parametrize(
    ("locale", "language"), [("zh_CN.UTF-8", "zh-CN"), ("en_GB.UTF-8", "en"), ("C", "en")]
)
def test_report_opens_in_the_language_of_the_locale(
    run: Run, plan: Callable[..., Result], locale: str, language: str
) -> None:
    """Under a Chinese locale, the page opens in Chinese."""
    plan(1)
    page = run("report", "a", "--output", "-", LC_ALL=locale).stdout
    assert f'<html lang="{language}">' in page


@pytest.mark.parametrize("age", ["0s", "0m", "0h", "0d"])
def test_purge_json_counts_numbers(run: Run, plan: Callable[..., Result], age: str) -> None:
    """The JSON of a purge counts the numbers; what is pending stays."""
    plan(3)
    purge = ("purge", "--yes", "--json", "--older-than")
    assert parsed(run(*purge, age)) == {"numbers": 0}
    run("run", "a")
    assert parsed(run(*purge, "1" + age[1])) == {"numbers": 0}
    assert parsed(run(*purge, age)) == {"numbers": 3}


# errors


@pytest.mark.parametrize(
    ("arguments", "status", "kind"),
    [
        (("status", "x"), 2, "NotInLedger"),
        (("plan", "a", "--text", "-", "--message", "别的【签名】"), 2, "ContentConflict"),
        (("status", "--ledger", "/dev/null/x"), 6, "LedgerError"),
        (("plan", "b", "--text", "-", "--message", "x"), 2, "InvalidRequest"),
        (("purge", "--older-than", "x"), 2, "ConfigurationError"),
    ],
)
def test_error_json_has_the_same_keys(
    run: Run, plan: Callable[..., Result], arguments: tuple[str, ...], status: int, kind: str
) -> None:
    """An error is one JSON object; its type decides the exit status."""
    plan(1)
    result = run(*arguments, "--json", stdin="13900000009\n")
    found = parsed(result, status)
    assert found["type"] == kind
    assert found["message"].endswith(".")
    no_outcome = kind in ("NotInLedger", "ContentConflict", "LedgerError")
    assert found["outcome"] == (None if no_outcome else "not_sent")
    assert (found["safe_to_resend"], found["retryable"]) == (not no_outcome, False)
