"""`YUNXIN`, the addresses of `DATABASES`, the system checks and `manage.py yunxin`."""

from __future__ import annotations

from io import StringIO
from typing import Any
from weakref import WeakKeyDictionary

import pytest
import sqlalchemy as sa
from celery import Celery
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import override_settings
from django.utils.translation import override

from tests.integration.django.conftest import each_database
from yunxin_soap import ConfigurationError
from yunxin_soap.campaign.storage.dialects import dialect_of_scheme
from yunxin_soap.django import get_client, get_ledger, setup_celery
from yunxin_soap.errors import LedgerError
from yunxin_soap.sandbox import Sandbox

ACCOUNT = {"user_code": "demo", "user_pass": "secret-of-demo"}
COMPLETE = {**ACCOUNT, "channel": 37, "signature": "小店", "outbox": False}
HERE = {"endpoint": "http://127.0.0.1:8025/api/MsgSend.asmx"}
BASE = {"NAME": "shop", "USER": "u", "PASSWORD": "p@ss/word", "HOST": "db", "PORT": "5433"}


@pytest.fixture(autouse=True)
def _no_other_application(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the Celery applications of other tests."""
    monkeypatch.setattr("yunxin_soap.celery._setups", WeakKeyDictionary())


def ids(given: Any, *, deploy: bool = False, **settings: Any) -> list[str]:
    with override_settings(YUNXIN=given, **settings):
        found = run_checks(include_deployment_checks=deploy)
    return [str(each.id) for each in found if str(each.id).startswith("yunxin.")]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"chanel": 37}, "YUNXIN has no key 'chanel': did you mean 'channel'"),
        ({"USER_CODE": "demo"}, "did you mean 'user_code'"),
        ({"x": 1}, "use user_code, user_pass, "),
        ([], "YUNXIN must be a dict, not list"),
        ({"database": "nowhere"}, "DATABASES has only 'default', "),
        ({"outbox": 1}, "use True or False"),
        ({"heartbeat_timeout": 0}, "must be a number above 0"),
        ({"sweep_interval": "30"}, "must be a number above 0"),
    ],
)
def test_wrong_setting_is_named(given: Any, message: str) -> None:
    """A wrong key or value is an error that names it, also of the system check."""
    with override_settings(YUNXIN=given), pytest.raises(ImproperlyConfigured, match=message):
        get_ledger()
    assert ids(given) == ["yunxin.E001"]


def test_environment_has_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """`YUNXIN` comes first, then the variables; no error or frame has the password."""
    monkeypatch.setenv("YUNXIN_USER_CODE", "of-variable")
    monkeypatch.setenv("YUNXIN_USER_PASS", "secret-of-variable")
    monkeypatch.setenv("YUNXIN_CHANNEL", "5")
    with override_settings(YUNXIN={"channel": 37, "outbox": False}):
        assert (get_client().user_code, get_client().settings.channel) == ("of-variable", "37")


@pytest.mark.parametrize("wrong", [{"timeout": -1}, {"chanel": 37}, {"outbox": 1}])
def test_error_of_the_setting_keeps_no_password(wrong: dict[str, Any]) -> None:
    """Neither the error nor a local variable of its frames, which Django's page shows, has it."""
    with (
        override_settings(YUNXIN={**COMPLETE, **wrong}),
        pytest.raises((ConfigurationError, ImproperlyConfigured)) as caught,
    ):
        get_client()
    trace = caught.value.__traceback__
    while trace is not None:
        if "/yunxin_soap/" in trace.tb_frame.f_code.co_filename:
            assert "secret-of-demo" not in repr(trace.tb_frame.f_locals)
        trace = trace.tb_next


@pytest.mark.parametrize(
    ("scheme", "changed", "address"),
    [
        ("postgresql", {}, "postgresql://u:p%40ss%2Fword@db:5433/shop"),
        ("postgresql", {"HOST": "", "PORT": "", "USER": "", "PASSWORD": ""}, "postgresql:///shop"),
        (
            "postgresql",
            {"HOST": "/run/pg", "USER": "", "PASSWORD": ""},
            "postgresql:///shop?host=%2Frun%2Fpg&port=5433",
        ),
        (
            "postgresql",
            {"OPTIONS": {"sslmode": "verify-full", "pool": True, "assume_role": "my role"}},
            "postgresql://u:p%40ss%2Fword@db:5433/shop?options=-c+role%3Dmy%5C+role"
            "&sslmode=verify-full",
        ),
        ("mysql", {"OPTIONS": {"charset": "utf8mb4"}}, "mysql://u:p%40ss%2Fword@db:5433/shop"),
        (
            "mysql",
            {"OPTIONS": {"ssl": {"ca": "/ca.pem"}}},
            "mysql://u:p%40ss%2Fword@db:5433/shop?ssl_ca=%2Fca.pem",
        ),
        (
            "mysql",
            {"HOST": "/run/my.sock", "PORT": ""},
            "mysql://u:p%40ss%2Fword@/shop?unix_socket=%2Frun%2Fmy.sock",
        ),
        ("sqlite", {"NAME": "/srv/db.sqlite3"}, "/srv/db.sqlite3"),
    ],
)
def test_databases_as_address(scheme: str, changed: dict[str, Any], address: str) -> None:
    """Each setting of a database is in the address, as SQLAlchemy reads it."""
    settings = {"OPTIONS": {}, **BASE, **changed}
    found = dialect_of_scheme(scheme).address_of_settings(settings)
    if scheme == "sqlite":
        assert found == address
        return
    # The order of a query does not matter, nor how the host's absence is written.
    assert sa.make_url(found) == sa.make_url(address)


@pytest.mark.parametrize(
    ("scheme", "options"),
    [("mysql", {"ssl_mode": "REQUIRED"}), ("mysql", {"compress": True}), ("postgresql", {"x": []})],
)
def test_option_that_an_address_cannot_carry_is_refused(scheme: str, options: Any) -> None:
    """An option is never left out silently: it may be about TLS."""
    with pytest.raises(LedgerError, match=rf"OPTIONS\['{next(iter(options))}'\]"):
        dialect_of_scheme(scheme).address_of_settings({**BASE, "OPTIONS": options})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({**COMPLETE, **HERE}, []),
        ({**COMPLETE, **HERE, "signature": None}, ["yunxin.W001"]),
        ({**COMPLETE, **HERE, "channel": None}, ["yunxin.W002"]),
        ({**COMPLETE, **HERE, "user_pass": ""}, ["yunxin.W004"]),
        ({**COMPLETE, **HERE, "timeout": 0}, ["yunxin.E002"]),
        ({**COMPLETE, **HERE, "database": "memory"}, ["yunxin.E003"]),
        # In a test, nothing is sent, and the ledger needs no connection of its own.
        ({"channel": 37, "signature": "小店", **HERE}, []),
    ],
)
def test_checks_of_the_setting(given: Any, expected: list[str], alias: str) -> None:
    """Each check finds its case, and no other one."""
    memory = connections["memory"].settings_dict
    name, memory["NAME"] = memory["NAME"], ":memory:"
    try:
        assert ids(given, deploy=True) == expected
    finally:
        memory["NAME"] = name


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"chanel": 37}, "YUNXIN 没有键 'chanel'：您是否想用 'channel'？"),
        ([], "YUNXIN 必须是字典，不能是 list。"),
        ({"outbox": 1}, "YUNXIN['outbox'] 是 1：请用 True 或 False。"),
        ({**COMPLETE, **HERE, "timeout": 0}, "timeout=0 必须是秒数，大于 0"),
        (
            {**COMPLETE, **HERE, "signature": None},
            "没有签名：每条短信都必须以自己的 【…】 结尾。\n"
            "\tHINT: 请设置 YUNXIN['signature']，例如 '小店'，或 YUNXIN_SIGNATURE。",
        ),
    ],
)
def test_checks_speak_chinese_if_django_does(given: Any, text: str) -> None:
    """The active language decides, as `LANGUAGE_CODE` sets it; an error that is raised is English.

    Without one, as in a migration, they are English.
    """

    def shown() -> str:
        return "\n".join(str(each) for each in run_checks() if "yunxin." in str(each.id))

    with override_settings(YUNXIN=given):
        with override("zh-hans"):
            assert text in shown()
        for language in ("en", None):
            with override(language):
                assert text not in shown()
                assert shown().replace("【…】", "").replace("小店", "").isascii()
    with (
        override_settings(YUNXIN={"outbox": 1}),
        override("zh-hans"),
        pytest.raises(ImproperlyConfigured, match="use True or False"),
    ):
        get_ledger()


def test_checks_of_the_endpoint() -> None:
    """The vendor's own address is http, which `check --deploy` says; DEBUG must not send to it."""
    assert ids(COMPLETE, deploy=True) == ["yunxin.W003"]
    assert ids(COMPLETE, DEBUG=True) == ["yunxin.W005"]
    secure = {**COMPLETE, "endpoint": "https://sms.example/api/MsgSend.asmx"}
    assert ids(secure, deploy=True) == []
    container = {**COMPLETE, "endpoint": "http://sandbox:8025/api/MsgSend.asmx"}
    assert ids(container, deploy=True, DEBUG=True) == []


def test_checks_of_celery() -> None:
    """What a worker would refuse to start with is a warning; `setup_celery` takes `YUNXIN`."""
    app = Celery("shop", broker="memory://", set_as_current=False)
    with override_settings(YUNXIN={**COMPLETE, **HERE, "slice_seconds": 5, "sweep_interval": 7}):
        setup_celery(app)
    assert app.conf.beat_schedule["yunxin_soap.sweep"]["schedule"] == 7
    assert ids({**COMPLETE, **HERE}) == []
    app.conf.task_time_limit = 60
    assert ids({**COMPLETE, **HERE}) == ["yunxin.W006", "yunxin.W006"]


def run(*arguments: str, status: int = 0) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("yunxin", *arguments, stdout=StringIO())
    assert ended.value.code == status


@each_database
def test_command_has_ledger_and_account_of_the_settings(
    in_production: str, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """`manage.py yunxin` works on the ledger in `DATABASES`, and sends by the account."""
    get_ledger().plan("june", ["13900000000"], "您好【签名】", channel=37)
    run("campaign", "run", "june", "--yes")
    run("campaign", "status", "--json")
    assert '"accepted": 1' in capsys.readouterr().out
    run("send", "--to", "13900000000", "--message", "再见")
    assert [each.message for each in sandbox.inbox] == ["您好【签名】", "再见【签名】"]
    run("campaign", "status", "july", status=2)
    # What it tells to run next is the command that knows this ledger.
    capsys.readouterr()
    get_ledger().once.enqueue("order-1", "13900000000", "您好【签名】", channel=37)
    run("campaign", "status")
    assert "(python manage.py yunxin worker sends it)" in capsys.readouterr().out


def test_command_lists_commands_and_sends_nothing_in_a_test(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Alone it is the help; where the outbox keeps what is sent, it does not run."""
    with override_settings(YUNXIN={**COMPLETE, **HERE}):
        run()
    assert "manage.py yunxin" in capsys.readouterr().out
    with override_settings(YUNXIN={}), pytest.raises(CommandError, match="would send"):
        call_command("yunxin", "worker")
