"""Which app, release and replica this process is, as deploy-apps tells each container."""

import os
from pathlib import Path


def version() -> str:
    """Give version and build number; outside of a deploy there is only the VERSION file."""
    return os.environ.get("DEPLOY_APPS_VERSION") or (Path(__file__).parents[1] / "VERSION").read_text("utf-8").strip()


def as_dict() -> dict[str, str]:
    """Give all of it by name."""
    names = ("app", "release", "replica")
    known = {name: os.environ.get(f"DEPLOY_APPS_{name.upper()}", "") for name in names}
    return {"app": known.pop("app") or "visitors", "version": version(), **known}
