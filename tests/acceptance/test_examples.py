"""Each project in ``examples/`` passes its own tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.nested_pytest import run_pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "example", sorted(path.parent.name for path in EXAMPLES.glob("*/README.md"))
)
def test_example_passes_its_own_tests(example: str) -> None:
    """The tests of an example pass with the package as it is here."""
    # Without pytest-asyncio, which these projects do not need, and which asks for an option.
    output = run_pytest(
        EXAMPLES / example,
        "-p",
        "no:asyncio",
        "-p",
        "no:cacheprovider",
        timeout=280,
        PYTHONDONTWRITEBYTECODE="1",
    )
    assert "passed" in output
