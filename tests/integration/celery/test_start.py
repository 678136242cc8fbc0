"""What a worker checks when it starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.concurrency import get_implementation
from celery.result import allow_join_result

from tests.integration.celery.app import make_app
from tests.support.ports import free_port
from yunxin_soap import ConfigurationError
from yunxin_soap.celery import setup
from yunxin_soap.extras import install_command


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The account of the client, which waits 70 s for a call at most, and a ledger."""
    ledger = str(tmp_path / "ledger.sqlite")
    for name, value in (("USER_CODE", "demo"), ("USER_PASS", "demo"), ("LEDGER", ledger)):
        monkeypatch.setenv(f"YUNXIN_{name}", value)


def start(app: Celery, **options: Any) -> None:
    """Do what a worker does before it takes tasks.

    Celery then takes this process for a worker, where waiting for a result is refused; the tests
    that follow may wait.
    """
    with allow_join_result():
        app.WorkController(**options)


def refusal(conf: dict[str, object], **options: Any) -> str:
    """Return why a worker does not start."""
    with pytest.raises(ConfigurationError) as caught:
        start(make_app({"broker_url": "memory://", **conf}), **options)
    return str(caught.value)


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_worker_with_a_pool_of_threads_or_processes_starts(pool: str) -> None:
    """These pools are supported."""
    start(make_app({"broker_url": "memory://"}), pool=get_implementation(pool))


@pytest.mark.parametrize("pool", ["gevent"])
def test_worker_with_a_green_pool_is_refused(pool: str) -> None:
    """Its tasks would stop each other's heartbeats."""
    found = refusal({}, pool=get_implementation(pool))
    assert f"the pool {pool}: its tasks share one thread" in found
    assert "prefork, threads or solo" in found


def test_worker_with_a_time_limit_below_a_slice_is_refused() -> None:
    """A task of 30 s and a call of 70 s must not be killed before."""
    found = refusal({"task_time_limit": 100})
    assert "time_limit=100 kills yunxin_soap.work while it sends: it may take 110 s" in found
    assert "yunxin_soap.send" not in found
    assert "soft_time_limit" not in found


def test_worker_with_a_time_limit_below_a_call_is_refused() -> None:
    """The limits of the command line count, too."""
    found = refusal({}, soft_time_limit=60)
    assert "soft_time_limit=60 kills yunxin_soap.send while it sends: it may take 80 s" in found
    assert "{'yunxin_soap.work': {'soft_time_limit': 110}}" in found


def test_worker_with_limits_for_other_tasks_starts() -> None:
    """What the refusal advises helps."""
    annotations = {
        "yunxin_soap.work": {"time_limit": 110, "soft_time_limit": 110},
        "yunxin_soap.send": {"time_limit": 80, "soft_time_limit": 80},
    }
    conf = {"task_time_limit": 5, "task_soft_time_limit": 4, "task_annotations": annotations}
    start(make_app({"broker_url": "memory://", **conf}))


def test_worker_with_global_settings_of_other_tasks_starts() -> None:
    """What is set for all tasks, and harmful for ours, does not apply to them."""
    conf = {
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_serializer": "pickle",
        "accept_content": ["pickle", "json"],
    }
    app = make_app({"broker_url": "memory://", **conf})
    start(app)
    tasks = [app.tasks[f"yunxin_soap.{name}"] for name in ("work", "sweep", "run_campaign", "send")]
    assert [each.acks_late for each in tasks] == [False, False, False, True]
    assert {each.reject_on_worker_lost for each in tasks} == {False}
    assert {each.serializer for each in tasks} == {"json"}


@pytest.mark.parametrize(
    ("conf", "reason"),
    [
        (
            {"task_annotations": {"yunxin_soap.work": {"acks_late": True}}},
            "acks_late of yunxin_soap.work",
        ),
        (
            {"task_annotations": {"*": {"reject_on_worker_lost": True}}},
            "reject_on_worker_lost of yunxin_soap.send",
        ),
        (
            {"worker_cancel_long_running_tasks_on_connection_loss": True},
            "worker_cancel_long_running_tasks_on_connection_loss kills",
        ),
        ({"accept_content": ["pickle"]}, "accept_content without json"),
    ],
)
def test_worker_with_a_harmful_setting_is_refused(conf: dict[str, object], reason: str) -> None:
    """Each setting that would hurt is named, with what to do."""
    assert reason in refusal(conf)


def test_worker_that_loses_no_message_may_cancel_on_connection_loss() -> None:
    """What the refusal advises helps."""
    start(
        make_app(
            {
                "broker_url": "memory://",
                "worker_cancel_long_running_tasks_on_connection_loss": True,
                "task_annotations": {"yunxin_soap.send": {"acks_late": False}},
            }
        )
    )


@pytest.mark.parametrize("name", ["YUNXIN_USER_PASS", "YUNXIN_LEDGER"])
def test_worker_without_an_account_or_a_ledger_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing is found at the start, not by the first task."""
    monkeypatch.delenv(name)
    with pytest.raises(ConfigurationError, match=name):
        start(make_app({"broker_url": "memory://"}))


def test_worker_starts_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that ended for that would have to be started by somebody."""
    monkeypatch.setenv("YUNXIN_LEDGER", f"postgresql://127.0.0.1:{free_port()}/nothing")
    start(make_app({"broker_url": "memory://"}))


@pytest.mark.parametrize("option", ["slice_seconds", "sweep_interval"])
@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_setup_with_a_number_out_of_range_is_refused(option: str, value: float) -> None:
    """Seconds are above 0."""
    with pytest.raises(ConfigurationError, match=option):
        make_app({}, **{option: value})


def test_task_of_an_application_that_was_not_set_up_is_refused() -> None:
    """A task says what is missing, instead of working on another application's ledger."""
    apps = [make_app({}), make_app({})]
    stranger = Celery("stranger", set_as_current=False)
    with pytest.raises(ConfigurationError, match=r"'stranger' was not set up"):
        stranger.tasks["yunxin_soap.sweep"].apply(throw=True)
    assert len(apps) == 2


def test_setup_adds_the_sweep_to_the_beat() -> None:
    """The beat calls the sweep; `setup` does not load the settings, which may be set later."""
    app: Any = Celery("later", set_as_current=False)
    setup(app, sweep_interval=7)
    assert not app.configured
    assert not app.finalized
    app.config_from_object({"beat_schedule": {"other": {"task": "other", "schedule": 1}}})
    schedule = app.conf.beat_schedule
    assert set(schedule) == {"other", "yunxin_soap.sweep"}
    assert schedule["yunxin_soap.sweep"]["schedule"] == 7
    assert schedule["yunxin_soap.sweep"]["options"] == {"expires": 7}


def test_import_of_the_package_does_not_import_celery() -> None:
    """Celery costs a lot of time and memory, and few processes need it."""
    code = (
        "import sys, yunxin_soap.campaign, yunxin_soap.cli\n"
        "from yunxin_soap import AsyncClient, Client\n"
        "assert not {'celery', 'kombu'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_import_without_celery_names_the_extra() -> None:
    """The error has the line to type."""
    code = "import sys; sys.modules['celery'] = None; import yunxin_soap.celery"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr.endswith(f": {install_command('celery')}\n")
