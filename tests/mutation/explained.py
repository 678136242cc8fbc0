"""The mutants that change nothing that anybody could notice, and why.

Each is named by its function and its change, as the command prints them.
"""

from __future__ import annotations

EXPLAINED: dict[str, tuple[tuple[str, str, str], ...]] = {
    "campaign.running.decisions": (
        (
            "_backoff",
            "20 -> 21",
            "Both powers of two are far above five minutes, which is the most in any case.",
        ),
    ),
}
"""By module: the function, the change, and the reason."""
