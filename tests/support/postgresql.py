"""A real PostgreSQL server, and a new database on it for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tests.support.services import new_database, require_server

SERVER = os.environ.get(
    "YUNXIN_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1/postgres"
)


@pytest.fixture(scope="session")
def postgresql_server() -> None:
    """A running PostgreSQL server; skips the test if there is none."""
    require_server(SERVER, "PostgreSQL")


def database(options: str = "") -> Iterator[str]:
    """Yield the address of a new database, and drop it afterwards.

    Args:
        options: of CREATE DATABASE, such as its encoding.
    """
    engine = sa.create_engine(SERVER, isolation_level="AUTOCOMMIT")
    with new_database(engine, options, "WITH (FORCE)") as name:
        yield sa.make_url(SERVER).set(database=name).render_as_string(hide_password=False)
