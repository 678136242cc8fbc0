"""A real MariaDB or MySQL server, and a new database on it for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tests.support.services import new_database, require_server

SERVER = os.environ.get("YUNXIN_TEST_MARIADB", "mysql+pymysql://root@127.0.0.1/")


@pytest.fixture(scope="session")
def mariadb_server() -> None:
    """A running MariaDB server; skips the test if there is none."""
    require_server(SERVER, "MariaDB")


def mariadb_database(options: str = "CHARACTER SET latin1") -> Iterator[str]:
    """Yield the address of a new database, and drop it afterwards.

    Args:
        options: its own character set, which must not matter to a ledger.
    """
    with new_database(sa.create_engine(SERVER), options) as name:
        address = sa.make_url(SERVER).set(drivername="mysql", database=name)
        yield address.render_as_string(hide_password=False)
