"""Renders a campaign as one standalone HTML page, in Chinese and in English. Pure.

The page contains no phone number of the campaign, and only the first words of texts that several
numbers share.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, get_args
from zoneinfo import ZoneInfo

from yunxin_soap.campaign.axes import label_times, round_step, round_ticks, time_ticks
from yunxin_soap.campaign.models import CampaignState, LanguageName, SkipKind, State, Status
from yunxin_soap.campaign.timezones import format_time
from yunxin_soap.codes import DOCUMENTED, Category, ResultCode
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.extras import missing_extra
from yunxin_soap.sentences import Sentence
from yunxin_soap.translation import chinese, translate_stored

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_BARS = 60
"""Bars of the chart of the throughput, at most."""
_RESPONSE_BARS = 30
"""Bars of the chart of the response times, about."""
_FAST_SHARE = 0.99
"""The share of responses that have a bar each: the slowest would squeeze the others together."""
_TEXT_LENGTH = 60
"""Characters of a text that are shown."""
_MAX_WAITS = 4
"""Different times that hung submissions are told apart by."""


class End(str, Enum):
    """How the last attempt of a submission ended."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SPLIT = "split"
    """It was rejected for its numbers, and smaller ones replace it."""
    NO_RESPONSE = "no_response"
    """Unknown: nothing complete came within the client's timeout."""
    BROKEN = "broken"
    """Unknown: the connection broke, or the response says nothing clear."""
    INTERRUPTED = "interrupted"
    """Unknown: the process that sent it ended before it recorded how that ended."""
    DECIDED = "decided"
    """It was unknown until a person decided."""
    NOT_SENT = "not_sent"
    """Pending: nothing of it has left this machine."""
    DEFERRED = "deferred"
    """Pending: rejected, to be sent again later."""


@dataclass(frozen=True)
class Sending:
    """When the numbers of a campaign were sent."""

    first: float
    """The first request, in seconds since 1970."""
    last: float
    """The last response."""
    origin: float
    """The start of the first bucket."""
    step: int
    """Seconds of a bucket."""
    buckets: Mapping[int, Mapping[End, int]]
    """The count of numbers that were sent in each bucket, by how that ended."""


@dataclass(frozen=True)
class Rejection:
    """What is rejected for the same cause."""

    code: int | None
    """None: an HTTP status, a SOAP fault, or a person's decision."""
    is_decided: bool
    """Whether a person decided that it was not sent."""
    is_safe: bool
    """Whether no second copy can come of sending it again."""
    submissions: int
    numbers: int


@dataclass(frozen=True)
class EarlierRejection:
    """Rejections that were not the end."""

    code: int | None
    after: State
    """REJECTED: a person retried it; PENDING: it was left for another attempt; SPLIT: smaller
    submissions replace it."""
    submissions: int
    numbers: int


@dataclass(frozen=True)
class TextFigures:
    """A text that several numbers share."""

    message: str
    segments: int
    numbers: int
    outcomes: Mapping[State, int]
    """The count of numbers that are accepted, rejected and unknown."""


@dataclass(frozen=True)
class Figures:
    """What the report about a campaign shows, at one moment."""

    status: Status
    at: datetime
    """That moment."""
    times: Mapping[End, Mapping[int, int]] = field(default_factory=dict)
    """The count of submissions by the milliseconds that they took, by how they ended."""
    sending: Sending | None = None
    """None if nothing was sent yet."""
    rejections: tuple[Rejection, ...] = ()
    earlier_rejections: tuple[EarlierRejection, ...] = ()
    texts: tuple[TextFigures, ...] = ()
    """Those with the most numbers."""


@dataclass(frozen=True)
class _Words:
    """A text of the page in both languages; the switch shows one of them."""

    en: str
    zh: str

    def __html__(self) -> str:
        """Return both as HTML."""
        return (
            f'<span class="en" lang="en">{escape(self.en)}</span>'
            f'<span class="zh" lang="zh-CN">{escape(self.zh)}</span>'
        )


_STATES = {
    State.ACCEPTED: _Words("accepted", "已接受"),
    State.REJECTED: _Words("rejected", "被拒绝"),
    State.UNKNOWN: _Words("unknown", "结果未知"),
    State.PENDING: _Words("pending", "待发送"),
    State.SUBMITTING: _Words("in flight", "发送中"),
    State.CANCELLED: _Words("cancelled", "已取消"),
    State.SUPPRESSED: _Words("suppressed", "已禁发"),
}
_STATE_NOTES = {
    State.ACCEPTED: _Words("the gateway took the message", "网关已接收"),
    State.REJECTED: _Words("the gateway refused the message", "网关拒收"),
    State.UNKNOWN: _Words("it may have been sent", "可能已经发出"),
    State.PENDING: _Words("not sent yet", "尚未发送"),
    State.SUBMITTING: _Words("being sent now", "正在发送"),
    State.CANCELLED: _Words("never sent", "不再发送"),
    State.SUPPRESSED: _Words("on the do-not-send list", "在禁发名单上"),
}
_CAMPAIGN_STATES = {
    CampaignState.OPEN: _Words("open", "未完成"),
    CampaignState.PAUSED: _Words("paused", "已暂停"),
    CampaignState.DONE: _Words("done", "已完成"),
    CampaignState.CANCELLED: _Words("cancelled", "已取消"),
}
_SKIP_KINDS = {
    SkipKind.INVALID_NUMBER: _Words("invalid number", "号码无效"),
    SkipKind.INVALID_TEXT: _Words("invalid text", "文本无效"),
    SkipKind.DUPLICATE: _Words("duplicate", "号码重复"),
    SkipKind.SUPPRESSED: _Words("on the do-not-send list", "在禁发名单上"),
    SkipKind.UNREADABLE: _Words("unreadable", "无法读取"),
}
_ENDS = {
    End.ACCEPTED: _Words("accepted", "已接受"),
    End.REJECTED: _Words("rejected", "被拒绝"),
    End.BROKEN: _Words("unknown: no usable response", "结果未知：响应中断或无法识别"),
    End.INTERRUPTED: _Words("unknown: the sending process ended", "结果未知：发送进程已终止"),
    End.DECIDED: _Words("was unknown; a person decided", "曾为未知，已由人工裁定"),
    End.NOT_SENT: _Words("not sent at the last attempt, pending", "上次未发出，待发送"),
    End.DEFERRED: _Words("rejected at the last attempt, pending", "上次被拒绝，待发送"),
}
_UNKNOWN_ENDS = (End.NO_RESPONSE, End.BROKEN, End.INTERRUPTED)
_CHART_STATES = {
    State.ACCEPTED: (End.ACCEPTED, End.DECIDED),
    State.REJECTED: (End.REJECTED, End.SPLIT),
    State.UNKNOWN: _UNKNOWN_ENDS,
}
"""What each colour of a chart stands for, from its bottom up."""
_CATEGORY_STEPS = {
    Category.CREDENTIALS: _Words(
        "Fix the account: its name, its password, or the IP addresses that it may be used from.",
        "请检查账号：用户名、密码或绑定的 IP 地址。",
    ),
    Category.CONTENT: _Words(
        "The text is refused. If the vendor allows it later, retry; else plan a new campaign with"
        " another text.",
        "内容被拒。服务商放行后可重试；否则请更换内容，另建任务。",
    ),
    Category.BALANCE: _Words("Top up the account, then retry.", "请先充值，再重试。"),
    Category.CHANNEL: _Words(
        "Ask the vendor which channel the account may use, and when.",
        "请向服务商确认可用的通道及时间范围。",
    ),
    Category.RECIPIENTS: _Words(
        "These numbers cannot be reached as they are: correct them in your list, and remove those"
        " on a blacklist.",
        "这些号码无法送达：请在名单中更正，并移除黑名单号码。",
    ),
    Category.CONFIGURATION: _Words(
        "Ask the vendor to correct the account's settings, then retry.",
        "请联系服务商修正账号设置，再重试。",
    ),
    Category.GATEWAY: _Words(
        "The gateway itself failed. Ask the vendor what became of them.",
        "网关自身异常，请向服务商核实。",
    ),
}
_SIZE_CODES = {
    ResultCode.TOO_MANY_NUMBERS,
    ResultCode.ABOVE_UPPER_LIMIT,
    ResultCode.BELOW_LOWER_LIMIT,
}
_LIST_NUMBERS = _Words("List the numbers:", "导出号码：")


@dataclass(frozen=True)
class _Row:
    """A row of a table of counts, with a bar."""

    label: _Words | str
    note: _Words | str
    numbers: str
    share: str
    kind: str
    """The class of the bar's colour."""
    width: float
    """Of the bar, in percent; the largest count of the table has 100."""


@dataclass(frozen=True)
class _Bar:
    """A part of a bar of a chart, in percent of the chart."""

    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True)
class _Tick:
    """A label of an axis."""

    at: float
    """In percent of the axis."""
    label: _Words | str


@dataclass(frozen=True)
class _Chart:
    """A chart of stacked bars."""

    title: _Words
    """What the height of a bar is, with the unit."""
    x_title: _Words
    bars: list[_Bar]
    x_ticks: list[_Tick]
    y_ticks: list[_Tick]
    states: list[State]
    """Those in it."""
    rows: list[tuple[_Words | str, list[str]]]
    """The figures: the label of each bar, and its value in each of these states."""


@dataclass(frozen=True)
class _Time:
    """A row of the table of the response times."""

    label: _Words
    kind: str
    submissions: str
    share: str
    median: str = "–"
    fast: str = "–"
    slowest: str = "–"


@dataclass(frozen=True)
class _Step:
    """What to do next about something that is left."""

    kind: str
    title: _Words
    text: _Words
    commands: tuple[tuple[_Words, str], ...] = ()
    """What each is for, and the command."""
    note: _Words | None = None
    """Why it is left."""


def check_language(language: str) -> None:
    """Check the name of a language of the page.

    Raises:
        ConfigurationError: there is no such language.
    """
    if language not in get_args(LanguageName):
        raise ConfigurationError(
            Sentence(
                "language={language} must be one of {languagename}.",
                language=repr(language),
                languagename=", ".join(get_args(LanguageName)),
            )
        )


def render_report(figures: Figures, zone: ZoneInfo, language: LanguageName) -> str:
    """Return the page about a campaign.

    Args:
        figures: what it shows.
        zone: the time zone of the times on the page.
        language: the language that it opens in.

    Raises:
        ConfigurationError: Jinja2 is not installed.
    """
    status = figures.status
    return (
        _templates()
        .get_template("report.html.j2")
        .render(
            figures=figures,
            status=status,
            language=language,
            state=_CAMPAIGN_STATES[status.state],
            created_at=format_time(status.created_at, zone),
            at=format_time(figures.at, zone),
            purged_at=status.purged_at and format_time(status.purged_at, zone),
            reason_zh=translate_stored(status.reason, chinese()),
            paused_until=status.paused_until and format_time(status.paused_until, zone),
            tiles=_tiles(status),
            whole=_whole(status),
            steps=list(_steps(figures, zone)),
            outcomes=_outcomes(status),
            skipped_by=_skipped(status),
            codes=_codes(figures),
            earlier=_earlier(figures),
            sending=figures.sending and _sending_words(figures.sending),
            throughput=figures.sending and _throughput(figures.sending, zone),
            times=_times(figures),
            response_times=_response_times(figures),
            texts=[_text(each) for each in figures.texts],
            text_states=[State.ACCEPTED, State.REJECTED, State.UNKNOWN],
            states=_STATES,
            words=_Words,
        )
    )


@lru_cache(maxsize=1)
def _templates() -> Environment:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise missing_extra(Sentence("Reports need Jinja2"), "campaign") from error
    environment = Environment(
        loader=PackageLoader("yunxin_soap.campaign", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["count"] = _count
    return environment


# --- counts


def _count(count: float) -> str:
    """Return a number with thousands separators, and without a needless decimal."""
    return f"{count:,.10g}" if abs(count) < 1e9 else f"{count:,.0f}"


def _percent(count: int, total: int) -> str:
    """Return a share. Only nothing is 0%, and only everything is 100%."""
    if not total:
        return "–"
    share = 100 * count / total
    if 0 < share < 0.05:
        return "<0.1%"
    if 99.95 <= share < 100:
        return ">99.9%"
    return f"{share:.1f}%".replace(".0%", "%")


def _plural(count: int, noun: str) -> str:
    return f"{_count(count)} {noun}" + "s" * (count != 1)


def _amount(submissions: int, numbers: int) -> _Words:
    """Say how many submissions and numbers something is about."""
    return _Words(
        f"{_plural(numbers, 'number')} in {_plural(submissions, 'submission')}",
        f"{_count(numbers)} 个号码（{_count(submissions)} 次提交）",
    )


def _tiles(status: Status) -> list[tuple[str, _Words, str, str]]:
    """Return the figures at the top: the class, the label, the share and the count of each."""
    numbers = status.numbers
    left = numbers[State.PENDING] + numbers[State.SUBMITTING]
    never = numbers[State.CANCELLED] + numbers[State.SUPPRESSED]
    tiles = [
        (state.value, _Words(_STATES[state].en.capitalize(), _STATES[state].zh), numbers[state])
        for state in (State.ACCEPTED, State.REJECTED, State.UNKNOWN)
    ]
    tiles.append((State.PENDING.value, _Words("Not sent yet", "尚未发送"), left))
    if never:
        tiles.append((State.CANCELLED.value, _Words("Never sent", "不再发送"), never))
    return [
        (kind, label, _percent(count, status.planned), _count(count))
        for kind, label, count in tiles
    ]


def _whole(status: Status) -> list[tuple[str, float, float]]:
    """Return one bar of the whole campaign: the class, the start and the width of each part."""
    parts, start = [], 0.0
    for state in _STATES:
        if count := status.numbers[state]:
            width = 100 * count / max(1, status.planned)
            parts.append((state.value, start, width))
            start += width
    return parts


def _rows(counts: Sequence[tuple[_Words | str, _Words | str, int, str]], total: int) -> list[_Row]:
    """Return rows for labels, notes, counts and classes of colours."""
    most = max([1, *(count for _, _, count, _ in counts)])
    return [
        _Row(label, note, _count(count), _percent(count, total), kind, 100 * count / most)
        for label, note, count, kind in counts
    ]


def _outcomes(status: Status) -> list[_Row]:
    usual = (State.ACCEPTED, State.REJECTED, State.UNKNOWN)
    return _rows(
        [
            (words, _STATE_NOTES[state], status.numbers[state], state.value)
            for state, words in _STATES.items()
            if state in usual or status.numbers[state]
        ],
        status.planned,
    )


def _skipped(status: Status) -> list[_Row]:
    counts = sorted(status.skipped_by.items(), key=lambda item: -item[1])
    return _rows(
        [(_SKIP_KINDS[kind], "", count, State.PENDING.value) for kind, count in counts],
        sum(status.skipped_by.values()),
    )


def _codes(figures: Figures) -> list[_Row]:
    by_label: dict[tuple[_Words | str, _Words | str], int] = {}
    for each in figures.rejections:
        label = _code_label(each.code), _code_note(each.code, is_decided=each.is_decided)
        by_label[label] = by_label.get(label, 0) + each.numbers
    counts = sorted(by_label.items(), key=lambda item: -item[1])
    return _rows(
        [(*label, count, State.REJECTED.value) for label, count in counts],
        figures.status.planned,
    )


def _code_label(code: int | None) -> _Words | str:
    return _Words("no code", "无错误码") if code is None else str(code)


def _code_note(code: int | None, *, is_decided: bool = False) -> _Words:
    if is_decided:
        return _Words("a person decided that it was not sent", "人工裁定为未发送")
    if code is None:
        return _Words("an HTTP status or a SOAP fault", "HTTP 状态码或 SOAP 错误")
    if code in DOCUMENTED:
        return _Words(DOCUMENTED[code].description_en, DOCUMENTED[code].description_zh)
    return _Words("not in the vendor's manual", "手册未列出")


def _earlier(figures: Figures) -> list[tuple[_Words | str, _Words, _Words, str, str]]:
    """Return the code, its meaning, what followed and the counts of each earlier rejection."""
    followed = {
        State.REJECTED: _Words("retried by a person", "人工重试"),
        State.PENDING: _Words("left for another attempt", "留待再次发送"),
        State.SPLIT: _Words("split into smaller submissions", "拆分为更小的提交"),
    }
    return [
        (
            _code_label(each.code),
            _code_note(each.code),
            followed[each.after],
            _count(each.submissions),
            _count(each.numbers),
        )
        for each in figures.earlier_rejections
    ]


def _text(text: TextFigures) -> tuple[str, str, str, list[str]]:
    """Return the first words of a text, its numbers and segments, and the counts of outcomes."""
    message = " ".join(text.message.split())
    if len(message) > _TEXT_LENGTH:
        message = f"{message[: _TEXT_LENGTH - 1].rstrip()}…"
    counts = [_count(text.outcomes.get(each, 0)) for each in _CHART_STATES]
    return message, _count(text.numbers), _count(text.segments), counts


# --- times


def _duration(seconds: float) -> _Words:
    """Return a time in its two largest units."""
    whole = round(seconds)
    if whole < 1:
        return _Words("less than a second", "不到 1 秒")
    parts: list[tuple[int, str, str]] = []
    for length, en, zh in (
        (86400, "d", "天"),
        (3600, "h", "小时"),
        (60, "min", "分"),
        (1, "s", "秒"),
    ):
        if whole >= length or parts:
            parts.append((whole // length, en, zh))
            whole %= length
    shown = [each for each in parts[:2] if each[0]]
    return _Words(
        " ".join(f"{value} {en}" for value, en, _ in shown),
        " ".join(f"{value} {zh}" for value, _, zh in shown),
    )


def _ms(milliseconds: float) -> str:
    """Return a time in ms, or in s from 10 s on."""
    if milliseconds < 10_000:
        return f"{_count(milliseconds)} ms"
    return f"{_count(round(milliseconds / 1000, 1))} s"


def _rate(rate: float) -> str:
    """Return a rate to three digits, or to the unit if it is larger."""
    if 0 < rate < 0.01:
        return "<0.01"
    return _count(round(rate)) if rate >= 100 else f"{rate:.3g}"


def _sending_words(sending: Sending) -> _Words:
    """Say how fast a campaign was sent. Less than a second has no rate."""
    numbers = sum(sum(counts.values()) for counts in sending.buckets.values())
    seconds = sending.last - sending.first
    time = _duration(seconds)
    en = f"{_plural(numbers, 'number')} in {time.en}"
    zh = f"{time.zh}内发送 {_count(numbers)} 个号码"
    if seconds >= 1:
        average = _rate(numbers / seconds)
        en += f", pauses included: {average} a second on average"
        zh += f"（含暂停时间），平均每秒 {average} 个"
        if sending.step < seconds:
            peak = _rate(
                max(sum(each.values()) for each in sending.buckets.values()) / sending.step
            )
            period = _duration(sending.step)
            en += f", {peak} a second in the busiest {period.en}"
            zh += f"，最快的 {period.zh}内每秒 {peak} 个"
    return _Words(f"{en}.", f"{zh}。")


def _throughput(sending: Sending, zone: ZoneInfo) -> _Chart | None:
    """Return the chart of the numbers sent a second; None if all were sent in one bucket."""
    count = max(sending.buckets) + 1
    if count == 1:
        return None
    values = [
        {
            state: sum(sending.buckets.get(at, {}).get(end, 0) for end in ends) / sending.step
            for state, ends in _CHART_STATES.items()
        }
        for at in range(count)
    ]
    end = sending.origin + count * sending.step
    starts = [sending.origin + at * sending.step for at in range(count)]
    times = time_ticks(sending.origin, end, zone)
    labels = label_times(times, zone)
    span = end - sending.origin
    return _chart(
        title=_Words("Numbers sent a second", "每秒发送的号码数"),
        x_title=_Words(f"time of day, {zone.key}", f"时间（{zone.key}）"),
        values=values,
        slots=[float(at) for at in range(count)],
        length=float(count),
        x_ticks=[
            _Tick(100 * (at - sending.origin) / span, label)
            for at, label in zip(times, labels, strict=True)
        ],
        labels=list(label_times(starts, zone)),
        whole=False,
    )


def _percentile(counts: Mapping[int, int], share: float) -> int:
    """Return the least time within which such a share of the submissions ended."""
    wanted, seen = share * sum(counts.values()), 0
    for ms in sorted(counts):
        seen += counts[ms]
        if seen >= wanted:
            return ms
    raise ValueError("There is no submission.")


def _merged(figures: Figures, ends: Sequence[End]) -> dict[int, int]:
    """Return the count of submissions by their milliseconds, of several endings."""
    merged: dict[int, int] = {}
    for end in ends:
        for ms, count in figures.times.get(end, {}).items():
            merged[ms] = merged.get(ms, 0) + count
    return merged


def _waits(counts: Mapping[int, int]) -> dict[str, int]:
    """Return the count of hung submissions by the time that the client waited, for people."""
    waits: dict[float, int] = {}
    for ms, count in sorted(counts.items()):
        # A client waits a little longer than its timeout says.
        seconds = round(ms / 1000, 1 if ms < 10_000 else None)
        waits[seconds] = waits.get(seconds, 0) + count
    if len(waits) <= _MAX_WAITS:
        return {f"{_count(each)} s": count for each, count in waits.items()}
    return {f"{_count(min(waits))} – {_count(max(waits))} s": sum(waits.values())}


def _times(figures: Figures) -> list[_Time]:
    total = sum(sum(counts.values()) for counts in figures.times.values())
    rows = []
    for state, ends in (
        (State.ACCEPTED, (End.ACCEPTED,)),
        (State.REJECTED, (End.REJECTED, End.SPLIT)),
    ):
        if counts := _merged(figures, ends):
            number = sum(counts.values())
            rows.append(
                _Time(
                    _ENDS[ends[0]],
                    state.value,
                    _count(number),
                    _percent(number, total),
                    _ms(_percentile(counts, 0.5)),
                    _ms(_percentile(counts, _FAST_SHARE)),
                    _ms(max(counts)),
                )
            )
    for wait, number in _waits(figures.times.get(End.NO_RESPONSE, {})).items():
        label = _Words(f"unknown: no response within {wait}", f"结果未知：{wait} 内无响应")
        share = _percent(number, total)
        rows.append(_Time(label, State.UNKNOWN.value, _count(number), share))
    for end, kind in (
        (End.BROKEN, State.UNKNOWN),
        (End.INTERRUPTED, State.UNKNOWN),
        (End.DECIDED, State.UNKNOWN),
        (End.NOT_SENT, State.PENDING),
        (End.DEFERRED, State.PENDING),
    ):
        if number := sum(figures.times.get(end, {}).values()):
            share = _percent(number, total)
            rows.append(_Time(_ENDS[end], kind.value, _count(number), share))
    return rows


def _response_times(figures: Figures) -> _Chart | None:
    """Return the chart of the response times; None if no response came."""
    answered = {
        State.ACCEPTED: _merged(figures, (End.ACCEPTED,)),
        State.REJECTED: _merged(figures, (End.REJECTED, End.SPLIT)),
    }
    everything = _merged(figures, (End.ACCEPTED, End.REJECTED, End.SPLIT))
    if not everything:
        return None
    limit = _percentile(everything, _FAST_SHARE)
    step = max(1, int(round_step(max(1, limit) / _RESPONSE_BARS)))
    count = limit // step + 1
    values: list[dict[State, float]] = [{} for _ in range(count)]
    slower: dict[State, float] = {}
    for state, counts in answered.items():
        for ms, number in counts.items():
            bar = values[ms // step] if ms // step < count else slower
            bar[state] = bar.get(state, 0) + number
    end = count * step
    unit, size = ("s", 1000) if end > 5000 else ("ms", 1)
    labels: list[_Words | str] = [
        f"{_count(at * step / size)} – {_count((at + 1) * step / size)} {unit}"
        for at in range(count)
    ]
    slots = [float(at) for at in range(count)]
    # Bars of their own, apart from the scale.
    width = max(1.0, count / 12)
    length = float(count)
    extra: list[_Tick] = []
    none: dict[State, float] = {State.UNKNOWN: sum(_merged(figures, _UNKNOWN_ENDS).values())}
    for label, bar in ((_Words("slower", "更慢"), slower), (_Words("none", "无响应"), none)):
        if any(bar.values()):
            length += 2 * width
            values.append(bar)
            slots.append(length - width / 2 - 0.5)
            labels.append(label)
            extra.append(_Tick(length - width / 2, label))
    scale = [each for each in round_ticks(end / size, whole=False, count=5) if each <= end / size]
    return _chart(
        title=_Words("Submissions by response time", "各响应时间的提交次数"),
        x_title=_Words(f"time until the response, {unit}", f"响应时间（{unit}）"),
        values=values,
        slots=slots,
        length=length,
        x_ticks=[_Tick(100 * at * size / step / length, _count(at)) for at in scale]
        + [_Tick(100 * each.at / length, each.label) for each in extra],
        labels=labels,
        whole=True,
    )


def _chart(
    *,
    title: _Words,
    x_title: _Words,
    values: Sequence[Mapping[State, float]],
    slots: Sequence[float],
    length: float,
    x_ticks: list[_Tick],
    labels: Sequence[_Words | str],
    whole: bool,
) -> _Chart:
    """Return a chart of stacked bars.

    Args:
        title: what the height of a bar is, with the unit.
        x_title: what is along it, with the unit.
        values: the value of each state in each bar.
        slots: where each bar starts; it is 1 wide.
        length: of the whole axis, in bars.
        x_ticks: the labels along it.
        labels: of each bar, for the table.
        whole: whether the values are whole numbers.
    """
    ticks = round_ticks(max(sum(each.values()) for each in values), whole=whole)
    top = ticks[-1]
    states = [state for state in _CHART_STATES if any(each.get(state) for each in values)]
    bars = []
    for slot, value in zip(slots, values, strict=True):
        y = 100.0
        for state in states:
            if height := 100 * value.get(state, 0) / top:
                y -= height
                bars.append(_Bar(100 * (slot + 0.08) / length, y, 84 / length, height, state.value))
    return _Chart(
        title=title,
        x_title=x_title,
        bars=bars,
        x_ticks=x_ticks,
        y_ticks=[_Tick(100 * each / top, _count(each)) for each in ticks],
        states=states,
        rows=[
            (label, [_rate(value.get(each, 0)) for each in states])
            for label, value in zip(labels, values, strict=True)
            if any(value.values())
        ],
    )


# --- what to do next


def _command(name: str, verb: str, *options: str) -> str:
    """Return a command about a campaign, quoted for the shell."""
    # A name that starts with a dash would be an option.
    words = [*options, "--", name] if name.startswith("-") else [name, *options]
    return shlex.join(["yunxin-soap", "campaign", verb, *words])


def _steps(figures: Figures, zone: ZoneInfo) -> Iterator[_Step]:
    """Yield what to do about each kind of submissions that is left."""
    status = figures.status
    yield from _unknown_steps(status)
    yield from _submitting_steps(status)
    yield from _pending_steps(status, zone)
    yield from _rejected_steps(figures)


def _unknown_steps(status: Status) -> Iterator[_Step]:
    if not status.submissions[State.UNKNOWN]:
        return
    amount = _amount(status.submissions[State.UNKNOWN], status.numbers[State.UNKNOWN])
    name = status.name
    yield _Step(
        State.UNKNOWN.value,
        _Words(f"Unknown: {amount.en}", f"结果未知：{amount.zh}"),
        _Words(
            "They may have been sent, and are not sent again until you decide. Ask the vendor what"
            " became of them, then record the answer; --submission ID decides about one only.",
            "短信可能已经发出，在您裁定之前不会重发。请先向服务商核实，再登记结果；"
            "用 --submission ID 可只裁定其中一次提交。",
        ),
        (
            (
                _LIST_NUMBERS,
                _command(name, "export", "--state", "unknown", "--output", "unknown.csv"),
            ),
            (_Words("They were sent:", "已发出："), _command(name, "resolve", "--accepted")),
            (_Words("They were not sent:", "未发出："), _command(name, "resolve", "--not-sent")),
        ),
    )


def _submitting_steps(status: Status) -> Iterator[_Step]:
    gone = dict(status.left_behind)
    for each in status.runners:
        if each.is_stalled and each.in_flight:
            gone[str(each)] = gone.get(str(each), 0) + each.in_flight
    for process, count in gone.items():
        yield _Step(
            State.SUBMITTING.value,
            _Words(
                f"In flight: {_plural(count, 'submission')} of {process}, which does not respond",
                f"发送中：{_count(count)} 次提交，{process} 已无响应",
            ),
            _Words(
                "The process ended or hangs. The next run makes them unknown, and sends what is"
                " pending; then decide about them.",
                "该进程已终止或挂起。下次运行会将其标为结果未知，并发送待发送的号码；之后请裁定。",
            ),
            ((_Words("Run it:", "运行："), _command(status.name, "run")),),
        )
    alive = sum(each.in_flight for each in status.runners if not each.is_stalled)
    if alive:
        yield _Step(
            State.SUBMITTING.value,
            _Words(f"In flight: {_plural(alive, 'submission')}", f"发送中：{_count(alive)} 次提交"),
            _Words("A process sends them now: wait for it.", "正在发送，请等待。"),
            ((_Words("Watch it:", "查看进度："), _command(status.name, "watch")),),
        )


def _pending_steps(status: Status, zone: ZoneInfo) -> Iterator[_Step]:
    name = status.name
    held = sum(status.on_hold.values())
    if held:
        yield _Step(
            State.PENDING.value,
            _Words(f"On hold: {_plural(held, 'number')}", f"暂缓发送：{_count(held)} 个号码"),
            _Words(
                "The gateway refused their text. Once the vendor allows it, retry releases it; else"
                " plan a new campaign with another text.",
                "网关拒绝了其内容。服务商放行后重试即可继续发送；否则请更换内容，另建任务。",
            ),
            ((_Words("Release it:", "放行："), _command(name, "retry")),),
        )
    left = status.numbers[State.PENDING] - held
    if left <= 0:
        return
    commands: tuple[tuple[_Words, str], ...]
    if status.state is CampaignState.CANCELLED:
        text = _Words("The cancelling broke off: complete it.", "取消操作中断，请再次执行。")
        commands = ((_Words("Complete it:", "完成取消："), _command(name, "cancel")),)
    elif status.state is CampaignState.PAUSED and status.paused_until is None:
        text = _Words(
            "The campaign is paused until somebody resumes it: remove the cause, then go on.",
            "任务已暂停，需人工恢复：请排除原因后继续。",
        )
        commands = ((_Words("Go on:", "继续："), _command(name, "resume")),)
    elif status.runners or status.workers:
        text = _Words("Processes send them: wait.", "由进程自动发送，请等待。")
        commands = ((_Words("Watch it:", "查看进度："), _command(name, "watch")),)
    else:
        text = _Words("No process sends them: run the campaign.", "没有进程在发送，请运行任务。")
        if status.paused_until is not None:
            until = format_time(status.paused_until, zone)
            text = _Words(
                f"No process sends them. A run waits until {until}, then sends them.",
                f"没有进程在发送。运行后将等到 {until} 再发送。",
            )
        commands = ((_Words("Run it:", "运行："), _command(name, "run")),)
    yield _Step(
        State.PENDING.value,
        _Words(f"Pending: {_plural(left, 'number')}", f"待发送：{_count(left)} 个号码"),
        text,
        commands,
    )


def _rejected_steps(figures: Figures) -> Iterator[_Step]:
    """Yield one step for all rejections that need the same."""
    same: dict[tuple[_Words, tuple[tuple[_Words, str], ...]], list[Rejection]] = {}
    for each in figures.rejections:
        same.setdefault(_after_rejection(each, figures.status), []).append(each)
    for (text, commands), rejections in same.items():
        amount = _amount(
            sum(each.submissions for each in rejections), sum(each.numbers for each in rejections)
        )
        # Safe or not, a code is named once.
        causes = dict.fromkeys(
            (each.code, _code_note(each.code, is_decided=each.is_decided)) for each in rejections
        )
        labels = [
            (_Words("", "") if code is None else _Words(f"{code}: ", f"{code}："), note)
            for code, note in causes
        ]
        yield _Step(
            State.REJECTED.value,
            _Words(f"Rejected: {amount.en}", f"被拒绝：{amount.zh}"),
            text,
            commands,
            _Words(
                "; ".join(label.en + note.en for label, note in labels),
                "；".join(label.zh + note.zh for label, note in labels),
            ),
        )


def _after_rejection(
    rejection: Rejection, status: Status
) -> tuple[_Words, tuple[tuple[_Words, str], ...]]:
    """Return what to do about a rejection, and the commands for it."""
    code = rejection.code
    documented = None if code is None else DOCUMENTED.get(code)
    if status.purged_at is not None:
        text = _Words("Their numbers were purged: nothing is sent again.", "号码已清除，不再发送。")
        return text, ()
    if rejection.is_decided:
        text = _Words("They can be sent again.", "可以重新发送。")
    elif code is None:
        text = _Words(
            "The column 'reason' of the list says why. Fix the cause, then retry.",
            "原因见导出文件的 reason 列。请排除原因后重试。",
        )
    elif documented in _SIZE_CODES:
        text = _Words(
            "The account takes another count of numbers in a submission: plan a new campaign for"
            " them with another --max-recipients.",
            "账号限制每次提交的号码数：请用其他 --max-recipients 为这些号码另建任务。",
        )
    else:
        text = _CATEGORY_STEPS[Category.GATEWAY if documented is None else documented.category]
    is_final = documented in _SIZE_CODES or (
        documented is not None and documented.category is Category.RECIPIENTS
    )
    if status.state is CampaignState.CANCELLED:
        text = _Words(
            f"{text.en} The campaign is cancelled: plan another one to send them.",
            f"{text.zh}任务已取消，如需发送请另建任务。",
        )
        is_final = True
    listed = (
        _LIST_NUMBERS,
        _command(status.name, "export", "--state", "rejected", "--output", "rejected.csv"),
    )
    if is_final:
        return text, (listed,)
    options = [] if code is None else ["--code", str(-code)]
    if rejection.is_safe:
        retry = _Words("Retry:", "重试："), _command(status.name, "retry", *options)
        return text, (retry,) if code is not None or rejection.is_decided else (listed, retry)
    unsafe = _Words(
        "Only if the vendor says that none was sent (a second copy may go out):",
        "仅在服务商确认均未发出时（否则可能重复发送）：",
    )
    return text, (listed, (unsafe, _command(status.name, "retry", *options, "--unsafe")))
