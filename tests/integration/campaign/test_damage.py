"""A damaged ledger is one clear error, whoever reads it. SQLite keeps any value in any column."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from tests.integration.campaign.conftest import ManualRunner, ended
from tests.support.lists import TEXT, numbers
from yunxin_soap import Client
from yunxin_soap.campaign import Ledger, Progress, State
from yunxin_soap.cli import cli
from yunxin_soap.errors import LedgerError, NotInLedger
from yunxin_soap.sandbox import Sandbox

READERS: dict[str, Callable[[Ledger], Any]] = {
    "status": lambda ledger: ledger.status("a"),
    "statuses": lambda ledger: ledger.statuses(),
    "progress": lambda ledger: ledger.progress("a"),
    "results": lambda ledger: list(ledger.results("a")),
    "timings": lambda ledger: ledger.timings("a"),
    "skipped_lines": lambda ledger: list(ledger.skipped_lines("a")),
    "find": lambda ledger: ledger.find(numbers(1)[0]),
    "report": lambda ledger: ledger.report("a"),
    "campaigns": lambda ledger: ledger.campaigns(),
    "suppression": lambda ledger: list(ledger.suppression.entries()),
    "plan": lambda ledger: ledger.plan("b", numbers(2, 13990000000), TEXT, channel=37),
    "once.counts": lambda ledger: ledger.once.counts(),
    "once.keys": lambda ledger: list(ledger.once.keys(State.ACCEPTED)),
}
BLOB, NO_TIME = b"\xff\x00", "yesterday"
DAMAGE: dict[str, tuple[str, Any, str, tuple[str, ...]]] = {
    "unknown state": (
        "yunxin_submission.state",
        "sennt",
        "is 'sennt'",
        ("status", "statuses", "progress", "results", "find", "report", "once.counts"),
    ),
    "BLOB as a state": ("yunxin_submission.state", BLOB, "a BLOB", ("status", "progress", "find")),
    "state of a campaign": ("yunxin_campaign.state", "opn", "is 'opn'", ("status", "statuses")),
    "BLOB as a reason": ("yunxin_submission.reason", BLOB, "a BLOB", ("results", "find")),
    "BLOB as a message": ("yunxin_content.message", BLOB, "a BLOB", ("find",)),
    "number as numbers": ("yunxin_recipients.numbers", BLOB, "a BLOB", ("results",)),
    "text as a time": ("yunxin_submission.sent_at", NO_TIME, "a text", ("timings", "report")),
    "time in the year 300000": ("yunxin_submission.ended_at", 9e12, "number", ("timings",)),
    "time of the history": ("yunxin_history.at", NO_TIME, "a text", ("find",)),
    "state of the history": ("yunxin_history.before", "x", "is 'x'", ("find",)),
    "text as a code": ("yunxin_submission.code", NO_TIME, "a text", ("results", "find")),
    "text as a truth value": ("yunxin_submission.safe_to_resend", "no", "a text", ("results",)),
    "text as a size": ("yunxin_submission.size", "many", "is a", ("status", "progress")),
    "text as a line": ("yunxin_skipped_line.line", "one", "a text", ("skipped_lines",)),
    "BLOB as a name": ("yunxin_campaign.name", BLOB, "a BLOB", ("campaigns", "statuses")),
    "text as counts": (
        "yunxin_campaign.skipped_by",
        "many",
        "is no count",
        ("status", "statuses", "report"),
    ),
    "BLOB as why not to send": ("yunxin_suppression.reason", BLOB, "is a", ("suppression", "plan")),
    "text as a generation": ("yunxin_suppression_state.generation", "x", "a text", ("plan",)),
    "text as the key of hashes": ("yunxin_suppression_state.hash_key", "x", "is no key", ("plan",)),
    "text as whether it is a hash": ("yunxin_suppression.is_hash", "x", "a text", ("suppression",)),
    "BLOB as a key": ("yunxin_submission.key", BLOB, "a BLOB", ("once.keys",)),
}


@pytest.fixture
def file(tmp_path: Path, client: Client) -> Path:
    """A ledger in a file, with a campaign that is done and a single send."""
    file = tmp_path / "ledger.sqlite"
    with Ledger(file) as ledger:
        ledger.plan("a", [*numbers(2), "12"], TEXT, channel=37, max_recipients=1)
        ledger.run("a", client)
        ledger.once.send(client, "order", numbers(1), TEXT)
        ledger.suppression.add(numbers(1, 13990000000), by="ops")
    return file


def damage(file: Path, statement: str, *values: Any) -> None:
    """Change a ledger as no program of ours does."""
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(statement, values)


def allow_null(file: Path, column: str) -> None:
    """Remove NOT NULL from a column."""
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE type = 'table'",
            (f"{column} TEXT NOT NULL", f"{column} TEXT"),
        )


def put(file: Path, column: str, value: Any) -> None:
    """Put a value into a column, in every row; names and keys are unique."""
    table, _, name = column.partition(".")
    where = " WHERE id = (SELECT max(id) FROM yunxin_submission)" if name == "key" else ""
    damage(file, f"UPDATE {table} SET {name} = ?{where}", value)


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_one_clear_error(file: Path, kind: str) -> None:
    """Every method that reads a damaged value names it; the others do as before, or say so, too."""
    column, value, found, readers = DAMAGE[kind]
    put(file, column, value)
    with Ledger(file) as ledger:
        errors = {name: error_of(read, ledger) for name, read in READERS.items()}
    for name, error in errors.items():
        assert (name in readers) <= (error != ""), name
        if error:
            assert f"is damaged: {column} is" in error
            assert found in error
            assert "while nothing runs" in error


def error_of(read: Callable[[Ledger], Any], ledger: Ledger) -> str:
    """Return how reading fails; empty if it does not, or if there is no such campaign."""
    try:
        read(ledger)
    except NotInLedger:
        return ""
    except LedgerError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("command", [["status"], ["status", "a"], ["export", "a"], ["report", "a"]])
def test_damage_ends_a_command_with_status_6(file: Path, command: list[str]) -> None:
    """A command ends with one line on standard error, and the exit status of a ledger's error."""
    put(file, "yunxin_submission.state", "sennt")
    done = CliRunner().invoke(cli, ["campaign", *command, "--ledger", str(file)])
    assert done.exit_code == 6
    assert "yunxin_submission.state is 'sennt'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_damage_null_is_one_clear_error(file: Path) -> None:
    """So is a NULL where none may be."""
    allow_null(file, "state")
    put(file, "yunxin_submission.state", None)
    allow_null(file, "message")
    put(file, "yunxin_content.message", None)
    with Ledger(file) as ledger:
        with pytest.raises(LedgerError, match=r"damaged: yunxin_submission\.state is NULL"):
            ledger.status("a")
        with pytest.raises(LedgerError, match="is NULL"):
            ledger.find(numbers(1)[0])


def test_damage_unknown_without_its_time(file: Path) -> None:
    """So is an unknown submission without the time when it became so."""
    damage(file, "UPDATE yunxin_submission SET state = 'unknown', ended_at = NULL")
    with Ledger(file) as ledger, pytest.raises(LedgerError, match="no ended_at"):
        ledger.status("a")


def test_damage_version(file: Path) -> None:
    """So is a version that is no number."""
    damage(file, "UPDATE yunxin_ledger SET version = 'two'")
    with pytest.raises(LedgerError, match=r"damaged: yunxin_ledger\.version is a text"):
        Ledger(file)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE yunxin_submission SET state = 'pendig'", "is 'pendig'"),
        ("UPDATE yunxin_campaign SET state = 'opn'", "is 'opn'"),
        ("UPDATE yunxin_recipients SET numbers = x'ff'", "numbers is a BLOB"),
        ("UPDATE yunxin_recipients SET numbers = 'xx'", "submission 1 is no phone numbers"),
        ("UPDATE yunxin_recipients SET numbers = numbers || ','", "is no phone numbers"),
        ("UPDATE yunxin_content SET message = x'ff'", "message is a BLOB"),
        ("UPDATE yunxin_submission SET not_before = 'x'", "not_before is a text"),
        ("DELETE FROM yunxin_suppression_state", "yunxin_suppression_state has not one row"),
        ("UPDATE yunxin_suppression_state SET generation = 'x'", "generation is a text"),
        ("DELETE FROM yunxin_recipients", "has no yunxin_content or yunxin_recipients"),
        (
            "UPDATE yunxin_submission SET state = 'submitting', runner_id = 'nobody'",
            "its runner_id is of no yunxin_runner",
        ),
    ],
)
def test_damage_ends_a_run(
    tmp_path: Path, client: Client, sandbox: Sandbox, statement: str, found: str
) -> None:
    """A run on a damaged ledger ends with that error, and sends nothing that is damaged."""
    file = tmp_path / "ledger.sqlite"
    with Ledger(file) as ledger:
        ledger.plan("a", numbers(2), TEXT, channel=37, max_recipients=1)
    damage(file, statement)
    with Ledger(file) as ledger, pytest.raises(LedgerError, match=found):
        ledger.run("a", client)
    assert sandbox.arrivals == ()


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE yunxin_recipients SET numbers = x'ff'", "numbers is a BLOB"),
        ("UPDATE yunxin_content SET message = x'ff'", "message is a BLOB"),
        ("UPDATE yunxin_content SET channel = x'ff'", "channel is a BLOB"),
        ("DELETE FROM yunxin_recipients", "the submission 1 has no yunxin_recipients"),
    ],
)
def test_damage_ends_a_preview(tmp_path: Path, statement: str, found: str) -> None:
    """The texts of a damaged ledger are not shown."""
    file = tmp_path / "ledger.sqlite"
    with Ledger(file) as ledger:
        ledger.plan("a", numbers(2), TEXT, channel=37, max_recipients=1)
    damage(file, statement)
    with Ledger(file) as ledger, pytest.raises(LedgerError, match=found):
        ledger.preview("a")


@pytest.mark.parametrize(
    ("damaging", "found"),
    [
        ("UPDATE yunxin_campaign SET state = 'opn'", "is 'opn'"),
        ("UPDATE yunxin_recipients SET numbers = 'xx'", "is no phone numbers"),
    ],
)
def test_damage_during_a_run_loses_no_result(
    tmp_path: Path, client: Client, sandbox: Sandbox, damaging: str, found: str
) -> None:
    """What is in flight when damage is found is recorded before the run ends with the error."""
    file = tmp_path / "ledger.sqlite"

    def on_progress(progress: Progress) -> None:
        if progress.in_flight:
            damage(file, damaging)

    with Ledger(file) as ledger:
        ledger.plan("a", numbers(20), TEXT, channel=37, max_recipients=1)
        with (
            sandbox.inject_fault("delay", seconds=0.2, times=None),
            pytest.raises(LedgerError, match=found),
        ):
            ledger.run("a", client, on_progress=on_progress)
        damage(file, "UPDATE yunxin_campaign SET state = 'open'")
        submissions = ledger.status("a").submissions
    assert submissions[State.ACCEPTED] == len(sandbox.arrivals) > 0
    assert submissions[State.PENDING] == 20 - len(sandbox.arrivals)


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_damage_at_the_end_of_a_run_keeps_what_may_still_be_sent(
    ledger: Ledger, engine: sa.Engine, manual_runner: Callable[[], ManualRunner]
) -> None:
    """A submission that a thread may still send is not sent again, also in a damaged ledger."""
    ledger.plan("a", numbers(2), TEXT, channel=37, max_recipients=1)
    left = manual_runner()
    (claimed,) = left.claim()
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE yunxin_campaign SET state = 'opn'"))
    result = left.claims.exchange(
        left.identity,
        left.campaign_id,
        endings=[ended(claimed, State.UNKNOWN)],
        in_flight=(),
        limit=0,
        may_still_send=True,
    )
    assert "is 'opn'" in str(result.damage)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE yunxin_campaign SET state = 'open'"))
    assert ledger.status("a").submissions[State.UNKNOWN] == 1
    with pytest.raises(NotInLedger, match="it may only be suspended, and send later"):
        ledger.resolve("a", "resend", by="test")


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE yunxin_submission SET state = 'sennt'", "is 'sennt'"),
        ("UPDATE yunxin_submission SET batch_no = x'ff'", "batch_no is a BLOB"),
        (
            "UPDATE yunxin_submission SET state = 'submitting', runner_id = 'nobody'",
            "its runner_id is of no yunxin_runner",
        ),
    ],
)
def test_damage_ends_a_single_send(file: Path, client: Client, statement: str, found: str) -> None:
    """So does a single send, instead of sending again or waiting for ever."""
    damage(file, statement + " WHERE key IS NOT NULL")
    with Ledger(file) as ledger, pytest.raises(LedgerError, match=found):
        ledger.once.send(client, "order", numbers(1), TEXT)


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["status", "a"],
        ["find", numbers(1)[0]],
        ["watch", "a"],
        ["resolve", "--key", "order", "--by", "x\x9b", "--as", "accepted"],
    ],
)
def test_control_characters_are_not_printed(file: Path, command: list[str], as_json: bool) -> None:
    """What a terminal would act on is shown as an escape; a wide space is no such thing."""
    evil = "red \x1b[31m\x9b2J\r\n\u202e\u3000end"
    put(file, "yunxin_submission.reason", evil)
    put(file, "yunxin_history.detail", evil)
    put(file, "yunxin_history.by", evil)
    put(file, "yunxin_content.message", evil)
    put(file, "yunxin_submission.key", evil)
    damage(file, "UPDATE yunxin_submission SET state = 'unknown', batch_no = ?", evil)
    damage(file, "UPDATE yunxin_campaign SET state = 'paused', reason = ?", evil)
    arguments = ["campaign", *command, "--ledger", str(file), *(["--json"] if as_json else [])]
    done = CliRunner().invoke(cli, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert {each for each in done.output if unicodedata.category(each)[0] == "C"} == {"\n"}
    if command[0] != "resolve":
        assert "\\u001b[31m\\u009b2J\\r\\n\\u202e\u3000end" in done.output or as_json
        if as_json:
            assert evil in strings(json.loads(done.stdout))


def strings(value: Any) -> set[str]:
    """Return all texts in a JSON value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return set().union(*map(strings, value))
    return {value} if isinstance(value, str) else set()
