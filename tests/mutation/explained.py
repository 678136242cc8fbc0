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
    "wire.codec": (
        (
            "<module>",
            "b',-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~' -> "
            "b',-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~X'",
            "X is among these bytes already.",
        ),
        ("<module>", "'/' -> '/X'", "The host has no X at either end."),
        (
            "_Fault",
            "False -> True",
            "The default is for a fault beside other content, of which nothing else matters.",
        ),
        (
            "SubmissionEncoder.__init__",
            "numbers < message -> numbers <= message",
            "The two places are never the same.",
        ),
        (
            "_is_harmless_header",
            "return False -> return None",
            "Only a condition looks at it.",
        ),
        (
            "_is_nil_or_reference",
            "return False -> return None",
            "Only conditions look at it.",
        ),
        (
            "_mentions_result",
            "return False -> return None",
            "Only conditions look at it.",
        ),
        (
            "_parser",
            "'parser' -> 'parserX'",
            "Each response then gets a parser of its own, which takes longer and reads the same.",
        ),
        (
            "_parser",
            "True -> False",
            "Nothing is loaded that a network could be needed for; this is a second lock.",
        ),
    ),
}
"""By module: the function, the change, and the reason."""
