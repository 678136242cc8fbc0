"""What a shell may complete: the names of campaigns and paces, and the protocols.

A shell asks at each press of the tab key. So a ledger in a file is read without SQLAlchemy, whose
import takes longer than all the rest, and a ledger that cannot be read has no names.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from yunxin_soap.errors import YunxinError
from yunxin_soap.operation import PROTOCOLS

if TYPE_CHECKING:
    from yunxin_soap.campaign import Ledger

_PATIENCE = 0.5
"""Seconds to wait for another process that has locked the ledger's file."""


def complete_campaign(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return the campaigns of the ledger whose names begin so."""
    query = "SELECT name FROM yunxin_campaign ORDER BY id"
    return _names(context, incomplete, query, lambda ledger: ledger.campaigns())


def complete_pace(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return the paces of the ledger whose names begin so."""
    query = "SELECT name FROM yunxin_pace WHERE name IS NOT NULL ORDER BY name"
    return _names(
        context, incomplete, query, lambda ledger: [each.name for each in ledger.pace.list()]
    )


def complete_protocol(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return the protocols that begin so."""
    return [each for each in PROTOCOLS if each.startswith(incomplete)]


def _names(
    context: click.Context,
    incomplete: str,
    query: str,
    ask: Callable[[Ledger], list[str]],
) -> list[str]:
    """Return what a query finds in the file of a ledger, or what a ledger on a server answers."""
    url = context.params.get("ledger_url")
    found: list[str] = []
    if url:
        with contextlib.suppress(sqlite3.Error, OSError, YunxinError):
            found = _from_server(url, ask) if "://" in url else _from_file(url, query)
    return [each for each in found if each.startswith(incomplete)]


def _from_file(path: str, query: str) -> list[str]:
    address = f"{Path(path).resolve().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE)) as connection:
        return [name for (name,) in connection.execute(query)]


def _from_server(url: str, ask: Callable[[Ledger], list[str]]) -> list[str]:
    from yunxin_soap.campaign import Ledger

    with Ledger(url, create=False) as ledger:
        return ask(ledger)
