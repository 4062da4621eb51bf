"""How gunicorn serves the app: `gunicorn -c python:service.gunicorn service.wsgi:app`.

One process and many threads: views do little but wait for SQL.
"""

from __future__ import annotations

import os

bind = os.environ.get("ACTLAB_BIND", "127.0.0.1:8000")
worker_class = "gthread"
workers = 1
threads = 64
timeout = 60
graceful_timeout = 20
keepalive = 5
# The control socket would be one more way in, and a file to clean up.
control_socket_disable = True
accesslog = None
