"""The DAG of ``docs/how-to/airflow.md`` sends its campaign, in Airflow itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.doc_pages import DOCS, find_block, read_blocks
from yunxin_soap.campaign import CampaignState, Ledger
from yunxin_soap.sandbox import Sandbox

pytestmark = pytest.mark.skipif(
    find_spec("airflow") is None, reason="Airflow is not installed; nox -s airflow runs this"
)

PAGE = DOCS / "how-to" / "airflow.md"
LISTS = "/srv/bills"
PAUSE = "poke_interval=60"


def in_folder(code: str, folder: Path) -> str:
    """Return the DAG for the lists in a folder, with a sensor that asks each second."""
    assert LISTS in code
    assert PAUSE in code
    return code.replace(LISTS, str(folder)).replace(PAUSE, "poke_interval=1")


@pytest.mark.timeout(600)
def test_dag_sends_a_campaign_once_though_its_run_is_repeated(tmp_path: Path) -> None:
    """Two runs of one date plan, start and await one campaign, which a worker sends."""
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "billing.py").write_text(find_block(PAGE, "# billing.py\n"), "utf-8")
    dag = find_block(PAGE, "from datetime import datetime\n")
    (dags / "bills.py").write_text(in_folder(dag, tmp_path), "utf-8")
    (addresses,) = (each.code for each in read_blocks(PAGE) if each.file_name == "bills.csv")
    (tmp_path / "2026-06-01.csv").write_text(addresses, "utf-8")
    ledger = str(tmp_path / "ledger.sqlite")
    Ledger(ledger).close()  # the worker needs one that exists
    with Sandbox() as sandbox:
        environment = {
            **os.environ,
            "AIRFLOW_HOME": str(tmp_path / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "YUNXIN_LEDGER": ledger,
            "YUNXIN_ENDPOINT": sandbox.url,
            "YUNXIN_USER_CODE": "demo",
            "YUNXIN_USER_PASS": "demo",
        }

        def airflow(*arguments: str) -> None:
            command = [sys.executable, "-m", "airflow", *arguments]
            subprocess.run(command, env=environment, cwd=tmp_path, check=True)

        airflow("db", "migrate")
        command = [sys.executable, "-m", "yunxin_soap", "worker"]
        with subprocess.Popen(command, env=environment, cwd=tmp_path) as worker:
            try:
                for _ in range(2):
                    airflow("dags", "test", "bills", "2026-06-01")
            finally:
                worker.send_signal(signal.SIGTERM)
        assert sandbox.accepted_numbers == {"13900000000": 1, "13900000001": 1}
    with Ledger(ledger) as opened:
        (status,) = opened.statuses()
    assert status.name == "bills-2026-06-01"
    assert status.state is CampaignState.DONE
