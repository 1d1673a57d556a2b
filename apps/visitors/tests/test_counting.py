"""Counting: each visitor once, whoever else comes at the same moment."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from sqlalchemy import Engine, text

from visitors import store
from visitors.counting import Counter
from visitors.database import connect


def test_concurrent_visits_of_new_visitors_are_counted_exactly(engine: Engine) -> None:
    # Two pools, as two replicas have them.
    engines = [engine, connect(engine.url)]
    visitors = [uuid4() for _ in range(10)]
    visits = [(engines[n % 2], visitors[n % 10]) for n in range(400)]
    with ThreadPoolExecutor(8) as threads:
        numbers = list(threads.map(lambda visit: store.record(*visit), visits))
    engines[1].dispose()
    assert sorted(numbers) == sorted(list(range(1, 41)) * 10)
    assert store.figures(engine) == store.Figures(visits=400, visitors=10, today=10, new_today=10)


def test_yesterday_is_not_today(engine: Engine) -> None:
    for _ in range(2):
        store.record(engine, uuid4())
    with engine.begin() as connection:
        connection.execute(text("UPDATE visitors SET first_seen = now() - interval '1 day'"))
    store.record(engine, uuid4())
    assert store.figures(engine) == store.Figures(visits=3, visitors=3, today=3, new_today=1)
    with engine.begin() as connection:
        connection.execute(text("UPDATE visitors SET last_seen = now() - interval '1 day'"))
    assert store.figures(engine).today == 0


def test_figures_are_counted_at_most_once_a_second(engine: Engine) -> None:
    counter = Counter(engine)
    assert counter.figures().visitors == 0
    counter.record(uuid4())
    assert counter.figures().visitors == 0
    counter._counted -= 1  # noqa: SLF001 # a second passes
    assert counter.figures().visitors == 1
