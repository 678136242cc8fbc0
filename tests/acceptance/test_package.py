"""The installed package: from a checkout, editable, and from a wheel; its extras and imports."""

from __future__ import annotations

import importlib
import inspect
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.nested_pytest import run_pytest
from yunxin_soap import __version__
from yunxin_soap.extras import install_command

CHECKOUT = Path(__file__).resolve().parents[2]
PUBLIC_MODULES = (
    "yunxin_soap",
    "yunxin_soap.campaign",
    "yunxin_soap.django",
    "yunxin_soap.sandbox",
)
SHIPPED = (".py", "py.typed", ".mo", ".j2", ".html", ".css", ".js", ".wsdl")
"""How the names of files end that a user needs."""
FIND_WSDL = (
    "from yunxin_soap import Client, wsdl\n"
    "assert Client('demo', 'demo').protocol == 'soap'\n"
    "print(wsdl.find())\n"
)


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command that must succeed; return its output."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def create_environment(path: Path) -> Path:
    """Create a virtual environment; return its Python."""
    venv.create(path, with_pip=True)
    return path / ("Scripts" if os.name == "nt" else "bin") / "python"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the sources, so that a build leaves no files in the real checkout."""
    copy = tmp_path / "checkout"
    copy.mkdir()
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, copy)
    for name in ("yunxin_soap", "wsdl_cache"):
        shutil.copytree(CHECKOUT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_package_in_a_checkout_finds_the_wsdl(checkout: Path, tmp_path: Path) -> None:
    """A checkout that is not installed finds the WSDL at its top level."""
    python = create_environment(tmp_path / "venv")
    needed = ("httptools", "zeep", "lxml", "platformdirs")
    run(python, "-m", "pip", "install", "-q", *needed, cwd=tmp_path)
    assert run(python, "-c", FIND_WSDL, cwd=checkout) == str(checkout / "wsdl_cache/MsgSend.wsdl")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_package_installed_editable_finds_the_wsdl(checkout: Path, tmp_path: Path) -> None:
    """An editable install finds the WSDL in the checkout."""
    python = create_environment(tmp_path / "venv")
    run(python, "-m", "pip", "install", "-q", "-e", checkout, cwd=tmp_path)
    assert run(python, "-c", FIND_WSDL, cwd=tmp_path) == str(checkout / "wsdl_cache/MsgSend.wsdl")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_package_installed_from_wheel_contains_what_it_needs(
    checkout: Path, tmp_path: Path
) -> None:
    """A wheel contains the WSDL and the type marker, no tests, and requires no extra."""
    python = create_environment(tmp_path / "venv")
    wheels = tmp_path / "wheels"
    run(python, "-m", "pip", "wheel", "-q", "--no-deps", "-w", wheels, checkout, cwd=tmp_path)
    (wheel,) = wheels.iterdir()
    names = zipfile.ZipFile(wheel).namelist()
    assert "yunxin_soap/wsdl_cache/MsgSend.wsdl" in names
    assert "yunxin_soap/py.typed" in names
    # Every template and static file of the sources is in the wheel.
    package = checkout / "yunxin_soap"
    data = [path for name in ("static/*", "*.j2", "*.mo") for path in package.rglob(name)]
    assert package / "campaign/report.html.j2" in data
    assert {path.relative_to(checkout).as_posix() for path in data} <= set(names)
    # Nothing else is: no tests, no sources of translations, no pages of the documents.
    assert [
        name
        for name in names
        if not (name.startswith("yunxin_soap/") and name.endswith(SHIPPED))
        and not name.startswith(f"yunxin_soap-{__version__}.dist-info/")
    ] == []
    shutil.rmtree(checkout)
    run(python, "-m", "pip", "install", "-q", wheel, cwd=tmp_path)
    found = Path(run(python, "-c", FIND_WSDL, cwd=tmp_path))
    assert found.parts[-3:] == ("yunxin_soap", "wsdl_cache", "MsgSend.wsdl")
    assert found.is_relative_to((tmp_path / "venv").resolve())
    installed = run(python, "-m", "pip", "list", "--format=freeze", cwd=tmp_path).lower()
    assert "zeep" in installed
    assert "aiohttp" not in installed
    assert "click" not in installed
    done = subprocess.run(
        [python, "-m", "yunxin_soap"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.stderr.endswith(' the extra "cli" brings: pip install "click>=8.2"\n')


def test_package_import_loads_no_dependency() -> None:
    """Importing the package, its errors and its receipt imports no third-party library."""
    script = (
        "import sys, yunxin_soap\n"
        "heavy = {'zeep', 'lxml', 'urllib3', 'requests', 'aiohttp', 'click', 'platformdirs'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "yunxin_soap.Rejected, yunxin_soap.Receipt\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("missing", "arguments", "needs", "extra"),
    [
        ("click", "codes", "The command line needs click", "cli"),
        *(
            (name, "sandbox", f"The sandbox needs {name}", "sandbox")
            for name in ("aiohttp", "filelock", "jinja2", "pydantic")
        ),
        *(
            (
                "sqlalchemy",
                f"campaign {command}",
                "Campaigns need SQLAlchemy",
                "campaign",
            )
            for command in (
                "status",
                "run a",
                "report a",
                "find 13900000000",
                "export a",
                "watch a",
                "pause a",
                "cancel a --yes",
                "delete a --yes",
                "retry a",
                "resolve a --accepted",
                "plan a --message x【x】 --text -",
                "plan a --message x【x】 --text - --dry-run",
            )
        ),
        (
            "psycopg",
            "campaign status --ledger postgresql://u:secret@localhost/x",
            "The ledger postgresql://u:***@localhost/x needs psycopg",
            "campaign",
        ),
    ],
)
def test_command_without_its_extra_names_the_pip_command(
    tmp_path: Path, missing: str, arguments: str, needs: str, extra: str
) -> None:
    """A command whose extra is missing ends with the exact command that installs it."""
    script = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        f"sys.argv[1:] = {arguments.split()!r}\n"
        "from yunxin_soap.__main__ import main; main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "YUNXIN_LEDGER": "ledger.sqlite", "YUNXIN_CHANNEL": "37"},
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode
    message = (
        f"{needs}, which is not installed."
        f' Install what the extra "{extra}" brings: {install_command(extra)}\n'
    )
    assert (done.stdout, done.stderr.removeprefix("yunxin-soap: ")) == ("", message)


def test_django_app_without_django_names_the_pip_command() -> None:
    """The app needs no project to be imported, but Django."""
    script = "import sys; sys.modules['django'] = None; import yunxin_soap.django"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "needs Django, which is not installed." in done.stderr
    assert 'Install what the extra "django" brings: pip install ' in done.stderr


def test_pytest_plugin_unused_imports_no_dependency(tmp_path: Path) -> None:
    """In a test run that uses no fixture, the plugin imports no third-party library."""
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_it():\n"
        "    assert 'yunxin_soap.pytest_plugin' in sys.modules\n"
        "    assert not {'zeep', 'lxml', 'urllib3', 'aiohttp', 'yunxin_soap.sandbox'}"
        " & set(sys.modules)\n"
    )
    assert "1 passed" in run_pytest(tmp_path, "-p", "no:hypothesispytest", "-p", "no:schemathesis")


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_public_module_names_exist_and_are_documented(module: str) -> None:
    """Every name that a public module lists exists, and every class and function is documented."""
    imported = importlib.import_module(module)
    names = imported.__all__
    assert len(set(names)) == len(names)
    public = {name: getattr(imported, name) for name in names}
    undocumented = [
        name
        for name, value in public.items()
        if (inspect.isclass(value) or inspect.isroutine(value)) and not inspect.getdoc(value)
    ]
    assert undocumented == []
