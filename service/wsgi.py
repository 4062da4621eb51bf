"""What a WSGI server imports: `service.wsgi:app`, with its settings from the environment."""

from __future__ import annotations

import os

from service import create_app
from store import logs
from store.settings import Settings

logs.configure()
app = create_app(Settings.from_environ(os.environ))
