"""Django's migration makes the tables that the library makes."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from django.apps import apps
from django.core.management import call_command
from django.db import connections

from tests.integration.django.conftest import each_database, in_test_case
from tests.support.mariadb import mariadb_database
from tests.support.postgresql import database
from yunxin_soap import ConfigurationError, LedgerError
from yunxin_soap.campaign import Ledger
from yunxin_soap.campaign.storage.engine import open_engine
from yunxin_soap.campaign.storage.schema import TABLES, VERSION
from yunxin_soap.django import configuration, get_ledger
from yunxin_soap.django.ledger import borrow
from yunxin_soap.django.tables import empty_tables


@pytest.fixture
def own_ledger(alias: str, tmp_path: Path) -> Iterator[str]:
    """The address of a ledger that the library has made, in a database of the same kind."""
    kinds = {"postgresql": database, "mariadb": mariadb_database}
    urls = kinds[alias]() if alias in kinds else iter([str(tmp_path / "ledger.sqlite")])
    for url in urls:
        Ledger(url).close()
        yield url


def described(engine: sa.Engine) -> dict[str, Any]:
    """Return all that a database says about the ledger's tables."""
    found = sa.inspect(engine)
    has_options = engine.dialect.name in ("mariadb", "mysql")  # an older SQLAlchemy asks no other
    return {
        table: {
            "columns": [
                {name: str(value) for name, value in column.items()}
                for column in found.get_columns(table)
            ],
            "key": found.get_pk_constraint(table)["constrained_columns"],
            "indexes": sorted(map(str, found.get_indexes(table))),
            "unique": sorted(map(str, found.get_unique_constraints(table))),
            "foreign": sorted(map(str, found.get_foreign_keys(table))),
            "options": found.get_table_options(table) if has_options else {},
        }
        for table in sorted(TABLES.tables)
    }


@each_database
def test_migrated_tables_are_the_library_s(in_production: str, own_ledger: str) -> None:
    """Columns, types, keys, indexes, character sets and the first rows are the same."""
    migrated = open_engine(configuration.ledger_url(configuration.read()), create=False)
    made = open_engine(own_ledger, create=False)
    try:
        assert described(migrated) == described(made)
        for engine in (migrated, made):
            with engine.connect() as connection:
                version = connection.scalar(sa.select(TABLES.tables["yunxin_ledger"].c.version))
                rows = connection.execute(sa.select(TABLES.tables["yunxin_suppression_state"]))
                assert (version, [row.generation for row in rows]) == (VERSION, [0])
    finally:
        migrated.dispose()
        made.dispose()


@each_database
def test_migration_takes_a_ledger_that_is_there(in_production: str) -> None:
    """A second run changes nothing; nor is a ledger dropped that has a record."""
    get_ledger().once.enqueue("k", "13900000000", "您好")
    call_command("migrate", "yunxin", "zero", fake=True, verbosity=0, database=in_production)
    call_command("migrate", "yunxin", verbosity=0, database=in_production)
    # In the test environment, Django's signal after a migration empties the tables.
    assert get_ledger().once.enqueue("k", "13900000000", "您好")
    with pytest.raises(LedgerError, match="its tables were not dropped"):
        call_command("migrate", "yunxin", "zero", verbosity=0, database=in_production)
    assert not get_ledger().once.enqueue("k", "13900000000", "您好")
    # Without a record, it can be dropped and made again.
    empty_tables(in_production)
    for target, is_there in ((("zero",), False), ((), True)):
        call_command("migrate", "yunxin", *target, verbosity=0, database=in_production)
        names = connections[in_production].introspection.table_names()
        assert (TABLES.tables.keys() <= set(names)) is is_there
        assert any(name in names for name in TABLES.tables) is is_there


def test_models_are_the_tables(alias: str) -> None:
    """Each model has a table and its columns, and needs no further migration."""
    out = StringIO()
    call_command("makemigrations", "yunxin", check=True, dry_run=True, stdout=out)
    for model in apps.get_app_config("yunxin").get_models():
        table = TABLES.tables[model._meta.db_table]
        columns = {field.column for field in model._meta.concrete_fields}
        assert columns <= set(table.columns.keys()), model


def test_ledger_without_its_tables_names_the_command(alias: str) -> None:
    """The error says what to run, in a database that is not migrated."""
    with (
        in_test_case(alias),
        borrow(alias).begin() as connection,
    ):
        connection.execute(sa.text("ALTER TABLE yunxin_ledger RENAME TO away"))
        with pytest.raises(ConfigurationError, match=r"run manage\.py migrate\."):
            get_ledger()
    assert "yunxin_ledger" in connections[alias].introspection.table_names()
