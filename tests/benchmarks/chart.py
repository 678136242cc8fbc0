"""Draws the time of one submission of each client as bars, for the README."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

_WIDTH, _ROW, _LABELS, _VALUES = 760, 22, 230, 60
_GROUPS = {
    "Threads": (
        "bare socket, ready bytes",
        "PHP SoapClient",
        "yunxin_soap.Client",
        "http.client, prepared bytes",
        "urllib3, prepared bytes",
        "zeep",
        "node soap",
        "suds-community",
    ),
    "asyncio": (
        "bare asyncio.Protocol, ready bytes",
        "yunxin_soap.AsyncClient",
        "aiohttp, prepared bytes",
        "zeep.AsyncClient",
    ),
}


def draw(results: dict[str, Any]) -> str:
    """Return an SVG picture of the times over SOAP 1.1, one after the other, to one number.

    Args:
        results: what ``benchmarks.json`` has. A client that was not measured is left out.
    """
    times = {
        row["contender"]: row["wall_us"]
        for row in results["submissions"]
        if (row["protocol"], row["numbers"], row["concurrency"]) == ("soap", 1, 1)
    }
    scale = (_WIDTH - _LABELS - _VALUES) / max(times.values())
    lines: list[str] = []
    top = 8
    for group, names in _GROUPS.items():
        lines.append(f'<text x="12" y="{top + 15}" class="group">{group}</text>')
        top += _ROW
        for name in (each for each in names if each in times):
            kind = "ours" if name.startswith("yunxin_soap") else "other"
            length = max(times[name] * scale, 1)
            base, end = top + 15, _LABELS + length + 6
            lines += [
                f'<text x="{_LABELS - 8}" y="{base}" class="{kind} label">{escape(name)}</text>',
                f'<rect x="{_LABELS}" y="{top + 4}" width="{length:.1f}" height="14"'
                f' class="{kind}"/>',
                f'<text x="{end:.1f}" y="{base}" class="{kind}">{times[name]:.0f} µs</text>',
            ]
            top += _ROW
        top += 6
    return "\n".join(
        [
            '<svg xmlns="http://www.w3.org/2000/svg"'
            f' viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}">',
            "<style>text { font: 13px sans-serif; fill: #24292f } .label { text-anchor: end }",
            ".group { font-weight: bold } text.ours { font-weight: bold; fill: #116329 }",
            "rect.ours { fill: #2da44e } rect.other { fill: #afb8c1 }</style>",
            f'<rect width="{_WIDTH}" height="{top}" rx="6" fill="#ffffff"/>',
            *lines,
            "</svg>\n",
        ]
    )
