"""Encodings of lists: detected, named, undecodable, and read from pipes."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.lists import TEXT, numbers, planned
from yunxin_soap import ConfigurationError
from yunxin_soap.campaign import Csv, Excel, Text
from yunxin_soap.encoding import open_text

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


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("line", [f"{A},甲\n", f"{A}\r\n", f"phone,备注\n{A},{'长' * 30}\n"])
def test_encoding_utf_16_without_a_mark_is_detected(encoding: str, line: str) -> None:
    """One byte of each digit, comma and line end is zero."""
    assert decoded(line.encode(encoding) * 40) == line * 40


@pytest.mark.parametrize("encoding", ["utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", [f"姓名,手机\n甲,{A}\n", f"{A}\n", "长" * 40 + "\n", f"😀,{A}\n"])
def test_encoding_utf_32_without_a_mark_is_detected(encoding: str, text: str) -> None:
    """Half of its bytes are zero, or more."""
    assert decoded(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["hz", "utf-7", "iso2022_jp", "iso2022_kr"])
def test_encoding_of_7_bits_is_no_ascii(encoding: str) -> None:
    """Its characters would be sent as signs of ASCII; the advice works."""
    names = "이름,전화\n김민준" if encoding == "iso2022_kr" else "姓名,手机\n陈伟,李娜"
    text = f"{names},{A}\n".replace("机", "机" if encoding != "iso2022_jp" else "番")
    text = text.replace("陈伟", "佐藤") if encoding == "iso2022_jp" else text
    content = text.encode(encoding)
    assert content.isascii()
    with pytest.raises(
        ConfigurationError, match=f"If it is that, say so with encoding='{encoding}'"
    ):
        decoded(content)
    assert decoded(content, encoding) == text


@pytest.mark.parametrize(
    "text",
    [f"+86{A},C+Programming+More\n", f"a~{{b,{A}\n", f"<phone>\n{A}\n", f"{{name}},{A}\n", "~{}\n"],
)
def test_encoding_ascii_with_signs_is_ascii(text: str) -> None:
    """Country codes, braces and tildes switch to nothing."""
    assert decoded(text.encode()) == text


def test_encoding_utf_32_with_a_mark_is_detected() -> None:
    """Its mark starts with the one of UTF-16."""
    assert decoded(f"{A},甲\n".encode("utf-32")) == f"{A},甲\n"


OTHERS = {
    "big5": ("姓名,手機", "陳大文 林志豪 黃美惠 張家豪 王小明 李淑芬 謝雅婷 吳宗憲 蔡宜君 周杰倫"),
    "shift_jis": ("氏名,電話番号", "佐藤花子 鈴木一郎 たかし ｽｽﾞｷ･ﾊﾅｺ 山本さくら 高橋健太 中村大輔"),
    "euc_jp": (
        "氏名,電話番号",
        "佐藤花子 鈴木一郎 渡辺直樹 山本さくら 高橋健太 中村大輔 斎藤誠 小林恵",
    ),
    "euc_kr": ("이름,전화번호", "김민준 이서연 박지훈 최수진 정하은 강영희 조현우 윤서준 장미란"),
    "cp1252": ("prénom,téléphone", "Müller José Renée Gómez Zoë Straße Señor François Jürgen Åsa"),
    "mac_roman": ("prénom,téléphone", "Müller José Renée Gómez Zoë Straße Señor François Jürgen"),
    "cp1250": ("imię,telefon", "Wójcik Żółć Dvořák Růžička Šimůnek Kovács Szőke Świątek Gałązka"),
    "cp1254": ("adı,soyadı", "Yılmaz Çelik Öztürk Gökçe Doğan Işık Ümit Ayşe Güneş Şimşek"),
    "cp1251": ("Имя,Телефон", "Иванов Сидорова Кузнецов Мария Дмитрий Волкова ИВАН Сергей Юлия"),
    "koi8-r": ("Имя,Телефон", "Иванов Сидорова Кузнецов Мария Дмитрий Волкова ИВАН Сергей Юлия"),
    "iso8859-5": ("Имя,Телефон", "Иванов Сидорова Кузнецов Мария Дмитрий Волкова Сергей Юлия"),
    "cp866": ("Имя,Телефон", "Иванов Сидорова Кузнецов Мария Дмитрий Волкова ИВАН Сергей Юлия"),
    "cp1253": ("Όνομα,Τηλέφωνο", "Γιώργος Μαρία Δημήτρης Ελένη Κωνσταντίνος Νίκος Σοφία"),
    "cp1255": ("שם,טלפון", "משה דוד שרה רחל יוסף אברהם כהן לוי מרים יעקב"),
    "cp1256": ("الاسم,هاتف", "محمد أحمد فاطمة علي حسن عائشة خالد إبراهيم مريم يوسف"),
    "cp874": ("ชื่อ,โทรศัพท์", "สมชาย สมหญิง ประยุทธ์ กิตติพงษ์ นภา อนุชา วรรณา ธนกร ปิยะ สุดา"),
}
"""Headings and usual names of people who use an encoding other than UTF-8 and GBK."""


def list_of(names: list[str], heading: str = "") -> str:
    """Return a list with a heading and names."""
    rows = [f"{name},{number}" for name, number in zip(names, numbers(len(names)), strict=True)]
    return "".join(f"{line}\n" for line in [heading, *rows] if line)


@pytest.mark.parametrize("encoding", OTHERS)
@pytest.mark.parametrize("rows", [3, 5, 50])
@pytest.mark.parametrize("with_heading", [True, False])
def test_encoding_that_only_looks_like_gbk_is_refused_by_its_name(
    encoding: str, rows: int, with_heading: bool
) -> None:
    """Nearly all of their bytes are valid GBK, with other characters: names must not be changed."""
    heading, names = OTHERS[encoding]
    listed = [names.split()[at % len(names.split())] for at in range(rows)]
    text = list_of(listed, heading * with_heading)
    content = text.encode(encoding)
    with pytest.raises(
        ConfigurationError, match=r" fits it best\. If it is that, say so"
    ) as caught:
        decoded(content)
    assert encoding in str(caught.value)
    assert decoded(content, encoding) == text


@given(st.data(), st.sampled_from(list(OTHERS)), st.booleans())
def test_encoding_of_any_names_of_another_language_is_never_taken_for_gbk(
    data: st.DataObject, encoding: str, with_heading: bool
) -> None:
    """Be it only one name."""
    heading, names = OTHERS[encoding]
    listed = data.draw(st.lists(st.sampled_from(names.split()), min_size=1, max_size=20))
    text = list_of(listed, heading * with_heading)
    try:
        assert decoded(text.encode(encoding)) == text
    except ConfigurationError as error:
        assert "encoding" in str(error)


def test_encoding_that_may_be_gbk_or_another_is_asked_for() -> None:
    """A name or two may be in both; the error has the candidates, and each of them is taken."""
    content = list_of(["許瑋甯"]).encode("gbk")
    with pytest.raises(ConfigurationError, match="could be gb18030 or shift_jis: name its encodi"):
        decoded(content)
    assert decoded(content, "gb18030") == list_of(["許瑋甯"])


_TRADITIONAL_NAMES = "陳大文 林志豪 黃美惠 張家豪 謝雅婷 郭台銘 曾國城 許瑋甯 蕭敬騰 鄧麗君 劉德華"


@given(st.lists(st.sampled_from(_TRADITIONAL_NAMES.split()), min_size=3, max_size=30))
def test_encoding_gbk_with_traditional_characters_is_gbk(names: list[str]) -> None:
    """GBK has them, and lists with customers from Hong Kong and Taiwan, too."""
    text = list_of(names, "姓名,手机号")
    assert decoded(text.encode("gbk")) == text


@pytest.mark.parametrize(
    "value",
    [
        *(
            "阿依古丽·买买提",
            "麻辣烫一份",
            "鱿鱼须、榴莲酥",
            "濮阳市鄱阳街12号",
            "￥199.00（含税）",
        ),
        *("Ⅱ期①栋", "套餐A★", "亓官缑翟", "「臺北」", "壹仟贰佰叁拾元整", "您好，您的快递已到"),
    ],
)
def test_encoding_gbk_with_unusual_words_is_gbk(value: str) -> None:
    """Its headings and the other rows are usual."""
    text = list_of(["张三", value, "李娜"], "姓名,手机号")
    assert decoded(text.encode("gbk")) == text


_GOODS = re.findall(
    r"\w+",
    "雀巢速溶咖啡 海飞丝去屑洗发水 榨汁机 猕猴桃 螺丝刀 窗帘 枕套 褥子 饺子 豌豆 菠菜 茄子 牡蛎"
    " 鳕鱼 扇贝 火花塞 轮胎 钳子 打底裤 羽绒服",
)
_PLATES = re.findall(
    r"[\w·]+",
    "京A12345 沪B 川A·D1234 鄂A123学 豫Q 晋C 冀F 皖A 闽D 桂C 琼A 黔B 滇A 藏A 陇C",
)


@pytest.mark.parametrize("words", [_GOODS, _PLATES], ids=["goods", "plates"])
@pytest.mark.parametrize("heading", ["", "name,phone"])
@pytest.mark.parametrize("rows", [10, 50])
def test_encoding_gbk_with_other_words_than_names_is_gbk(
    words: list[str], heading: str, rows: int
) -> None:
    """Names have other characters than goods, addresses and the plates of cars."""
    for seed in range(10):
        text = list_of(Random(seed).choices(words, k=rows), heading)
        assert decoded(text.encode("gbk")) == text


_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗欧上官邬鄢亓仝郗逄"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰涛明超秀霞平刚桂英华文建国梓涵浩宇欣怡"
_RARE = "喆堃祎玥頔赟犇翀昇珺婳彧翊烜澍燚骁崟媖㛃䶮龘嬲曌"
_NAMES = st.text(
    st.sampled_from(_SURNAMES + _GIVEN) | st.sampled_from(_RARE), min_size=2, max_size=3
)


def listed_names(names: list[str]) -> str:
    """Return a list with the given names."""
    return "".join(f"{a},{b}\r\n" for a, b in zip(names, numbers(len(names)), strict=True))


@given(st.lists(_NAMES, min_size=1, max_size=60), st.sampled_from(["gbk", "gb18030", "utf-8"]))
def test_encoding_of_any_names_is_right_or_refused(names: list[str], encoding: str) -> None:
    """Some words in GBK are valid in another encoding: they are never changed."""
    content = listed_names(names)
    assume(encoding != "gbk" or content.encode("gbk", "ignore").decode("gbk") == content)
    try:
        assert decoded(content.encode(encoding)) == content
    except ConfigurationError as error:
        assert "name its encoding" in str(error) or "fits it best" in str(error)


@pytest.mark.parametrize("rows", [1, 2, 5, 50])
@pytest.mark.parametrize("seed", range(20))
def test_encoding_gbk_with_some_rare_names_is_gbk(rows: int, seed: int) -> None:
    """Names have rare characters, also such as GB2312 does not have."""
    random = Random(seed)
    names = [
        random.choice(_SURNAMES) + random.choice(random.choice([_GIVEN, _GIVEN, _RARE]))
        for _ in range(rows)
    ]
    content = "姓名,手机号\r\n" + listed_names(names)
    assert decoded(content.encode("gb18030")) == content


@pytest.mark.parametrize("text", ["联通", "鄢伟", "联通,联通", "乐", "翊芳"])
@pytest.mark.parametrize("heading", ["", "手机,姓名\n"])
def test_encoding_gbk_that_is_valid_utf_8_is_never_changed(text: str, heading: str) -> None:
    """The bytes of some words are valid in both: it is read as GBK, or the caller is asked."""
    content = heading + f"{A},{text}\n{B},x\n{C},y\n"
    try:
        assert decoded(content.encode("gbk")) == content
    except ConfigurationError as error:
        assert "name its encoding" in str(error)


@pytest.mark.parametrize(
    "text",
    ["Müller", "José", "é", f"{A}\u00a0", "Straße 5°", "Иванов", "Ελλάδα", "Björk Guðmundsdóttir"],
)
def test_encoding_utf_8_without_chinese_is_utf_8(text: str) -> None:
    """Its characters of two bytes are no evidence for GBK."""
    assert decoded(f"{A},{text}\n{B},x\n".encode()) == f"{A},{text}\n{B},x\n"
    with_bad_line = f"{A},{text}\n".encode() * 3 + b"x\xff\n" + b"x\n" * 3
    assert decoded(with_bad_line).startswith(f"{A},{text}\n")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "张三",
            "李明，金刚",
            "A座李明Tom",
            "，。！【】",
            "安德 白冰",
            "喆堃",
            "陳大文 張國強 黃志偉",
        ),
        *("姓名\t手机", "Tom张", "您好，您的快递已到，请凭取件码８８８８领取。"),
    ],
)
def test_encoding_short_gbk_text_is_gbk(text: str) -> None:
    """A few characters are no evidence against GBK, which nearly all such lists are in."""
    assert decoded(f"{A},{text}\n".encode("gb18030")) == f"{A},{text}\n"


@pytest.mark.parametrize("source", [Csv, Text])
@pytest.mark.parametrize(
    ("content", "encoding", "shown"),
    [
        (f"手机,x\n{A},甲\n".encode("gbk"), "GBK (GB18030)", "line 1 is '手机,x'"),
        (f"phone,x\n{A},甲\n".encode(), "UTF-8", f"line 2 is '{A},甲'"),
        (f"\n{A}\n".encode(), "UTF-8", f"line 2 is '{A}'"),
        (f"{A},甲\n".encode("utf-16-be"), "utf-16-be", f"line 1 is '{A},甲'"),
        (f"{A},{'甲' * 90}\n".encode(), "UTF-8", f"line 1 is '{A},{'甲' * 48}…'"),
    ],
)
def test_encoding_is_noted_with_a_line(
    source: type[Csv | Text], content: bytes, encoding: str, shown: str
) -> None:
    """A person sees at once whether the characters are right."""
    read = source(io.BytesIO(content))
    list(read.batches())
    assert read.notes[0] == f"The list was read as {encoding}; {shown}."


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"PK\x03\x04" + b"\n" * 99, "is an Excel workbook: read it as one"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\n" * 99, "save it as .xlsx"),
        (b"%PDF-1.4\n\x80\n", "is a PDF file: ask for the list"),
        (b"\x89PNG\r\n\x1a\n\0\0", "is a picture"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "is a picture"),
        (gzip.compress(b"phone\n", mtime=0), "is packed: unpack it"),
        (bz2.compress(b"phone\n"), "is packed: unpack it"),
        (b"{\\rtf1\\ansi 1}", "is a text document"),
        (b'<?xml version="1.0"?>\n<Workbook/>', "is an XML file, .*: open it in Excel"),
        (b"<html>\n<table>", "is an HTML page, .*: open it in Excel and save it as .xlsx"),
        (b"\xef\xbb\xbf\r\n <TABLE border=1>\n", "is an HTML page"),
        ("<!DOCTYPE html>\n<td>张三".encode("gbk"), "is an HTML page"),
        (f'[{{"phone": "{A}"}}]'.encode(), "is JSON: read it in Python"),
        (f'{{"phone": "{A}"}}\n'.encode(), "is JSON: read it in Python"),
    ],
)
def test_encoding_workbook_is_no_text(content: bytes, error: str) -> None:
    """A workbook that is read as text says what it is."""
    with pytest.raises(ConfigurationError, match=error):
        decoded(content)


class Endless(io.RawIOBase):
    """A stream that repeats some bytes without an end, and counts what was read."""

    def __init__(self, content: bytes) -> None:
        self.count = 0
        self._content = content

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = len(buffer)
        buffer[:] = (self._content * (size // len(self._content) + 1))[:size]
        self.count += size
        return size


@pytest.mark.parametrize("content", [b"\0", b"1", b"13900000000,", "张".encode("gbk"), b'"'])
@pytest.mark.parametrize("source", [Csv, Text])
def test_encoding_line_without_an_end_is_refused_early(
    source: type[Csv | Text], content: bytes
) -> None:
    """A stream of zeros or without line ends costs a few megabytes, and neither memory nor disk."""
    stream = Endless(content)
    with pytest.raises(ConfigurationError, match="has a line of more than 262144 characters"):
        list(source(io.BufferedReader(stream)).batches())
    assert stream.count < 4 << 20


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/urandom", "/dev/full"])
def test_encoding_device_without_an_end_is_refused(path: str) -> None:
    """By its name or as standard input, whether or not its bytes look like lines."""
    with pytest.raises(ConfigurationError, match="is a device, which may have no end"):
        decoded_path(path)
    with (
        Path(path).open("rb") as file,
        pytest.raises(ConfigurationError, match="is a device, which may have no end"),
    ):
        open_text(file, None)


def test_encoding_stream_that_is_no_workbook_is_not_copied_to_its_end() -> None:
    """Its start says so."""
    stream = Endless(b"13900000001\n")
    with pytest.raises(ConfigurationError, match="is no Excel workbook"):
        list(Excel(io.BufferedReader(stream)).batches())
    assert stream.count < 4 << 20


@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "utf-16"])
@pytest.mark.parametrize("head", ["", "姓名,手机\n甲,13900000000\n"])
def test_encoding_file_without_line_ends_is_refused(
    tmp_path: Path, encoding: str, head: str
) -> None:
    """In any encoding, from the start or behind some lines."""
    path = tmp_path / "list.csv"
    path.write_bytes((head + "甲,13900000000," * 150_000).encode(encoding))
    with pytest.raises(ConfigurationError, match="has a line of more than 262144 characters"):
        decoded_path(path)


def decoded_path(path: str | Path) -> str:
    """Return the text of a file as `open_text` decodes it."""
    with open_text(path, None) as text:
        return text.read()


def test_encoding_stream_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that never ends must not fill the disk."""
    monkeypatch.setattr("yunxin_soap.encoding._MAX_BYTES", 8 << 20)
    stream = Endless(b"13900000000\n")
    with pytest.raises(ConfigurationError, match="has more than 0 GiB: split it"):
        list(Text(io.BufferedReader(stream)).batches())
    assert stream.count <= 10 << 20


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
    with pytest.raises(ConfigurationError, match="name its encoding"):
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
    with pytest.raises(
        ConfigurationError, match="not utf-8 text: name its encoding with encoding=, or"
    ):
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
