"""What the environment says, read once and checked before anything starts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

DIALECT = "postgresql+psycopg"
LONGEST_NAME = 100


class SettingsError(Exception):
    """A setting that is missing or malformed, and what to do about it. Never holds a value that may be a secret."""

    def __init__(self, message: str, hint: str) -> None:
        """Keep the two parts apart; the hint goes to a line of its own."""
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class Settings:
    """Everything that the app is told from outside."""

    # Left out of repr: a traceback or a log line must not carry the password.
    database: URL = field(repr=False)
    owner_name: str
    owner_url: str

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read and check all of them."""
        return cls(
            database=database_url(environment),
            owner_name=owner_name(environment),
            owner_url=owner_url(environment),
        )


def required(environment: Mapping[str, str], name: str, example: str) -> str:
    """Give the variable's text; an empty one is as good as none."""
    value = environment.get(name, "").strip()
    if not value:
        raise SettingsError(f"variable `{name}` is not set", f"set it, such as `{name}={example}`")
    return value


def database_url(environment: Mapping[str, str]) -> URL:
    """Put the URL and the password, which comes in a file, together."""
    example = "postgresql://visitors@postgres/visitors"
    text = required(environment, "DATABASE_URL", example)
    malformed = SettingsError(
        "variable `DATABASE_URL` is not the URL of a PostgreSQL database", f"write it as `{example}`"
    )
    try:
        url = make_url(text)
    # A port that is no number is a plain ValueError.
    except (ArgumentError, ValueError):
        raise malformed from None
    if url.drivername not in {"postgresql", "postgres", DIALECT} or not (url.host and url.database and url.username):
        raise malformed
    url = url.set(drivername=DIALECT)
    path = environment.get("DATABASE_PASSWORD_FILE", "").strip()
    if not path:
        return url
    if url.password is not None:
        hint = "leave it out of `DATABASE_URL`, where `docker inspect` shows it to everyone"
        raise SettingsError("there are two passwords, in `DATABASE_URL` and in `DATABASE_PASSWORD_FILE`", hint)
    return url.set(password=password(path))


def password(path: str) -> str:
    """Read the secret; a final line break is no part of it."""
    try:
        secret = Path(path).read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        message = f"file `{path}` of `DATABASE_PASSWORD_FILE` cannot be read"
        raise SettingsError(message, "give the service the secret; its file is in /run/secrets") from None
    if not secret:
        raise SettingsError(f"file `{path}` of `DATABASE_PASSWORD_FILE` is empty", "write the password into it")
    return secret


def owner_name(environment: Mapping[str, str]) -> str:
    """Give the name at the foot of the page."""
    name = required(environment, "USER_NAME", "Ada Lovelace")
    if len(name) > LONGEST_NAME or not name.isprintable():
        hint = f"give one line of at most {LONGEST_NAME} characters"
        raise SettingsError("variable `USER_NAME` is not a name that fits on the page", hint)
    return name


def owner_url(environment: Mapping[str, str]) -> str:
    """Give the link of the name. Other schemes are refused: `javascript:` would run in every visitor's browser."""
    url = required(environment, "USER_URL", "https://example.com")
    malformed = SettingsError("variable `USER_URL` is not a link", "write it as `https://example.com`")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise malformed from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isprintable() or " " in url:
        raise malformed
    return url
