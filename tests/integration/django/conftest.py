"""A Django project with a database of each kind, migrated once, and its ledger in one of them."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
import pymysql
import pytest
import sqlalchemy as sa
from django.conf import settings
from django.db import connections, transaction

from tests.support import mariadb, postgresql
from yunxin_soap.sandbox import Sandbox

# Django asks for a newer mysqlclient; PyMySQL takes its place.
pymysql.version_info = (2, 2, 7, "final", 0)
pymysql.install_as_MySQLdb()
_NAME = f"yunxin_django_{uuid.uuid4().hex[:12]}"
_CHAIN = "django.contrib"
_FOLDER = tempfile.TemporaryDirectory()


class OnlyOnDefault:
    """Creates the tables of Django's own apps in one database: they take seconds on a server."""

    def allow_migrate(self, db: str, app_label: str, **_: Any) -> bool:
        """Return whether an app's tables are created in a database."""
        return db == "default" or app_label == "yunxin"


def _server(url: str, engine: str) -> dict[str, Any]:
    address = sa.make_url(url)
    return {
        "ENGINE": f"django.db.backends.{engine}",
        "NAME": address.database or "",
        "USER": address.username or "",
        "PASSWORD": address.password or "",
        "HOST": address.host or "",
        "PORT": str(address.port or ""),
        "TEST": {"NAME": _NAME},
    }


def _file(name: str | None) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(Path(_FOLDER.name) / "unused.sqlite3"),
        "TEST": {"NAME": name},
    }


settings.configure(
    DATABASES={
        "default": _file(str(Path(_FOLDER.name) / "ledger.sqlite3")),
        "memory": _file(None),
        "postgresql": _server(postgresql.SERVER, "postgresql"),
        "mariadb": _server(mariadb.SERVER, "mysql"),
    },
    DATABASE_ROUTERS=[OnlyOnDefault()],
    INSTALLED_APPS=[
        *(f"{_CHAIN}.{name}" for name in ("admin", "auth", "contenttypes", "sessions", "messages")),
        "yunxin_soap.django",
    ],
    MIDDLEWARE=[
        f"{_CHAIN}.sessions.middleware.SessionMiddleware",
        f"{_CHAIN}.auth.middleware.AuthenticationMiddleware",
        f"{_CHAIN}.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    f"{_CHAIN}.auth.context_processors.auth",
                    f"{_CHAIN}.messages.context_processors.messages",
                ]
            },
        }
    ],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    ROOT_URLCONF="tests.integration.django.urls",
    SECRET_KEY="for tests",
    USE_TZ=True,
    YUNXIN={},
)
django.setup()

# They need Django to be set up.
from django.test import override_settings  # noqa: E402
from django.test.utils import setup_test_environment  # noqa: E402

from yunxin_soap.django import outbox, process, testing  # noqa: E402
from yunxin_soap.django.tables import empty_tables  # noqa: E402


@pytest.fixture(scope="session")
def _environment(django_db_blocker: Any) -> Iterator[None]:
    if not testing.in_tests():
        setup_test_environment()
    with django_db_blocker.unblock():
        yield


def _migrated(alias: str) -> Iterator[None]:
    creation = connections[alias].creation
    with override_settings(YUNXIN={"database": alias}):
        # From Django 6.1 on, that is the default, and to say so is deprecated.
        options: dict[str, Any] = {} if django.VERSION >= (6, 1) else {"serialize": False}
        creation.create_test_db(verbosity=0, **options)
    yield
    process.close()
    creation.destroy_test_db("unused", verbosity=0)


@pytest.fixture(scope="session")
def _on_default(_environment: None) -> Iterator[None]:
    yield from _migrated("default")


@pytest.fixture(scope="session")
def _on_memory(_environment: None) -> Iterator[None]:
    yield from _migrated("memory")


@pytest.fixture(scope="session")
def _on_postgresql(_environment: None, postgresql_server: None) -> Iterator[None]:
    yield from _migrated("postgresql")


@pytest.fixture(scope="session")
def _on_mariadb(_environment: None, mariadb_server: None) -> Iterator[None]:
    yield from _migrated("mariadb")


@pytest.fixture
def alias(request: pytest.FixtureRequest) -> str:
    """The database of the ledger, whose tables were made by Django's migration."""
    name: str = getattr(request, "param", "default")
    request.getfixturevalue(f"_on_{name}")
    return name


SERVERS = ("default", "postgresql", "mariadb")
each_database = pytest.mark.parametrize("alias", SERVERS, indirect=True)
"""Runs a test with the ledger in a file, and on each server."""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A gateway that nobody else sends to."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def in_production(alias: str, sandbox: Sandbox) -> Iterator[str]:
    """A project whose ledger has connections of its own, and whose gateway is the sandbox."""
    given = {
        "database": alias,
        "outbox": False,
        "endpoint": sandbox.url,
        "user_code": "demo",
        "user_pass": "demo",
        "channel": 37,
        "signature": "签名",
        "retries": 0,
    }
    with override_settings(YUNXIN=given):
        yield alias
        process.close()
        empty_tables(alias)


@contextmanager
def in_test_case(alias: str, **options: Any) -> Iterator[None]:
    """Do as Django's ``TestCase`` does: all is in a transaction, which is rolled back."""
    outbox.clear()
    given = {"database": alias, "channel": 37, "signature": "签名", **options}
    with override_settings(YUNXIN=given), transaction.atomic(using=alias):
        yield
        transaction.set_rollback(True, using=alias)
