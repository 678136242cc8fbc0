"""Run the checks: ``nox --list`` names them, ``nox -s lint`` runs one."""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
EVERYTHING = ("-e", ".[all,test]")
TYPING_TESTS = "tests/typing"
FEW_TOOLS = (
    *("aiosqlite", "anyio", "Babel", "celery[redis]", "freezegun", "hypothesis", "httpx", "numpy"),
    *("openapi-schema-validator", "opentelemetry-sdk", "pandas", "pytest", "pytest-asyncio"),
    *("pytest-django", "pytest-randomly", "pytest-socket", "pytest-timeout", "pytest-xdist"),
    *("structlog", "time-machine", "trustme", "uvloop"),
)
"""What the tests of `lowest` and `airflow` need; the extra ``test`` has tools that would change the
versions of other libraries there."""
LOWEST_TESTS = (
    "tests/unit",
    "tests/integration/campaign/test_outbox.py",
    "tests/integration/client/test_async_client.py",
    "tests/integration/client/test_service.py",
    "tests/integration/django",
    "tests/integration/sandbox/test_server.py",
    "tests/integration/telemetry/test_telemetry.py",
)
"""The units, and those whose results depend on libraries most."""
PICTURES = {
    "inbox.png": "inbox-lost-laptop-light-en.png",
    "inbox.zh-CN.png": "inbox-lost-laptop-light-zh.png",
    "inbox-phone.png": "inbox-list-phone-dark-zh.png",
    "inbox-rejected.png": "inbox-rejected-phone-light-en.png",
    "progress.svg": "terminal-en.svg",
    "progress.zh-CN.svg": "terminal-zh.svg",
    "report.png": "report-light-en-top.png",
    "report.zh-CN.png": "report-light-zh-top.png",
}
"""Those of `docs/`, by the names that the tests give them in `artefacts/`."""
WHEELS = Path("dist").resolve()
"""Where `package` leaves the wheel and the sdist, and `wheel` finds them."""

nox.needs_version = ">=2024.10"
nox.options.sessions = ["lint", "types", "tests"]
# uv, where it is installed, is much faster.
nox.options.default_venv_backend = "uv|venv"
nox.options.reuse_existing_virtualenvs = True
# A version that the machine does not have is skipped, not downloaded.
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests; arguments after ``--`` go to pytest."""
    session.install(*EVERYTHING)
    session.run("python", "-m", "pytest", *(session.posargs or ["-q", "-n", "2"]))


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """Run tests with the lowest versions that setup.cfg allows, on the lowest Python."""
    session.install("uv")
    versions = Path(session.create_tmp(), "lowest.txt")
    resolve = ("uv", "pip", "compile", "-q", "--python", "python", "--resolution", "lowest-direct")
    session.run(*resolve, "--extra", "all", "setup.py", "-o", str(versions), silent=True)
    session.install("-e", ".[all]", "-r", str(versions), *FEW_TOOLS)
    # MariaDB's tests are the same, and take longest.
    some = ("-q", "-n", "3", "--hypothesis-profile=few examples", "-k", "not mariadb")
    session.run("python", "-m", "pytest", *some, *(session.posargs or LOWEST_TESTS))


@nox.session
def airflow(session: nox.Session) -> None:
    """Run the DAG of the documents in Airflow, which conflicts with the extra ``test``."""
    session.install("-e", ".[all]", "apache-airflow>=3", *FEW_TOOLS)
    session.run("python", "-m", "pytest", "-q", "tests/acceptance/test_airflow.py")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, spelling and who imports whom."""
    session.install(*EVERYTHING)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell")
    session.run("lint-imports")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documents in English and in Chinese, and look at them; a warning is an error."""
    session.install("-e", ".[all,docs,test]")
    built = Path("build/docs").resolve()
    for language in ("en", "zh_CN"):
        session.run(
            "sphinx-build",
            "-qW",
            "-jauto",
            "--keep-going",
            f"-Dlanguage={language}",
            "docs",
            str(built / language),
        )
    test = "tests/acceptance/browser/test_documents.py"
    session.run("python", "-m", "pytest", "-q", test, env={"YUNXIN_TEST_DOCS": str(built)})


@nox.session
def translations(session: nox.Session) -> None:
    """Write what is to be translated to docs/locale, and mark what has changed there."""
    session.install("-e", ".[all,docs]")
    folder = "build/docs/gettext"
    session.run("sphinx-build", "-qE", "-b", "gettext", "docs", folder)
    session.run(
        *("sphinx-intl", "update", "--no-obsolete", "-w", "100"),
        *("-p", folder, "-d", "docs/locale", "-l", "zh_CN"),
    )


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of all code with mypy, and those of the public API with pyright."""
    session.install("-e", ".[all,docs,test]")
    session.run("mypy")
    # The machine's Node runs pyright; its wrapper must not download another one.
    session.run("pyright", TYPING_TESTS, env={"PYRIGHT_PYTHON_GLOBAL_NODE": "1"})


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Measure sending, the sandbox and campaigns; write the results to docs/."""
    session.install(*EVERYTHING)
    session.run("python", "-m", "tests.benchmarks", *session.posargs)
    session.run("python", "-m", "tests.benchmarks.campaign", *session.posargs)


@nox.session
def pictures(session: nox.Session) -> None:
    """Take the README's screenshots and recordings again, in both languages."""
    session.install(*EVERYTHING)
    views = "screen or terminal_shows or switches_its_language"
    tests = ("tests/acceptance/test_terminal.py", "tests/acceptance/browser")
    session.run("python", "-m", "pytest", "-q", "-p", "no:randomly", *tests, "-k", views)
    for picture, taken in PICTURES.items():
        shutil.copy(Path("artefacts", taken), Path("docs", picture))


@nox.session
def package(session: nox.Session) -> None:
    """Build the sdist and the wheel twice, in two ways that must not matter; check them."""
    session.install("build[uv]", "check-wheel-contents", "twine")
    committed = session.run("git", "log", "-1", "--format=%ct", external=True, silent=True)
    epoch = str(committed).strip()
    built = []
    for name, umask, zone in (("one", "022", "UTC"), ("the other", "077", "Asia/Shanghai")):
        source = Path(session.create_tmp(), name, "yunxin_soap")
        shutil.rmtree(source, ignore_errors=True)
        script = 'umask "$0" && git clone -q . "$1" && exec python -m build --installer uv "$1"'
        session.run(
            *("sh", "-c", script, umask, str(source)),
            env={"SOURCE_DATE_EPOCH": epoch, "TZ": zone},
            external=True,
            silent=True,
        )
        built.append({path.name: path.read_bytes() for path in (source / "dist").iterdir()})
    one, other = built
    different = [name for name in {*one, *other} if one.get(name) != other.get(name)]
    if different:
        session.error(f"The second build is not the same: {sorted(different)}")
    shutil.rmtree(WHEELS, ignore_errors=True)
    shutil.copytree(source / "dist", WHEELS)
    files = [str(path) for path in sorted(WHEELS.iterdir())]
    session.run("twine", "check", "--strict", *files)
    session.run("check-wheel-contents", str(WHEELS))


@nox.session(python=PYTHONS, reuse_venv=False)
def wheel(session: nox.Session) -> None:
    """Send an SMS to the sandbox with the wheel alone, and run a user's own tests with it."""
    (built,) = WHEELS.glob("*.whl")
    session.install(f"{built}[cli,sandbox]")
    project = Path(session.create_tmp(), "user_project")
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree("tests/acceptance/user_project", project)
    # Elsewhere, so that no module of this folder is imported.
    session.chdir(project)
    message = ("--to", "13900000000", "--message", "您好【签名】")
    session.run("yunxin-soap", "send", "--sandbox", *message)
    session.install("anyio", "pytest", "pytest-asyncio", "pytest-xdist")
    session.run("python", "-m", "pytest", "-q", "-n", "2", "-W", "error")
    if session.python == PYTHONS[0]:
        # The last pytest-asyncio without loop scopes must work, too.
        session.install("pytest<9", "pytest-asyncio==0.23.8")
        session.run("python", "-m", "pytest", "-q")
