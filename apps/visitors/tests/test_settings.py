"""Settings: what is accepted, and what is said about the rest."""

from pathlib import Path

import pytest

from visitors.settings import Settings, SettingsError

GOOD = {
    "DATABASE_URL": "postgresql://visitors@postgres/visitors",
    "USER_NAME": "Ada Lovelace",
    "USER_URL": "https://ada.example/",
}


def test_good_settings(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("p@ss/word\n")
    settings = Settings.read({**GOOD, "DATABASE_PASSWORD_FILE": str(secret)})
    assert settings.database.password == "p@ss/word"
    assert settings.database.drivername == "postgresql+psycopg"
    assert (settings.owner_name, settings.owner_url) == ("Ada Lovelace", "https://ada.example/")
    assert "p@ss" not in repr(settings)
    assert "p@ss" not in str(settings.database)


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_one_is_named(name: str, value: str | None) -> None:
    environment = {**GOOD, name: value or ""}
    if value is None:
        del environment[name]
    with pytest.raises(SettingsError, match=f"variable `{name}` is not set") as raised:
        Settings.read(environment)
    assert raised.value.hint.startswith(f"set it, such as `{name}=")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("DATABASE_URL", "mysql://u@h/d", "is not the URL of a PostgreSQL database"),
        ("DATABASE_URL", "postgresql://u@h", "is not the URL of a PostgreSQL database"),
        ("DATABASE_URL", "postgresql://h/d", "is not the URL of a PostgreSQL database"),
        ("DATABASE_URL", "postgresql://u:s3cret@h:port/d", "is not the URL of a PostgreSQL database"),
        ("DATABASE_URL", "s3cret", "is not the URL of a PostgreSQL database"),
        ("USER_NAME", "two\nlines", "is not a name that fits on the page"),
        ("USER_NAME", "x" * 101, "is not a name that fits on the page"),
        ("USER_URL", "javascript:alert(1)", "is not a link"),
        ("USER_URL", "https://", "is not a link"),
        ("USER_URL", "https://[", "is not a link"),
        ("USER_URL", "https://a b", "is not a link"),
    ],
)
def test_a_malformed_one_is_named_without_its_value(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"variable `{name}` {message}") as raised:
        Settings.read({**GOOD, name: value})
    assert "s3cret" not in str(raised.value) + raised.value.hint


def test_passwords(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    of_file = {**GOOD, "DATABASE_PASSWORD_FILE": str(secret)}
    with pytest.raises(SettingsError, match="cannot be read"):
        Settings.read(of_file)
    secret.write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        Settings.read(of_file)
    secret.write_text("one")
    with pytest.raises(SettingsError, match="there are two passwords"):
        Settings.read({**of_file, "DATABASE_URL": "postgresql://visitors:two@postgres/visitors"})
    with_password = {**GOOD, "DATABASE_URL": "postgresql://visitors:two@postgres/visitors"}
    assert Settings.read(with_password).database.password == "two"
