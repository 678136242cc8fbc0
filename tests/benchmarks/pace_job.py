"""Runs one campaign in a process of its own, without a network, and prints when it sent."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from yunxin_soap.campaign.running.runner import Runner, RunOptions
from yunxin_soap.campaign.storage.claims import Claims
from yunxin_soap.campaign.storage.engine import open_engine
from yunxin_soap.campaign.storage.paces import Paces
from yunxin_soap.campaign.storage.reads import Reads
from yunxin_soap.message import Submission
from yunxin_soap.results import Receipt

_RESPONSE_TIME = 0.01
"""Seconds until the gateway would answer."""


class Recorder:
    """Notes when each submission is sent, and accepts it."""

    def __init__(self) -> None:
        self.sent: list[float] = []

    async def submit(
        self, submission: Submission, /, *, valid_until: float | None = None
    ) -> Receipt:
        """Note the time, and accept it as a gateway would."""
        del valid_until
        self.sent.append(time.time())
        await asyncio.sleep(_RESPONSE_TIME)
        return Receipt("1", submission.recipients, submission.message, "37", "", "soap")


def main(url: str, pace: str, concurrency: str, go: str) -> None:
    """Run the campaign ``a`` once a file is there.

    Args:
        url: the ledger.
        pace: the name of the pace; empty for none.
        concurrency: submissions in flight at most.
        go: the path of the file.
    """
    engine = open_engine(url)
    campaign_id = Reads(engine).campaign_id("a")
    options = RunOptions(concurrency=int(concurrency), pace=pace or None)
    paces = Paces(engine).of_run(campaign_id, rate=None, numbers_rate=None, name=options.pace)
    recorder = Recorder()
    runner = Runner(Claims(engine), campaign_id, recorder, options, paces=paces)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not Path(go).exists():
        time.sleep(0.001)
    asyncio.run(runner.run())
    cpu = time.process_time()
    sys.stdout.write(json.dumps({"sent": recorder.sent, "cpu_s": cpu}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
