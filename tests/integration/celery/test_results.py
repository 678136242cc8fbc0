"""What a result backend makes of the errors of this package."""

from __future__ import annotations

import uuid

import pytest
from celery import Celery
from celery.result import AsyncResult

from tests.support.brokers import RedisServer
from yunxin_soap import (
    ContentConflict,
    NotSent,
    OutcomeUnknown,
    RequestInfo,
    SendError,
    YunxinError,
)
from yunxin_soap.errors import invalid_request, rejected_by_code

# Celery's Redis backend calls what redis-py has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex")


@pytest.mark.parametrize("serializer", ["json", "pickle"])
@pytest.mark.parametrize(
    "error",
    [
        NotSent("no connection", safe_to_resend=True, retryable=True),
        OutcomeUnknown("no response", excerpt="<p>网关</p>", http_status=502),
        invalid_request("no numbers"),
        rejected_by_code(-8),
        rejected_by_code(-6, "促销"),
        ContentConflict("another text"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_result_of_a_failed_task_is_the_error_as_it_was(
    error: YunxinError, serializer: str, redis_server: RedisServer
) -> None:
    """The caller gets the same class, text and attributes from Redis."""
    app = Celery("results", broker=redis_server.url, backend=redis_server.url, set_as_current=False)
    app.conf.update(result_serializer=serializer, accept_content=[serializer])
    if isinstance(error, SendError):
        error.request = RequestInfo("http://gateway.example/", "soap", 2, "37")
    task_id = uuid.uuid4().hex
    with app:
        app.backend.mark_as_failure(task_id, error, traceback="Traceback …")
        with pytest.raises(type(error)) as caught:
            AsyncResult(task_id, app=app).get(timeout=10)
    restored = caught.value
    assert type(restored) is type(error)
    assert isinstance(restored, YunxinError)
    assert restored.to_dict() == error.to_dict()
    assert vars(restored) == vars(error)
