"""Celery tasks that send what is queued and work on started campaigns.

It needs the extra ``celery``. ::

    from celery import Celery
    from yunxin_soap.celery import setup

    app = Celery("shop", broker="redis://…", include=["shop"])
    setup(app)  # the ledger and the account are those of YUNXIN_LEDGER, YUNXIN_USER_CODE …

The broker only wakes a worker up, the ledger is the truth, and the sweep is the guarantee: a
message that is lost, doubled or late costs time and nothing else. So run ``celery beat``. Messages
contain names of campaigns and keys of single sends, never a number, a text or a password.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from yunxin_soap.campaign import Ledger
from yunxin_soap.client import Client
from yunxin_soap.errors import ConfigurationError, LedgerError, NotSent, SendError
from yunxin_soap.extras import missing_extra
from yunxin_soap.sentences import Sentence

try:
    from celery import bootsteps, shared_task, signals
    from celery.app.utils import find_app
    from celery.exceptions import Reject
    from kombu.exceptions import OperationalError
except ModuleNotFoundError as error:
    raise missing_extra(
        Sentence("The Celery tasks need {library}", library=error.name), "celery"
    ) from error

if TYPE_CHECKING:
    from celery import Celery, Task

__all__ = ["run_campaign", "send", "setup", "sweep", "work"]

# A shared task knows its name, but asking it makes the application load its settings too early.
_SEND, _RUN_CAMPAIGN = "yunxin_soap.send", "yunxin_soap.run_campaign"
_WORK, _SWEEP = "yunxin_soap.work", "yunxin_soap.sweep"
SLICE_SECONDS = 30.0
"""Seconds of one task's work on a campaign."""
SWEEP_INTERVAL = 30.0
"""Seconds between two sweeps."""
_SEND_RETRIES = 4
"""How often a single send is retried at once: after 1, 2, 4 and 8 seconds. Then the sweep does."""
_IDLE_WAIT = 1.0
"""Seconds until the next slice at least, if one sent nothing: messages must not go in circles."""
_MARGIN = 10.0
"""Seconds that a task may take beside its slice and its last call of the gateway."""
_DRAIN_FILE = "YUNXIN_CELERY_DRAIN_FILE"
"""The variable that tells the processes of a worker's pool where the worker says that it ends.

A signal of Celery's reaches only the worker's own process. Its pool reads the variable, however it
was started, and looks whether the file is there.
"""
_AS_SENT: dict[str, Any] = {"serializer": "json", "reject_on_worker_lost": False}
"""Options of every task."""


def setup(
    app: Celery,
    *,
    ledger: Callable[[], Ledger] = Ledger,
    client: Callable[[], Client] = Client.from_env,
    slice_seconds: float = SLICE_SECONDS,
    sweep_interval: float = SWEEP_INTERVAL,
) -> None:
    """Let an application's workers send what is queued, and work on started campaigns.

    It adds `sweep` to the application's beat, and a check to the start of its workers: a worker
    does not start if a setting would cut off what it sends. Each process of a worker makes one
    ledger and one client, when a task first needs them.

    Args:
        app: the application.
        ledger: makes the ledger. Default: that of ``YUNXIN_LEDGER``.
        client: makes the client. Default: `Client.from_env`.
        slice_seconds: seconds that one task works on a campaign. A worker that is to end does not
            wait so long: it ends when what is in flight has ended.
        sweep_interval: seconds between two sweeps. So long may it take until what a killed worker
            or a lost message has left is continued.

    Raises:
        ConfigurationError: a number is not above 0.
    """
    for option, value in (("slice_seconds", slice_seconds), ("sweep_interval", sweep_interval)):
        if not 0 < value < float("inf"):
            raise ConfigurationError(
                Sentence(
                    "{option}={value} must be a number above 0.", option=option, value=repr(value)
                )
            )
    _setups[app] = found = _Setup(ledger, client, slice_seconds, sweep_interval)
    weakref.finalize(app, found.close)  # or at the end of the process
    app.steps["worker"].add(_Check)
    # What another sweep does after this one need not be done twice.
    app.add_periodic_task(
        sweep_interval, app.signature(_SWEEP), name=_SWEEP, expires=sweep_interval
    )


class _Setup:
    """What `setup` was told, and the ledger and the client of this process."""

    def __init__(
        self,
        make_ledger: Callable[[], Ledger],
        make_client: Callable[[], Client],
        slice_seconds: float,
        sweep_interval: float,
    ) -> None:
        self.make_ledger, self.make_client = make_ledger, make_client
        self.slice_seconds, self.sweep_interval = slice_seconds, sweep_interval
        self._lock = threading.Lock()
        self._pid = 0
        self._stack = contextlib.ExitStack()

    @property
    def ledger(self) -> Ledger:
        """The ledger of this process."""
        self._open()
        return self._ledger

    @property
    def client(self) -> Client:
        """The client of this process."""
        self._open()
        return self._client

    def _open(self) -> None:
        with self._lock:
            if self._pid == os.getpid():
                return
            # What was inherited by a fork belongs to the parent.
            with contextlib.ExitStack() as stack:
                self._client = stack.enter_context(self.make_client())
                self._ledger = stack.enter_context(self.make_ledger())
                self._stack, self._pid = stack.pop_all(), os.getpid()

    def close(self) -> None:
        """Close them, if this process has made them."""
        with self._lock:
            if self._pid == os.getpid():
                self._pid = 0
                self._stack.close()


_setups: weakref.WeakKeyDictionary[Celery, _Setup] = weakref.WeakKeyDictionary()


def applications() -> list[Celery]:
    """Return the applications of this process that `setup` was called for."""
    return list(_setups)


def _setup_of(app: Celery) -> _Setup:
    """Return what `setup` was told.

    Raises:
        ConfigurationError: it was not called for this application.
    """
    found = _setups.get(app)
    if found is None and len(_setups) == 1:
        # A pool that does not fork makes the application again.
        (found,) = _setups.values()
    if found is None:
        raise ConfigurationError(
            Sentence(
                "The Celery application {main} was not set up in this process: call "
                "yunxin_soap.celery.setup, in a module that include= of the application names. "
                "Pools that do not fork, as on macOS, import no other.",
                main=repr(app.main),
            )
        )
    return found


@shared_task(
    bind=True,
    name=_SEND,
    acks_late=True,
    max_retries=_SEND_RETRIES,
    throws=(SendError,),
    **_AS_SENT,
)
def send(self: Task[Any, Any], key: str) -> str:
    """Send one queued single send; see ``ledger.once.enqueue``.

    It may run twice, late and on two workers at once: one submission leaves. If it was not sent,
    the task tries again a few times, and `sweep` does later.

    Args:
        key: the key of the send.

    Returns:
        The batch number.

    Raises:
        SendError: as ``ledger.once.send_queued``.
    """
    found = _setup_of(self.app)
    if _DRAINING.is_set():
        raise Reject("The worker ends.", requeue=True)
    with _draining_at_sigterm():
        try:
            return found.ledger.once.send_queued(found.client, key).batch_no
        except NotSent as error:
            raise self.retry(exc=error, countdown=2.0**self.request.retries) from None


@shared_task(bind=True, name=_RUN_CAMPAIGN, acks_late=False, ignore_result=True, **_AS_SENT)
def run_campaign(self: Task[Any, Any], name: str) -> None:
    """Wake up the workers of a campaign that ``ledger.start`` started; `sweep` does so later.

    Args:
        name: the campaign.
    """
    found = _setup_of(self.app)
    _publish(self.app, _WORK, name, times=found.ledger.sweep().wanted.get(name, 0))


@shared_task(bind=True, name=_WORK, acks_late=False, ignore_result=True, **_AS_SENT)
def work(self: Task[Any, Any], name: str) -> None:
    """Work on a started campaign for a while, and publish itself again if there is more to do.

    Its message is acknowledged before it begins: no limit of a broker for unacknowledged messages
    applies, and no lost connection ends it. It begins nothing once the worker is to end.

    Args:
        name: the campaign.
    """
    found = _setup_of(self.app)
    while not _DRAINING.is_set():
        with _draining_at_sigterm():
            done = found.ledger.work_slice(
                name, found.client, seconds=found.slice_seconds, stop=_DRAINING
            )
        if done.wait is None or done.wait >= found.sweep_interval or _DRAINING.is_set():
            return  # the sweep continues it when it is time
        wait = done.wait if done.sent else max(done.wait, _IDLE_WAIT)
        if not self.request.is_eager:
            self.apply_async((name,), countdown=wait, **_destination(self.request))
            return
        time.sleep(wait)


@shared_task(bind=True, name=_SWEEP, acks_late=False, ignore_result=True, **_AS_SENT)
def sweep(self: Task[Any, Any]) -> None:
    """Publish a task for all that should run and does not; beat calls it.

    It makes unknown what a killed worker had in flight, starts nothing that nobody started, and
    may run as often as one likes.
    """
    found = _setup_of(self.app)
    swept = found.ledger.sweep()
    for name, runners in swept.wanted.items():
        _publish(self.app, _WORK, name, times=runners, expires=found.sweep_interval)
    for key in swept.due_keys:
        # Without retries: the ledger says when it is due again.
        _publish(self.app, _SEND, key, expires=found.sweep_interval, retries=_SEND_RETRIES)


def _destination(request: Any) -> dict[str, Any]:
    """Return where the message of a task came from, as the options of another one to there."""
    where = request.delivery_info or {}
    if not where.get("exchange"):  # the exchange without a name leads to each queue by its name
        return {"queue": where["routing_key"]}
    return {name: where[name] for name in ("exchange", "routing_key")}


def _publish(app: Celery, task: str, argument: str, *, times: int = 1, **options: Any) -> None:
    for _ in range(times):
        app.tasks[task].apply_async((argument,), **options)


def find_application(name: str) -> Celery:
    """Return a Celery application by the name that ``celery -A`` takes.

    Raises:
        ConfigurationError: there is none, or `setup` was not called for it.
    """
    try:
        found: Celery = find_app(name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            Sentence(
                "{name} is no Celery application ({error}): name it as celery -A does.",
                name=repr(name),
                error=error,
            )
        ) from None
    _setup_of(found)
    return found


def wake_up(app: Celery, name: str) -> str:
    """Publish `run_campaign` for a campaign.

    Returns:
        Why the broker could not be reached; empty if it could.
    """
    try:
        with app.connection_for_write() as connection:
            # Publishing alone would wait for the broker without an end.
            connection.ensure_connection(max_retries=1, interval_start=0)
        _publish(app, _RUN_CAMPAIGN, name, retry=False)
    except OperationalError as error:
        return str(error)
    return ""


class _Draining(threading.Event):
    """The stop event of all slices: set once the worker, or this process, is to end."""

    def is_set(self) -> bool:
        """Return whether nothing more is to be begun."""
        path = os.environ.get(_DRAIN_FILE)
        return super().is_set() or (path is not None and Path(path).exists())


_DRAINING = _Draining()


@contextlib.contextmanager
def _draining_at_sigterm() -> Iterator[None]:
    """Let what is in flight end before a SIGTERM ends a process of a pool.

    Celery sends it to such a process only to end its task at once. systemd and others send it to
    every process of a service.
    """
    is_main_thread = threading.current_thread() is threading.main_thread()
    if not is_main_thread or not _is_pool_process():
        yield
        return

    received: list[int] = []

    def drain(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        _DRAINING.set()

    # The variable is Celery's, and names what it sends instead.
    numbers = {signal.SIGTERM, getattr(signal, os.environ.get("REMAP_SIGTERM") or "SIGTERM")}
    before = {number: signal.signal(number, drain) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if received:
            os.kill(os.getpid(), received[0])


def _is_pool_process() -> bool:
    """Return whether this process is one of a worker's pool, and not the worker itself."""
    path = os.environ.get(_DRAIN_FILE)
    return path is not None and Path(path).suffix != f".{os.getpid()}"


@signals.worker_shutting_down.connect
def _drain(**_: Any) -> None:
    """Let the tasks of this worker begin nothing more."""
    if path := os.environ.get(_DRAIN_FILE):
        Path(path).touch(mode=0o600)


@signals.worker_shutdown.connect
def _forget_worker(**_: Any) -> None:
    """Remove the file of a worker that has ended."""
    if path := os.environ.pop(_DRAIN_FILE, None):
        Path(path).unlink(missing_ok=True)


@signals.worker_process_shutdown.connect
@signals.worker_shutdown.connect
def _close(**_: Any) -> None:
    """Close what this process has opened."""
    for each in list(_setups.values()):
        each.close()


class _Check(bootsteps.Step):
    """Refuses to start a worker whose settings would cut off what it sends."""

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        problems = list(_problems(worker, _setup_of(worker.app)))
        if problems:
            raise ConfigurationError(
                "The worker does not start, because it might send twice or leave submissions"
                " unknown:\n- " + "\n- ".join(problems)
            )
        name = f"yunxin-soap-{secrets.token_hex(8)}.{os.getpid()}"
        os.environ[_DRAIN_FILE] = str(Path(tempfile.gettempdir()) / name)


def _problems(worker: Any, found: _Setup) -> Iterator[str]:
    """Yield what is wrong with the settings of a worker, and what to do about it.

    Raises:
        ConfigurationError: the ledger or the account is not set.
    """
    if worker.pool_cls.is_green:
        yield (
            f"the pool {worker.pool_cls.__module__.rpartition('.')[2]}: its tasks share one thread,"
            " so a slow one stops the heartbeats of all others, whose submissions would count as"
            " stalled, and two slices cannot have an event loop each. Use --pool=prefork, threads"
            " or solo; one process sends hundreds of submissions at once."
        )
    with found.make_client() as client:
        total_timeout = client.total_timeout
    with contextlib.suppress(LedgerError):  # a database that is away now comes back
        found.make_ledger().close()
    limits = {"time_limit": worker.time_limit, "soft_time_limit": worker.soft_time_limit}
    yield from _setting_problems(worker.app, limits, found.slice_seconds, total_timeout)


def configuration_problems(app: Celery, total_timeout: float) -> list[str]:
    """Return what a worker of an application would refuse to start with, by the settings alone.

    Args:
        app: the application, which `setup` was called for.
        total_timeout: that of the client.
    """
    limits = {
        "time_limit": app.conf.task_time_limit,
        "soft_time_limit": app.conf.task_soft_time_limit,
    }
    return list(_setting_problems(app, limits, _setup_of(app).slice_seconds, total_timeout))


def _setting_problems(
    app: Celery, limits: Mapping[str, float | None], slice_seconds: float, total_timeout: float
) -> Iterator[str]:
    """Yield what is wrong with the settings of an application, and what to do about it."""
    call = total_timeout + _MARGIN
    for task, seconds in ((_WORK, slice_seconds + call), (_SEND, call)):
        yield from _task_problems(limits, app.tasks[task], seconds)
    conf = app.conf
    if "json" not in conf.accept_content and "application/json" not in conf.accept_content:
        yield "accept_content without json: the tasks are sent as JSON. Add it."
    if conf.worker_cancel_long_running_tasks_on_connection_loss and app.tasks[_SEND].acks_late:
        yield (
            "worker_cancel_long_running_tasks_on_connection_loss kills a process that sends when"
            " the broker is away. Turn it off, or set task_annotations ="
            f" {{'{_SEND}': {{'acks_late': False}}}}."
        )


def _task_problems(limits: Mapping[str, float | None], task: Any, seconds: float) -> Iterator[str]:
    """Yield what is wrong with the options of a task that may take so many seconds."""
    for option, default in limits.items():
        limit = getattr(task, option) or default
        if limit is not None and 0 < limit < seconds:
            yield (
                f"{option}={limit:g} kills {task.name} while it sends: it may take {seconds:g} s."
                f" Set task_annotations = {{'{task.name}': {{'{option}': {seconds:g}}}}} or more,"
                " or a lower slice_seconds or total_timeout."
            )
    if task.reject_on_worker_lost:
        yield (
            f"reject_on_worker_lost of {task.name} gives a message that has killed its worker to"
            " the next one. Turn it off: the sweep continues what a killed worker has left."
        )
    if task.name == _WORK and task.acks_late:
        yield (
            f"acks_late of {task.name}: the broker would deliver its message again while it works,"
            " or end it when a connection is lost. Remove it from task_annotations."
        )
