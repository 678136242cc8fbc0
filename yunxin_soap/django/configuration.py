"""The setting ``YUNXIN``, read and checked."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections

from yunxin_soap.campaign.storage.dialects import dialect_of_scheme
from yunxin_soap.campaign.storage.runners import HEARTBEAT_TIMEOUT
from yunxin_soap.environment import read_variable
from yunxin_soap.errors import ConfigurationError, LedgerError
from yunxin_soap.redact import clear_frames
from yunxin_soap.sentences import Sentence
from yunxin_soap.settings import ClientArguments, Settings

_CLIENT = tuple(each.name for each in fields(Settings))
_PLACEHOLDER = "-"
"""Stands for the account where nothing is sent, as in a process that only queues."""


@dataclass(frozen=True)
class Configuration:
    """What ``YUNXIN`` says beside the arguments of the client."""

    database: str = DEFAULT_DB_ALIAS
    """The alias, in ``DATABASES``, of the database that the ledger is in."""
    ledger: str | None = field(default=None, repr=False)
    """The address for the ledger's own connections, if ``DATABASES`` cannot be translated."""
    heartbeat_timeout: float = HEARTBEAT_TIMEOUT
    """As `Ledger` takes it."""
    slice_seconds: float | None = None
    """As `yunxin_soap.celery.setup` takes it."""
    sweep_interval: float | None = None
    """As `yunxin_soap.celery.setup` takes it."""
    outbox: bool = True
    """Whether tests keep what they send in the outbox; else they send it."""


_OWN = tuple(Configuration.__annotations__)


def raw_setting() -> Mapping[str, Any]:
    """Return ``YUNXIN`` as it is; an empty one by default.

    Raises:
        ImproperlyConfigured: it is no dict, or has a key that is not known.
    """
    found = getattr(settings, "YUNXIN", {})
    problem = _problem(found)
    if problem is None:
        return cast(Mapping[str, Any], found)
    del found  # an error keeps this frame: it must not keep a password
    raise ImproperlyConfigured(problem)


def _problem(found: object) -> Sentence | None:
    """Return what is wrong with the keys of ``YUNXIN``; None if they are right."""
    if not isinstance(found, Mapping):
        return Sentence("YUNXIN must be a dict, not {kind}.", kind=type(found).__name__)
    known = (*_CLIENT, *_OWN)
    for name in found:
        if name not in known:
            near = difflib.get_close_matches(str(name).lower(), known, n=1)
            hint = Sentence("use {names}.", names=", ".join(known))
            if near:
                hint = Sentence("did you mean {name}?", name=repr(near[0]))
            return Sentence("YUNXIN has no key {name}: {hint}", name=repr(name), hint=hint)
    return None


def read() -> Configuration:
    """Return what ``YUNXIN`` says beside the arguments of the client.

    Raises:
        ImproperlyConfigured: a key or a value is wrong.
    """
    # No local variable has an address, which may have a password in it.
    found = Configuration(**{name: value for name, value in raw_setting().items() if name in _OWN})
    if found.database not in settings.DATABASES:
        raise ImproperlyConfigured(
            Sentence(
                "YUNXIN['database'] is {database}, and DATABASES has only {names}.",
                database=repr(found.database),
                names=", ".join(map(repr, settings.DATABASES)),
            )
        )
    if not isinstance(found.outbox, bool):
        raise ImproperlyConfigured(
            Sentence("YUNXIN['outbox'] is {value}: use True or False.", value=repr(found.outbox))
        )
    for name in ("heartbeat_timeout", "slice_seconds", "sweep_interval"):
        value = getattr(found, name)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value is not None and not (is_number and 0 < value < float("inf")):
            raise ImproperlyConfigured(
                Sentence("YUNXIN[{name}] must be a number above 0.", name=repr(name))
            )
    return found


def client_arguments() -> ClientArguments:
    """Return the arguments of the client that ``YUNXIN`` gives, without the environment's."""
    given = {name: value for name, value in raw_setting().items() if name in _CLIENT}
    return cast(ClientArguments, given)


def client_settings(*, needs_account: bool = True) -> Settings:
    """Return the validated settings of the client: ``YUNXIN``, and ``YUNXIN_*`` as defaults.

    Args:
        needs_account: whether user name and password must be there.

    Raises:
        ImproperlyConfigured: a key is not known.
        ConfigurationError: a setting is missing or wrong.
    """
    # No frame may keep a password: no local variable has one.
    if needs_account or has_account():
        return Settings.from_env(os.environ, **client_arguments())
    account = {"user_code": _PLACEHOLDER, "user_pass": _PLACEHOLDER}
    return Settings.from_env(os.environ, **cast(Any, {**client_arguments(), **account}))


def has_account() -> bool:
    """Return whether ``YUNXIN`` or the environment names an account with its password."""
    try:
        return all(
            raw_setting().get(name) or read_variable(name.upper())
            for name in ("user_code", "user_pass")
        )
    except ConfigurationError as error:
        clear_frames(error)  # one of them keeps the password
        raise


def ledger_url(found: Configuration) -> str:
    """Return the address, with its password, for the ledger's own connections.

    Raises:
        ConfigurationError: the database cannot hold a ledger, or needs ``YUNXIN['ledger']``.
    """
    if found.ledger:
        return found.ledger
    connection = connections[found.database]
    reason = ""
    try:
        return dialect_of_scheme(connection.vendor).address_of_settings(connection.settings_dict)
    except LedgerError as error:
        reason = str(error)
    # Raised outside the handler: __context__ would keep frames with the password.
    raise ConfigurationError(
        Sentence(
            "The ledger cannot be in DATABASES[{database}]: {value}. Name another database "
            "in YUNXIN['database'], or give the address of this one in YUNXIN['ledger'], "
            "such as postgresql://user:password@host/name.",
            database=repr(found.database),
            value=reason.rstrip("."),
        )
    )
