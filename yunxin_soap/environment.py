"""Reads the ``YUNXIN_*`` environment variables, and names what is wrong with one."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping

from yunxin_soap.errors import ConfigurationError
from yunxin_soap.sentences import Sentence

_PATHS = frozenset({"LEDGER", "WSDL_CACHE"})
"""A path may have bytes of any encoding in it."""
_UNDECODABLE = re.compile(r"[\ud800-\udfff]")


def read_variable(name: str, environ: Mapping[str, str] | None = None) -> str | None:
    """Return the value of a variable, without the white space around it.

    A file or a secret often ends in a line break. Of the password, only line breaks at its end are
    removed, because blanks may belong to it.

    Args:
        name: the name of the variable without ``YUNXIN_``.
        environ: the environment. Default: that of the process.

    Returns:
        The value; None if the variable is not set, or blank.

    Raises:
        ConfigurationError: the value is in quotes, or is no text in the locale's encoding. The
            error does not quote it: it may be a password.
    """
    variable = f"YUNXIN_{name}"
    found = (os.environ if environ is None else environ).get(variable, "")
    value = found.rstrip("\r\n") if name == "USER_PASS" else found.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        more = (
            "; a password that does have them can come from --password-file, or from Python"
            if name == "USER_PASS"
            else ""
        )
        raise ConfigurationError(
            Sentence(
                "{variable} is in quotes, which a file of variables keeps, as docker "
                "--env-file does: remove them{more}.",
                variable=variable,
                more=more,
            )
        )
    if name not in _PATHS and is_undecodable(value):
        raise ConfigurationError(explain_undecodable(variable))
    return value or None


def is_undecodable(text: str) -> bool:
    """Return whether a text from outside has bytes that the locale's encoding does not have."""
    return _UNDECODABLE.search(text) is not None


def explain_undecodable(name: str) -> str:
    """Return a sentence about a text that `is_undecodable`.

    Args:
        name: what the text is, such as ``--message``.
    """
    encoding = sys.getfilesystemencoding()
    if encoding.replace("-", "").lower() == "utf8":
        return Sentence(
            "{name} is not UTF-8 text, as from a terminal in GBK: set the terminal to UTF-8.",
            name=name,
        )
    return Sentence(
        "{name} has characters that the encoding of the locale ({encoding}) does not have: set"
        " LC_ALL=C.UTF-8, or PYTHONUTF8=1.",
        name=name,
        encoding=encoding,
    )
