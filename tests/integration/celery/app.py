"""The application of the workers that the tests start; `workers` says by the environment how."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from celery import Celery

from yunxin_soap.campaign import Ledger
from yunxin_soap.celery import SLICE_SECONDS, SWEEP_INTERVAL, setup


def make_app(
    conf: Mapping[str, object],
    *,
    slice_seconds: float = SLICE_SECONDS,
    sweep_interval: float = SWEEP_INTERVAL,
    heartbeat_timeout: float = 3.0,
) -> Celery:
    """Return an application whose ledger and client are those of the environment."""
    app = Celery("test", set_as_current=False, include=[__name__])
    app.conf.update(conf)
    setup(
        app,
        ledger=lambda: Ledger(heartbeat_timeout=heartbeat_timeout),
        slice_seconds=slice_seconds,
        sweep_interval=sweep_interval,
    )
    return app


if "TEST_CELERY_CONF" in os.environ:
    app = make_app(
        json.loads(os.environ["TEST_CELERY_CONF"]), **json.loads(os.environ["TEST_CELERY_SETUP"])
    )
