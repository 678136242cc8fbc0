"""The tasks on real workers and real brokers."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable

import pytest
from celery import Celery

from tests.integration.campaign.killing.processes import wait_until
from tests.integration.celery.app import make_app
from tests.integration.celery.workers import Deployment, Worker
from tests.support.brokers import RedisServer
from tests.support.lists import TEXT, numbers
from yunxin_soap import ChannelRejected, Client
from yunxin_soap.campaign import CampaignState, Ledger, State
from yunxin_soap.sandbox import Sandbox

LONG = {"slice_seconds": 3600.0, "sweep_interval": 3600.0}
"""So that nothing ends because its time is up."""


def plan(ledger: Ledger, count: int = 60, name: str = "june") -> None:
    ledger.plan(name, numbers(count), TEXT, channel=37, max_recipients=1)


def wait_until_done(ledger: Ledger, name: str = "june") -> None:
    wait_until(lambda: ledger.status(name).state is CampaignState.DONE, f"{name} is done")


@pytest.fixture
def app(deployment: Deployment) -> Celery:
    """The application of a process that has no ledger, such as a web server's."""
    app = Celery("web", set_as_current=False)
    app.conf.update(deployment.settings)
    return app


def assert_each_accepted_once(sandbox: Sandbox, count: int) -> None:
    assert sandbox.accepted_numbers == dict.fromkeys(numbers(count), 1)


POOLS = [("redis", pool) for pool in ("prefork", "threads", "solo")]


@pytest.mark.parametrize(
    ("deployment", "pool"), [*POOLS, ("rabbitmq", "prefork")], indirect=["deployment"]
)
def test_work_until_a_campaign_is_done(
    pool: str, app: Celery, start: Callable[..., Worker], ledger: Ledger, sandbox: Sandbox
) -> None:
    """A worker with any pool sends a started campaign, over several slices."""
    plan(ledger)
    sandbox.inject_fault("delay", seconds=0.2, times=None)
    ledger.start("june", workers=1, concurrency=2)
    worker = start("--pool", pool, "-c", "1")
    app.send_task("yunxin_soap.run_campaign", ["june"])
    wait_until_done(ledger)
    assert_each_accepted_once(sandbox, 60)
    assert worker.log.count("Task yunxin_soap.work[") > 2


def test_work_goes_on_in_the_queue_that_it_came_from(
    app: Celery, start: Callable[..., Worker], deployment: Deployment, ledger: Ledger
) -> None:
    """A task that was sent to another queue than its default publishes itself again there."""
    plan(ledger)
    ledger.start("june", workers=1, concurrency=1, rate_limit=15)
    worker = start("--pool", "solo", "-Q", f"{deployment.queue}-2")
    app.send_task("yunxin_soap.work", ["june"], queue=f"{deployment.queue}-2")
    wait_until_done(ledger)
    assert worker.log.count("Task yunxin_soap.work[") > 2


def test_beat_sends_what_was_started_and_queued(
    deployment: Deployment, start: Callable[..., Worker], ledger: Ledger, sandbox: Sandbox
) -> None:
    """The sweep finds what nobody published a task for."""
    plan(ledger, 5)
    ledger.start("june", workers=1)
    for number in numbers(8)[5:]:
        ledger.once.enqueue(f"key-{number}", number, TEXT, channel=37)
    start("--pool", "threads", "-c", "2")
    beat = deployment.start_beat()
    try:
        wait_until_done(ledger)
        wait_until(lambda: ledger.once.counts()[State.ACCEPTED] == 3, "the single sends are sent")
    finally:
        beat.kill()
    assert_each_accepted_once(sandbox, 8)


@pytest.mark.parametrize(
    ("deployment", "pool", "target"),
    [
        *((*each, "worker") for each in POOLS),
        ("redis", "prefork", "all processes"),
        ("rabbitmq", "prefork", "worker"),
    ],
    indirect=["deployment"],
)
def test_warm_shutdown_leaves_nothing_unknown(
    pool: str,
    target: str,
    app: Celery,
    deployment: Deployment,
    start: Callable[..., Worker],
    ledger: Ledger,
    sandbox: Sandbox,
) -> None:
    """SIGTERM lets what is in flight end, and begins nothing more, long before the slice ends."""
    deployment.setup = LONG
    plan(ledger, 2000)
    sandbox.inject_fault("delay", seconds=0.3, times=None)
    ledger.start("june", workers=2, concurrency=4)
    worker = start("--pool", pool, "-c", "2")
    app.send_task("yunxin_soap.run_campaign", ["june"])
    wait_until(lambda: ledger.progress("june").accepted >= 10, "it sends")
    if target == "worker":
        worker.signal()
    else:
        os.killpg(worker.pid, signal.SIGTERM)
    assert worker.join() == 0, worker.log
    counts = ledger.status("june").submissions
    assert counts.get(State.UNKNOWN, 0) == counts.get(State.SUBMITTING, 0) == 0
    assert counts[State.PENDING] > 0
    assert counts[State.ACCEPTED] == len(sandbox.inbox)


@pytest.mark.parametrize("remapped", ["", "SIGQUIT"])
@pytest.mark.parametrize("deployment", ["redis"], indirect=True)
def test_cold_shutdown_of_a_pool_of_processes_leaves_nothing_unknown(
    remapped: str,
    app: Celery,
    deployment: Deployment,
    start: Callable[..., Worker],
    ledger: Ledger,
    sandbox: Sandbox,
) -> None:
    """SIGQUIT sends a signal to each process of the pool, which ends well."""
    deployment.setup = LONG
    plan(ledger, 2000)
    sandbox.inject_fault("delay", seconds=0.3, times=None)
    ledger.start("june", workers=2, concurrency=4)
    worker = start("--pool", "prefork", "-c", "2", REMAP_SIGTERM=remapped)
    app.send_task("yunxin_soap.run_campaign", ["june"])
    wait_until(lambda: ledger.progress("june").accepted >= 10, "it sends")
    worker.signal(signal.SIGQUIT)
    worker.join()
    submissions = ledger.status("june").submissions
    assert submissions[State.UNKNOWN] == submissions[State.SUBMITTING] == 0
    assert submissions[State.ACCEPTED] == len(sandbox.inbox)


@pytest.mark.parametrize("deployment", ["redis"], indirect=True)
def test_pool_that_does_not_fork_sends_and_drains(
    app: Celery,
    deployment: Deployment,
    start: Callable[..., Worker],
    ledger: Ledger,
    sandbox: Sandbox,
) -> None:
    """Its processes make the application again, and still learn that the worker ends."""
    deployment.setup = LONG
    deployment.conf = {"worker_pool_start_method": "spawn"}
    plan(ledger, 2000)
    sandbox.inject_fault("delay", seconds=0.3, times=None)
    ledger.start("june", workers=1, concurrency=4)
    worker = start("--pool", "prefork", "-c", "1")
    app.send_task("yunxin_soap.run_campaign", ["june"])
    wait_until(lambda: ledger.progress("june").accepted >= 10, "it sends")
    worker.signal()
    assert worker.join() == 0
    submissions = ledger.status("june").submissions
    assert submissions[State.UNKNOWN] == submissions[State.SUBMITTING] == 0
    assert submissions[State.PENDING] > 0


def test_work_begins_nothing_when_the_worker_ends(
    app: Celery, deployment: Deployment, start: Callable[..., Worker], ledger: Ledger
) -> None:
    """A task that the worker has taken before a warm shutdown, and begins during it, ends at once.

    Its message is lost; the next sweep continues the campaign.
    """
    deployment.setup = LONG
    deployment.conf = {"worker_prefetch_multiplier": 8}
    plan(ledger, 3)
    # Without one that is due, the first slice waits inside of its hours.
    for name in ("a", "b"):
        ledger.plan(name, numbers(5000), f"{name}{TEXT}", channel=37, max_recipients=1)
        ledger.start(name, workers=1, concurrency=1)
    worker = start("--pool", "solo")
    app.send_task("yunxin_soap.work", ["a"])
    wait_until(lambda: ledger.progress("a").accepted > 0, "it sends the first")
    app.send_task("yunxin_soap.work", ["b"])
    worker.signal()
    assert worker.join() == 0
    assert ledger.status("b").submissions[State.PENDING] == 5000


def test_send_is_left_to_others_when_the_worker_ends(
    app: Celery,
    deployment: Deployment,
    start: Callable[..., Worker],
    ledger: Ledger,
    sandbox: Sandbox,
) -> None:
    """A send that the worker has taken, and begins during a warm shutdown, goes back to the queue.

    The first one, which is in flight, ends well.
    """
    deployment.conf = {"worker_prefetch_multiplier": 8}
    for each in numbers(2):
        ledger.once.enqueue(each, each, TEXT, channel=37)
    sandbox.inject_fault("delay", seconds=3)
    worker = start("--pool", "threads", "-c", "1")
    for each in numbers(2):
        app.send_task("yunxin_soap.send", [each])
    wait_until(lambda: len(sandbox.arrivals) == 1, "the first is in flight")
    wait_until(lambda: worker.log.count("send[") == 2, "the second is taken")
    worker.signal()
    assert worker.join() == 0
    assert ledger.once.counts()[State.ACCEPTED] == 1
    assert ledger.once.counts()[State.PENDING] == 1
    start("--pool", "solo")
    wait_until(lambda: ledger.once.counts()[State.ACCEPTED] == 2, "another worker sends it")
    assert_each_accepted_once(sandbox, 2)


@pytest.mark.parametrize("deployment", ["rabbitmq"], indirect=True)
def test_send_of_a_killed_worker_is_unknown_and_not_repeated(
    app: Celery,
    deployment: Deployment,
    start: Callable[..., Worker],
    ledger: Ledger,
    sandbox: Sandbox,
) -> None:
    """RabbitMQ delivers its message again at once; the next worker sends nothing."""
    ledger.once.enqueue("key", numbers(1), TEXT, channel=37)
    sandbox.inject_fault("delay", seconds=60)
    victim = start("--pool", "solo")
    app.send_task("yunxin_soap.send", ["key"])
    wait_until(lambda: len(sandbox.arrivals) == 1, "it is in flight")
    victim.kill()
    start("--pool", "solo").wait_for("OutcomeUnknown")
    assert list(ledger.once.keys(State.UNKNOWN)) == ["key"]
    assert_each_accepted_once(sandbox, 1)


def test_killed_workers_campaign_goes_on_with_one_sweep(
    app: Celery, deployment: Deployment, start: Callable[..., Worker], ledger: Ledger
) -> None:
    """One sweep makes unknown what a killed worker had in flight, and lets others continue."""
    deployment.setup = LONG
    plan(ledger, 400)
    ledger.start("june", workers=1, concurrency=4, rate_limit=100)
    victim = start("--pool", "prefork", "-c", "1")
    app.send_task("yunxin_soap.run_campaign", ["june"])
    wait_until(lambda: ledger.progress("june").accepted >= 10, "it sends")
    victim.kill()
    start("--pool", "prefork", "-c", "1")
    app.send_task("yunxin_soap.sweep")
    wait_until_done(ledger)
    counts = ledger.status("june").submissions
    assert counts.get(State.UNKNOWN, 0) <= 4
    assert counts[State.ACCEPTED] + counts.get(State.UNKNOWN, 0) == 400


def test_tasks_twice_late_and_out_of_order_send_once(
    app: Celery, start: Callable[..., Worker], ledger: Ledger, sandbox: Sandbox
) -> None:
    """The same tasks on two workers, doubled and shuffled, are one submission each."""
    plan(ledger, 30)
    for number in numbers(60)[30:]:
        ledger.once.enqueue(f"key-{number}", number, TEXT, channel=37)
    ledger.start("june", workers=2, concurrency=3)
    tasks = [("send", f"key-{number}") for number in numbers(60)[30:]]
    tasks += [("work", "june"), ("run_campaign", "june")]
    tasks = 3 * tasks
    random.Random(1).shuffle(tasks)
    for at, (name, argument) in enumerate(tasks):
        app.send_task(f"yunxin_soap.{name}", [argument], countdown=at % 3)
    for _ in range(2):
        start("--pool", "threads", "-c", "4")
    wait_until_done(ledger)
    wait_until(lambda: ledger.once.counts()[State.ACCEPTED] == 30, "the single sends are sent")
    app.send_task("yunxin_soap.work", ["june"])  # late
    assert_each_accepted_once(sandbox, 60)


def test_sweeps_at_once_start_nothing_that_nobody_started(
    app: Celery, start: Callable[..., Worker], ledger: Ledger, sandbox: Sandbox
) -> None:
    """Sweeps on two workers do no harm; a campaign that is only planned stays so."""
    plan(ledger, 5, "planned")
    plan(ledger, 20)
    ledger.start("june", workers=2)
    for _ in range(8):
        app.send_task("yunxin_soap.sweep")
    workers = [start("--pool", "threads", "-c", "4") for _ in range(2)]
    wait_until_done(ledger)
    wait_until(
        lambda: sum(each.log.count("sweep[") for each in workers) >= 16, "all sweeps have ended"
    )
    assert_each_accepted_once(sandbox, 20)
    assert ledger.status("planned").submissions[State.PENDING] == 5


def test_send_that_was_not_sent_is_retried(
    app: Celery, deployment: Deployment, start: Callable[..., Worker], ledger: Ledger
) -> None:
    """The task tries again while nothing can have reached the gateway."""
    with Sandbox() as gone:
        deployment.gateway_url, port = gone.url, int(gone.url.split(":")[2].split("/")[0])
    ledger.once.enqueue("key", numbers(1), TEXT, channel=37)
    worker = start("--pool", "solo")
    app.send_task("yunxin_soap.send", ["key"])
    worker.wait_for("Retry in 1")
    with Sandbox(port=port) as back:
        wait_until(lambda: ledger.once.counts()[State.ACCEPTED] == 1, "it is sent")
        assert_each_accepted_once(back, 1)


@pytest.mark.parametrize("deployment", ["redis"], indirect=True)
def test_swept_send_that_was_not_sent_waits_for_a_later_sweep(
    app: Celery, deployment: Deployment, start: Callable[..., Worker], ledger: Ledger
) -> None:
    """The ledger says when it is due again, so that sweeps do not add up to many retries."""
    with Sandbox() as gone:
        deployment.gateway_url = gone.url
    ledger.once.enqueue("key", numbers(1), TEXT, channel=37)
    worker = start("--pool", "solo")
    app.send_task("yunxin_soap.sweep")
    worker.wait_for("raised expected: NotSent(")
    assert "Retry in" not in worker.log
    assert ledger.once.counts()[State.PENDING] == 1


@pytest.mark.filterwarnings("ignore:Call to deprecated setex")
def test_result_of_send_is_the_batch_number_or_the_error(
    deployment: Deployment,
    start: Callable[..., Worker],
    redis_server: RedisServer,
    ledger: Ledger,
    sandbox: Sandbox,
) -> None:
    """The caller gets the batch number, or the error as it was, from a JSON result backend."""
    deployment.conf = {"result_backend": redis_server.url}
    for key in ("good", "bad"):
        ledger.once.enqueue(key, numbers(1), f"{key}{TEXT}", channel=37)
    start("--pool", "solo")
    app = make_app(deployment.settings)
    with app:
        batch_no = app.tasks["yunxin_soap.send"].delay("good").get(timeout=60)
        assert [batch_no] == [each.batch_no for each in sandbox.inbox]
        sandbox.inject_fault("code", code="-8")
        with pytest.raises(ChannelRejected) as caught:
            app.tasks["yunxin_soap.send"].delay("bad").get(timeout=60)
    error = caught.value
    assert (error.code, error.temporary, error.retryable, error.safe_to_resend) == (
        *(-8, True, True, True),
    )
    assert error.request is not None
    assert error.request.endpoint == sandbox.url


def test_eager_tasks_send_a_whole_campaign(
    ledger_url: str,
    ledger: Ledger,
    client: Client,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In an application's own tests, a campaign runs to its end where its task is called."""
    for name, value in {
        "LEDGER": ledger_url,
        "ENDPOINT": sandbox.url,
        "USER_CODE": "demo",
        "USER_PASS": "demo",
    }.items():
        monkeypatch.setenv(f"YUNXIN_{name}", value)
    app = make_app({"task_always_eager": True}, slice_seconds=0.3)
    plan(ledger)
    sandbox.inject_fault("delay", seconds=0.05, times=None)
    ledger.start("june", workers=1, concurrency=2)
    app.tasks["yunxin_soap.run_campaign"].delay("june")
    assert ledger.status("june").state is CampaignState.DONE
    assert_each_accepted_once(sandbox, 60)
