"""nginx that answers a constant 200 and reads nothing: the physical limit of the machine."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from bench.processes import Server, SkippedError, free_port, serving

_CONFIGURATION = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    default_type application/json;
    location / {{ return 200 '{{"code":0,"message":"success","data":null}}'; }}
  }}
}}
"""


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[Server]:
    """Run nginx with one worker in ``folder``."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        raise SkippedError("nginx is not installed (Debian: apt install nginx-light)")
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, port=port))
    command = [program, "-e", str(folder / "nginx.log"), "-c", str(configuration)]
    with serving(command, port, folder / "nginx.out") as server:
        yield server
