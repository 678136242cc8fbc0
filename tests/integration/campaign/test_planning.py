"""Lists of numbers become submits: whole, once, and with every bad line named."""

from __future__ import annotations

import csv
import io
import os
import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.campaign.conftest import TEXT, numbers
from yunxin_soap import Client, ConfigurationError, ContentConflict, InvalidRequest
from yunxin_soap.campaign import Csv, Ledger, Rows, SkippedLine, State, Text, preview
from yunxin_soap.campaign.lists import BATCH_SIZE
from yunxin_soap.campaign.lists.rows import as_source
from yunxin_soap.campaign.planning import UNBALANCED_QUOTE_REASON, Planner
from yunxin_soap.campaign.template import Template

A, B, C = numbers(3)


def planned(
    source: Any, message: str = TEXT, **options: Any
) -> tuple[dict[str, list[str]], list[SkippedLine]]:
    """Return the numbers of each text, and the refused lines."""
    planner = Planner(message, channel=37, **options)
    try:
        planner.read(as_source(source))
        texts: dict[str, list[str]] = {}
        for text, joined, size in planner.submissions():
            assert len(joined.split(",")) == size
            texts.setdefault(text, []).extend(joined.split(","))
        return texts, list(planner.skipped_lines())
    finally:
        planner.close()


def csv_of(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "list.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "column"),
    [
        (f"phone\n{A}\n{B}\n", None),
        (f"name,手机号\n甲,{A}\n乙,{B}\n", None),
        (f"name;mobile\r\n甲;{A}\r\n乙;{B}\r\n", None),
        (f"name\ttel\n甲\t{A}\n乙\t{B}", None),
        (f"甲,{A}\n乙,{B}\n", None),
        (f"{A}\n{B}\n", None),
        (f"\ufeffphone\n{A}\n\n{B}\n", None),
        (f'note,phone\n"two\nlines",{A}\nx,"{B}"\n', None),
        (f"a,b\n{C},{A}\n{C},{B}\n", "b"),
        (f"a,b\n{C},{A}\n{C},{B}\n", 2),
        (f"{C},{A}\n{C},{B}\n", "2"),
        (f"phone,x\n+86 {A[:3]}-{A[3:]},1\n{B},2\n", None),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_the_column_is_found(
    tmp_path: Path, content: str, column: str | int | None, encoding: str
) -> None:
    path = csv_of(tmp_path, content.encode(encoding))
    assert planned(Csv(path, column)) == ({TEXT: [A, B]}, [])


def test_other_encodings_and_standard_input(tmp_path: Path) -> None:
    content = f"姓名,手机\n甲,{A}\n"
    assert planned(Csv(io.BytesIO(content.encode("gbk"))))[0] == {TEXT: [A]}
    path = csv_of(tmp_path, content.encode("utf-16"))
    assert planned(Csv(path, encoding="utf-16"))[0] == {TEXT: [A]}
    with pytest.raises(ConfigurationError, match="not utf-8 text"):
        planned(Csv(csv_of(tmp_path, content.encode("gbk")), encoding="utf-8"))
    with pytest.raises(ConfigurationError, match="neither UTF-8 nor GBK"):
        planned(Text(io.BytesIO(b"\xff\xff\xff")))
    with pytest.raises(ConfigurationError, match="There is no encoding 'x'"):
        planned(Text(io.BytesIO(b""), encoding="x"))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        planned(Text(tmp_path / "missing"))


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
@pytest.mark.parametrize("named", [True, False])
def test_a_line_that_cannot_be_read_stops_no_other(
    tmp_path: Path, encoding: str, named: bool
) -> None:
    lines = [f"姓名,手机,备注\n甲一二三,{A},好\n".encode(encoding)]
    lines += [b"\xff" + f",{B},好\n".encode(encoding)]
    lines += [f"丙一二三,{C},".encode(encoding) + b"\xff\n", b"x,139\xff0000,\n"]
    good = numbers(9)[3:]
    lines += [f"丁一二三,{number},\n".encode(encoding) for number in good]
    path = csv_of(tmp_path, b"".join(lines))
    source = Csv(path, encoding=encoding if named else None)
    submits, refused = planned(source, "您好{姓名}【签名】")
    # What the text does not ask for may be what it likes.
    assert submits == {
        "您好甲一二三【签名】": [A],
        "您好丙一二三【签名】": [C],
        "您好丁一二三【签名】": good,
    }
    assert [line.line for line in refused] == [3, 5]
    assert "no text in the list's encoding" in refused[0].reason


def test_a_line_of_gbk_in_a_list_of_utf_8(tmp_path: Path) -> None:
    lines = [f"{each},张三\n".encode() for each in numbers(20)]
    lines[7] = f"{numbers(20)[7]},李四\n".encode("gbk")
    path = csv_of(tmp_path, b"phone,name\n" + b"".join(lines))
    submits, refused = planned(Csv(path), "您好{name}【签名】")
    assert submits.keys() == {"您好张三【签名】"}
    assert [each.line for each in refused] == [9]


@pytest.mark.parametrize("encoding", ["idna", "rot13", "hex", "undefined"])
def test_an_encoding_that_no_text_is_in(encoding: str) -> None:
    with pytest.raises(ConfigurationError, match=r"There is no encoding|name its encoding"):
        planned(Text(io.BytesIO(f"{A}\n".encode()), encoding))


def test_utf_16_by_its_mark(tmp_path: Path) -> None:
    path = csv_of(tmp_path, f"姓名\t手机\n甲\t{A}\n".encode("utf-16"))
    assert planned(Csv(path))[0] == {TEXT: [A]}


@pytest.mark.parametrize(
    ("content", "column", "wrong"),
    [
        ("a,b\n1,2\n", None, "Which column has the numbers? Name one of: a, b"),
        ("a,b\n1,2\n", "c", "There is no column 'c': the columns are a, b"),
        ("a,b\n1,2\n", 3, "There is no column 3: the first row has 2"),
    ],
)
def test_a_column_that_cannot_be_found(
    tmp_path: Path, content: str, column: str | int | None, wrong: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        planned(Csv(csv_of(tmp_path, content), column))
    assert wrong in str(caught.value)


def test_what_is_refused_is_named_by_line(tmp_path: Path) -> None:
    content = f'phone,name\n{A},a\n12345,b\n,c\n"{B}","d\ne"\n{A},f\n{B}x,g\n{C},h\n'
    texts, refused = planned(Csv(csv_of(tmp_path, content)))
    assert texts == {TEXT: [A, B, C]}
    assert [(each.line, each.value) for each in refused] == [
        (3, "12345"),
        (4, ""),
        (7, A),
        (8, f"{B}x"),
    ]
    assert "duplicate" in refused[2].reason
    assert "must match" in refused[0].reason
    with pytest.raises(ConfigurationError, match="Line 3 of the list is invalid"):
        planned(Csv(csv_of(tmp_path, content)), strict=True)


def test_text_iterables_and_rows_of_a_query() -> None:
    assert planned(Text(io.BytesIO(f"{A}\n\n{B},{C}\r\n".encode())))[0] == {TEXT: [A, B, C]}
    assert planned(iter([A, int(B)]))[0] == {TEXT: [A, B]}
    assert planned(A)[0] == {TEXT: [A]}
    database = sqlite3.connect(":memory:")
    database.row_factory = sqlite3.Row
    rows = database.execute("SELECT ? AS phone, ? AS name", (A, "甲"))
    assert planned(rows, "您好{name}【签名】")[0] == {"您好甲【签名】": [A]}
    database.close()
    assert planned(Rows([{"who": A}], column="who"))[0] == {TEXT: [A]}
    with pytest.raises(ConfigurationError, match="Item 2 of the recipients is a float"):
        planned([A, 13900000000.0])


def test_a_pipe_with_a_name(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(path.write_text, f"phone\n{A}\n{B}\n")
        assert planned(Csv(path))[0] == {TEXT: [A, B]}
        assert written.result()


def test_rows_without_names() -> None:
    database = sqlite3.connect(":memory:")
    rows = database.execute("SELECT 1, ? UNION SELECT 2, ? UNION SELECT 3, NULL", (A, B))
    texts, refused = planned(rows)
    database.close()
    assert texts == {TEXT: [A, B]}
    assert [(each.line, each.value) for each in refused] == [(3, "")]
    assert planned([(A,), ("x",)])[0] == {TEXT: [A]}
    assert planned(Rows([(A, B), (C,)], column=2))[0] == {TEXT: [B]}
    for column, wrong in ((3, "There is no column 3: the columns are 1, 2"), (None, "Which col")):
        with pytest.raises(ConfigurationError, match=wrong):
            planned(Rows([("x", "y")], column))
    with pytest.raises(ConfigurationError, match=r"asks for \{name\}, .* without names"):
        planned([(A,)], "您好{name}【签名】")


def test_a_text_that_asks_for_a_column_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"for \{nam\}, .* are phone, name"):
        planned(Csv(csv_of(tmp_path, f"phone,name\n{A},甲\n")), "您好{nam}【签名】")
    rows = [{"phone": A}, {"phone": B, "name": "乙"}]
    texts, refused = planned(rows, "您好{name}【签名】")
    assert texts == {"您好乙【签名】": [B]}
    assert refused[0].reason == "The column 'name', which the text asks for, is empty."


def test_what_no_database_can_keep(ledger: Ledger) -> None:
    refused: list[SkippedLine] = []
    listed = ["1390000\ud800", "139\0", None, A]
    assert ledger.plan("a", listed, TEXT, channel=37, on_skipped=refused.append).numbers == 1
    assert [each.value for each in ledger.refused("a")] == [r"1390000\ud800", r"139\x00", ""]
    assert list(ledger.refused("a")) == refused
    for name in ("a\0", " ", "\ud800"):
        with pytest.raises(ConfigurationError, match="A campaign needs a name"):
            ledger.plan(name, [A], TEXT, channel=37)


def test_a_list_with_nothing_in_it() -> None:
    with pytest.raises(ConfigurationError, match="The list is empty"):
        preview("a", [], TEXT, channel=37)


def test_a_template_brings_equal_texts_together() -> None:
    rows = [
        {"phone": number, "city": city}
        for number, city in zip(numbers(6), "京沪京沪京沪", strict=True)
    ]
    texts, _ = planned(rows, "{{ {city} }}【签名】", max_recipients=2)
    assert texts == {
        "{ 京 }【签名】": [numbers(6)[at] for at in (0, 2, 4)],
        "{ 沪 }【签名】": [numbers(6)[at] for at in (1, 3, 5)],
    }
    _, refused = planned([{"phone": A, "x": "1"}, {"phone": B, "city": "\x00"}], "{city}【签名】")
    assert "The column 'city', which the text asks for, is empty." in refused[0].reason
    assert "XML cannot carry" in refused[1].reason


@pytest.mark.parametrize("text", ["{", "}", "a{b", "{a}}"])
def test_a_brace_alone_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="alone at character"):
        Template(text)


@given(st.text(), st.text(st.characters(exclude_categories=["Cf"])).filter(str.strip))
def test_doubled_braces_are_themselves(text: str, value: str) -> None:
    doubled = text.replace("{", "{{").replace("}", "}}")
    template = Template(doubled + "{x}")
    assert template.fill({"x": value}) == text + value.strip()
    assert template.columns == ("x",)


_numbers = st.integers(0, 40).map(lambda at: str(13900000000 + at))
_odd = st.sampled_from(["+86 {}", "{}", "0086{}", " {} ", "{}x", "x"])


@given(st.lists(st.tuples(_numbers, _odd)), st.integers(1, 7))
def test_every_number_is_planned_once_or_refused(listed: list[tuple[str, str]], size: int) -> None:
    items = [odd.format(number) for number, odd in listed]
    good = [number for number, odd in listed if "x" not in odd]
    if not items:
        return
    texts, refused = planned(items, max_recipients=size)
    sent = texts.get(TEXT, [])
    assert sent == list(dict.fromkeys(good))
    assert len(sent) + len(refused) == len(items)
    assert Counter(each.line for each in refused).most_common(1)[:1] != [(0, 1)]


@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r")),
            min_size=2,
            max_size=2,
        ),
        min_size=1,
    )
)
def test_any_csv_is_read_as_the_csv_module_reads_it(rows: list[list[str]]) -> None:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["phone", "note"])
    for at, row in enumerate(rows):
        writer.writerow([numbers(len(rows))[at], row[0] + row[1]])
    batches = list(Csv(io.BytesIO(file.getvalue().encode()), encoding="utf-8").batches())
    assert [value for batch in batches for value in batch.values] == numbers(len(rows))
    notes = [row["note"] for batch in batches if batch.rows for row in batch.rows]
    assert notes == [row[0] + row[1] for row in rows]


def test_batches_are_no_seams() -> None:
    first = numbers(BATCH_SIZE - 1)
    listed = [*first, A, "x", *numbers(5, 13920000000)]
    content = "\n".join(listed).encode()
    expected = ({TEXT: [*first, *numbers(5, 13920000000)]}, [BATCH_SIZE, BATCH_SIZE + 1])
    for source in (Text(io.BytesIO(content)), Csv(io.BytesIO(content)), Rows(listed)):
        texts, refused = planned(source, max_recipients=4)
        assert (texts, [each.line for each in refused]) == expected


def test_numbers_of_another_country() -> None:
    listed = ["+85291234567", "+85291234568", "+85291234567"]
    texts, refused = planned(listed, recipient_pattern=r"\+852\d{8}")
    assert texts == {TEXT: listed[:2]}
    assert [each.line for each in refused] == [3]


def test_the_same_content_is_the_same_campaign(ledger: Ledger) -> None:
    first = ledger.plan("a", [A, B, C], TEXT, channel=37)
    assert (
        ledger.plan("a", [C, A, B, A], TEXT, channel="37", max_recipients=1).digest == first.digest
    )
    assert ledger.status("a").submits[State.PENDING] == 1
    others: list[tuple[list[str], str, int, str]] = [
        ([A, B], TEXT, 37, ""),
        ([A, B, C], "别的【签名】", 37, ""),
        ([A, B, C], TEXT, 38, ""),
        ([A, B, C], TEXT, 37, "1"),
    ]
    for listed, text, channel, extension in others:
        with pytest.raises(ContentConflict, match="There is a campaign 'a' already"):
            ledger.plan("a", listed, text, channel=channel, extension=extension)
    assert ledger.campaigns() == ["a"]


@pytest.mark.parametrize("encoding", ["undefined", "idna", "hex", "ascii", "utf-16", "x" * 99])
def test_an_encoding_that_does_not_fit(ledger: Ledger, tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text("手机\n13900000000\n", "utf-8")
    with pytest.raises(ConfigurationError, match=r"name its encoding|There is no encoding"):
        ledger.plan("a", Csv(path, encoding=encoding), TEXT, channel=37)


def test_a_text_with_a_hole_in_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("phone,amount\n13900000000,\n13900000001,\u200b \n13900000002\n13900000003,5\n")
    seen: list[SkippedLine] = []
    plan = preview("a", Csv(path), "余额{amount}元【签名】", channel=37, on_skipped=seen.append)
    assert plan.numbers == 1
    assert [each.line for each in seen] == [2, 3, 4]
    assert {each.reason for each in seen} == {
        "The column 'amount', which the text asks for, is empty."
    }


def test_a_number_of_another_kind_is_planned_once_too() -> None:
    pattern = r"\+?[0-9]{6,15}"
    listed = ["13900000000", "8613900000000", "+8613900000000", "+8613900000001"]
    plan = preview("a", listed, TEXT, channel=37, recipient_pattern=pattern)
    with Client("u", "p", channel="37", recipient_pattern=pattern) as client:
        assert plan.numbers == len(client.check(listed, TEXT).recipients) == 2


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        (f"phone,phone\n{A},{B}\n", None, "Several columns are called 'phone': name one by its"),
        (f"姓名,Phone,phone\n甲,{A},{B}\n", None, "Several columns are called 'Phone'"),
        (f"tel,x,x\n{A},1,{B}\n", "x", "Several columns are called 'x'"),
        (f"phone,name,name\n{A},甲,乙\n", None, r"asks for \{name\}, .* or several: .* are phone"),
    ],
)
def test_a_heading_that_is_there_twice(
    tmp_path: Path, text: str, column: str | None, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        planned(Csv(csv_of(tmp_path, text), column), "您好{name}【签名】")
    if column is None and "phone,phone" in text:
        assert planned(Csv(csv_of(tmp_path, text), 2), TEXT)[0] == {TEXT: [B]}


def test_headings_that_differ_in_case_can_be_named(tmp_path: Path) -> None:
    path = csv_of(tmp_path, f"Phone,phone\n{A},{B}\n")
    assert planned(Csv(path, "Phone")) == ({TEXT: [A]}, [])
    assert planned(Csv(path, "phone")) == ({TEXT: [B]}, [])


def test_other_headings_may_be_there_twice(tmp_path: Path) -> None:
    source = Csv(csv_of(tmp_path, f"phone,name,备注,备注\n{A},甲,1,2\n"))
    assert planned(source, "您好{name}【签名】")[0] == {"您好甲【签名】": [A]}


@pytest.mark.parametrize("text", [TEXT, "您好{name}【签名】"])
def test_a_quote_that_runs_over_other_rows_is_told(tmp_path: Path, text: str) -> None:
    listed = numbers(9)
    content = (
        f"phone,name\n{listed[0]},a\n"
        f'{listed[1]},"opens\n{listed[2]},b\n{listed[3]},"c"\n'  # closed by another's quote
        f'{listed[4]},"two\nlines, {listed[5]}"\n'  # as a spreadsheet writes it
        f'{listed[6]},"never closed\n{listed[7]},d\n{listed[8]},e\n'
    )
    texts, refused = planned(Csv(csv_of(tmp_path, content)), text)
    assert sorted(each for some in texts.values() for each in some) == [listed[0], listed[4]]
    assert not any(each in text for text in texts for each in (listed[2], listed[3], listed[7]))
    assert [each.line for each in refused[:3]] == [3, 4, 5]
    assert [each.line for each in refused[3:6]] == [8, 9, 10]
    assert {each.reason for each in refused} == {UNBALANCED_QUOTE_REASON}
    for at in (1, 2, 3, 6, 7, 8):
        assert any(listed[at] in each.value for each in refused)


@pytest.mark.parametrize(
    ("content", "good", "lines"),
    [
        # Every field is quoted, and one is not closed.
        (f'"phone","name"\n"{A}","Li\n"{B}","Wang"\n"{C}","Zhao"\n', [C], [2, 3]),
        (f'"phone","x","name"\n"{A}","1","Li\n"{B}","2","W"\n"{C}","3","Z"\n', [C], [2, 3]),
        # Lines that end as old spreadsheets' do.
        (f'phone,name\r{A},"Li\r{B},Wang\r1,"Zhao"\r{C},Q\r', [C], [2, 3, 4]),
        (f'phone,name\r\n{A},"two\r\nlines"\r\n{B},"never\r\n{C},x\r\n', [A], [4, 5]),
        (f'name,phone\n"Li,{A}\nWang,{B}\n"Zhao",{C}\nx,{A}\n', [A], [2, 3, 4]),
        # It closes where it may, by chance.
        (f'phone,name\n{A},"Li\n{B},"\n{C},Q\n', [C], [2, 3]),
    ],
)
def test_whatever_a_torn_quote_looks_like(
    tmp_path: Path, content: str, good: list[str], lines: list[int]
) -> None:
    texts, refused = planned(Csv(csv_of(tmp_path, content)), "您好{name}【签名】")
    assert [each for some in texts.values() for each in some] == good
    assert [(each.line, each.reason) for each in refused] == [
        (line, UNBALANCED_QUOTE_REASON) for line in lines
    ]


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0,;\t"), max_size=20), max_size=9
    )
)
def test_what_is_written_as_csv_is_never_torn(names: list[str]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerows([("phone", "name"), *zip(numbers(9), names, strict=False)])
    planned_, refused = planned(Csv(io.BytesIO(file.getvalue().encode())))
    assert planned_ == ({TEXT: numbers(len(names))} if names else {})
    assert refused == []


def test_a_torn_quote_among_numbers_of_another_kind(tmp_path: Path) -> None:
    path = csv_of(tmp_path, 'phone,name\n1234561,"Li\n1234562,W\n1234563,"Z"\n1234564,Q\n')
    texts, refused = planned(Csv(path), recipient_pattern=r"123456\d")
    assert texts == {TEXT: ["1234564"]}
    assert [each.line for each in refused] == [2, 3, 4]


@pytest.mark.parametrize(
    "content",
    [f'phone,"name\n{A},"Li"\n{B},"Wang"\n', f'"{A}\n"{B}"\n"{C}"\n', f'"phone\n{A}\n{B}\n'],
)
def test_a_torn_heading(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigurationError, match="A quote that opens in the first line"):
        planned(Csv(csv_of(tmp_path, content)))


def test_a_quote_that_runs_into_the_next_one_hides_no_number(tmp_path: Path) -> None:
    content = f'name,phone\n"甲,{A}\n","乙",{B}\n"丙\n丙",{C},\n'
    submits, refused = planned(Csv(csv_of(tmp_path, content)))
    assert submits == {TEXT: [C]}  # where a line ends in a comma too many
    assert [(each.line, each.reason) for each in refused] == [
        (2, UNBALANCED_QUOTE_REASON),
        (3, UNBALANCED_QUOTE_REASON),
    ]


@pytest.mark.parametrize("first", ["\n", f"{C},x\n"])
def test_fields_without_a_heading_are_no_torn_quote(tmp_path: Path, first: str) -> None:
    content = f'{first}{A},x,z\n{B},y,"two\nlines"\n'
    submits, refused = planned(Csv(csv_of(tmp_path, content), 1 if first != "\n" else None))
    assert set(submits[TEXT]) >= {A, B}
    assert refused == []


def test_a_heading_of_two_lines(tmp_path: Path) -> None:
    path = csv_of(tmp_path, f'"手机\n号码",name\n{A},"Li"\n')
    assert planned(Csv(path, 1), "您好{name}【签名】")[0] == {"您好Li【签名】": [A]}


def test_a_plan_is_whole_or_not_at_all(ledger: Ledger) -> None:
    def broken() -> Any:
        yield from numbers(50_000)
        raise OSError(5, "Input/output error")

    with pytest.raises(ConfigurationError, match="The list cannot be read"):
        ledger.plan("a", broken(), TEXT, channel=37)
    with pytest.raises(
        ConfigurationError, match=r"No line of the list can be sent.* line is 1: .* number "
    ):
        ledger.plan("a", ["x"], TEXT, channel=37)
    with pytest.raises(ConfigurationError, match=r"the text\. The first .* is 1: .* signature"):
        ledger.plan("a", [{"phone": A, "name": "甲"}], "您好{name}", channel=37)
    with pytest.raises(ConfigurationError, match="The list is empty"):
        ledger.plan("a", [], TEXT, channel=37)
    with pytest.raises(InvalidRequest, match="signature"):
        ledger.plan("a", [A], "no signature", channel=37)
    with pytest.raises(ConfigurationError, match="needs a name"):
        ledger.plan(" ", [A], TEXT, channel=37)
    dry = preview("a", [A, "x"], TEXT, channel=37)
    assert (dry.numbers, dry.skipped, dry.segments) == (1, 1, 1)
    assert ledger.campaigns() == []
    told: list[SkippedLine] = []
    ledger.plan("a", [A, "x"], TEXT, channel=37, on_skipped=told.append)
    assert list(ledger.refused("a")) == told
    assert told[0].line == 2


@pytest.mark.parametrize(
    ("content", "column"),
    [("1390000000\n13900000001\n", None), ("139000000O1,ann\n13900000001,bob\n", 1)],
)
def test_a_first_line_that_is_no_heading_is_refused_as_any_other(
    tmp_path: Path, content: str, column: int | None
) -> None:
    submits, refused = planned(Csv(csv_of(tmp_path, content), column))
    assert submits == {TEXT: ["13900000001"]}
    assert [each.line for each in refused] == [1]


@pytest.mark.parametrize("heading", ["客户2026", "客户20260115", "phone_20240115"])
def test_one_column_under_a_heading_that_nobody_knows(tmp_path: Path, heading: str) -> None:
    assert planned(Csv(csv_of(tmp_path, f"{heading}\n{A}\n"))) == ({TEXT: [A]}, [])


def test_a_row_brings_no_signature_of_its_own(tmp_path: Path) -> None:
    rows = [{"phone": A, "who": "王【五】"}, {"phone": B, "who": "李"}]
    assert planned(rows, "您好{who}", signature="签{名}")[0] == {
        "您好王【五】【签{名}】": [A],
        "您好李【签{名}】": [B],
    }
    assert planned(rows, "您好{who}【签名】", signature="别的")[0].keys() == {
        "您好王【五】【签名】",
        "您好李【签名】",
    }
    signed = [{"phone": A, "who": "王【签名】"}, {"phone": B, "who": "李"}]
    assert planned(signed, "{who}", signature="签名")[0].keys() == {"王【签名】", "李【签名】"}
    submits, refused = planned(signed, "{who}【签名】 \n", signature="签名")
    assert (submits, len(refused)) == ({}, 2)  # the last character must be 】


def test_many_numbers_on_one_line() -> None:
    many = numbers(2500)
    assert planned(Text(io.BytesIO(", ".join(many).encode())))[0] == {TEXT: many}


def test_a_campaign_that_is_there_is_told_as_it_is(ledger: Ledger) -> None:
    made = ledger.plan("a", numbers(30), TEXT, channel=37, max_recipients=5)
    again = ledger.plan("a", numbers(30), TEXT, channel=37, max_recipients=10)
    assert (made.existing, made.submissions, again.existing, again.submissions) == (
        False,
        6,
        True,
        6,
    )


def test_what_a_source_complains_of_is_its_own(ledger: Ledger) -> None:
    def broken() -> Any:
        yield from numbers(3)
        raise sqlite3.OperationalError("no such column: vip")

    with pytest.raises(sqlite3.OperationalError, match="no such column: vip"):
        ledger.plan("a", broken(), TEXT, channel=37)
    assert ledger.campaigns() == []


def test_many_texts(ledger: Ledger) -> None:
    rows = [{"phone": number, "at": str(at % 700)} for at, number in enumerate(numbers(1400))]
    plan = ledger.plan("a", rows, "第{at}【签名】", channel=37, max_recipients=1)
    assert (plan.texts, plan.submissions) == (700, 1400)
    results = {row[0] for row in ledger.results("a")}
    assert results == set(numbers(1400))
    for at in (0, 699, 700, 1399):
        (found,) = ledger.find(numbers(1400)[at])
        assert found.message == f"第{at % 700}【签名】"
