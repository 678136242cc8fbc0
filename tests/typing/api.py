"""State the public API by its types; mypy and pyright check this file, and nothing runs it."""

from __future__ import annotations

from typing_extensions import assert_type

from yunxin_soap import AsyncClient, Client, Outcome, Receipt, Rejected, SendError, Submission


def client() -> None:
    with Client("user", "secret", channel="37", signature="签名", timeout=10) as opened:
        assert_type(opened, Client)
        assert_type(opened.send("13900000000", "您好"), Receipt)
        assert_type(opened.send(13900000000, "您好", channel=37, extension=9), Receipt)
        submission = opened.check(["13900000000", 13900000001], "您好")
        assert_type(submission, Submission)
        assert_type(opened.submit(submission), Receipt)
        assert_type(opened.endpoint, str)
        assert_type(opened.total_timeout, float)


async def async_client() -> None:
    async with AsyncClient("user", "secret", channel="37", signature="签名") as opened:
        assert_type(opened, AsyncClient)
        assert_type(await opened.send("13900000000", "您好"), Receipt)
        submission = await opened.check(["13900000000", 13900000001], "您好")
        assert_type(submission, Submission)
        assert_type(await opened.submit(submission), Receipt)


def receipt(value: Receipt) -> None:
    assert_type(value.batch_no, str)


def errors(error: SendError, rejected: Rejected) -> None:
    assert_type(error.outcome, Outcome)
    assert_type(error.safe_to_resend, bool)
    assert_type(rejected.code, int | None)
    assert_type(rejected.description_zh, str)
    assert_type(rejected.keyword, str | None)
