"""Skip a test whose service or program is missing, or fail it where that is required."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest
import sqlalchemy as sa

REQUIRED = bool(os.environ.get("YUNXIN_REQUIRE_SERVICES"))
"""Whether a missing service or program fails the test. ``.ci/run`` sets it."""


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test, or fail it if ``YUNXIN_REQUIRE_SERVICES`` is set."""
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


def require_server(url: str, name: str) -> None:
    """Skip or fail the test if there is no database server at an address."""
    engine = sa.create_engine(url)
    try:
        engine.connect().close()
    except sa.exc.OperationalError as error:
        skip_or_fail(f"no {name} ({error.orig})")
    finally:
        engine.dispose()


@contextmanager
def new_database(engine: sa.Engine, options: str, drop_options: str = "") -> Iterator[str]:
    """Create a database, give its name, and drop it afterwards.

    Args:
        engine: of the server; it is closed at the end.
        options: of CREATE DATABASE.
        drop_options: of DROP DATABASE.
    """
    name = f"yunxin_{uuid.uuid4().hex}"
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} {options}"))
    try:
        yield name
    finally:
        with engine.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} {drop_options}"))
        engine.dispose()
