"""What the report about a campaign shows, made up for tests, without a ledger."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from yunxin_soap.campaign.models import CampaignState, SkipKind, State, Status
from yunxin_soap.campaign.report import (
    EarlierRejection,
    End,
    Figures,
    Rejection,
    Sending,
    TextFigures,
)

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def status(name: str = "spring", **changed: Any) -> Status:
    """Return the status of a campaign whose 30 numbers are accepted, but for what is changed."""
    numbers = changed.pop("numbers", {State.ACCEPTED: 30})
    submissions = changed.pop("submissions", {})
    values: dict[str, Any] = {
        "state": CampaignState.DONE,
        "reason": "",
        "paused_until": None,
        "created_at": START,
        "purged_at": None,
        "planned": sum(numbers.values()),
        "skipped": 0,
        "skipped_by": {},
        "numbers": {**dict.fromkeys(State, 0), **numbers},
        "submissions": {**dict.fromkeys(State, 0), **submissions},
        "codes": {},
        "on_hold": {},
        "oldest_unknown_at": None,
        "runners": (),
        "left_behind": {},
    }
    return Status(name=name, **{**values, **changed})


def rich_figures() -> Figures:
    """Return the figures of a campaign in which everything happened that a report can show."""
    second = START.timestamp()
    weights = {at: 30 + at * 7 % 11 for at in range(48) if at not in range(21, 26)}
    unit = 18_204 // sum(weights.values())
    buckets = {at: {End.ACCEPTED: unit * weight, End.REJECTED: 6} for at, weight in weights.items()}
    buckets[20] = {End.ACCEPTED: 18_204 - unit * (sum(weights.values()) - weights[20])}
    buckets[20] |= {End.REJECTED: 236 - 6 * (len(weights) - 1), End.NO_RESPONSE: 240}
    accepted = {ms: max(0, 44 - abs(ms - 88) // 3) for ms in range(20, 400)}
    accepted[640] = 9
    return Figures(
        status=status(
            "Spring sale 春季促销",
            state=CampaignState.PAUSED,
            reason="-7 余额不足 (the balance is too low)",
            numbers={
                State.ACCEPTED: 18_204,
                State.REJECTED: 236,
                State.UNKNOWN: 240,
                State.PENDING: 1_300,
                State.SUPPRESSED: 20,
            },
            submissions={State.UNKNOWN: 24},
            skipped=41,
            skipped_by={SkipKind.DUPLICATE: 29, SkipKind.INVALID_NUMBER: 12},
            on_hold={"-6": 300},
        ),
        at=START + timedelta(minutes=30),
        times={
            End.ACCEPTED: accepted,
            End.REJECTED: {60: 11, 72: 9, 81: 4},
            End.NO_RESPONSE: {30_002: 12, 30_004: 8},
            End.INTERRUPTED: {412_000: 4},
            End.DECIDED: {30_001: 2},
            End.NOT_SENT: {3: 5},
        },
        sending=Sending(second, second + 240, second, 5, buckets),
        rejections=(
            Rejection(-6, is_decided=False, is_safe=True, submissions=12, numbers=120),
            Rejection(-14, is_decided=False, is_safe=True, submissions=40, numbers=61),
            Rejection(-16, is_decided=False, is_safe=True, submissions=5, numbers=35),
            Rejection(-1, is_decided=False, is_safe=False, submissions=2, numbers=20),
        ),
        earlier_rejections=(
            EarlierRejection(-7, State.REJECTED, 31, 310),
            EarlierRejection(-14, State.SPLIT, 4, 40),
        ),
        texts=(
            TextFigures(
                "春季新品八折起，会员再享满三百减五十，活动截至本月底，详情请到各门店咨询，"
                "回复退订可不再接收此类短信，感谢您一直以来的支持【签名】",
                1,
                12_000,
                {State.ACCEPTED: 11_400, State.REJECTED: 116, State.UNKNOWN: 140},
            ),
            TextFigures("您的积分将于本月底到期【签名】", 1, 8_000, {State.ACCEPTED: 6_804}),
        ),
    )
