"""The accounts, channels and word lists of the sandbox gateway, from Python or a TOML file."""

from __future__ import annotations

import os
import sys
from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StrictBool, StrictInt, StrictStr, model_validator

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sandbox.strict_models import from_table, model
from yunxin_soap.sentences import Sentence

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from typing_extensions import Self

_Time = Annotated[time, Field(strict=True)]


@model()
class Channel:
    """A channel that an account may use."""

    number: StrictStr = "37"
    opens: _Time = time(0)
    """Opening time, in China's time."""
    closes: _Time = time(0)
    """Closing time. A channel that opens and closes at the same time is always open."""

    def is_open(self, now: time) -> bool:
        """Return whether the channel is open at a time of day; hours may cross midnight."""
        if self.opens == self.closes:
            return True
        if self.opens < self.closes:
            return self.opens <= now < self.closes
        return now >= self.opens or now < self.closes


@model()
class Account:
    """An account of the sandbox gateway."""

    user_code: StrictStr
    user_pass: StrictStr
    channels: tuple[Channel, ...] = (Channel(),)
    balance: StrictInt | None = None
    """How many numbers the account can still pay for; None means no limit."""
    min_numbers: StrictInt = 1
    max_numbers: StrictInt = 1000
    ips: tuple[StrictStr, ...] = ()
    """The IP addresses that the account is bound to; empty means any."""
    blacklist: tuple[StrictStr, ...] = ()
    """The user's blacklist of numbers."""
    custom_extension: StrictBool = True
    """Whether a fixed extension is set for the account, so that it may use a custom one."""

    def __repr__(self) -> str:
        """Show no password."""
        return f"Account({self.user_code!r})"


DEMO = Account("demo", "demo")


@model()
class Config:
    """All settings of the gateway's rules."""

    accounts: tuple[Account, ...] = (DEMO,)
    banned_words: tuple[StrictStr, ...] = ("促销",)
    """Words that a message must not contain; the default is the manual's example."""
    system_blacklist: tuple[StrictStr, ...] = ()
    """Numbers that no account may send to."""
    test_numbers: StrictBool = True
    """Whether the test numbers give their results; if not, they are ordinary numbers."""

    @model_validator(mode="after")
    def _reject_duplicates(self) -> Self:
        known: set[str] = set()
        for place, account in enumerate(self.accounts):
            if account.user_code in known:
                raise ValueError(
                    Sentence(
                        "accounts[{place}]: user_code {user_code} is given twice",
                        place=place,
                        user_code=repr(account.user_code),
                    )
                )
            known.add(account.user_code)
        return self

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Self:
        """Read a configuration from a TOML file; ``[[accounts]]`` replaces the demo account.

        Args:
            path: the file.

        Raises:
            ConfigurationError: the file cannot be read, a key is unknown or missing, or a value is
                invalid. The message names the file and the key.
        """
        # No variable holds the document: a traceback would keep its passwords.
        return from_table(cls, _read(path), os.fspath(path))


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(
            Sentence("{path} cannot be read: {problem}.", path=os.fspath(path), problem=error)
        ) from None
