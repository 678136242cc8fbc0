"""The table of what became of all rounds."""

from __future__ import annotations

from collections import defaultdict

from tests.integration.campaign.killing.rounds import Outcome


class Table:
    """Counts of rounds, by attack and kind of ledger."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
        self._skipped: dict[str, str] = {}
        self.mistakes = 0

    def add(self, outcome: Outcome) -> None:
        """Add a round."""
        self._rows[outcome.attack, outcome.kind].append(outcome)
        self.mistakes += not outcome.is_good

    def skip(self, attack: str, reason: str) -> None:
        """Note that an attack is not possible here."""
        self._skipped[attack] = reason

    def text(self) -> str:
        """Return the table, and what it says in one sentence."""
        lines = [_line("attack", "database", ("rounds", "twice", "lost", "unknown", "seconds"))]
        everything = [each for outcomes in self._rows.values() for each in outcomes]
        for (attack, kind), outcomes in sorted(self._rows.items()):
            lines.append(_line(attack, kind, _sums(outcomes)))
        lines.append(_line("all", "", _sums(everything)))
        lines += [f"{attack}: skipped, {why}" for attack, why in sorted(self._skipped.items())]
        if self.mistakes:
            lines.append(f"{self.mistakes} of {len(everything)} rounds went wrong.")
        else:
            lines.append("No number was accepted twice, and none is missing.")
        return "\n".join(lines)


def _sums(outcomes: list[Outcome]) -> tuple[object, ...]:
    return (
        len(outcomes),
        sum(each.twice for each in outcomes),
        sum(each.lost for each in outcomes),
        sum(each.unknown for each in outcomes),
        f"{sum(each.seconds for each in outcomes):.0f}",
    )


def _line(attack: str, kind: str, values: tuple[object, ...]) -> str:
    return f"{attack:<20}{kind:<12}" + "".join(f"{value!s:>9}" for value in values)
