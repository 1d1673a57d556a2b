"""What Alembic runs: with the connection of the release command, or one of its own for developers."""

from alembic import context
from sqlalchemy import Connection

from visitors.database import connect
from visitors.settings import Settings
from visitors.store import Base


def run(connection: Connection) -> None:
    """Migrate on this connection."""
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with connect(Settings.read().database).begin() as connection:
        run(connection)
