"""`python3 -m visitors` serves; `python3 -m visitors migrate` brings the database to this version's schema."""

import os
import sys

from .migrate import MigrationError, migrate
from .settings import Settings, SettingsError

SERVER = ["gunicorn", "--config", "python:visitors.server", "visitors.server:app()"]


def main(arguments: list[str]) -> int:
    """Check the settings first: a server that cannot work would else fail later, in a worker, with a traceback."""
    try:
        settings = Settings.read()
        match arguments:
            case []:
                # Gunicorn becomes this process, so it is gunicorn that receives SIGTERM.
                os.execvp(SERVER[0], SERVER)  # noqa: S606 # nothing of it comes from outside
            case ["migrate"]:
                migrate(settings.database)
            case _:
                raise SettingsError(f"unknown arguments `{' '.join(arguments)}`", "`migrate`, or none to serve")  # noqa: TRY301
    except SettingsError as error:
        return told(error, error.hint, 2)
    except MigrationError as error:
        return told(error, error.hint, 1)
    return 0


def told(error: Exception, hint: str, code: int) -> int:
    """Say it in one line and a hint."""
    sys.stderr.write(f"error: {error}\nhint: {hint}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
