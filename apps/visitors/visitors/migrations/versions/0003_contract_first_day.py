"""Contract: the day alone is no longer needed."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Drop what 1.0 needed, while 1.1 serves, which does not use it.

    A release command runs before the flip. So a column may go only when the version that still serves has stopped to
    use it, and never in the release that stops. From here on a rollback reaches back to 1.1: 1.0 would not get ready.
    """
    op.execute("ALTER TABLE visitors DROP COLUMN first_day")


def downgrade() -> None:
    """Give it back, computed from the moment."""
    op.execute("ALTER TABLE visitors ADD COLUMN first_day date NOT NULL DEFAULT current_date")
    op.execute("UPDATE visitors SET first_day = first_seen::date WHERE first_seen IS NOT NULL")
