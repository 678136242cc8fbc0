"""The sandbox gateway of a soak run: it breaks connections all the time, and keeps little."""

from __future__ import annotations

from typing import Any

from tests.soak.load import BREAKABLE
from tests.soak.member import work_in_rounds
from yunxin_soap.sandbox import Sandbox
from yunxin_soap.sandbox.arrivals.store import ArrivalStore, StoreLimits
from yunxin_soap.sandbox.faults.model import Fault

FAULTS = (
    # The ledger's breakers must not pause, so most submissions of the ledger succeed.
    "close:when=unread,probability=0.005",
    "close:probability=0.01",
    "reset:probability=0.005",
    "cut:probability=0.005",
    "hang:probability=0.003",
    "code:code=-14,probability=0.02",
    *(
        f"{fault},text={BREAKABLE}"
        for fault in (
            "close:when=before,probability=0.03",
            "close:probability=0.03",
            "reset:probability=0.03",
            "cut:probability=0.03",
            "html:status=503,probability=0.02",
            "garble:probability=0.02",
            "error:probability=0.02",
            "trickle:probability=0.02",
        )
    ),
)
"""Each hits any submission that it is for, for ever."""
_LIMITS = StoreLimits(max_arrivals=200, max_counted=1000)
"""So little that both limits are reached in the warm-up; further counts go to a file."""


def main() -> None:
    """Serve until the standard input ends, then tell what was accepted."""
    with Sandbox(store=ArrivalStore(limits=_LIMITS)) as sandbox:
        for text in FAULTS:
            sandbox.faults.add(Fault.from_text(text))

        def tell() -> dict[str, Any]:
            counts = sandbox.accepted_numbers
            repeated = [number for number, times in counts.items() if times > 1]
            return {"accepted": len(counts), "repeated": repeated}

        work_in_rounds(lambda: {"url": sandbox.url}, tell)


if __name__ == "__main__":
    main()
