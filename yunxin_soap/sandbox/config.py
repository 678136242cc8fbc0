"""The accounts, channels and word lists that the sandbox gateway knows; also from a TOML file."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Any

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sandbox.tables import build, tables

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Channel:
    """A channel that an account may use."""

    number: str = "37"
    opens: time = time(0)
    """When it opens, in China's time."""
    closes: time = time(0)
    """When it closes; the same time as ``opens`` means that it never does."""

    def is_open(self, now: time) -> bool:
        """Whether it carries messages at this time of day; hours may cross midnight."""
        if self.opens == self.closes:
            return True
        if self.opens < self.closes:
            return self.opens <= now < self.closes
        return now >= self.opens or now < self.closes


@dataclass(frozen=True)
class Account:
    """An account at the sandbox gateway."""

    user_code: str
    user_pass: str
    channels: tuple[Channel, ...] = (Channel(),)
    balance: int | None = None
    """Numbers that it can still pay for; None is without limit."""
    min_numbers: int = 1
    max_numbers: int = 1000
    ips: tuple[str, ...] = ()
    """The addresses that it is bound to; empty is any."""
    blacklist: tuple[str, ...] = ()
    """The user's blacklist."""
    custom_extension: bool = True
    """Whether a fixed extension is set for it, so that a custom one is taken."""

    def __repr__(self) -> str:
        """Show no password."""
        return f"Account({self.user_code!r})"


DEMO = Account("demo", "demo")


@dataclass(frozen=True)
class Config:
    """Everything that the gateway decides by."""

    accounts: tuple[Account, ...] = (DEMO,)
    banned_words: tuple[str, ...] = ("促销",)
    """The manual's own example of one."""
    system_blacklist: tuple[str, ...] = ()


def load(path: str | os.PathLike[str]) -> Config:
    """Read a configuration from TOML; ``[[accounts]]`` replaces the demo account.

    Raises:
        ConfigurationError: the file cannot be read, or a key or a value is wrong; it is named.
    """
    name = os.fspath(path)
    try:
        document = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{name} cannot be read: {error}.") from None
    accounts = document.pop("accounts", None)
    if accounts is not None:
        document["accounts"] = [
            _account(table, f"{name}: accounts[{place}]")
            for place, table in enumerate(tables(accounts, f"{name}: accounts"))
        ]
        _refuse_twins(document["accounts"], f"{name}: accounts")
    return build(Config, document, name)


def _account(table: Mapping[str, Any], where: str) -> Account:
    values = dict(table)
    if "channels" in values:
        values["channels"] = [
            build(Channel, channel, f"{where}: channels[{place}]")
            for place, channel in enumerate(tables(values["channels"], f"{where}: channels"))
        ]
    return build(Account, values, where)


def _refuse_twins(accounts: list[Account], where: str) -> None:
    known: set[str] = set()
    for place, account in enumerate(accounts):
        if account.user_code in known:
            raise ConfigurationError(
                f"{where}[{place}]: user_code {account.user_code!r} is given twice."
            )
        known.add(account.user_code)
