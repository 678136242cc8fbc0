"""A real MariaDB or MySQL server, and a new database on it for each test."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tests.support.services import skip_or_fail

SERVER = os.environ.get("YUNXIN_TEST_MARIADB", "mysql+pymysql://root@127.0.0.1/")


@pytest.fixture(scope="session")
def mariadb_server() -> None:
    """A running MariaDB server; skips the test if there is none."""
    engine = sa.create_engine(SERVER)
    try:
        engine.connect().close()
    except sa.exc.OperationalError as error:
        skip_or_fail(f"no MariaDB ({error.orig})")
    finally:
        engine.dispose()


def mariadb_database(options: str = "CHARACTER SET latin1") -> Iterator[str]:
    """Yield the address of a new database, and drop it afterwards.

    Args:
        options: its own character set, which must not matter to a ledger.
    """
    engine = sa.create_engine(SERVER)
    name = f"yunxin_{uuid.uuid4().hex}"
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name} {options}"))
    try:
        address = sa.make_url(SERVER).set(drivername="mysql", database=name)
        yield address.render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name}"))
        engine.dispose()
