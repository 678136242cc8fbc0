"""Skip a test whose service or program is missing, or fail it where that is required."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

REQUIRED = bool(os.environ.get("YUNXIN_REQUIRE_SERVICES"))
"""Whether a missing service or program fails the test. ``.ci/run`` sets it."""


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test, or fail it if ``YUNXIN_REQUIRE_SERVICES`` is set."""
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)
