"""Ledgers of both kinds, each for one test, and a gateway to send to."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.foreign.peers import REQUIRED
from yunxin_soap import AsyncClient
from yunxin_soap.campaign import Ledger
from yunxin_soap.sandbox import Sandbox

SERVER = os.environ.get(
    "YUNXIN_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1/postgres"
)
TEXT = "您好【签名】"


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a ledger that is not there yet."""
    if request.param == "sqlite":
        yield str(tmp_path / "ledger.sqlite")
    else:
        request.getfixturevalue("server")
        yield from database()


@pytest.fixture(scope="session")
def server() -> None:
    """A PostgreSQL server that answers."""
    engine = sa.create_engine(SERVER)
    try:
        engine.connect().close()
    except sa.exc.OperationalError as error:
        if REQUIRED:
            raise
        pytest.skip(f"no PostgreSQL ({error.orig})")
    finally:
        engine.dispose()


def database() -> Iterator[str]:
    """Give the address of a database of one's own on a real server."""
    engine = sa.create_engine(SERVER, isolation_level="AUTOCOMMIT")
    name = f"yunxin_{uuid.uuid4().hex}"
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    try:
        yield sa.make_url(SERVER).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()


@pytest.fixture
def ledger(where: str) -> Iterator[Ledger]:
    """A new ledger."""
    with Ledger(where) as ledger:
        yield ledger


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A gateway that nobody else sends to."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> Callable[..., AsyncClient]:
    """Makes clients of that gateway."""

    def make(**options: object) -> AsyncClient:
        settings = {"endpoint": sandbox.url, "channel": "37", "retries": 0, "timeout": 5.0}
        return AsyncClient("demo", "demo", **{**settings, **options})  # type: ignore[arg-type]

    return make


def numbers(count: int, start: int = 13910000000) -> list[str]:
    """Return mobile numbers, all different."""
    return [str(start + index) for index in range(count)]
