"""The pages."""

from uuid import UUID, uuid4

from flask import Blueprint, Flask, Response, current_app, jsonify, make_response, render_template, request
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from sqlalchemy.exc import SQLAlchemyError

from . import identity
from .counting import Counter
from .database import State, Watch
from .observe import observe
from .settings import Settings

COOKIE = "visitor"
A_YEAR = 365 * 24 * 60 * 60

pages = Blueprint("pages", __name__)
database_up = Gauge("database_up", "1 when the database answered lately and has this version's schema.")


def create_app(settings: Settings, counter: Counter, watch: Watch) -> Flask:
    """Put the app together. Nothing is asked or started here."""
    app = Flask(__name__)
    app.extensions.update(settings=settings, counter=counter, watch=watch)
    app.register_blueprint(pages)
    database_up.set_function(lambda: watch.state is State.ANSWERS)
    observe(app)
    return app


@pages.get("/")
def page() -> Response:
    """Count the visit and show the figures."""
    visitor = visitor_of_cookie() or uuid4()
    answer = make_response(render_template("page.html", **shown(visitor)))
    answer.set_cookie(COOKIE, str(visitor), max_age=A_YEAR, httponly=True, samesite="Lax")
    # A page from a cache would be a visit that nobody counts.
    answer.cache_control.no_store = True
    return answer


@pages.get("/figures")
def figures() -> Response:
    """Give the figures to programs, without counting a visit."""
    return jsonify(counter().figures().as_dict())


@pages.get("/version")
def version() -> Response:
    """Say who answers."""
    return jsonify(identity.as_dict())


@pages.get("/healthz")
def healthz() -> tuple[Response, int]:
    """Say whether this replica may have traffic, and how the database is. It never waits for the database."""
    known = watch()
    status = "ok" if known.ready else "starting"
    return jsonify(status=status, database=known.state), 200 if known.ready else 503


@pages.get("/metrics")
def metrics() -> Response:
    """Give what Prometheus collects."""
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)


@pages.app_errorhandler(SQLAlchemyError)
def database_failed(error: Exception) -> tuple[Response, int]:
    """Tell the visitor that it is not them, and the log what it was: the statement, without its values."""
    current_app.logger.error("the database failed", exc_info=error)
    return unavailable()


class NoDatabaseError(SQLAlchemyError):
    """Nobody has to wait for a database that is known to be silent."""


@pages.app_errorhandler(NoDatabaseError)
def database_known_silent(_: Exception) -> tuple[Response, int]:
    """Say the same, but leave the log alone: the watch has told it once."""
    return unavailable()


def unavailable() -> tuple[Response, int]:
    """Show the page without figures."""
    settings: Settings = current_app.extensions["settings"]
    body = render_template("page.html", settings=settings, version=identity.version(), figures=None, visits=None)
    answer = make_response(body)
    answer.headers["Retry-After"] = "2"
    answer.cache_control.no_store = True
    return answer, 503


def shown(visitor: UUID) -> dict[str, object]:
    """Count the visit and collect what the page shows."""
    known = counter()
    visits = known.record(visitor)
    settings: Settings = current_app.extensions["settings"]
    return {"settings": settings, "version": identity.version(), "figures": known.figures(), "visits": visits}


def visitor_of_cookie() -> UUID | None:
    """Give who comes back; a cookie that is none of ours is a new visitor."""
    try:
        return UUID(request.cookies.get(COOKIE, ""))
    except ValueError:
        return None


def watch() -> Watch:
    """Give what is known about the database."""
    known: Watch = current_app.extensions["watch"]
    return known


def counter() -> Counter:
    """Give the counter, unless the database is known not to answer."""
    if watch().state in {State.SILENT, State.FOREIGN}:
        raise NoDatabaseError
    known: Counter = current_app.extensions["counter"]
    return known
