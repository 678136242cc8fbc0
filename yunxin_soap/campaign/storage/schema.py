"""The ledger's tables."""

from __future__ import annotations

import sqlalchemy as sa

VERSION = 1
"""Of the tables. A ledger of a lower version is brought up to it, one of a higher is refused."""
MIGRATIONS: dict[int, tuple[str, ...]] = {}
"""The statements that bring a ledger from the version before to each version, from 2 on."""
TABLES = sa.MetaData()
_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

ledger = sa.Table("ledger", TABLES, sa.Column("version", sa.Integer, nullable=False))

campaign = sa.Table(
    "campaign",
    TABLES,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("paused_until", sa.Double),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("numbers", sa.BigInteger, nullable=False),
    sa.Column("refused", sa.BigInteger, nullable=False),
    sa.Column("segments", sa.BigInteger, nullable=False),
    sa.Column("purged_at", sa.Double),
)
"""Times are seconds since 1970, in UTC."""

content = sa.Table(
    "content",
    TABLES,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("campaign_id", _Id, sa.ForeignKey("campaign.id"), index=True),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("extension", sa.Text, nullable=False),
    # Why submits with this text are held back, or null.
    sa.Column("stopped", sa.Text),
)

runner = sa.Table(
    "runner",
    TABLES,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("machine", sa.Text, nullable=False),
    sa.Column("pid", sa.BigInteger, nullable=False),
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False),
)

submit = sa.Table(
    "submit",
    TABLES,
    sa.Column("id", _Id, primary_key=True),
    # Null for a single send, which has a key instead.
    sa.Column("campaign_id", _Id, sa.ForeignKey("campaign.id")),
    sa.Column("key", sa.Text, unique=True),
    sa.Column("digest", sa.Text),
    sa.Column("content_id", _Id, sa.ForeignKey("content.id"), nullable=False),
    sa.Column("parent_id", _Id),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("not_before", sa.Double),
    sa.Column("runner_id", sa.Text),
    sa.Column("batch_no", sa.Text),
    sa.Column("code", sa.Integer),
    # The banned word of -6.
    sa.Column("keyword", sa.Text),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("safe", sa.Boolean, nullable=False),
    sa.Column("sent_at", sa.Double),
    sa.Column("ended_at", sa.Double),
    sa.Index("submit_state", "campaign_id", "state", "id"),
    sa.Index("submit_runner", "runner_id"),
)

recipients = sa.Table(
    "recipients",
    TABLES,
    sa.Column("submit_id", _Id, sa.ForeignKey("submit.id"), primary_key=True, autoincrement=False),
    # Joined by commas, as they go out.
    sa.Column("numbers", sa.Text, nullable=False),
)
"""Apart from the submits, whose rows change: gone once a submit is split or purged."""

history = sa.Table(
    "history",
    TABLES,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("submit_id", _Id, sa.ForeignKey("submit.id"), nullable=False, index=True),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("before", sa.Text, nullable=False),
    sa.Column("after", sa.Text, nullable=False),
    sa.Column("batch_no", sa.Text),
    sa.Column("code", sa.Integer),
    sa.Column("detail", sa.Text, nullable=False),
    # A runner's id, or the person who decided.
    sa.Column("by", sa.Text, nullable=False),
)
"""Every change of a submit's state, and what was learnt of it too late; rows are only added."""

refused = sa.Table(
    "refused",
    TABLES,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("campaign_id", _Id, sa.ForeignKey("campaign.id"), nullable=False, index=True),
    sa.Column("line", sa.BigInteger, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)
"""The lines of a source that no submit was made of."""
