"""The sandbox's configuration, and the error of each mistake in it."""

from __future__ import annotations

import re
from datetime import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.asmx_requests import GOOD
from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sandbox import Account, Channel, Config, Gateway, GatewayDecision

FULL = """
banned_words = ["贷款", "发票"]
system_blacklist = ["13900000009"]

[[accounts]]
user_code = "shop"
user_pass = "s3cret"
balance = 1000
min_numbers = 2
max_numbers = 500
ips = ["127.0.0.1"]
blacklist = ["13900000008"]
custom_extension = false

[[accounts.channels]]
number = "37"
opens = 08:00:00
closes = 21:30:00

[[accounts.channels]]
number = "38"

[[accounts]]
user_code = "other"
user_pass = ""
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sandbox.toml"


def test_config_from_toml_reads_every_key(path: Path) -> None:
    """Every key of a TOML file reaches the configuration."""
    path.write_text(FULL, "utf-8")

    assert Config.from_toml(path) == Config(
        accounts=(
            Account(
                "shop",
                "s3cret",
                channels=(Channel("37", time(8), time(21, 30)), Channel("38")),
                balance=1000,
                min_numbers=2,
                max_numbers=500,
                ips=("127.0.0.1",),
                blacklist=("13900000008",),
                custom_extension=False,
            ),
            Account("other", ""),
        ),
        banned_words=("贷款", "发票"),
        system_blacklist=("13900000009",),
    )
    assert Config.from_toml(str(path)) == Config.from_toml(path)


def test_config_from_toml_empty_file_is_the_default(path: Path) -> None:
    """An empty file gives the default configuration."""
    path.write_text("")

    assert Config.from_toml(path) == Config()
    assert Gateway(Config.from_toml(path)).decide(GOOD, "").batch_no


def test_config_from_toml_accounts_replace_demo(path: Path) -> None:
    """Accounts of a file replace the demo account."""
    path.write_text('[[accounts]]\nuser_code = "a"\nuser_pass = "b"\n')

    assert Gateway(Config.from_toml(path)).decide(GOOD, "") == GatewayDecision("-3")


ACCOUNT = '[[accounts]]\nuser_code = "a"\nuser_pass = "s3cret"\n'
CHANNEL = ACCOUNT + "[[accounts.channels]]\n"
AT_ACCOUNT, AT_CHANNEL = "accounts[0]", "accounts[0]: channels[0]"
MISTAKES = [
    ("banned_words = 1", "banned_words must be an array of strings"),
    ('banned_words = "促销"', "banned_words must be an array of strings"),
    ("system_blacklist = [13900000000]", "system_blacklist must be an array of strings"),
    (
        "other = 1",
        "unknown key 'other'; the known keys are accounts, banned_words, system_blacklist,"
        " test_numbers",
    ),
    ("accounts = 1", "accounts must be an array of tables"),
    ("accounts = [1]", "accounts must be an array of tables"),
    ('[accounts]\nuser_code = "a"', "accounts must be an array of tables"),
    ("[[accounts]]", f"{AT_ACCOUNT}: user_code and user_pass must be given"),
    ('[[accounts]]\nuser_code = "a"', f"{AT_ACCOUNT}: user_pass must be given"),
    ('[[accounts]]\nuser_pass = "a"', f"{AT_ACCOUNT}: user_code must be given"),
    ("[[accounts]]\nuser_code = 1", f"{AT_ACCOUNT}: user_code must be a string"),
    ("[[accounts]]\nuser_pass = 1234", f"{AT_ACCOUNT}: user_pass must be a string"),
    (
        ACCOUNT + "password = 1",
        f"{AT_ACCOUNT}: unknown key 'password'; the known keys are balance,",
    ),
    (ACCOUNT + 'balance = "10"', f"{AT_ACCOUNT}: balance must be a whole number"),
    (ACCOUNT + "balance = 1.5", f"{AT_ACCOUNT}: balance must be a whole number"),
    (ACCOUNT + "balance = true", f"{AT_ACCOUNT}: balance must be a whole number"),
    (ACCOUNT + "min_numbers = []", f"{AT_ACCOUNT}: min_numbers must be a whole number"),
    (ACCOUNT + "max_numbers = true", f"{AT_ACCOUNT}: max_numbers must be a whole number"),
    (ACCOUNT + "custom_extension = 1", f"{AT_ACCOUNT}: custom_extension must be true or false"),
    (ACCOUNT + 'ips = "127.0.0.1"', f"{AT_ACCOUNT}: ips must be an array of strings"),
    (ACCOUNT + "blacklist = [1]", f"{AT_ACCOUNT}: blacklist must be an array of strings"),
    (ACCOUNT + "channels = 37", f"{AT_ACCOUNT}: channels must be an array of tables"),
    (ACCOUNT + 'channels = ["37"]', f"{AT_ACCOUNT}: channels must be an array of tables"),
    (CHANNEL + "number = 37", f"{AT_CHANNEL}: number must be a string"),
    (CHANNEL + 'opens = "08:00"', f"{AT_CHANNEL}: opens must be a time such as 08:00:00"),
    (CHANNEL + "closes = 8", f"{AT_CHANNEL}: closes must be a time such as 08:00:00"),
    (
        CHANNEL + "hours = 8",
        f"{AT_CHANNEL}: unknown key 'hours'; the known keys are closes, number, opens",
    ),
    (ACCOUNT + CHANNEL + "number = 1", "accounts[1]: channels[0]: number must be a string"),
    (ACCOUNT + ACCOUNT, "accounts[1]: user_code 'a' is given twice"),
]


@pytest.mark.parametrize(("text", "mistake"), MISTAKES)
def test_config_from_toml_mistake_names_file_and_key(path: Path, text: str, mistake: str) -> None:
    """A mistake is one sentence that names the file and the key, and no password."""
    path.write_text(text, "utf-8")

    with pytest.raises(ConfigurationError) as raised:
        Config.from_toml(path)

    assert str(raised.value).startswith(f"{path}: {mistake}")
    assert str(raised.value).endswith(".")
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "text", [b"[[accounts]", b"a = 1\na = 2", b'a = "\xff"', b"user_pass = s3"]
)
def test_config_from_toml_invalid_file_is_an_error(path: Path, text: bytes) -> None:
    """A file that is no TOML is an error that shows nothing of its content."""
    path.write_bytes(text)

    with pytest.raises(ConfigurationError, match=f"^{re.escape(str(path))} cannot be read: ") as at:
        Config.from_toml(path)

    assert at.value.__cause__ is None
    assert "s3" not in str(at.value)


def test_config_from_toml_missing_file_is_an_error(path: Path) -> None:
    """A missing file is an error that names it."""
    with pytest.raises(ConfigurationError, match=f"^{re.escape(str(path))} cannot be read: "):
        Config.from_toml(path)


def test_config_repr_has_no_password(path: Path) -> None:
    """No repr shows a password."""
    path.write_text(FULL, "utf-8")
    config = Config.from_toml(path)

    assert repr(config.accounts[0]) == "Account('shop')"
    for shown in (repr(config), str(config), repr(Gateway(config)), f"{config.accounts}"):
        assert "s3cret" not in shown


@pytest.mark.parametrize(
    ("values", "mistake"),
    [
        ({"user_code": 1}, "Account: user_code must be a string."),
        ({"balance": "10"}, "Account: balance must be a whole number."),
        ({"channels": "37"}, "Account: channels must be an array of tables."),
        ({"balanse": 10}, "Account: unknown key 'balanse'; the known keys are balance, blacklist,"),
    ],
)
def test_account_invalid_argument_is_a_configuration_error(
    values: dict[str, Any], mistake: str
) -> None:
    """A wrong argument in Python is named as in TOML, without the password."""
    with pytest.raises(ConfigurationError) as raised:
        Account(**{"user_code": "a", "user_pass": "s3cret", **values})
    assert str(raised.value).startswith(mistake)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


def test_account_wrong_positional_arguments_are_a_configuration_error() -> None:
    """Too many arguments, or one that is given twice, are errors that say so."""
    make: Any = Account
    with pytest.raises(ConfigurationError, match=r"^Account: there are too many positional"):
        make("a", "b", (), None, 1, 1000, (), (), True, "more")
    with pytest.raises(ConfigurationError, match=r"^Account: user_code is given twice\.$"):
        make("a", "b", user_code="c")


def test_account_tables_become_channels() -> None:
    """An account accepts a channel as a table, as in TOML."""
    values: Any = [{"number": "38"}]
    assert Account("a", "b", channels=values).channels == (Channel("38"),)


def test_config_duplicate_account_is_an_error() -> None:
    """Two accounts with one user code are an error in Python too."""
    with pytest.raises(ConfigurationError, match="user_code 'a' is given twice"):
        Config((Account("a", "1"), Account("a", "2")))


@pytest.mark.parametrize("text", [ACCOUNT + "balance = 1.5", ACCOUNT + ACCOUNT])
def test_config_error_frames_have_no_password(path: Path, text: str) -> None:
    """No frame of the error's traceback holds a password of the file."""
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigurationError) as raised:
        Config.from_toml(path)
    frames = [each.frame.f_locals for each in raised.traceback[1:]]
    assert frames
    assert "s3cret" not in repr(frames)
