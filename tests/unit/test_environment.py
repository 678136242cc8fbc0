"""The ``YUNXIN_*`` variables are read without what surrounds a value by mistake."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yunxin_soap import Client, ConfigurationError
from yunxin_soap.environment import read_variable

NAMES = (
    "USER_CODE",
    "USER_PASS",
    "CHANNEL",
    "SIGNATURE",
    "EXTENSION",
    "ENDPOINT",
    "PROTOCOL",
    "TIMEOUT",
    "PROXY",
    "LEDGER",
    "TIMEZONE",
    "WSDL_CACHE",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\r"])
def test_variable_line_break_at_the_end_is_removed(name: str, end: str) -> None:
    """A file or a secret often ends in one."""
    assert read_variable(name, {f"YUNXIN_{name}": f"37{end}"}) == "37"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("value", "password"), [(" 37\t", " 37\t"), (" \n", " "), ("", None)])
def test_variable_blanks_are_removed_but_for_the_password(
    name: str, value: str, password: str | None
) -> None:
    """Blanks may belong to a password; any other variable that is blank is not set."""
    expected = password if name == "USER_PASS" else value.strip() or None
    assert read_variable(name, {f"YUNXIN_{name}": value}) == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", ["'s3cr3t'", '"s3cr3t"', '"s3cr3t"\n', "''"])
def test_variable_in_quotes_is_refused(name: str, value: str) -> None:
    """The error names the variable and the cause, and does not show the value."""
    with pytest.raises(ConfigurationError) as caught:
        read_variable(name, {f"YUNXIN_{name}": value})
    assert str(caught.value).startswith(f"YUNXIN_{name} is in quotes, which a file of variables")
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("value", ["'", '"a', "a'", "'a\"", "“a”"])
def test_variable_with_a_quote_of_its_own_is_kept(value: str) -> None:
    """Only a pair around the value is a mistake."""
    assert read_variable("USER_PASS", {"YUNXIN_USER_PASS": value}) == value


def test_variable_that_is_no_text_is_refused() -> None:
    """The error names the variable and the cause; a path may have any bytes."""
    with pytest.raises(ConfigurationError, match="YUNXIN_SIGNATURE is not UTF-8 text"):
        read_variable("SIGNATURE", {"YUNXIN_SIGNATURE": "\udcc7\udca9"})
    assert read_variable("LEDGER", {"YUNXIN_LEDGER": "\udcc7.sqlite"}) == "\udcc7.sqlite"


_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(_text, st.sampled_from(NAMES))
def test_variable_is_the_value_or_an_error(value: str, name: str) -> None:
    """Nothing inside of a value is changed, whatever it is."""
    try:
        found = read_variable(name, {f"YUNXIN_{name}": value})
    except ConfigurationError:
        stripped = value.strip()
        assert stripped[:1] == stripped[-1:]
        assert stripped[:1] in ("'", '"')
        return
    ends = "\r\n" if name == "USER_PASS" else None
    assert found == (value.rstrip(ends) if ends else value.strip(ends) or None) or not value
    if found is not None:
        assert found in value


def test_client_from_env_strips_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that is made from files of secrets has clean settings."""
    values = {"USER_CODE": "demo\n", "USER_PASS": "s3cr3t\r\n", "CHANNEL": " 37 ", "TIMEOUT": "2\n"}
    for name, value in values.items():
        monkeypatch.setenv(f"YUNXIN_{name}", value)
    with Client.from_env(signature="签名") as client:
        assert client.user_code == "demo"
        assert client.check("13900000000", "您好").channel == "37"
