"""Runs pytest in a process of its own, as a user of the package would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run_pytest(
    folder: Path, *arguments: str, status: int = 0, timeout: float = 60, **environment: str
) -> str:
    """Run pytest on a folder, check its exit status, and return its output.

    Args:
        folder: The folder with the tests, which is also the working directory.
        arguments: Further arguments of pytest.
        status: The exit status to expect.
        timeout: Seconds after which it is killed.
        environment: Environment variables to set.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *arguments, str(folder)],
        cwd=folder,
        # The outer run's options must not reach the inner one: it may not know those of
        # pytest-xdist, and a second -q hides how many tests passed.
        env={**os.environ, "PYTEST_ADDOPTS": "", **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout
