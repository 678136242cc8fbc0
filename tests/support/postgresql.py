"""A real PostgreSQL server, and a new database on it for each test."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tests.support.services import skip_or_fail

SERVER = os.environ.get(
    "YUNXIN_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1/postgres"
)


@pytest.fixture(scope="session")
def postgresql_server() -> None:
    """A running PostgreSQL server; skips the test if there is none."""
    engine = sa.create_engine(SERVER)
    try:
        engine.connect().close()
    except sa.exc.OperationalError as error:
        skip_or_fail(f"no PostgreSQL ({error.orig})")
    finally:
        engine.dispose()


def database(options: str = "") -> Iterator[str]:
    """Yield the address of a new database, and drop it afterwards.

    Args:
        options: of CREATE DATABASE, such as its encoding.
    """
    engine = sa.create_engine(SERVER, isolation_level="AUTOCOMMIT")
    name = f"yunxin_{uuid.uuid4().hex}"
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} {options}"))
    try:
        yield sa.make_url(SERVER).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()
