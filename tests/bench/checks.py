"""How fast checks ask, beside tools that others monitor with, on the same targets in one run.

A thousand HTTPS targets are addresses of one nginx, each asked for one page over a fresh connection
with its certificate checked. Beside ours stand Prometheus' blackbox exporter (asked over kept
connections, as Prometheus does) and check_http of the monitoring plug-ins (a process per probe, as
Nagios does). CPU is that of the prober alone. Names are asked at the lab's name servers.
"""

import asyncio
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import trustme

sys.path.insert(0, str(Path(__file__).parents[2]))

from mailmig.model.finding import Fact
from mailmig.model.names import DNS_PORT, AddressMap, ResolveName
from mailmig.model.scope import Scope
from mailmig.model.web import FetchPage
from mailmig.run.asking import Asking
from mailmig.sources.names import NamesSettings
from mailmig.sources.recorder import Limits, Recorder
from mailmig.sources.remote_logon import LogonGate
from mailmig.sources.web import WebSettings
from tests.lab.bind import named
from tests.lab.strangers import needs

TARGETS, NAMES = 1_000, 1_000
AT_ONCE, PROCESSES = 32, 4
HOST, PAGE = "mail.town.example", "/ews/healthcheck.htm"
PORT, EXPORTER = 18443, 18115
NAMES_S = 5.0
_ADDRESSES = [f"127.1.{number // 250}.{number % 250 + 1}" for number in range(TARGETS)]
_SERVERS = ("dc1", "dc2", "ns1", "ns2")  # two of each view
_PLUGIN = Path("/usr/lib/nagios/plugins/check_http")
_TICKS = os.sysconf("SC_CLK_TCK")

Measured = tuple[float, float]
"""Seconds of wall time and of CPU."""


def rows() -> Iterator[dict[str, object]]:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        with _nginx(folder, authority.issue_cert(HOST)):
            ours_s, ours_cpu = _best(lambda: asyncio.run(_ours(folder)))
            with _exporter(folder) as pid:
                peer_s, peer_cpu = _best(lambda: asyncio.run(_exported(pid)))
            plugin_s, plugin_cpu = _plugins(folder)
        took_s, _ = _names(folder)
    rate, peer, plugin = TARGETS / ours_s, TARGETS / peer_s, TARGETS / plugin_s
    yield {
        "what": f"{TARGETS} HTTPS targets, beside the blackbox exporter", "ours": rate,
        "other": peer, "unit": "probes/s", "ratio": rate / peer, "goal": ">= 1", "met": rate >= peer,
    }  # fmt: skip
    yield {
        "what": "CPU of a probe, beside check_http", "ours": ours_cpu / TARGETS * 1e3,
        "other": plugin_cpu / TARGETS * 1e3, "unit": "ms", "ratio": ours_cpu / plugin_cpu,
        "goal": "<= 0.2", "met": ours_cpu <= 0.2 * plugin_cpu,
    }  # fmt: skip
    yield {
        "what": "CPU of a probe, beside the blackbox exporter (shown)",
        "ours": ours_cpu / TARGETS * 1e3, "other": peer_cpu / TARGETS * 1e3, "unit": "ms",
        "ratio": ours_cpu / peer_cpu, "goal": "-", "met": True,
    }  # fmt: skip
    yield {
        "what": "the same targets, beside check_http (shown)", "ours": rate, "other": plugin,
        "unit": "probes/s", "ratio": rate / plugin, "goal": "-", "met": True,
    }  # fmt: skip
    yield {
        "what": f"{NAMES} names at 2 servers of 2 views", "ours": took_s, "other": NAMES_S,
        "unit": "s", "ratio": took_s / NAMES_S, "goal": f"<= {NAMES_S:g} s",
        "met": took_s <= NAMES_S,
    }  # fmt: skip


def _best(measure: Callable[[], Measured]) -> Measured:
    """The better of two runs: other work on the machine only takes away."""
    return min(measure(), measure())


async def _ours(folder: Path) -> Measured:
    web = WebSettings(ca_file=folder / "ca.pem")
    asking = Asking(NamesSettings(), web, {}, {}, LogonGate())
    ask = Recorder(Scope(), asking.put, Limits())
    began, cpu = time.perf_counter(), time.process_time()
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(address: str) -> int:
        async with gate:
            said = await ask(FetchPage("inside", address, HOST, PAGE, PORT))
        assert isinstance(said, Fact)
        return int(said.value.status)

    said = await asyncio.gather(*(one(address) for address in _ADDRESSES))
    assert set(said) == {200}, set(said)
    return time.perf_counter() - began, time.process_time() - cpu


async def _exported(pid: int) -> Measured:
    """The exporter's own CPU; it is asked over as many connections as we open."""
    waiting = list(_ADDRESSES)
    before, began = _cpu(pid), time.perf_counter()

    async def line() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", EXPORTER)
        while waiting:
            target = f"https://{waiting.pop()}:{PORT}{PAGE}"
            writer.write(
                f"GET /probe?module=page&target={target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            body = await _body(reader, head.lower())
            assert b"\nprobe_success 1" in body, body
        writer.close()

    await asyncio.gather(*(line() for _ in range(AT_ONCE)))
    return time.perf_counter() - began, _cpu(pid) - before


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    if b"content-length: " in head:
        size = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return await reader.readexactly(size)
    found = b""
    while size := int(await reader.readline(), 16):
        found += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return found


def _plugins(folder: Path) -> Measured:
    """A process per probe, some at a time."""
    if not _PLUGIN.exists():
        raise SystemExit("check_http is missing: install the package monitoring-plugins-basic")

    def one(address: str) -> None:
        words = [
            str(_PLUGIN), "-I", address, "-p", str(PORT), "-S", "--sni", "-H", HOST, "-u", PAGE,
        ]  # fmt: skip
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, timeout=30)

    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with ThreadPoolExecutor(PROCESSES) as pool:
        list(pool.map(one, _ADDRESSES))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, cpu


def _names(folder: Path) -> Measured:
    """Two servers inside, two outside, each a BIND of its own."""
    lines = [f"host{number} A 192.0.2.{number % 250 + 1}" for number in range(NAMES)]
    text = "\n".join(("@ SOA ns. host. 1 3600 600 86400 60", "@ NS ns.", *lines)) + "\n"
    with ExitStack() as stack:
        places = {}
        for server in _SERVERS:
            (folder / server).mkdir()
            served = named(folder / server, "town.example", text, {})
            places[server, DNS_PORT] = stack.enter_context(served)
        return asyncio.run(_asked(places))


async def _asked(places: AddressMap) -> Measured:
    asking = Asking(NamesSettings(parallel=AT_ONCE), WebSettings(), places, {}, LogonGate())
    ask = Recorder(Scope(), asking.put, Limits(parallel=AT_ONCE))
    began, cpu = time.perf_counter(), time.process_time()
    said = await ask.each(
        ResolveName("inside", f"host{number}.town.example", "A", server)
        for server in _SERVERS
        for number in range(NAMES)
    )
    took = time.perf_counter() - began, time.process_time() - cpu
    assert all(isinstance(one, Fact) and one.value.addresses for one in said)
    return took


# what the targets and the exporter are


@contextmanager
def _nginx(folder: Path, certificate: trustme.LeafCert) -> Iterator[None]:
    """One nginx at a thousand addresses, with a page as Exchange has it."""
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "nginx.pem"))
    listens = "\n".join(f"listen {address}:{PORT} ssl backlog=128;" for address in _ADDRESSES)
    config = folder / "nginx.conf"
    config.write_text(
        f"""
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        {listens}
        ssl_certificate {folder}/nginx.pem;
        ssl_certificate_key {folder}/nginx.pem;
        location / {{ return 200 "200 OK<br/>ex1.town.example"; }}
    }}
}}
"""
    )
    words = [needs("nginx"), "-c", config, "-p", folder, "-e", folder / "error.log"]
    with _running(words, _ADDRESSES[-1], PORT):
        yield


@contextmanager
def _exporter(folder: Path) -> Iterator[int]:
    """The exporter's process id."""
    module = {
        "prober": "http", "timeout": "5s",
        "http": {
            "headers": {"Host": HOST},
            "tls_config": {"ca_file": str(folder / "ca.pem"), "server_name": HOST},
        },
    }  # fmt: skip
    config = folder / "blackbox.json"  # JSON is YAML too
    config.write_text(json.dumps({"modules": {"page": module}}))
    words = [
        needs("prometheus-blackbox-exporter"), f"--config.file={config}",
        f"--web.listen-address=127.0.0.1:{EXPORTER}", "--log.level=error",
    ]  # fmt: skip
    with _running(words, "127.0.0.1", EXPORTER) as pid:
        yield pid


@contextmanager
def _running(words: Sequence[object], address: str, port: int) -> Iterator[int]:
    """A process until the end of the block, from when it listens; its id."""
    process = subprocess.Popen([str(word) for word in words], stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 15
        while True:
            try:
                socket.create_connection((address, port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait(15)


def _cpu(pid: int) -> float:
    """User and system seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
