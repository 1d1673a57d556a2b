"""graphite-web with its static files. Its own `graphite.wsgi` knows only whitenoise before version 4."""

import os

from django.core.wsgi import get_wsgi_application
from whitenoise import WhiteNoise

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "graphite.settings")
application = WhiteNoise(get_wsgi_application(), root="/usr/share/graphite-web/static", prefix="static/")
