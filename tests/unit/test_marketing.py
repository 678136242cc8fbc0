"""Marketing: opt-outs as they are written, and texts that look like marketing."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.lists import numbers, planned
from yunxin_soap import InvalidRequest
from yunxin_soap.campaign import preview
from yunxin_soap.campaign.running.throttle import SendingHours
from yunxin_soap.marketing import (
    CHINA_OFFSET,
    CLOSES,
    OPENS,
    check_opt_out,
    check_sending_time,
    describe_marketing,
)

A, B = numbers(2)

OPT_OUTS = [
    *(
        "拒收请回复R",
        "拒收回复R",
        "拒收请回R",
        "拒收回R",
        "拒收请回复r",
        "拒收请回复Ｒ",
        "拒收请回复 R",
    ),
    *("退订回T", "退订请回复T", "退订回复TD", "退订回TD", "退订回0000", "退订请回复0", "退订回复N"),
    *("回T退订", "回复T退订", "回复TD退订", "回N退订", "回TD退订", "回t退订", "回Ｔ退订", "回T退"),
    *("回复“T”退订", "拒收请回复“R”", "回复[T]退订", "回复【T】退订", "退订请回复 TD"),
    *("回0退订", "回复0000退订", "发送TD退订", "发TD退订", "发送TD到10690000退订", "编辑TD退订"),
    *("退订请发送TD", "退订请编辑短信TD", "如不需要请回复N", "不需要回N", "不想接收请回T"),
    *("拒绝接收请回复R", "不再接收请回复R", "取消订阅请回复QX", "回复QX取消", "谢绝请回N"),
    *("打扰请回T", "退订T", "退订:回T", "退订，回T", "退订请点 t.cn/x", "退订点击t.cn/x"),
    *(
        "拒收此类请回复R",
        "退订短信回T",
        "回复TD即可退订",
        "回T可退订",
        "TD退订",
        "ＴＤ退订",
        "T退订",
    ),
]


@pytest.mark.parametrize("opt_out", OPT_OUTS)
@pytest.mark.parametrize(
    "text", ["双11大促全场五折，{}【签名】", "{}，全场五折。【签名】", "五折。{} 【签名】"]
)
def test_check_opt_out_usual_form_is_found(opt_out: str, text: str) -> None:
    """In any width and case, with quotes or blanks, at the end or before."""
    check_opt_out(text.format(opt_out))
    assert describe_marketing(text.format(opt_out)) is None


@pytest.mark.parametrize(
    "message",
    [
        "双11大促全场五折【签名】",
        "五折。退款请回复1【签名】",
        "五折，回复1退款【签名】",
        "五折，回复TX退货【签名】",
        "五折，可退可换【签名】",
        "五折，退房T1航站楼【签名】",
        "五折，拒收快递请联系我们【签名】",
        "五折，退订费10元【签名】",
        "五折，回复Y参加【签名】",
        "五折【签名退订回T】",
        "五折【退订回T】",
    ],
)
def test_check_opt_out_missing_names_the_rule(message: str) -> None:
    """A return of goods is no opt-out, and the signature is no place for one."""
    with pytest.raises(
        InvalidRequest, match=r"without an opt-out .* 拒收请回复R .* 通信短信息服务"
    ):
        check_opt_out(message)


@pytest.mark.parametrize(
    ("message", "sign"),
    [
        ("双11大促全场五折【签名】", "双11"),
        ("会员专享优惠券已到账【签名】", "优惠"),
        ("全场５折【签名】", "5折"),
        ("限时秒杀【签名】", "限时"),
        ("您的账单 https://a.cn/x【签名】", "https://"),
        ("详见 www.example.com【签名】", "www."),
        ("详见t.cn/Abc【签名】", "t.cn"),
        ("{name}您好，新品上市【签名】", "新品"),
    ],
)
def test_describe_marketing_without_a_opt_out_is_noted(message: str, sign: str) -> None:
    """Words of promotion and links are signs of marketing; the note quotes the first."""
    note = describe_marketing(message)
    assert note is not None
    assert note.startswith(f"The message looks like marketing ({sign}), but has no opt-out")


@pytest.mark.parametrize(
    "message",
    [
        "您的验证码是1234【签名】",
        "您好{name}，您的账单已出【签名】",
        "您的包裹已到3号楼，取件码5-2-1.5【签名】",
        "余额12.50元，请联系a@b.com【签名】",
        "版本v2.0已发布【签名】",
        "您好【限时优惠】",
    ],
)
def test_describe_marketing_notices_are_none(message: str) -> None:
    """Notices, amounts and mail addresses are no marketing; neither is a signature."""
    assert describe_marketing(message) is None


@given(st.text())
def test_describe_marketing_any_text_has_a_opt_out_or_is_judged(text: str) -> None:
    """Whatever the text is, it passes the check if and only if no opt-out is missing."""
    try:
        check_opt_out(text)
    except InvalidRequest:
        return
    assert describe_marketing(text) is None


def test_planner_marketing_wants_a_opt_out() -> None:
    """A text without columns is refused at once, one with columns line by line."""
    text = "您好{x}【签名】"
    rows = [{"phone": A, "x": "，五折，拒收请回复R"}, {"phone": B, "x": "，五折"}]
    texts, (skipped,) = planned(rows, text, marketing=True)
    assert texts == {"您好，五折，拒收请回复R【签名】": [A]}
    assert "marketing without an opt-out" in skipped.reason
    with pytest.raises(InvalidRequest, match="marketing without an opt-out"):
        planned([A], "全场五折【签名】", marketing=True)


def test_preview_notes_what_looks_like_marketing() -> None:
    """Without marketing=True, such a text is planned, with a note; it has another digest."""
    text = "全场五折，拒收请回复R"
    plan = preview("a", [A], f"{text}【签名】", channel=37).plan
    marketing = preview("a", [A], f"{text}【签名】", channel=37, marketing=True).plan
    assert plan.notes == marketing.notes == ()
    assert plan.digest != marketing.digest
    (note,) = preview("a", [A], "全场五折", channel=37, signature="签名").plan.notes
    assert "looks like marketing (五折)" in note


@pytest.mark.parametrize(
    ("at", "allowed"),
    [
        ("2026-12-12T00:00:00Z", True),
        ("2026-12-11T23:59:59Z", False),
        ("2026-12-12T12:59:59Z", True),
        ("2026-12-12T13:00:00Z", False),
        ("2026-07-12T18:00:00Z", False),
    ],
)
def test_sending_time_of_marketing_is_china_s_day(at: str, allowed: bool) -> None:
    """A single send of marketing goes out from 08:00 to 21:00 in China, whatever zone this is."""
    now = datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()
    if allowed:
        check_sending_time(now)
        return
    with pytest.raises(InvalidRequest, match="from 08:00 to 21:00 in China's time only, and it is"):
        check_sending_time(now)


@pytest.mark.parametrize(
    ("hours", "timezone", "within"),
    [
        ("08:00-21:00", "Asia/Shanghai", True),
        ("09:30-20:59", "Asia/Shanghai", True),
        ("08:00-21:00", "Asia/Singapore", True),
        ("07:59-21:00", "Asia/Shanghai", False),
        ("08:00-21:01", "Asia/Shanghai", False),
        ("08:00-24:00", "Asia/Shanghai", False),
        ("20:00-09:00", "Asia/Shanghai", False),
        ("00:00-24:00", "Asia/Shanghai", False),
        ("09:00-20:00", "UTC", False),
        ("00:00-13:00", "UTC", True),
        ("00:00-13:01", "UTC", False),
        ("23:00-12:00", "UTC", False),
        ("09:00-20:00", "America/New_York", False),
        ("20:00-08:00", "America/New_York", True),
        ("19:00-08:00", "America/New_York", False),  # from 07:00 in summer
        ("20:00-08:01", "America/New_York", False),  # to 21:01 in winter
        ("09:00-22:00", "Asia/Tokyo", True),
        ("08:00-21:00", "Asia/Tokyo", False),
        ("05:30-18:30", "Asia/Kolkata", True),
    ],
)
def test_sending_hours_within_those_for_marketing(hours: str, timezone: str, within: bool) -> None:
    """They must not begin earlier or end later, in China's time."""
    assert timedelta(hours=8) == CHINA_OFFSET
    assert SendingHours.parse(hours, timezone).is_within(OPENS, CLOSES, CHINA_OFFSET) is within
