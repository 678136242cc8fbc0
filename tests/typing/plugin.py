"""Tests as a user writes them, with types. mypy and pyright check this file; nothing runs it.

A comment ``type: ignore`` marks a mistake that both must find: they complain if they find none.
"""

from __future__ import annotations

import re

import pytest
from typing_extensions import assert_type

from yunxin_soap import Client
from yunxin_soap.pytest_plugin import YunxinOptions
from yunxin_soap.sandbox import Arrival, FaultKind, Sandbox


@pytest.fixture
def yunxin_options() -> YunxinOptions:
    return {"user_code": "shop", "user_pass": "secret", "channel": 37, "protocol": "soap12"}


class TestWrongOptions:
    @pytest.fixture
    def yunxin_options(self) -> YunxinOptions:
        return {"signatur": "书店"}  # type: ignore[typeddict-unknown-key]


def test_sends(yunxin_env: Sandbox, yunxin_client: Client) -> None:
    yunxin_env.inject_fault("delay", seconds=2, numbers=["13900000000"], times=None)
    yunxin_env.inject_fault("trickle", jitter=0.5, when="after", user_code=None)
    yunxin_env.inject_fault("balance", left=3, protocol="soap12")
    yunxin_env.inject_fault("refuse", seconds=2, seed=7)
    yunxin_client.send(13900000000, "您好")
    found = yunxin_env.assert_sent([13900000000, "+86 139 0000 0001"], re.compile("您好"), times=2)
    assert_type(found, tuple[Arrival, ...])
    yunxin_env.assert_sent({"13900000000"}, "您好")
    assert_type(yunxin_env.assert_not_sent(13900000000, containing="您好"), None)
    assert_type(yunxin_env.assert_nothing_sent(), None)


@pytest.mark.parametrize("kind", ["close", "reset"])
def test_lost(yunxin_sandbox: Sandbox, kind: FaultKind) -> None:
    with yunxin_sandbox.inject_fault(kind, times=2, seed=7):
        pass


def test_wrong(yunxin_sandbox: Sandbox) -> None:
    yunxin_sandbox.inject_fault("dealy", seconds=2)  # type: ignore[call-overload]
    yunxin_sandbox.inject_fault("delay", secnods=2)  # type: ignore[call-overload]
    yunxin_sandbox.inject_fault("delay", seconds="2")  # type: ignore[call-overload]
    yunxin_sandbox.inject_fault("close", when="aftr")  # type: ignore[call-overload]
    yunxin_sandbox.inject_fault("cut", protocol="http")  # type: ignore[call-overload]
    # An option, or a stage, of other kinds.
    yunxin_sandbox.inject_fault("close", seconds=2)  # type: ignore[call-overload]
    yunxin_sandbox.inject_fault("delay", status=502)  # type: ignore[call-overload]
    yunxin_sandbox.inject_fault("html", when="unread")  # type: ignore[call-overload]
    yunxin_sandbox.inject_fault("code", left=3)  # type: ignore[call-overload]
    yunxin_sandbox.inject_fault("balance", code=-14)  # type: ignore[call-overload]
    yunxin_sandbox.inject_fault("refuse", text="您好")  # type: ignore[call-overload]
    yunxin_sandbox.assert_sent(1.39)  # type: ignore[arg-type]
    yunxin_sandbox.assert_sent("13900000000", contains="您好")  # type: ignore[call-arg]
    yunxin_sandbox.assert_nothing_sent("13900000000")  # type: ignore[call-arg]
