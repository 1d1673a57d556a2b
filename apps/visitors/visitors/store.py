"""The table of visitors, and the only statements that touch it.

A row that all visits share would be simpler to read, and would make them wait for each other's commit on every replica.
So each visitor is a row of their own, and the figures are counted from the rows.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Engine, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """What Alembic compares the database with."""


class Visitor(Base):
    """One browser, told apart by its cookie. All columns but the key are filled by the database's own defaults."""

    __tablename__ = "visitors"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    visits: Mapped[int] = mapped_column(BigInteger, server_default="1")
    first_seen: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    last_seen: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


@dataclass(frozen=True)
class Figures:
    """What the page shows of everybody."""

    visits: int
    visitors: int
    today: int
    new_today: int

    def as_dict(self) -> dict[str, int]:
        """Give them by name."""
        return asdict(self)


def record(engine: Engine, visitor: UUID) -> int:
    """Count a visit and give the visitor's number of visits.

    One statement, so that two replicas that meet the same new visitor at once cannot both insert: the primary key lets
    one of them win, and the other one updates the winner's row.
    """
    statement = insert(Visitor).values(id=visitor)
    statement = statement.on_conflict_do_update(
        index_elements=[Visitor.id], set_={"visits": Visitor.visits + 1, "last_seen": func.now()}
    )
    with engine.begin() as connection:
        return connection.execute(statement.returning(Visitor.visits)).scalar_one()


def figures(engine: Engine) -> Figures:
    """Count everybody. Days are those of UTC, as the server's clock is."""
    midnight = func.date_trunc("day", func.now())
    statement = select(
        func.coalesce(func.sum(Visitor.visits), 0).label("visits"),
        func.count().label("visitors"),
        func.count().filter(Visitor.last_seen >= midnight).label("today"),
        func.count().filter(Visitor.first_seen >= midnight).label("new_today"),
    )
    with engine.connect() as connection:
        row = connection.execute(statement).one()
        # A sum of bigint is a numeric, which would be a Decimal.
        return Figures(int(row.visits), row.visitors, row.today, row.new_today)


def fits(engine: Engine) -> None:
    """Ask for no row but all columns: it fails where the schema is not the one of this version."""
    with engine.connect() as connection:
        connection.execute(select(Visitor).limit(0))
