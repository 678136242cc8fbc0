"""Masking of secrets and numbers in texts from elsewhere."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from urllib.parse import quote as percent_encode
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yunxin_soap.redact import Redactor, quote, summarise_numbers, truncate_printable

SECRETS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=3)

EXCERPT_BYTES = 16384
"""How many bytes of a response `Redactor.excerpt` reads."""


@given(SECRETS)
def test_redactor_secret_is_masked_in_every_usual_spelling(secret: str) -> None:
    """A secret is masked plain and as URLs, HTML, XML, JSON and ``repr`` encode it."""
    redact = Redactor(secret)
    for spelt in (
        secret,
        percent_encode(secret, safe=""),
        re.sub("%..", lambda octet: octet[0].lower(), quote_plus(secret)),
        html.escape(secret),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
        "".join(f"&#{ord(char)};" for char in secret),
        "".join(f"&#x{ord(char):X};" for char in secret),
        percent_encode(percent_encode(secret, safe=""), safe=""),
    ):
        assert redact(f"<{spelt}>") == "<***>"


@pytest.mark.parametrize(
    "spelt",
    [
        "it's",
        "it&apos;s",
        "it&#39;s",
        "it&#x27;s",
        "it&amp;apos;s",
        r"it\'s",
        r"it\\'s",
        r"it\u0027s",
        r"it\\u0027s",
        "it%27s",
        "it%2527s",
        "it%252527s",
    ],
)
def test_redactor_apostrophe_is_masked_in_its_xml_and_script_spellings(spelt: str) -> None:
    """An apostrophe in a secret is found as XML, JavaScript, JSON and URLs encode it."""
    assert Redactor("it's")(f"<{spelt}>") == "<***>"


def test_redactor_empty_secret_masks_nothing() -> None:
    """The empty string is not a secret, neither as the first one nor as a later one."""
    redact = Redactor("")
    redact.add_secret("")
    assert redact("abc") == "abc"
    redact.add_secret("b")
    assert redact("abc") == "a***c"


@given(st.text())
def test_redactor_text_without_the_secret_is_unchanged(text: str) -> None:
    """A text without secrets and numbers is returned as it is."""
    secret = "\ue000\ue001\ue002"
    if secret not in text and not any(char.isdigit() for char in text):
        assert Redactor(secret)(text) == text


def test_redactor_longest_secret_is_masked_first() -> None:
    """If one secret is part of another, the longer one is masked whole."""
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
def test_redactor_mobile_number_loses_its_middle(text: str, masked: str) -> None:
    """Four digits of a mobile number are masked; batch numbers are unchanged."""
    assert Redactor("secret")(text) == masked


def test_redactor_redact_secrets_keeps_numbers() -> None:
    """``redact_secrets`` masks secrets alone."""
    assert Redactor("secret").redact_secrets("secret 13900000000") == "*** 13900000000"


def test_summarise_numbers_shows_one_masked_number_and_the_count() -> None:
    """A list of numbers is shown as its first, masked, and their count."""
    assert summarise_numbers("13900000000") == "139****0000"
    assert summarise_numbers("13900000000,13900000001") == "139****0000 (2 numbers)"
    assert summarise_numbers("12345") == "****"


def test_redactor_run_of_backslashes_takes_linear_time() -> None:
    """A text of a million backslashes ends within the time limit of a test."""
    text = "\\" * 1_000_000
    assert Redactor("s3cr3t")(text) == text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "gbk"])
def test_redactor_excerpt_of_another_encoding_quotes_nothing(encoding: str) -> None:
    """In another encoding no pattern would match, so nothing is quoted."""
    content = "密码 s3cr3t 13900000000".encode(encoding)
    excerpt = Redactor("密s3cr3t").excerpt(content)
    assert excerpt == f"<{len(content)} bytes that are not UTF-8 text>"


def _percent(times: int) -> Callable[[str], str]:
    def spell(char: str) -> str:
        return "".join("%" + "25" * (times - 1) + f"{octet:02X}" for octet in char.encode())

    return spell


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": _percent(1),
    "percent, twice": _percent(2),
    "percent, three times": _percent(3),
    "decimal reference": lambda char: f"&amp;amp;#000000{ord(char)};",
    "hexadecimal reference": lambda char: f"&amp;amp;#x000000{ord(char):x};",
    "JSON": lambda char: json.dumps(char)[1:-1],
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("char", ["0", "密", "😀"])
def test_redactor_excerpt_cut_secret_is_not_shown(char: str, spelling: str) -> None:
    """The start of a secret that the excerpt's limit cuts is not shown, in any spelling."""
    secret = char * 12
    spelt = SPELLINGS[spelling](char) * 12
    marker = SPELLINGS[spelling](char)
    for start in range(EXCERPT_BYTES - len(spelt.encode()) - 2, EXCERPT_BYTES, 5):
        content = b"." * 40 + b" " * (start - 40) + spelt.encode() + b" " * 100
        excerpt = Redactor(secret).excerpt(content, limit=20000)
        assert excerpt.startswith("." * 40)
        assert marker not in excerpt


def test_redactor_excerpt_of_a_secret_longer_than_the_limit_is_empty() -> None:
    """A secret whose spelling may be longer than what is read leaves nothing to show."""
    content = b"start" + b"x" * 2 * EXCERPT_BYTES
    assert Redactor("密" * 1000).excerpt(content) == ""


def test_redactor_excerpt_cut_inside_a_character_is_utf_8() -> None:
    """A limit inside a character does not make the response another encoding."""
    content = b"x" + "您".encode() * 6000
    assert Redactor("s3cr3t").excerpt(content).startswith("x您您")


def test_truncate_printable_cannot_control_a_terminal() -> None:
    """Control characters become U+FFFD, and a long text is truncated."""
    assert truncate_printable("a\x1b[2J\x07\u202eb") == "a\ufffd[2J\ufffd\ufffdb"
    assert truncate_printable("x" * 300) == "x" * 300
    assert truncate_printable("x" * 400) == "x" * 300 + "…"


def test_quote_truncates() -> None:
    """A quoted text has at most 40 characters and an ellipsis."""
    assert quote("x" * 40) == repr("x" * 40)
    assert quote("x" * 41) == repr("x" * 40 + "…")
    assert quote("a\n") == r"'a\n'"


@pytest.mark.parametrize("char", ["0", "密", "😀", "'", '"', "\\", " ", "&", "é", "\x01"])
def test_redactor_text_that_nearly_matches_takes_linear_time(char: str) -> None:
    """If one spelling matched in two ways, this would exceed the time limit of a test."""
    redact = Redactor(char * 40 + "!")
    for spelt in (
        char,
        json.dumps(char)[1:-1],
        repr(char)[1:-1],
        percent_encode(char),
        html.escape(char),
    ):
        text = f"{spelt * 39}?"
        assert redact(text) == text
