"""A new Django project needs few lines for a notice in a transaction; the example's tests pass."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.campaign.killing.processes import wait_until
from tests.support.doc_pages import DOCS, TOP, find_block, read_blocks
from yunxin_soap.sandbox import Sandbox

PAGE = DOCS / "how-to" / "django.md"
SHOP = TOP / "examples" / "django_shop"
MOST_LINES = 8
"""Of glue, from a new project to a notice in a transaction."""


def blocks() -> dict[str, str]:
    """Return the Python files that the page shows, by their names."""
    page = read_blocks(PAGE)
    return {each.file_name: each.code.partition("\n")[2] for each in page if each.file_name}


def page_script() -> str:
    """Return the Python that the page gives to Django's shell."""
    return find_block(PAGE, "python manage.py shell").partition('"')[2].rpartition('"')[0]


def run(*command: str, cwd: Path, **environment: str) -> str:
    """Run a command of Python, and return its output."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={**os.environ, "PYTEST_ADDOPTS": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project with the lines of the page, migrated."""
    folder = tmp_path_factory.mktemp("project")
    run("-m", "django", "startproject", "mysite", ".", cwd=folder)
    run("manage.py", "startapp", "shop", cwd=folder)
    for name, text in blocks().items():
        with (folder / name).open("a", encoding="utf-8") as file:
            file.write(text)
    run("manage.py", "migrate", "-v", "0", cwd=folder)
    return folder


def test_page_needs_few_lines_of_glue() -> None:
    """The settings, and what `orders.py` has because of the notice, are counted."""
    found = blocks()
    lines = found["mysite/settings.py"].splitlines() + [
        line
        for line in found["shop/orders.py"].splitlines()
        if re.search(r"transaction|yunxin_soap|enqueue", line)
    ]
    assert len(lines) == 6, lines
    assert len(lines) <= MOST_LINES


PLACE = """
from django.contrib.auth.models import User
from shop.orders import place_order
def fail():
    User.objects.create(username="lost")
    raise LookupError
try:
    place_order(fail)
except LookupError:
    pass
order = place_order(lambda: User.objects.create(username="kept"))
place_order(lambda: order)
print(list(User.objects.values_list("username", flat=True)))
"""


COUNT = """
from yunxin_soap.django import get_ledger
print(sum(get_ledger().once.counts().values()), "queued")
"""


def test_new_project_sends_the_notice_of_a_committed_order_once(project: Path) -> None:
    """Two orders, one of them twice, and a rollback make two SMS; SIGTERM ends the worker."""
    with Sandbox() as sandbox:
        account = {
            "YUNXIN_ENDPOINT": sandbox.url,
            "YUNXIN_USER_CODE": "demo",
            "YUNXIN_USER_PASS": "demo",
        }
        assert "['kept']" in run("manage.py", "shell", "-c", PLACE, cwd=project)
        run("manage.py", "shell", "-c", page_script(), cwd=project)
        assert "2 queued" in run("manage.py", "shell", "-c", COUNT, cwd=project)
        worker = subprocess.Popen(
            [sys.executable, "manage.py", "yunxin", "worker"],
            cwd=project,
            env={**os.environ, **account},
        )
        try:
            wait_until(lambda: len(sandbox.inbox) == 2, "the notices are sent")
        finally:
            worker.send_signal(signal.SIGTERM)
            status = worker.wait(60)
        assert status == 0
        sent = [(each.message, each.recipients) for each in sandbox.inbox]
        assert sent == [("您的订单已收到。【小店】", ("13900000000",))] * 2
        run("manage.py", "shell", "-c", "import mysite.celery", cwd=project, **account)


def test_tests_of_the_page_pass(project: Path) -> None:
    """They pass with Django's own runner, without an account."""
    assert "Ran 3 tests" in run("-W", "error", "manage.py", "test", cwd=project)


def test_tests_of_the_shop_pass_with_the_runner_of_django() -> None:
    """Django's runner empties the outbox for each test; test_examples runs them with pytest."""
    assert "Ran 8 tests" in run("-W", "error", "manage.py", "test", cwd=SHOP)
