"""Migrations: all or nothing, bounded, and right for two versions at once."""

from uuid import uuid4

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, text

from visitors import migrate as module
from visitors import store
from visitors.__main__ import main
from visitors.database import Watch, connect
from visitors.migrate import MigrationError, migrate

# What version 1.0 said to count a visit.
OLD_RECORD = text("""
    INSERT INTO visitors (id) VALUES (:id)
    ON CONFLICT (id) DO UPDATE SET visits = visitors.visits + 1, last_seen = now() RETURNING visits
""")
OLD_FIGURES = text("SELECT count(*) FILTER (WHERE first_day = current_date) FROM visitors")


def test_two_versions_work_on_the_expanded_schema(empty: URL) -> None:
    migrate(empty, "0001")
    engine = connect(empty)
    with engine.begin() as connection:
        connection.execute(OLD_RECORD, {"id": uuid4()})
        connection.execute(text("UPDATE visitors SET first_day = '2020-02-29'"))
    migrate(empty, "0002")
    for _ in range(2):
        store.record(engine, uuid4())
        with engine.begin() as connection:
            connection.execute(OLD_RECORD, {"id": uuid4()})
    with engine.begin() as connection:
        assert connection.execute(OLD_FIGURES).scalar_one() == 4
        day = connection.execute(text("SELECT min(first_seen)::date::text, count(first_seen) FROM visitors")).one()
        assert tuple(day) == ("2020-02-29", 5)
    assert store.figures(engine).new_today == 4

    migrate(empty)
    migrate(empty)
    assert store.figures(engine).visitors == 5
    migrate(empty, "-2")
    watch = Watch(engine)
    watch.probe()
    assert not watch.ready, "this version must not serve on the first schema"
    migrate(empty)
    watch.probe()
    assert watch.ready
    engine.dispose()


def test_one_that_fails_changes_nothing(empty: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    run = command.upgrade

    def failing(config: Config, revision: str) -> None:
        run(config, revision)
        connection: Connection = config.attributes["connection"]
        connection.execute(text("ALTER TABLE visitors ADD COLUMN visits text"))

    monkeypatch.setattr(command, "upgrade", failing)
    with pytest.raises(
        MigrationError, match='a migration failed: column "visits" of relation "visitors" already'
    ) as raised:
        migrate(empty)
    assert "nothing was changed" in raised.value.hint
    engine = connect(empty)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT to_regclass('visitors')")).scalar() is None
    engine.dispose()


def test_one_that_waits_gives_up(empty: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_TIMEOUT", "100ms")
    monkeypatch.setattr(module, "STATEMENT_TIMEOUT", "300ms")
    engine = connect(empty)
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": module.ADVISORY_LOCK})
        with pytest.raises(MigrationError, match="did not get its lock within 100ms; nothing was changed"):
            migrate(empty)
    monkeypatch.setattr(module, "run", lambda connection, _: connection.execute(text("SELECT pg_sleep(60)")))
    with pytest.raises(MigrationError, match="took longer than 300ms"):
        migrate(empty)
    engine.dispose()


def test_the_command_line(empty: URL, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    socket = empty.query["host"]
    monkeypatch.setenv("USER_NAME", "Ada")
    monkeypatch.setenv("USER_URL", "https://ada.example")
    assert main(["migrate"]) == 2
    assert capsys.readouterr().err.splitlines()[0] == "error: variable `DATABASE_URL` is not set"
    # A host must be there; the socket in the query wins.
    monkeypatch.setenv("DATABASE_URL", f"postgresql://visitors@localhost/postgres?host={socket}")
    assert main(["migrate"]) == 0
    assert main(["mirgate"]) == 2
    assert capsys.readouterr().err.splitlines()[0] == "error: unknown arguments `mirgate`"
    monkeypatch.setenv("DATABASE_URL", "postgresql://visitors@localhost/postgres?host=/nowhere")
    assert main(["migrate"]) == 1
    assert capsys.readouterr().err.startswith("error: the database cannot be reached: ")
    started: list[str] = []
    monkeypatch.setattr("os.execvp", lambda program, _: started.append(program))
    assert main([]) == 0
    assert started == ["gunicorn"]
