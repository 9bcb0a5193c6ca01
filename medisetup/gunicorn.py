"""Gunicorn's configuration (`-c python:medisetup.gunicorn`); the address is given with `-b`.

Two processes of four threads; `reuse_port` spreads few kept-alive connections over both processes. Threads
keep waiting for slow clients while a proxy in front is still advised.
"""

import os

SHARED_MEMORY = "/dev/shm"  # noqa: S108

workers = 2
worker_class = "gthread"
threads = 4
reuse_port = True
timeout = 30
graceful_timeout = 30
keepalive = 75
max_requests = 20_000
max_requests_jitter = 2_000
limit_request_line = 4094
limit_request_fields = 60
limit_request_field_size = 8190
# Heartbeat files lie in memory, also where the file system is read-only.
worker_tmp_dir = SHARED_MEMORY if os.path.isdir(SHARED_MEMORY) else None
control_socket_disable = True
