"""Any table of csv, pandas or openpyxl is read back as it was, or refused: never changed."""

from __future__ import annotations

import csv
import io
from typing import Any

import pandas as pd
from hypothesis import assume, given
from hypothesis import strategies as st
from openpyxl.utils.exceptions import IllegalCharacterError

from tests.support.lists import numbers, planned
from yunxin_soap import ConfigurationError
from yunxin_soap.campaign import Csv, Excel, Rows, Source

MESSAGE = "您好{姓名}，再见【签名】"
ENCODINGS = ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16", "utf-16-le", "utf-16-be", "big5"]

chinese_names = st.text(
    st.sampled_from("王李张刘陈杨黄赵吴周欧阳伟芳娜敏静丽强磊喆堃玥頔镕联通乐陳張劉國"),
    min_size=1,
    max_size=4,
)
foreign_names = st.sampled_from(
    ["Müller", "José", "佐藤さくら", "김민준", "Иванов", "O'Neill", "Anna", "阿依古丽·买买提"]
)
any_names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\0\ufffd"),
    max_size=12,
)
names = st.lists(st.one_of(chinese_names, foreign_names, any_names), min_size=1, max_size=12)
notations = st.sampled_from(["{}", "{}.0", "+86 {}", "'{}", '="{}"', " {}", "\u00a0{}\t", "０{}"])


def check(source: Source, written: dict[str, str]) -> None:
    """Check that no number has another text than the one that was written for it.

    Args:
        source: the list.
        written: the value of the column by number.
    """
    try:
        texts, skipped = planned(source, MESSAGE)
    except ConfigurationError as error:
        assert str(error)
        return
    planned_texts = {number: text for text, some in texts.items() for number in some}
    assert (
        planned_texts.items()
        <= {
            number: MESSAGE.replace("{姓名}", name.strip()) for number, name in written.items()
        }.items()
    )
    if len(planned_texts) < len(written):
        assert skipped


def encoded(text: str, encoding: str) -> bytes:
    """Return a text in an encoding that can write it; another one is no test."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        assume(False)
        raise


@given(
    names,
    notations,
    st.sampled_from(ENCODINGS),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
def test_lists_of_the_csv_module_are_never_changed(
    listed: list[str],
    notation: str,
    encoding: str,
    delimiter: str,
    quoting: Any,
    end: str,
    multiline: bool,
) -> None:
    """In any encoding, with any delimiter, any quotes and any line ends."""
    written = dict(zip(numbers(len(listed)), listed, strict=True))
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerow(["姓名", "手机号", "备注"])
    for number, name in written.items():
        writer.writerow([name, notation.format(number), "x"])
    content = encoded(file.getvalue(), encoding)
    check(Csv(io.BytesIO(content), multiline=multiline), written)


@given(names, st.sampled_from(ENCODINGS), st.sampled_from(["int64", "float64", "str"]))
def test_lists_of_pandas_are_never_changed(listed: list[str], encoding: str, dtype: Any) -> None:
    """As CSV, with an index, and as rows; a number may have become a float."""
    # A float with zeros at its end may be a number that was cut.
    written = dict(zip(numbers(len(listed), 13910000001), listed, strict=True))
    frame = pd.DataFrame({"姓名": listed, "手机号": pd.Series(map(int, written)).astype(dtype)})
    check(Csv(io.BytesIO(encoded(frame.to_csv(), encoding))), written)
    check(Rows(frame.to_dict("records")), written)
    texts, _ = planned(frame, "您好【签名】")
    assert texts == {"您好【签名】": list(written)}


@given(names, st.sampled_from([int, float, str, "'{}".format, "+86 {}".format]))
def test_workbooks_of_openpyxl_and_pandas_are_never_changed(listed: list[str], kind: Any) -> None:
    """With numbers of any type and notation."""
    written = dict(zip(numbers(len(listed), 13910000001), listed, strict=True))
    frame = pd.DataFrame({"姓名": listed, "手机号": [kind(number) for number in written]})
    file = io.BytesIO()
    try:
        frame.to_excel(file, index=False)
    except IllegalCharacterError:
        assume(False)
    file.seek(0)
    check(Excel(file), written)
