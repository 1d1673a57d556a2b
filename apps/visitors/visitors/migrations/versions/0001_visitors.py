"""The table of visitors, as version 1.0 knows it."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make it, with defaults: an insert names the key only, so later columns ask nothing of older versions."""
    op.execute("""
        CREATE TABLE visitors (
            id uuid PRIMARY KEY,
            visits bigint NOT NULL DEFAULT 1,
            first_day date NOT NULL DEFAULT current_date,
            last_seen timestamptz NOT NULL DEFAULT now()
        )
    """)


def downgrade() -> None:
    """Lose everything."""
    op.execute("DROP TABLE visitors")
