"""Draws the states of a submission and what may follow each, from the ledger's own table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from yunxin_soap.campaign import State
from yunxin_soap.campaign.models import ALLOWED

WIDTH, HEIGHT = 104, 34
"""Of a state's box."""
PLACES = {
    State.PENDING: (70, 150),
    State.SUBMITTING: (290, 150),
    State.ACCEPTED: (530, 40),
    State.REJECTED: (530, 130),
    State.UNKNOWN: (530, 220),
    State.SPLIT: (530, 310),
    State.CANCELLED: (70, 310),
    State.SUPPRESSED: (290, 310),
}
"""The middle of each box. A state without one fails the build."""
BY_PERSON = frozenset({State.REJECTED, State.UNKNOWN})
"""Only a person moves a submission out of these."""
DETOURS = {
    # Around what lies between two boxes: the point that the line is drawn towards.
    (State.REJECTED, State.PENDING): (300, -60),
    (State.UNKNOWN, State.PENDING): (300, 300),
    (State.UNKNOWN, State.ACCEPTED): (690, 130),
    (State.SUBMITTING, State.PENDING): (180, 190),
    (State.PENDING, State.SUBMITTING): (180, 118),
}


@dataclass(frozen=True)
class _Point:
    x: float
    y: float


def _edge_of_box(state: State, towards: _Point) -> _Point:
    """Return where a line from the middle of a box leaves it."""
    x, y = PLACES[state]
    dx, dy = towards.x - x, towards.y - y
    scale = min(
        (WIDTH / 2 + 3) / abs(dx) if dx else float("inf"),
        (HEIGHT / 2 + 3) / abs(dy) if dy else float("inf"),
    )
    return _Point(x + dx * scale, y + dy * scale)


def _lines() -> Iterator[str]:
    for before, following in ALLOWED.items():
        for after in sorted(following):
            detour = DETOURS.get((before, after))
            via = _Point(*detour) if detour else None
            start = _edge_of_box(before, via or _Point(*PLACES[after]))
            end = _edge_of_box(after, via or _Point(*PLACES[before]))
            curve = f"Q {via.x:.0f} {via.y:.0f}" if via else "L"
            kind = ' class="person"' if before in BY_PERSON else ""
            yield (
                f'<path{kind} marker-end="url(#arrow)"'
                f' d="M {start.x:.0f} {start.y:.0f} {curve} {end.x:.0f} {end.y:.0f}"/>'
            )


def _boxes() -> Iterator[str]:
    for state in State:
        x, y = PLACES[state]
        final = "" if ALLOWED[state] else ' class="final"'
        yield (
            f'<g{final}><rect x="{x - WIDTH / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{WIDTH}"'
            f' height="{HEIGHT}" rx="6"/><text x="{x}" y="{y + 5}" text-anchor="middle">'
            f"{state.value}</text></g>"
        )


def draw() -> str:
    """Return the diagram as SVG, whose colours follow the page's."""
    return (
        '<div class="diagram"><svg viewBox="0 0 640 340" role="img" aria-label="The states of a'
        ' submission, and the states that may follow each">'
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"'
        ' markerHeight="7" orient="auto"><path d="M 0 0 L 8 4 L 0 8 z"'
        ' style="fill: context-stroke; stroke: none"/></marker></defs>'
        + "".join([*_lines(), *_boxes()])
        + "</svg></div>"
    )
