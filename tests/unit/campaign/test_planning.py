"""A planner makes submissions of a list: each number once, each skipped line with its reason."""

from __future__ import annotations

import contextlib
import io
import sqlite3
import stat
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.lists import TEXT, Suppressed, numbers, planned
from yunxin_soap import Client, ConfigurationError, InvalidRequest
from yunxin_soap.campaign import Csv, Rows, SkipKind, SkippedLine, Text, preview
from yunxin_soap.campaign.lists import BATCH_SIZE
from yunxin_soap.campaign.planning import DUPLICATE_REASON, Planner, prepare_plan

A, B, C = numbers(3)


def test_planner_skipped_lines_have_line_value_and_reason() -> None:
    """An invalid number, an empty cell and a duplicate, in the order of the list."""
    texts, skipped = planned([A, "12345", None, B, A])
    assert texts == {TEXT: [A, B]}
    assert [(each.line, each.value) for each in skipped] == [(2, "12345"), (3, ""), (5, A)]
    assert "the number is not a mainland mobile number (it must match" in skipped[0].reason
    assert skipped[2].reason == DUPLICATE_REASON


def test_planner_skipped_value_is_truncated() -> None:
    """A report of skipped lines stays small, whatever is in the list."""
    _, (skipped,) = planned(["x" * 300])
    assert skipped.value == "x" * 200


def test_planner_strict_fails_at_the_first_bad_line() -> None:
    """A strict planner skips nothing; the error names the line."""
    with pytest.raises(
        ConfigurationError, match="Line 2 of the list is invalid: the number is not"
    ):
        planned([A, "12345", "x"], strict=True)
    with pytest.raises(ConfigurationError, match="Line 2 of the list is invalid: a duplicate"):
        planned([A, A], strict=True)
    unbalanced = Csv(io.BytesIO(f'phone,name\n{A},"a\n{B},b\n'.encode()))
    with pytest.raises(
        ConfigurationError, match="Line 2 of the list is invalid: this line has an unbal"
    ):
        planned(unbalanced, strict=True)
    assert planned([A, B], strict=True).texts == {TEXT: [A, B]}


def test_planner_message_needs_its_columns() -> None:
    """A column that no row of the first batch has is an error; one that a row lacks skips it."""
    with pytest.raises(ConfigurationError, match=r"uses \{nam\}, .* Usable columns: phone, name\."):
        planned([{"phone": A, "name": "甲"}], "您好{nam}【签名】")
    rows = [{"phone": A}, {"phone": B, "name": "乙"}]
    texts, skipped = planned(rows, "您好{name}【签名】")
    assert texts == {"您好乙【签名】": [B]}
    assert skipped[0].reason == "The message's column 'name' is empty."


def test_planner_groups_equal_texts() -> None:
    """Numbers with the same text are sent together, wherever they are in the list."""
    rows = [
        {"phone": number, "city": city}
        for number, city in zip(numbers(6), "京沪京沪京沪", strict=True)
    ]
    texts, _ = planned(rows, "{{ {city} }}【签名】", max_recipients=2)
    assert texts == {
        "{ 京 }【签名】": [numbers(6)[at] for at in (0, 2, 4)],
        "{ 沪 }【签名】": [numbers(6)[at] for at in (1, 3, 5)],
    }


def test_planner_fills_a_placeholder_with_blanks_in_it() -> None:
    """``{ name }`` is the column ``name``."""
    rows = [{"phone": A, "name": "甲"}]
    assert planned(rows, "您好{ name }【签名】").texts == {"您好甲【签名】": [A]}


def test_planner_skips_texts_that_cannot_be_sent() -> None:
    """A text with a hole or with a character that XML cannot carry."""
    rows = [{"phone": A, "x": "1"}, {"phone": B, "city": "\x00"}]
    _, skipped = planned(rows, "{city}【签名】")
    assert "The message's column 'city' is empty." in skipped[0].reason
    assert "XML cannot carry" in skipped[1].reason


@pytest.mark.parametrize("kind", ["csv", "rows"])
@pytest.mark.parametrize(
    "text",
    [
        "您好#客户#",
        "您好【客户】！",
        "您好{{客户}}",
        "{客户}您好，余额%amount%",
        "您好[客户]",
        "您好《客户》",
        "您好«客户»",
    ],
)
def test_planner_column_in_another_notation_is_invalid(kind: str, text: str) -> None:
    """It would be sent as it is: the columns of the list tell it from honest text."""
    source: Any = [{"手机": A, "客户": "甲", "amount": "5"}]
    if kind == "csv":
        source = Csv(io.BytesIO(f"手机,客户,amount\n{A},甲,5\n".encode()))
    with pytest.raises(InvalidRequest, match=r"another vendor's notation .* write {(客户|amount)}"):
        planned(source, f"{text}【签名】")


def test_planner_marks_that_name_no_column_are_text() -> None:
    """Without such a column, hashtags and headings are honest text."""
    for text in (
        "您好#客户#【签名】",
        "【客户】您好【签名】",
        "《客户》您好【签名】",
        "{{您好}}，50%折扣，满100%返【签名】",
    ):
        sent = text.replace("{{", "{").replace("}}", "}")
        assert planned([{"手机": A}], text).texts == {sent: [A]}
        assert planned([A], text).texts == {sent: [A]}


@pytest.mark.parametrize("text", ["您好${name}", "您好{{name}}", "您好#name#", "您好【变量】！"])
def test_planner_sure_placeholder_is_found_before_the_list_is_read(text: str) -> None:
    """What cannot be honest text needs no columns to be found."""
    unread = iter([A])
    with pytest.raises(InvalidRequest, match="another vendor's notation"):
        planned(unread, f"{text}【签名】")
    assert list(unread) == [A]


def test_planner_format_of_a_column_that_is_no_date_is_explained() -> None:
    """``{amount:.2f}`` is a notation of Python's, and the list has no such column."""
    with pytest.raises(ConfigurationError, match=r"a format after the colon is for dates only"):
        planned([{"phone": A, "amount": 1.5}], "余额{amount:.2f}元【签名】")


def test_planner_cells_with_nothing_in_them_are_skipped() -> None:
    """Each line is named, with what its cell holds."""
    cells = ["1.5", "#N/A", "nan", "-", "NULL"]
    rows = "\n".join(f"{number},{cell}" for number, cell in zip(numbers(5), cells, strict=True))
    content = f"手机,amount\n{rows}\n".encode()
    texts, skipped = planned(Csv(io.BytesIO(content)), "余额{amount}元【签名】")
    assert texts == {"余额1.5元【签名】": [numbers(5)[0]], "余额-元【签名】": [numbers(5)[3]]}
    assert [(each.line, each.reason.rpartition(" ")[2]) for each in skipped] == [
        (3, "'#N/A'."),
        (4, "'nan'."),
        (6, "'NULL'."),
    ]
    texts, skipped = planned(Csv(io.BytesIO(content)), "余额{amount}元【签名】", dash_is_empty=True)
    assert [each.line for each in skipped] == [3, 4, 5, 6]


def test_planner_rows_of_a_database_keep_their_types() -> None:
    """Decimals, floats, dates and None come as they are."""
    rows = [
        {"phone": A, "amount": Decimal("12.50"), "due": date(2026, 11, 3)},
        {"phone": B, "amount": 0.1 + 0.2, "due": "2026-12-24"},
        {"phone": C, "amount": None, "due": date(2026, 11, 3)},
    ]
    texts, skipped = planned(rows, "余额{amount}元，请于{due:%m月%d日}前缴费【签名】")
    assert texts == {
        "余额12.50元，请于11月03日前缴费【签名】": [A],
        "余额0.3元，请于12月24日前缴费【签名】": [B],
    }
    assert [each.line for each in skipped] == [3]


def test_planner_rows_of_a_data_frame_have_no_holes() -> None:
    """The NaN, NaT and NA of pandas skip their lines; its dates are dates."""
    frame = pd.DataFrame(
        {
            "phone": numbers(4),
            "amount": [1.5, float("nan"), 3.0, 4.0],
            "due": pd.to_datetime(["2026-11-30", "2026-11-30", "NaT", "2026-12-01"]),
            "level": pd.array(["甲", "乙", "丙", pd.NA], dtype="string"),
        }
    )
    text = "{level}您好，余额{amount}元，{due:%-m月%-d日}到期【签名】"
    texts, skipped = planned(frame.to_dict("records"), text)
    assert texts == {"甲您好，余额1.5元，11月30日到期【签名】": [A]}
    assert [each.line for each in skipped] == [2, 3, 4]


def test_planner_skips_a_value_that_ends_in_a_bracket() -> None:
    """Nobody gets 【【签名】, whoever appends the signature."""
    rows = [{"phone": A, "x": "甲【"}, {"phone": B, "x": "甲【 "}, {"phone": C, "x": "甲"}]
    for text, signature in (("您好{x}【签名】", None), ("您好{x}", "签名")):
        texts, skipped = planned(rows, text, signature=signature)
        assert texts == {"您好甲【签名】": [C]}
        assert ["【" in each.reason for each in skipped] == [True, True]


def test_planner_notes_a_signature_from_a_column() -> None:
    """It takes the place of the one that is configured."""
    planner = Planner("您好【{x}】", channel=37, signature="签名")
    planner.read(Rows([{"phone": A, "x": "公司"}]))
    assert [each.message for each in planner.submissions()] == ["您好【公司】"]
    assert planner.plan("a").notes == (
        "The message ends in '【{x}】', whose columns make the signature: the signature 【签名】 is"
        " not appended.",
    )
    planner.close()


def test_planner_refuses_numbers_in_double_braces() -> None:
    """{{1}} is another vendor's notation, and would be sent as {1}."""
    with pytest.raises(InvalidRequest, match=r"'\{\{1\}\}', which is another vendor's notation"):
        planned([A], "您好{{1}}【签名】")


def test_planner_skips_a_number_that_no_ledger_keeps() -> None:
    """A pattern may allow letters; a ledger keeps digits, with at most a + before them."""
    pattern = r"[+A-Z0-9]{4,}"
    texts, skipped = planned(["+4412", "AB12", "12+34", "0012"], recipient_pattern=pattern)
    assert texts == {TEXT: ["+4412", "0012"]}
    assert [(each.line, each.value) for each in skipped] == [(2, "AB12"), (3, "12+34")]
    assert skipped[0].reason == (
        "the number matches recipient_pattern ([+A-Z0-9]{4,}), but is not written in digits, with"
        " at most a + before them: fix it, or narrow the pattern."
    )
    with pytest.raises(ConfigurationError, match="Line 1 of the list is invalid: the number match"):
        planned(["AB12"], recipient_pattern=pattern, strict=True)


_numbers = st.integers(0, 40).map(lambda at: str(13900000000 + at))
_notations = st.sampled_from(["+86 {}", "{}", "0086{}", " {} ", "{}x", "x"])


@given(st.lists(st.tuples(_numbers, _notations), min_size=1), st.integers(1, 7))
def test_planner_every_number_is_planned_once_or_skipped(
    listed: list[tuple[str, str]], size: int
) -> None:
    """Whatever is in the list, each item is either planned or named as skipped."""
    items = [notation.format(number) for number, notation in listed]
    good = [number for number, notation in listed if "x" not in notation]
    texts, skipped = planned(items, max_recipients=size)
    sent = texts.get(TEXT, [])
    assert sent == list(dict.fromkeys(good))
    assert len(sent) + len(skipped) == len(items)
    assert Counter(each.line for each in skipped).most_common(1)[:1] != [(0, 1)]


@given(
    st.lists(st.tuples(_numbers, st.sampled_from("甲乙丙")), min_size=1),
    st.sets(_numbers),
    st.integers(1, 7),
    st.sampled_from([TEXT, "您好{name}【签名】"]),
)
def test_planner_leaves_out_the_do_not_send_list_and_nothing_else(
    listed: list[tuple[str, str]],
    suppressed: set[str],
    size: int,
    text: str,
) -> None:
    """A plan is the one of the list without these numbers, with the digest of the whole list."""
    rows = [{"phone": number, "name": name} for number, name in listed]
    listing = Suppressed(dict.fromkeys(suppressed, "退订"))
    # Small batches, so that a number comes again in a later one.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("yunxin_soap.campaign.lists.rows.BATCH_SIZE", 3)
        whole = planner_of(rows, text, max_recipients=size)
        found = planner_of(rows, text, max_recipients=size, suppressions=listing)
    rest = [row for row in rows if row["phone"] not in suppressed]
    expected = planner_of(rest, text, max_recipients=size)
    assert sorted(found.submissions()) == sorted(expected.submissions())
    plan, full = found.plan("a"), whole.plan("a")
    assert plan.digest == full.digest
    assert plan.numbers == len({row["phone"] for row in rest})
    assert plan.skipped_by.get(SkipKind.SUPPRESSED, 0) == len(rows) - len(rest)
    assert plan.skipped == len(rows) - plan.numbers
    reasons = {line.reason for line in found.skipped_lines()} - {DUPLICATE_REASON}
    assert reasons <= {"on the do-not-send list: 退订"}
    for each in (whole, found, expected):
        each.close()


def planner_of(rows: list[dict[str, str]], text: str, **options: Any) -> Planner:
    """Return a planner that has read some rows."""
    planner = Planner(text, channel=37, **options)
    planner.read(Rows(rows))
    return planner


@pytest.mark.parametrize("kind", ["text", "csv", "rows"])
def test_planner_batches_leave_no_seams(kind: str) -> None:
    """A duplicate is found, and a submission is filled, across two batches."""
    first = numbers(BATCH_SIZE - 1)
    listed = [*first, A, "x", *numbers(5, 13920000000)]
    content = io.BytesIO("\n".join(listed).encode())
    source = {"text": Text(content), "csv": Csv(content), "rows": Rows(listed)}[kind]
    texts, skipped = planned(source, max_recipients=7)
    assert texts == {TEXT: [*first, *numbers(5, 13920000000)]}
    assert [each.line for each in skipped] == [BATCH_SIZE, BATCH_SIZE + 1]


@pytest.mark.parametrize(("size", "expected"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (6, [5])])
def test_planner_submissions_are_filled_to_the_limit(size: int, expected: list[int]) -> None:
    """Only the last submission of a text is smaller than the limit."""
    planner = Planner(TEXT, channel=37, max_recipients=size)
    planner.read(Rows(numbers(5)))
    assert [each.size for each in planner.submissions()] == expected
    planner.close()


@pytest.mark.parametrize("size", [0, -1, 1001])
def test_planner_limit_outside_of_the_gateways_is_invalid(size: int) -> None:
    """The vendor's codes allow 1000 numbers in a submission at most."""
    with pytest.raises(InvalidRequest, match=f"max_recipients={size} must be from 1 to 1000"):
        Planner(TEXT, channel=37, max_recipients=size)
    Planner(TEXT, channel=37, max_recipients=1000).close()


def test_planner_reports_progress_after_each_batch() -> None:
    """The progress is the number of rows read so far, skipped ones included."""
    seen: list[int] = []
    planner = Planner(TEXT, channel=37)
    planner.read(Rows([*numbers(BATCH_SIZE), "x"]), seen.append)
    planner.close()
    assert seen == [BATCH_SIZE, BATCH_SIZE + 1]


def test_planner_numbers_of_another_pattern_are_deduplicated_too() -> None:
    """A pattern other than the mainland's may keep the sign and the country code."""
    listed = ["+85291234567", "+85291234568", "+85291234567"]
    texts, skipped = planned(listed, recipient_pattern=r"\+852\d{8}")
    assert texts == {TEXT: listed[:2]}
    assert [each.line for each in skipped] == [3]


def test_planner_numbers_of_a_wider_pattern_are_normalised_as_the_client_does() -> None:
    """A plan and a single send count the same numbers as equal."""
    pattern = r"\+?[0-9]{6,15}"
    listed = ["13900000000", "8613900000000", "+8613900000000", "+8613900000001"]
    plan = preview("a", listed, TEXT, channel=37, recipient_pattern=pattern).plan
    with Client("u", "p", channel="37", recipient_pattern=pattern) as client:
        assert plan.numbers == len(client.check(listed, TEXT).recipients) == 2


def test_planner_column_cannot_replace_the_signature() -> None:
    """The signature is appended unless the message itself, or the row, ends in this one."""
    rows = [{"phone": A, "who": "王【五】"}, {"phone": B, "who": "李"}]
    assert planned(rows, "您好{who}", signature="签{名}").texts == {
        "您好王【五】【签{名}】": [A],
        "您好李【签{名}】": [B],
    }
    assert planned(rows, "您好{who}【签名】", signature="别的").texts.keys() == {
        "您好王【五】【签名】",
        "您好李【签名】",
    }
    signed = [{"phone": A, "who": "王【签名】"}, {"phone": B, "who": "李"}]
    assert planned(signed, "{who}", signature="签名").texts.keys() == {
        "王【签名】",
        "李【签名】",
    }
    with pytest.raises(InvalidRequest, match="2 invisible character"):
        planned(signed, "{who}【签名】 \n", signature="签名")  # the last character must be 】


@pytest.mark.parametrize(
    "text",
    [
        "【公司】您好{who}",
        "{who}您好[签名]",
        "{who}您好【签名",
        "{who}您好签名】",
        "【签名】{who}您好",
    ],
)
def test_planner_signature_in_a_wrong_form_is_found_before_the_list_is_read(text: str) -> None:
    """No second signature is appended to a text with columns, either."""
    unread = iter([{"phone": A, "who": "王"}])
    with pytest.raises(InvalidRequest, match=r"(has its|half a) signature"):
        planned(unread, text, signature="签名")
    assert list(unread) != []


def test_planner_notes_a_second_signature() -> None:
    """The plan says so, once for all texts."""
    rows = [{"phone": A, "who": "王"}, {"phone": B, "who": "李"}]
    (note,) = preview("a", rows, "【公司】您好{who}【签名】", channel=37).plan.notes
    assert "'【公司】' beside the signature at its end" in note


def test_planner_digest_depends_on_content_alone() -> None:
    """Order, duplicates, notation and the size of submissions make no difference."""

    def digest(source: Any, message: str = TEXT, **options: Any) -> str:
        return preview("a", source, message, **{"channel": 37, **options}).plan.digest

    first = digest([A, B, C])
    assert digest([C, A, f"+86{B}", A, "x"], max_recipients=1) == first
    others = [
        digest([A, B]),
        digest([A, B, C], "别的【签名】"),
        digest([A, B, C], channel=38),
        digest([A, B, C], extension=1),
    ]
    assert len({first, *others}) == 5
    rows = [{"phone": number, "x": text} for number, text in zip([A, B, C], "121", strict=True)]
    filled = digest(rows, "{x}【签名】")
    assert digest(rows[::-1], "{x}【签名】", max_recipients=1) == filled != first


def test_preview_counts_numbers_submissions_texts_and_segments() -> None:
    """A text of up to 70 characters is one segment for each number, a longer one several."""
    rows = [{"phone": A, "x": "短"}, {"phone": B, "x": "长" * 80}, {"phone": C, "x": "短"}, {}]
    plan = preview("a", Rows(rows, "phone"), "{x}【签名】", channel=37).plan
    assert (plan.name, plan.existing) == ("a", False)
    assert (plan.numbers, plan.submissions, plan.texts, plan.segments, plan.skipped) == (
        (3, 2, 2, 4, 1)
    )


def test_planner_text_of_too_many_segments_is_skipped() -> None:
    """A text with a long column costs more than anybody meant; the reason has the count."""
    rows = [{"phone": A, "x": "长" * 667}, {"phone": B, "x": "短"}]
    texts, (skipped,) = planned(rows, "{x}【签名】")
    assert (texts, skipped.line) == ({"短【签名】": [B]}, 1)
    assert "has 11 segments (671 characters), more than max_segments=10" in skipped.reason
    assert len(planned(rows, "{x}【签名】", max_segments=11).texts) == 2
    with pytest.raises(InvalidRequest, match="has 2 segments"):
        planned([A], "长" * 70 + "【签名】", max_segments=1)
    for wrong in (0, 256):
        with pytest.raises(InvalidRequest, match=f"max_segments={wrong} must be from 1 to 255"):
            planned([A], max_segments=wrong)


def test_preview_notes_long_texts() -> None:
    """A note says what is allowed, but seldom meant; there are only a few of them."""
    rows = [{"phone": number, "x": "长" * (1000 + at)} for at, number in enumerate(numbers(20))]
    plan = preview("a", rows, "{x}【签名】", channel=37, max_segments=20).plan
    assert 10 <= len(plan.notes) < 20
    assert plan.notes[0].startswith("The message has 1004 characters")
    assert preview("a", [A], TEXT, channel=37).plan.notes == ()


def test_preview_gives_each_skipped_line() -> None:
    """The callback gets the lines in the order of the list."""
    seen: list[SkippedLine] = []
    rows = "phone,amount\n13900000000,\n13900000001,\u200b \n13900000002\n13900000003,5\n"
    source = Csv(io.BytesIO(rows.encode()))
    plan = preview("a", source, "余额{amount}元【签名】", channel=37, on_skipped=seen.append).plan
    assert (plan.numbers, plan.skipped) == (1, 3)
    assert [each.line for each in seen] == [2, 3, 4]
    assert {each.reason for each in seen} == {"The message's column 'amount' is empty."}


@pytest.mark.parametrize("name", ["", " ", "a\0", "a\n", "\ud800"])
def test_preview_name_must_be_printable(name: str) -> None:
    """A name is shown in terminals, pages and file names."""
    with pytest.raises(ConfigurationError, match="needs a name of printable characters"):
        preview(name, [A], TEXT, channel=37)


def test_preview_of_an_empty_list_is_an_error() -> None:
    """A campaign without numbers is a mistake."""
    with pytest.raises(ConfigurationError, match=r"\AThe list is empty\.\Z"):
        preview("a", [], TEXT, channel=37)


def test_preview_without_a_valid_line_names_the_first_reason() -> None:
    """The wrong column or a bad message shows in the first skipped line."""
    with pytest.raises(ConfigurationError, match=r"No line of the list can be sent.* line is 1: "):
        preview("a", ["x", "y"], TEXT, channel=37)
    with pytest.raises(ConfigurationError, match=r"No line of .* 1: .* signature"):
        preview("a", [{"phone": A, "name": "甲"}], "您好{name}", channel=37)


def test_preview_invalid_message_is_found_before_the_list_is_read() -> None:
    """A list of a million lines is not read for nothing."""

    unread = iter([A])
    with pytest.raises(InvalidRequest, match="signature"):
        preview("a", unread, "no signature", channel=37)
    with pytest.raises(InvalidRequest, match="channel"):
        preview("a", unread, TEXT, channel="x")
    assert list(unread) == [A]


def test_preview_list_that_breaks_off_is_an_error() -> None:
    """Nothing is planned of a list that could not be read to its end."""

    def broken() -> Iterator[str]:
        yield A
        raise OSError(5, "Input/output error")

    with pytest.raises(ConfigurationError, match=r"The list cannot be read \(Input/output error\)"):
        preview("a", broken(), TEXT, channel=37)


def test_preview_error_of_a_source_in_sqlite_is_its_own() -> None:
    """An error of the caller's own query is not taken for one of the scratch file."""

    def broken() -> Iterator[str]:
        yield A
        raise sqlite3.OperationalError("no such column: vip")

    with pytest.raises(sqlite3.OperationalError, match="no such column: vip"):
        preview("a", broken(), TEXT, channel=37)


def open_files() -> dict[str, int]:
    """Return the inode and the permissions of each regular file that this process has open."""
    found: dict[str, int] = {}
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the descriptor of the directory itself is closed
            about = descriptor.stat()
            if stat.S_ISREG(about.st_mode):
                found[f"{about.st_dev}:{about.st_ino}"] = stat.S_IMODE(about.st_mode)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="open files are listed in /proc")
def test_planner_scratch_file_is_readable_by_its_owner_only() -> None:
    """The numbers on disk are private, and gone when the planner is closed."""
    before = open_files()
    rows = ({"phone": number, "x": f"{number}的账单" * 4} for number in numbers(40_000))
    planner = Planner("您好{x}【签名】", channel=37)
    planner.read(Rows(rows))
    scratch = {file: mode for file, mode in open_files().items() if file not in before}
    planner.close()
    assert set(scratch.values()) == {0o600}
    assert not scratch.keys() & open_files().keys()


def test_prepare_plan_closes_the_scratch_file() -> None:
    """The planner cannot be used after the block."""
    with prepare_plan("a", [A], TEXT, channel=37) as (plan, planner):
        assert plan.numbers == 1
        assert [each.numbers for each in planner.submissions()] == [A]
    with pytest.raises(ConfigurationError, match="scratch file"):
        list(planner.submissions())
