"""An nginx of the test's own as a reverse proxy: a folder, an unprivileged port, ended by its id."""

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import trustme

from tests.lab.strangers import needs

ADDRESS = "127.0.9.48"
_CONFIG = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 128; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream nodes {{
        {nodes}
        {upstream}
    }}
    server {{
        listen {address}:{port} ssl;
        ssl_certificate {folder}/nginx.pem;
        ssl_certificate_key {folder}/nginx.key;
        location / {{
            proxy_pass https://nodes;
            proxy_set_header Host $host;
            {location}
        }}
    }}
}}
"""
# Connections to the nodes are kept and shared by all clients.
SHARED = "keepalive 1;", 'proxy_http_version 1.1; proxy_set_header Connection "";'
UNBUFFERED = "", "proxy_http_version 1.1; proxy_buffering off;"
_START_S = 15.0


@contextmanager
def nginx(
    folder: Path,
    nodes: Sequence[tuple[str, int]],
    port: int,
    certificate: trustme.LeafCert,
    settings: tuple[str, str] = ("", ""),
) -> Iterator[tuple[str, int]]:
    """Address and port of a proxy in front of nodes; `settings` for the pool and the requests."""
    program = needs("nginx")
    folder.mkdir(parents=True)
    certificate.private_key_pem.write_to_path(folder / "nginx.key")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(folder / "nginx.pem", append=True)
    lines = " ".join(f"server {address}:{at} max_fails=0;" for address, at in nodes)
    upstream, location = settings
    config = folder / "nginx.conf"
    config.write_text(
        _CONFIG.format(
            folder=folder, nodes=lines, upstream=upstream, location=location, address=ADDRESS,
            port=port,
        ),
        "utf-8",
    )  # fmt: skip
    log = folder / "error.log"
    process = subprocess.Popen(
        [program, "-c", str(config), "-e", str(log)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_until_it_listens(process, port, log)
        yield ADDRESS, port
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < until:
        with suppress(OSError), socket.create_connection((ADDRESS, port), timeout=1):
            return
        time.sleep(0.05)
    said = log.read_text("utf-8", "replace") if log.exists() else "nothing"
    raise AssertionError(f"nginx does not start: {said[-2000:]}")
