"""Expand: the moment of the first visit, beside its day."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what 1.1 needs, while 1.0 serves.

    1.0 neither reads nor writes the new column; its default fills it for visitors that 1.0 inserts meanwhile. 1.1 does
    not need the old column, whose default fills it for 1.0. So both are right about every row, whoever wrote it.
    The default is set after the column was added: a default in ADD COLUMN would give all old rows the present moment.
    """
    op.execute("ALTER TABLE visitors ADD COLUMN first_seen timestamptz")
    op.execute("ALTER TABLE visitors ALTER COLUMN first_seen SET DEFAULT now()")
    op.execute("UPDATE visitors SET first_seen = first_day::timestamptz WHERE first_seen IS NULL")


def downgrade() -> None:
    """Lose the time of day; the day is still there."""
    op.execute("ALTER TABLE visitors DROP COLUMN first_seen")
