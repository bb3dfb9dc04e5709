"""A BIND 9 of the test's own: a folder, a port on 127.0.0.1, ended by its process id.

named listens only on addresses that an interface has: 127.0.0.1 with a port of its own.
"""

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mailmig.model.names import UpdateKey
from tests.lab.strangers import needs

_CONFIG = """
options {{
    directory "{folder}";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    pid-file "{folder}/named.pid";
    session-keyfile "{folder}/session.key";
    managed-keys-directory "{folder}";
    lock-file none;
    recursion no;
    dnssec-validation no;
    notify no;
    allow-transfer {{ none; }};
    rrset-order {{ order cyclic; }};
}};
controls {{ }};
{keys}
zone "{zone}" {{
    type primary;
    file "{folder}/zone";
    update-policy {{ {grants} }};
}};
"""
_START_S = 15.0


@contextmanager
def named(
    folder: Path, zone: str, text: str, grants: dict[UpdateKey, frozenset[str] | None]
) -> Iterator[tuple[str, int]]:
    """Address and port of a named that serves one zone; `grants` as in the lab (None = all)."""
    program = needs("named")
    port = _free_port()
    (folder / "zone").write_text(f"$TTL 3600\n{text}", "utf-8")
    keys = "".join(
        f'key "{key.name}" {{ algorithm {key.algorithm}; secret "{key.secret.reveal()}"; }};\n'
        for key in grants
    )
    rights = "".join(
        f"grant {key.name} name {name}. ANY; "
        for key, names in grants.items()
        for name in names or ()
    ) + "".join(f"grant {key.name} zonesub ANY; " for key, names in grants.items() if names is None)
    config = folder / "named.conf"
    config.write_text(
        _CONFIG.format(folder=folder, port=port, keys=keys, zone=zone, grants=rights), "utf-8"
    )
    with (folder / "named.log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-g", "-n", "1", "-c", str(config)], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _wait_until_it_answers(process, port, folder / "named.log")
            yield "127.0.0.1", port
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            # It listens before it has read its zones; "running" alone stands in its last line.
            if re.search(r" running$", log.read_text("utf-8", "replace"), re.MULTILINE):
                return
        time.sleep(0.05)
    raise AssertionError(f"named does not start:\n{log.read_text('utf-8', 'replace')[-2000:]}")


def _free_port() -> int:
    """A port that is free for TCP and UDP at this moment."""
    for _ in range(20):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            return int(tcp.getsockname()[1])
    raise AssertionError("no port is free")
