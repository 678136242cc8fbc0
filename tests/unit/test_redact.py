"""Masking of secrets and numbers in texts from elsewhere."""

from __future__ import annotations

import base64
import html
import json
import re
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from urllib.parse import quote as percent_encode
from urllib.parse import quote_plus, unquote

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yunxin_soap.redact import Redactor, clear_frames, quote, summarise_numbers, truncate_printable

SECRETS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=4, max_size=20)

MAX_TEXT = 16384
"""How many characters of a text `Redactor` reads."""


LAYERS: dict[str, Callable[[str], str]] = {
    "URL": lambda text: percent_encode(text, safe=""),
    "form, small letters": lambda text: re.sub(
        "%..", lambda octet: octet[0].lower(), quote_plus(text)
    ),
    "every octet": lambda text: "".join(f"%{octet:02X}" for octet in text.encode()),
    "HTML": html.escape,
    "decimal references": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "hexadecimal references": lambda text: "".join(f"&#x{ord(char):X};" for char in text),
    "references outside ASCII": lambda text: (
        html.escape(text).encode("ascii", "xmlcharrefreplace").decode()
    ),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, not ASCII": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "repr": lambda text: repr(text)[1:-1],
    "repr of octets": lambda text: repr(text.encode())[2:-1],
    "GBK in a URL": lambda text: percent_encode(text.encode("gb18030"), safe=""),
    "GBK in base64": lambda text: base64.b64encode(text.encode("gb18030")).decode(),
    "UTF-16 in base64": lambda text: base64.b64encode(text.encode("utf-16")).decode(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
}
"""The encodings that `Redactor` documents."""
OUTER_LAYERS = [name for name in LAYERS if "UTF-16" not in name]
"""Those that may be around another one."""


@pytest.mark.parametrize("outer", [None, *OUTER_LAYERS])
@pytest.mark.parametrize("inner", [None, *LAYERS])
@given(secret=SECRETS, before=st.text(max_size=3), after=st.text(max_size=3))
@hypothesis.settings(max_examples=25)
def test_redactor_secret_is_masked_in_every_documented_encoding(
    inner: str | None, outer: str | None, secret: str, before: str, after: str
) -> None:
    """A secret is masked alone or inside other text, plain, in one encoding and in two."""
    text = f"{before}{secret}{after}"
    for name in (inner, outer):
        text = LAYERS[name](text) if name else text
    redacted = Redactor(secret)(f"<{text}>")
    assert "***" in redacted
    assert secret not in undo_all(redacted)


@given(secret=SECRETS)
def test_redactor_secret_alone_leaves_nothing_beside_the_mask(secret: str) -> None:
    """Where only the secret was encoded, the whole encoding is masked, and nothing else."""
    redact = Redactor(secret)
    for name, encode in LAYERS.items():
        assert redact(f"<{encode(secret)}>") == "<***>", name


def undo_all(text: str) -> str:
    """Undo what a reader would try."""
    return html.unescape(html.unescape(unquote(unquote(text))))


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
    assert redact("abcdef") == "abcdef"
    redact.add_secret("bcde")
    assert redact("abcdef") == "a***f"


@given(st.text())
def test_redactor_text_without_the_secret_is_unchanged(text: str) -> None:
    """A text without secrets and numbers is returned as it is."""
    secret = "\ue000\ue001\ue002"
    if secret not in text and not any(char.isdigit() for char in text):
        assert Redactor(secret)(text) == text


def test_redactor_longest_secret_is_masked_first() -> None:
    """If one secret is part of another, the longer one is masked whole."""
    redact = Redactor("abcd")
    redact.add_secret("abcdef")
    assert redact("abcdef abcd abcde") == "*** *** ***e"


def test_redactor_overlapping_secrets_are_masked_together() -> None:
    """What is left of one secret must not show when another one overlaps it, or it itself does."""
    redact = Redactor("abcdef")
    redact.add_secret("defghi")
    assert redact("<abcdefghi>") == "<***>"
    assert Redactor("abab")("<ababab>") == "<***>"


@pytest.mark.parametrize("secret", ["5", "00", "密码"])
def test_redactor_short_secret_is_masked_only_as_a_word_of_its_own(secret: str) -> None:
    """If every 5 of a text were masked, it could not be read, and everyone could guess the 5."""
    redact = Redactor(secret)
    text = "HTTP status 500: 用户名密码错误, 15 s"
    assert redact(text) == text
    for spelt in (secret, percent_encode(secret), "".join(f"&#{ord(char)};" for char in secret)):
        assert redact(f"userPass={spelt}&x <a>{spelt}</a>") == "userPass=***&x <a>***</a>"
    form = percent_encode(f"userPass={secret}&x", safe="")
    assert redact(form) == "userPass%3D***%26x"


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
    assert Redactor("s3cr3t").redact_secrets(text) == text


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
    for start in range(MAX_TEXT - len(spelt) - 2, MAX_TEXT, 5):
        content = b"." * 40 + b" " * (start - 40) + spelt.encode() + b" " * 100
        excerpt = Redactor(secret).excerpt(content, limit=20000)
        assert excerpt.startswith("." * 40)
        assert marker not in excerpt


def test_redactor_excerpt_of_a_secret_longer_than_the_limit_is_empty() -> None:
    """A secret whose spelling may be longer than what is read leaves nothing to show."""
    content = b"start" + b"x" * 2 * MAX_TEXT
    assert Redactor("密" * 1000).excerpt(content) == "…"


def test_redactor_excerpt_cut_inside_a_character_is_utf_8() -> None:
    """A limit inside a character does not make the response another encoding."""
    content = b"x" + "您".encode() * 30_000
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


@pytest.mark.parametrize(
    "part",
    [
        "%2525",
        "&amp;amp;",
        "\\\\",
        r"\\u005cu005c",
        "%26amp%3B",
        "&#37;26amp;",
        "QUJDRA",
        "s3cr3t%26%E5",
        "s3cr3t&",
        "s3cr3t&密码",
        "%E5%AF%86",
        "x ",
    ],
)
def test_redactor_takes_a_number_of_steps_in_proportion_to_the_text(part: str) -> None:
    """Twice the text takes at most twice the steps, whatever a server sends."""
    redact = Redactor("s3cr3t&密码")
    once = count_calls(lambda: redact(part * 500))
    assert count_calls(lambda: redact(part * 1000)) <= 2 * once


def count_calls(run: Callable[[], object]) -> int:
    """Return how many functions are called, those written in C included."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("char", ["0", "密", "😀", "'", '"', "\\", " ", "&", "é", "\x01"])
def test_redactor_text_that_nearly_matches_is_unchanged(char: str) -> None:
    """A text that lacks the end of a secret is returned as it is."""
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


# --- clear_frames


def keep(password: str) -> None:
    """Fail in a frame that has a local variable."""
    raise ValueError(f"a text of {len(password)} characters")


def locals_of(error: BaseException) -> list[str]:
    """Return the values in the frames of an error."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return [repr(value) for frame in frames for value in frame.f_locals.values()]


def test_clear_frames_clears_the_chain_and_the_group() -> None:
    """An error's own frames, its cause's, its context's and its group's have no variables left."""

    def fail(**chain: BaseException) -> ValueError:
        try:
            keep("s3cr3t")
        except ValueError as raised:
            for name, value in chain.items():
                setattr(raised, name, value)
            return raised
        raise AssertionError

    errors = [fail() for _ in range(3)]
    last = fail(__cause__=errors[0], __context__=errors[1])
    last.exceptions = [errors[2], "no error"]  # type: ignore[attr-defined]
    assert all("'s3cr3t'" in locals_of(each) for each in (last, *errors))
    try:
        raise last
    except ValueError as error:
        clear_frames(error)
    assert not any("'s3cr3t'" in locals_of(each) for each in (last, *errors))


def test_clear_frames_keeps_running_frames_and_an_error_that_the_caller_handles() -> None:
    """A caller that sends in its own ``except`` block keeps the variables of its own error."""

    def call() -> None:
        local = "of the call"
        try:
            keep(local)
        except ValueError as error:
            clear_frames(error)
            raise

    try:
        keep("of the caller")
    except ValueError as handled:
        with pytest.raises(ValueError, match="characters") as caught:
            call()
        assert caught.value.__context__ is handled
        assert "'of the caller'" in locals_of(handled)
    assert "'of the call'" in locals_of(caught.value)  # `call` was running


def test_clear_frames_takes_a_chain_that_is_a_circle() -> None:
    """An error whose chain leads back to itself is cleared once."""
    first, second = ValueError(), KeyError()
    first.__cause__, second.__context__ = second, first
    clear_frames(first)


def linked(**chain: BaseException) -> ValueError:
    """Return an error with a cause or a context."""
    error = ValueError("It broke.")
    for name, value in chain.items():
        setattr(error, name, value)
    return error


class BadRepr(Exception):
    """An error that cannot be printed."""

    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("name", ["__cause__", "__context__"])
@pytest.mark.parametrize(
    "shows",
    [
        lambda: OSError("GET /?userPass=s3cr3t%26"),
        lambda: UnicodeDecodeError("ascii", b"s3cr3t&", 0, 1, "x"),
        BadRepr,
        lambda: OSError("x" * 20000),
    ],
    ids=["text", "octets", "no text", "long text"],
)
def test_redactor_redact_chain_cuts_off_an_error_that_shows_a_secret(
    name: str, shows: Callable[[], Exception]
) -> None:
    """An error that quotes a secret is no longer reachable, directly or through another error."""
    error = linked(**{name: linked(**{name: shows()})})
    Redactor("s3cr3t&").redact_chain(error, RuntimeError)
    assert getattr(error, name) is not None
    assert getattr(getattr(error, name), name) is None


def test_redactor_keeps_the_first_secrets_and_the_latest() -> None:
    """The count of secrets is bounded; those of the client itself are never dropped."""
    redact = Redactor("own-password")
    accounts = [f"password-{number:05d}" for number in range(3000)]
    for account in accounts:
        redact.add_secret(account)
    shown = redact(" ".join(["own-password", accounts[500], *accounts[-990:]]))
    assert shown.split(" ") == ["***", accounts[500], *["***"] * 990]


def test_redactor_redact_chain_keeps_an_error_without_a_secret() -> None:
    """The cause that says what happened stays, and so does an attribute of it that says nothing."""
    cause = ConnectionRefusedError(111, "refused")
    error = linked(__cause__=cause, __context__=cause)
    Redactor("s3cr3t&").redact_chain(error, RuntimeError)
    assert error.__cause__ is error.__context__ is cause


def test_redactor_redact_chain_reads_attributes() -> None:
    """An attribute that shows a secret is enough."""
    cause = ValueError("It broke.")
    cause.url = "http://u:s3cr3t&@h"  # type: ignore[attr-defined]
    error = linked(__cause__=cause)
    Redactor("s3cr3t&").redact_chain(error, RuntimeError)
    assert error.__cause__ is None


def test_redactor_redact_chain_masks_arguments_where_it_cannot_cut() -> None:
    """The error itself, and the errors of a group, stay: their texts and octets are masked."""
    member = ValueError("GET /?p=s3cr3t%26", b"<s3cr3t&>", 5, "x" * 20_000)
    error = KeyError("s3cr3t&")
    error.exceptions = [member]  # type: ignore[attr-defined]
    Redactor("s3cr3t&").redact_chain(error, RuntimeError)
    assert error.args == ("***",)
    assert member.args[:3] == ("GET /?p=***", b"***", 5)


def test_redactor_redact_chain_keeps_the_texts_of_own_errors() -> None:
    """Where a password is a common word, the sentences of the package's own errors stay."""
    error = linked(__cause__=RuntimeError("It is unknown whether the SMS was sent."))
    Redactor("sent").redact_chain(error, RuntimeError)
    assert str(error.__cause__) == "It is unknown whether the SMS was sent."
