"""The table of visitors as version 1.0 knew it: the day of the first visit, and not its moment."""

from dataclasses import asdict, dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, Date, DateTime, Engine, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """What Alembic compares the database with."""


class Visitor(Base):
    """One browser, told apart by its cookie."""

    __tablename__ = "visitors"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    visits: Mapped[int] = mapped_column(BigInteger, server_default="1")
    first_day: Mapped[date] = mapped_column(Date, server_default=func.current_date())
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
    """Count a visit and give the visitor's number of visits."""
    statement = insert(Visitor).values(id=visitor)
    statement = statement.on_conflict_do_update(
        index_elements=[Visitor.id], set_={"visits": Visitor.visits + 1, "last_seen": func.now()}
    )
    with engine.begin() as connection:
        return connection.execute(statement.returning(Visitor.visits)).scalar_one()


def figures(engine: Engine) -> Figures:
    """Count everybody."""
    statement = select(
        func.coalesce(func.sum(Visitor.visits), 0).label("visits"),
        func.count().label("visitors"),
        func.count().filter(Visitor.last_seen >= func.date_trunc("day", func.now())).label("today"),
        func.count().filter(Visitor.first_day == func.current_date()).label("new_today"),
    )
    with engine.connect() as connection:
        row = connection.execute(statement).one()
        return Figures(int(row.visits), row.visitors, row.today, row.new_today)


def fits(engine: Engine) -> None:
    """Ask for no row but all columns: it fails where the schema is not the one of this version."""
    with engine.connect() as connection:
        connection.execute(select(Visitor).limit(0))
