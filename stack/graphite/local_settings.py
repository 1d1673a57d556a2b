"""What differs from graphite-web's own settings."""

import secrets

GRAPHITE_ROOT = "/usr/share/graphite-web"
STATIC_ROOT = "/usr/share/graphite-web/static"
CONF_DIR = "/etc/graphite"
STORAGE_DIR = "/web"
INDEX_FILE = "/web/index"
# Read only here; carbon is the one that writes.
WHISPER_DIR = "/data/whisper"
STANDARD_DIRS = [WHISPER_DIR]
# Points that are not on the disk yet. When carbon is away, the disk alone answers.
CARBONLINK_HOSTS = ["carbon:7002"]
# "-" is the standard output.
LOG_FILE_INFO = LOG_FILE_EXCEPTION = LOG_FILE_CACHE = LOG_FILE_RENDERING = "-"
LOG_ROTATION = False
# Signs sessions, which therefore end with the process. It is one process, so there is one key.
SECRET_KEY = secrets.token_urlsafe(48)
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/web/graphite.db"},
}
