"""nginx from Debian with one worker, the peer of several benchmarks."""

from __future__ import annotations

import os
from pathlib import Path

_CONFIGURATION = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path {folder}/nginx-body;
  proxy_temp_path {folder}/nginx-proxy;
  fastcgi_temp_path {folder}/nginx-fastcgi;
  uwsgi_temp_path {folder}/nginx-uwsgi;
  scgi_temp_path {folder}/nginx-scgi;
  {http}
}}
"""
_PROXY = """
  client_max_body_size 32m;
  client_body_buffer_size 2m;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_buffering off;
  proxy_buffer_size 128k;
  proxy_buffers 4 128k;
  upstream model {{ server unix:{socket}; keepalive 32; }}
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://model; }} }}
"""


def configured(folder: Path, http: str) -> list[str]:
    """The command that runs it; ``http`` is the inside of the http block, ``folder`` scratch space."""
    user = "user root;" if os.geteuid() == 0 else ""  # else its worker may not enter the folder
    config = folder / "nginx.conf"
    config.write_text(_CONFIGURATION.format(folder=folder, user=user, http=http))
    return ["nginx", "-p", str(folder), "-c", str(config)]


def proxy(folder: Path, socket: str, port: int) -> list[str]:
    """The command of one that passes everything on to the unix ``socket`` and keeps its connections.

    A request of up to 2 MB is gathered in memory, as one must be whose signature is checked; answers are passed on as
    they come.
    """
    return configured(folder, _PROXY.format(socket=socket, port=port))
