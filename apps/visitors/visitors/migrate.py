"""The release command: brings the database to this version's schema, or changes nothing."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, NullPool, create_engine, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

# Whoever waits for an exclusive lock, or holds it, makes everybody behind wait too. So a migration gives up before the
# app does (`lock_timeout` in database.py) and before most clients do (10 s), even where it hangs between two statements.
LOCK_TIMEOUT = "2s"
STATEMENT_TIMEOUT = "5s"
TRANSACTION_TIMEOUT = "8s"
# Any number, as long as it is always the same one.
ADVISORY_LOCK = 7_216_045
LOCK_NOT_AVAILABLE, QUERY_CANCELED, TRANSACTION_TIMED_OUT = "55P03", "57014", "25P04"
SMALLER = "do the work in smaller parts, each of them a release"


class MigrationError(Exception):
    """A migration that was undone, and what to do about it."""

    def __init__(self, message: str, hint: str) -> None:
        """Keep the two parts apart; the hint goes to a line of its own."""
        super().__init__(message)
        self.hint = hint


def config() -> Config:
    """Say where the migrations are."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return made


def migrate(url: URL, revision: str = "head") -> None:
    """Run what is missing, all of it in one transaction."""
    limits = (
        f"-c lock_timeout={LOCK_TIMEOUT} -c statement_timeout={STATEMENT_TIMEOUT}"
        f" -c transaction_timeout={TRANSACTION_TIMEOUT}"
    )
    arguments = {"connect_timeout": 10, "options": limits, "application_name": "visitors-migrate"}
    engine = create_engine(url, poolclass=NullPool, connect_args=arguments, hide_parameters=True)
    try:
        with engine.begin() as connection:
            run(connection, revision)
    except OperationalError as error:
        raise MigrationError(*reason(error)) from None
    except SQLAlchemyError as error:
        state = getattr(getattr(error, "orig", None), "sqlstate", None)
        # The server ends the connection with it, and the driver may have only its last words.
        if state == TRANSACTION_TIMED_OUT or "transaction timeout" in first_line(error):
            message = f"the migration as a whole took longer than {TRANSACTION_TIMEOUT}; nothing was changed"
            raise MigrationError(message, SMALLER) from None
        hint = "nothing was changed: all migrations of a deploy are one transaction"
        raise MigrationError(f"a migration failed: {first_line(error)}", hint) from None


def run(connection: Connection, revision: str) -> None:
    """Migrate alone: a second run beside this one waits for the lock, then finds nothing to do."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK})
    made = config()
    made.attributes["connection"] = connection
    if revision == "head" or not revision.startswith("-"):
        command.upgrade(made, revision)
    else:
        command.downgrade(made, revision)


def reason(error: OperationalError) -> tuple[str, str]:
    """Tell apart what is in the way."""
    match getattr(error.orig, "sqlstate", None):
        case state if state == LOCK_NOT_AVAILABLE:
            hint = "a long transaction or another migration holds it: `select * from pg_stat_activity` shows which"
            return f"the migration did not get its lock within {LOCK_TIMEOUT}; nothing was changed", hint
        case state if state == QUERY_CANCELED:
            return f"a statement of the migration took longer than {STATEMENT_TIMEOUT}; nothing was changed", SMALLER
        case _:
            hint = "look at `DATABASE_URL`, the password and the log of the database"
            return f"the database cannot be reached: {first_line(error)}", hint


def first_line(error: SQLAlchemyError) -> str:
    """Give what the database said, without the statement."""
    cause = getattr(error, "orig", None) or error
    return str(cause).strip().splitlines()[0]
