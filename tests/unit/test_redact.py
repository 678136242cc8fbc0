"""Masking secrets and numbers in text that comes from elsewhere."""

from __future__ import annotations

import html
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yunxin_soap.redact import Redactor, summarise_numbers, truncate_printable

SECRETS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=3)


@given(SECRETS)
def test_a_secret_is_masked_in_every_usual_spelling(secret: str) -> None:
    redact = Redactor(secret)
    for spelt in (
        secret,
        quote(secret, safe=""),
        re.sub("%..", lambda octet: octet[0].lower(), quote_plus(secret)),
        html.escape(secret),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        "".join(f"&#{ord(char)};" for char in secret),
        "".join(f"&#x{ord(char):X};" for char in secret),
        quote(quote(secret, safe=""), safe=""),
    ):
        assert redact(f"<{spelt}>") == "<***>"


@given(st.text())
def test_what_holds_no_secret_stays(text: str) -> None:
    secret = "\ue000\ue001\ue002"
    if secret not in text and not any(char.isdigit() for char in text):
        assert Redactor(secret)(text) == text


def test_several_secrets_the_longer_first() -> None:
    redact = Redactor("abc")
    redact.add_secret("abcdef")
    assert redact("abcdef abc abcd") == "*** *** ***d"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("13900000000", "139****0000"),
        ("8613900000000,+8613900000001", "86139****0000,+86139****0001"),
        ("008613900000000", "0086139****0000"),
        ("2114355899380234221", "2114355899380234221"),
        ("12345456765", "12345456765"),
    ],
)
def test_mobile_numbers_lose_their_middle(text: str, masked: str) -> None:
    assert Redactor("secret")(text) == masked


def test_a_list_of_numbers_is_one_and_a_count() -> None:
    assert summarise_numbers("13900000000") == "139****0000"
    assert summarise_numbers("13900000000,13900000001") == "139****0000 (2 numbers)"
    assert summarise_numbers("12345") == "****"


def test_masking_takes_no_longer_than_the_text_is_long() -> None:
    # Were it quadratic, this would run into the time limit of a test.
    text = "\\" * 1_000_000
    assert Redactor("s3cr3t")(text) == text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "gbk"])
def test_nothing_is_quoted_of_an_answer_in_another_encoding(encoding: str) -> None:
    content = "密码 s3cr3t 13900000000".encode(encoding)
    excerpt = Redactor("密s3cr3t").excerpt(content)
    assert excerpt == f"<{len(content)} bytes that are not UTF-8 text>"


def test_half_a_secret_at_the_end_of_what_is_looked_at_is_not_shown() -> None:
    secret = "0123456789" * 3
    for start in range(16384 - 40, 16384):
        content = b" " * start + secret.encode() + b" " * 100
        assert "0123" not in Redactor(secret).excerpt(content, limit=20000)


def test_a_cut_through_a_character_is_no_other_encoding() -> None:
    content = b"x" + "您".encode() * 6000
    assert Redactor("s3cr3t").excerpt(content).startswith("x您您")


def test_what_a_server_says_cannot_drive_a_terminal() -> None:
    assert truncate_printable("a\x1b[2J\x07\u202eb") == "a\ufffd[2J\ufffd\ufffdb"
    assert truncate_printable("x" * 400) == "x" * 300 + "…"


@pytest.mark.parametrize("char", ["0", "密", "😀", "'", '"', "\\", " ", "&", "é", "\x01"])
def test_a_secret_that_is_nearly_there_costs_no_more(char: str) -> None:
    # With two ways to match one spelling, this would run into the time limit of a test.
    redact = Redactor(char * 40 + "!")
    for spelt in (char, json.dumps(char)[1:-1], repr(char)[1:-1], quote(char), html.escape(char)):
        text = f"{spelt * 39}?"
        assert redact(text) == text
