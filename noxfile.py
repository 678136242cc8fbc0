"""Run the checks: ``nox --list`` names them, ``nox -s lint`` runs one."""

from __future__ import annotations

import nox

PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
EVERYTHING = ("-e", ".[all,test]")
TYPING_TESTS = "tests/typing"

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
    """Build the documents in English and in Chinese; a warning fails the build."""
    session.install("-e", ".[all,docs]")
    for language in ("en", "zh_CN"):
        folder = f"build/docs/{language}"
        session.run(
            "sphinx-build",
            "-qW",
            "-jauto",
            "--keep-going",
            f"-Dlanguage={language}",
            "docs",
            folder,
        )


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
