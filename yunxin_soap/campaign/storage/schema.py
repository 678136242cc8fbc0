"""The ledger's tables. Every time in them is in seconds since 1970, UTC, by the ledger's clock.

Every name starts with `yunxin_`, so that a ledger can live in an application's own database.
"""

from __future__ import annotations

import sqlalchemy as sa

from yunxin_soap.campaign.models import NAME_LENGTH, CampaignState, State
from yunxin_soap.campaign.storage.column_types import Checked, one_of
from yunxin_soap.campaign.storage.dialects import id_type, indexed_text

VERSION = 1
"""The version of the tables. An older ledger is migrated; a newer one is an error."""
MIGRATIONS: dict[int, tuple[str, ...]] = {}
"""The statements that migrate a ledger to each version, from 2 on, from the version before it."""
TABLES = sa.MetaData()
_Id = id_type()
_Name, _State, _RunnerId = indexed_text(NAME_LENGTH), indexed_text(20), indexed_text(300)

ledger = sa.Table(
    "yunxin_ledger",
    TABLES,
    sa.Column("version", sa.Integer, nullable=False),
    # Random, to tell whether a caller's connection leads to the same ledger.
    sa.Column("id", sa.Text, nullable=False),
)

campaign = sa.Table(
    "yunxin_campaign",
    TABLES,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("name", _Name, nullable=False, unique=True),
    # Empty once the campaign is purged: together with the text it would reveal numbers.
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("state", _State, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("paused_until", sa.Double),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("numbers", sa.BigInteger, nullable=False),
    sa.Column("skipped", sa.BigInteger, nullable=False),
    # The counts of the skipped lines by their kinds, as a JSON object.
    sa.Column("skipped_by", sa.Text, nullable=False),
    sa.Column("segments", sa.BigInteger, nullable=False),
    # Whether it may be sent in the hours for marketing only.
    sa.Column("marketing", sa.Boolean, nullable=False),
    sa.Column("purged_at", sa.Double),
    # The generation of the do-not-send list that the plan has left out.
    sa.Column("suppression_generation", sa.BigInteger, nullable=False),
    # The options of its runs, as a JSON object; null if it is not started.
    sa.Column("run_options", sa.Text),
    # How many runners are to work on it once it is started.
    sa.Column("workers", sa.Integer),
    # When it was started; null if it is not.
    sa.Column("started_at", sa.Double),
)

content = sa.Table(
    "yunxin_content",
    TABLES,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("campaign_id", _Id, sa.ForeignKey("yunxin_campaign.id"), index=True),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("extension", sa.Text, nullable=False),
    # Why submissions with this text are held back, or null.
    sa.Column("on_hold", sa.Text),
)
"""A text with its channel and extension; many submissions may share one."""

runner = sa.Table(
    "yunxin_runner",
    TABLES,
    sa.Column("id", _RunnerId, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid_namespace", sa.Text, nullable=False),
    sa.Column("pid", sa.BigInteger, nullable=False),
    sa.Column("process_started", sa.Double),
    # Null for a single send.
    sa.Column("campaign_id", _Id, sa.ForeignKey("yunxin_campaign.id")),
    sa.Column("started_at", sa.Double, nullable=False),
    # The end of its lease: each heartbeat moves it. In a file, it is by the boot clock.
    sa.Column("expires_at", sa.Double, nullable=False),
    # When others took its submissions. The row stays while its process may still be alive, as after
    # a suspension, and may still send.
    sa.Column("reclaimed_at", sa.Double),
    # Why it waits although its campaign does not, and until when; null if it does not.
    sa.Column("wait_reason", sa.Text),
    sa.Column("wait_until", sa.Double),
)

submission = sa.Table(
    "yunxin_submission",
    TABLES,
    sa.Column("id", _Id, primary_key=True),
    # Null for a single send, which has a key instead.
    sa.Column("campaign_id", _Id, sa.ForeignKey("yunxin_campaign.id")),
    sa.Column("key", _Name, unique=True),
    sa.Column("digest", sa.Text),
    sa.Column("content_id", _Id, sa.ForeignKey("yunxin_content.id"), nullable=False),
    # The submission that this one was split from.
    sa.Column("parent_id", _Id),
    # The count of its numbers; it stays when the numbers are purged.
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("state", _State, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("not_before", sa.Double),
    # When a single send was queued; null if it is not queued.
    sa.Column("queued_at", sa.Double),
    # When a queued single send is cancelled if it was not sent; null if it is not queued.
    sa.Column("expires_at", sa.Double),
    # The pace that a queued single send is sent at, or null.
    sa.Column("pace", sa.Text),
    # The runner that has claimed it.
    sa.Column("runner_id", _RunnerId),
    sa.Column("batch_no", sa.Text),
    sa.Column("code", sa.Integer),
    # The banned word of a -6.
    sa.Column("keyword", sa.Text),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("safe_to_resend", sa.Boolean, nullable=False),
    sa.Column("sent_at", sa.Double),
    sa.Column("ended_at", sa.Double),
    sa.Index("yunxin_submission_state", "campaign_id", "state", "id"),
    sa.Index("yunxin_submission_runner", "runner_id"),
)

recipients = sa.Table(
    "yunxin_recipients",
    TABLES,
    sa.Column(
        "submission_id",
        _Id,
        sa.ForeignKey("yunxin_submission.id"),
        primary_key=True,
        autoincrement=False,
    ),
    # Joined by commas, as the wire needs them.
    sa.Column("numbers", sa.Text, nullable=False),
)
"""Apart from `submission`, whose rows change often. A split or a purge deletes the row."""

history = sa.Table(
    "yunxin_history",
    TABLES,
    sa.Column("id", _Id, primary_key=True),
    sa.Column(
        "submission_id", _Id, sa.ForeignKey("yunxin_submission.id"), nullable=False, index=True
    ),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("before", sa.Text, nullable=False),
    sa.Column("after", sa.Text, nullable=False),
    sa.Column("batch_no", sa.Text),
    sa.Column("code", sa.Integer),
    sa.Column("detail", sa.Text, nullable=False),
    # The id of a runner, or the person who decided.
    sa.Column("by", sa.Text, nullable=False),
)
"""Every change of a submission's state, and what was learnt too late. Append-only."""

skipped_line = sa.Table(
    "yunxin_skipped_line",
    TABLES,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("campaign_id", _Id, sa.ForeignKey("yunxin_campaign.id"), nullable=False, index=True),
    sa.Column("line", sa.BigInteger, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)
"""The lines of a source that no submission was made of."""

pace = sa.Table(
    "yunxin_pace",
    TABLES,
    sa.Column("id", _Id, primary_key=True),
    # Null if it is the one of a campaign.
    sa.Column("name", _Name, unique=True),
    sa.Column("campaign_id", _Id, sa.ForeignKey("yunxin_campaign.id"), unique=True),
    # Submissions, and numbers, a second; null for no limit.
    sa.Column("rate", sa.Double),
    sa.Column("numbers_rate", sa.Double),
    # The first slot of each that nobody has taken.
    sa.Column("next_at", sa.Double, nullable=False),
    sa.Column("numbers_next_at", sa.Double, nullable=False),
)
"""Limits that hold for all runners together. Apart from `campaign`, whose rows are read often."""

suppression = sa.Table(
    "yunxin_suppression",
    TABLES,
    # The number, or its keyed hash in hexadecimal digits, which is longer than any number.
    sa.Column("value", indexed_text(64), primary_key=True),
    sa.Column("is_hash", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    # The person who added it.
    sa.Column("by", sa.Text, nullable=False),
)
"""The do-not-send list. Purging a campaign or deleting it leaves this table as it is."""

suppression_state = sa.Table(
    "yunxin_suppression_state",
    TABLES,
    # Every transaction that adds to the list locks this row and counts up: a reader that finds the
    # same number as before has seen all that is on the list.
    sa.Column("generation", sa.BigInteger, nullable=False),
    # The key of the hashes, in hexadecimal digits; null until there is a hash.
    sa.Column("hash_key", sa.Text),
)
"""One row about the do-not-send list."""


def _check_what_is_read() -> None:
    """Let every column but the ids, which the tables' keys check, refuse what it cannot hold."""
    known = {
        campaign.c.state: one_of(CampaignState),
        submission.c.state: one_of(State),
        history.c.before: one_of(State),
        history.c.after: one_of(State),
    }
    for table in TABLES.tables.values():
        for column in table.columns:
            if column.type is not _Id:
                nullable, values = bool(column.nullable), known.get(column)
                column.type = Checked(column.type, str(column), nullable=nullable, known=values)


_check_what_is_read()
