"""The ledger's tables, by Django's migrations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connections

from yunxin_soap.campaign.storage import engine, schema
from yunxin_soap.django import configuration
from yunxin_soap.django.ledger import borrow

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def create_tables(_apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the tables, of the version of this package, in the database of ``YUNXIN``."""
    alias = schema_editor.connection.alias
    if alias == configuration.read().database:
        with borrow(alias).begin() as connection:
            engine.create_tables(connection)


def drop_tables(_apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the tables, unless they record a submission."""
    alias = schema_editor.connection.alias
    if schema.ledger.name in connections[alias].introspection.table_names():
        with borrow(alias).begin() as connection:
            engine.drop_tables(connection)


def empty_tables(alias: str) -> None:
    """Delete what tests have left in the tables, if they are there."""
    if schema.ledger.name not in connections[alias].introspection.table_names():
        return
    kept = (schema.ledger, schema.suppression_state)
    with borrow(alias).begin() as connection:
        for table in reversed(schema.TABLES.sorted_tables):
            if table not in kept:
                connection.execute(table.delete())
