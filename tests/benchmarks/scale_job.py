"""Plans and runs one campaign in a process of its own, and prints what it cost."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from tests.benchmarks.campaign import scattered_numbers
from yunxin_soap import Client
from yunxin_soap.campaign import Ledger, State
from yunxin_soap.campaign.storage.engine import open_engine

_TEXT = "您的账单已出，请及时查看【签名】"
_OWN_TEXT = "{name}，您的账单已出，请于{due}前缴费{amount}元，如已缴费请忽略【签名】"
_SIZES = {
    "postgresql": "SELECT relname, pg_total_relation_size(oid) FROM pg_class"
    " WHERE relkind = 'r' AND relname LIKE 'yunxin%'",
    # Counted in pages that hold something: a file grows by a few MiB at once.
    "mysql": "SELECT substring_index(table_name, '/', -1), data_length + index_length"
    " FROM information_schema.tables WHERE table_schema = database()",
}


class Costs:
    """What a ledger costs, as its database tells.

    Args:
        url: its address.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url)
        self._file = None if "://" in url else Path(url)

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each table with its indexes; of a file, as one."""
        if self._file is not None:
            with self._engine.connect() as connection:
                rows = connection.execute(
                    sa.text("SELECT name, sum(pgsize) FROM dbstat GROUP BY name")
                ).all()
            return {str(name): int(size) for name, size in rows}
        with self._engine.connect() as connection:
            if connection.dialect.name != "postgresql":
                for table in sa.inspect(connection).get_table_names():
                    connection.execute(sa.text(f"ANALYZE TABLE {table}"))
            kind = "postgresql" if connection.dialect.name == "postgresql" else "mysql"
            rows = connection.execute(sa.text(_SIZES[kind])).all()
        return {str(name): int(size) for name, size in rows}

    def log(self) -> int | None:
        """Return the bytes of the write-ahead log so far, of everybody on the server."""
        with self._engine.connect() as connection:
            if connection.dialect.name != "postgresql":
                return None
            return int(
                connection.scalar(sa.text("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")) or 0
            )

    def server_cpu(self) -> float | None:
        """Return the seconds of CPU of the server's processes that serve this ledger."""
        with self._engine.connect() as connection:
            if connection.dialect.name != "postgresql":
                return None
            query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            pids = connection.scalars(sa.text(query)).all()
        return sum(_times(pids))


def _times(pids: Any) -> Iterator[float]:
    for pid in pids:
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.NoSuchProcess:
            continue
        yield times.user + times.system


def _rows(count: int) -> Iterator[dict[str, str]]:
    """Return rows of a list each of which gets its own text."""
    for at, number in enumerate(scattered_numbers(count)):
        yield {"mobile": number, "name": f"客户{at}", "due": "7月31日", "amount": f"{at % 977}.50"}


def main(url: str, endpoint: str, size: int, count: int, concurrency: int) -> None:
    """Run it, and print the costs of the run; the sizes are of all that the ledger holds.

    Args:
        url: of the ledger.
        endpoint: of the gateway.
        size: numbers of a submission; 0: one, with a text of its own.
        count: submissions.
        concurrency: submissions in flight.
    """
    with Ledger(url) as ledger:
        costs = Costs(url)
        empty = costs.sizes()
        log = costs.log()
        used = time.process_time()
        if size == 0:
            ledger.plan("a", _rows(count), _OWN_TEXT, channel=37)
        else:
            listed = scattered_numbers(size * count)
            ledger.plan("a", listed, _TEXT, channel=37, max_recipients=size)
        planning = time.process_time() - used
        server = costs.server_cpu()
        began, used = time.perf_counter(), time.process_time()
        with Client("demo", "demo", endpoint=endpoint, timeout=60.0) as client:
            status = ledger.run("a", client, concurrency=concurrency)
        seconds, runner = time.perf_counter() - began, time.process_time() - used
        assert status.submissions[State.ACCEPTED] == count, status
        after, ended_log, ended_server = costs.sizes(), costs.log(), costs.server_cpu()
        began = time.perf_counter()
        ledger.purge(older_than=0.0)
        purging = time.perf_counter() - began
    grown = {name: size - empty.get(name, 0) for name, size in after.items()}
    measured = {
        "seconds": seconds,
        "runner": runner,
        "server": None if server is None or ended_server is None else ended_server - server,
        "bytes": sum(grown.values()),
        "recipients_bytes": grown["yunxin_recipients"],
        "content_bytes": grown["yunxin_content"],
        "planning": planning,
        "purging": purging,
        "log": None if log is None or ended_log is None else ended_log - log,
    }
    sys.stdout.write(json.dumps(measured))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
