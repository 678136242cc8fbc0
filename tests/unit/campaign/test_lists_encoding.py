"""Encodings of lists: detected, named, undecodable, and read from pipes."""

from __future__ import annotations

import io
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.lists import TEXT, numbers, planned
from yunxin_soap import ConfigurationError
from yunxin_soap.campaign import Csv, Text
from yunxin_soap.campaign.lists.encoding import open_text

A, B, C = numbers(3)


def decoded(content: bytes, encoding: str | None = None) -> str:
    """Return a text as `open_text` decodes it."""
    with open_text(io.BytesIO(content), encoding) as text:
        return text.read()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
def test_encoding_is_detected(encoding: str) -> None:
    """UTF-8 with or without its mark, GBK and UTF-16 need no name."""
    assert decoded("姓名,手机\r\n甲,1\r\n".encode(encoding)) == "姓名,手机\r\n甲,1\r\n"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_encoding_utf_16_of_both_byte_orders_is_detected(encoding: str) -> None:
    """The byte order mark decides, whichever it is."""
    assert decoded("\ufeff姓名\t手机\n".encode(encoding)) == "姓名\t手机\n"


def test_encoding_of_a_csv_with_a_utf_16_mark_is_detected(tmp_path: Path) -> None:
    """Excel's "Unicode text" is UTF-16 with tabs."""
    path = tmp_path / "list.csv"
    path.write_bytes(f"姓名\t手机\n甲\t{A}\n".encode("utf-16"))
    assert planned(Csv(path)).texts == {TEXT: [A]}


def test_encoding_that_is_named_is_used(tmp_path: Path) -> None:
    """A named encoding needs no evidence in the text."""
    path = tmp_path / "list.csv"
    path.write_bytes(f"姓名,手机\n甲,{A}\n".encode("utf-16"))
    assert planned(Csv(path, encoding="utf-16")).texts == {TEXT: [A]}
    assert decoded("é".encode("latin-1"), "latin-1") == "é"


def test_encoding_of_standard_input_is_detected() -> None:
    """A binary stream that cannot be rewound is copied first."""
    content = f"姓名,手机\n甲,{A}\n".encode("gbk")
    assert planned(Csv(io.BytesIO(content))).texts == {TEXT: [A]}


def test_encoding_copy_of_a_stream_is_readable_by_its_owner_only() -> None:
    """The copy contains numbers."""
    with open_text(io.BytesIO(f"{A}\n".encode()), None) as text:
        assert stat.S_IMODE(os.fstat(text.fileno()).st_mode) == 0o600


def test_encoding_with_a_named_pipe_reads_it_once(tmp_path: Path) -> None:
    """The shell's ``<(...)`` is a path that cannot be rewound."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(path.write_text, f"phone\n{A}\n{B}\n")
        assert planned(Csv(path)).texts == {TEXT: [A, B]}
        assert written.result()


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
@pytest.mark.parametrize("named", [True, False])
def test_encoding_undecodable_line_skips_no_other(
    tmp_path: Path, encoding: str, named: bool
) -> None:
    """Only a line whose number or used column cannot be decoded is skipped."""
    lines = [f"姓名,手机,备注\n甲一二三,{A},好\n".encode(encoding)]
    lines += [b"\xff" + f",{B},好\n".encode(encoding)]
    lines += [f"丙一二三,{C},".encode(encoding) + b"\xff\n", b"x,139\xff0000,\n"]
    good = numbers(9)[3:]
    lines += [f"丁一二三,{number},\n".encode(encoding) for number in good]
    path = tmp_path / "list.csv"
    path.write_bytes(b"".join(lines))
    source = Csv(path, encoding=encoding if named else None)
    texts, skipped = planned(source, "您好{姓名}【签名】")
    assert texts == {
        "您好甲一二三【签名】": [A],
        "您好丙一二三【签名】": [C],
        "您好丁一二三【签名】": good,
    }
    assert [line.line for line in skipped] == [3, 5]
    assert "cannot decode" in skipped[0].reason


def test_encoding_one_gbk_line_leaves_a_utf_8_list_utf_8(tmp_path: Path) -> None:
    """GBK could decode every line, and nearly all of them wrongly."""
    lines = [f"{each},张三\n".encode() for each in numbers(20)]
    lines[7] = f"{numbers(20)[7]},李四\n".encode("gbk")
    path = tmp_path / "list.csv"
    path.write_bytes(b"phone,name\n" + b"".join(lines))
    texts, skipped = planned(Csv(path), "您好{name}【签名】")
    assert texts.keys() == {"您好张三【签名】"}
    assert [each.line for each in skipped] == [9]


def test_encoding_ascii_lines_are_no_evidence_for_utf_8() -> None:
    """Among many plain lines, a few GBK ones still make the list GBK."""
    content = b"13900000000,ann\n" * 50 + "13900000001,李四\n".encode("gbk") * 3
    assert decoded(content).endswith("13900000001,李四\n")


def test_encoding_half_of_the_lines_that_are_not_ascii_are_no_majority() -> None:
    """UTF-8 is kept where it decodes as many lines as it does not."""
    good, bad = "张三\n".encode(), "李四\n".encode("gbk")
    assert decoded(b"x\n" * 4 + good + bad).count("\ufffd") > 0
    assert "李四" in decoded(b"x\n" * 4 + good + bad * 2)


def test_encoding_is_utf_8_where_gbk_decodes_no_more_lines() -> None:
    """Lines that neither of them can decode are no evidence for GBK."""
    content = b"x\n" * 10 + "张三\n".encode() + b"\xff\n" * 2
    assert "张三\n" in decoded(content)


def test_encoding_mostly_undecodable_list_is_an_error() -> None:
    """Half of the lines or more that cannot be decoded: the encoding must be wrong."""
    with pytest.raises(ConfigurationError, match="neither UTF-8 nor GBK text: name its encoding"):
        decoded(b"\xff\xff\xff")
    assert decoded(b"x\nx\n\xff\n").endswith("\ufffd\n")
    with pytest.raises(ConfigurationError, match="neither UTF-8 nor GBK"):
        decoded(b"x\n\xff\n")


@pytest.mark.parametrize("content", [b"\xe5", b"x\n\xe5"])
def test_encoding_truncated_character_counts_as_undecodable(content: bytes) -> None:
    """A file that ends within a character is not valid, although no byte of it is wrong."""
    with pytest.raises(ConfigurationError, match="neither UTF-8 nor GBK"):
        decoded(content)
    with pytest.raises(ConfigurationError, match="not utf-8 text"):
        decoded(content, "utf-8")


def test_encoding_that_is_named_wrongly_is_an_error(tmp_path: Path) -> None:
    """No other encoding is tried in place of a named one."""
    path = tmp_path / "list.csv"
    path.write_bytes(f"姓名,手机\n甲,{A}\n".encode("gbk"))
    with pytest.raises(ConfigurationError, match="not utf-8 text: name its encoding, or leave it"):
        planned(Csv(path, encoding="utf-8"))


def test_encoding_that_does_not_exist_is_an_error() -> None:
    """An unknown name is named in the error."""
    with pytest.raises(ConfigurationError, match="There is no encoding 'x'"):
        decoded(b"", "x")


@pytest.mark.parametrize("encoding", ["idna", "rot13", "hex", "undefined"])
def test_encoding_that_is_no_text_encoding_is_an_error(encoding: str) -> None:
    """Python has codecs that do not decode bytes to text, or fail on purpose."""
    with pytest.raises(ConfigurationError, match=r"There is no encoding|name its encoding"):
        decoded(f"{A}\n".encode(), encoding)


def test_encoding_of_a_missing_file_is_an_error_with_its_path(tmp_path: Path) -> None:
    """The error names the file and the system's reason."""
    path = tmp_path / "missing"
    with pytest.raises(ConfigurationError, match=r"missing cannot be read \(No such file"):
        planned(Text(path))


def test_encoding_of_an_unreadable_stream_is_an_error() -> None:
    """A stream has no name to show."""

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(ConfigurationError, match=r"the input cannot be read \(Input/output error"):
        planned(Text(Broken()))
