"""How fast the lab answers mail clients, beside a bare server of the same libraries.

Lab and client are processes of their own. The client keeps four connections with TLS open, asks on
each one request after the other with ready bytes, and reads no more than it has to check. The bare
server is the lab's listener with an application that says one word. What is measured is the best of
three tries, since other work on the machine only takes away.
"""

import asyncio
import base64
import json
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).parents[2]))

from mailmig.lab import founding, story
from mailmig.lab.certificates import Authority
from mailmig.lab.databases import Activation
from mailmig.lab.organisation import Organisation
from mailmig.lab.running.layout import HTTPS
from mailmig.lab.running.whole import Lab
from mailmig.lab.web.people import password
from mailmig.lab.wsman.listening import Listener, Receive, Scope, Send
from mailmig.model.directory import Kind
from mailmig.wire.mapihttp import mailbox as bodies
from mailmig.wire.mapihttp import rops
from mailmig.wire.mapihttp.head import CONTENT_TYPE, counted
from mailmig.wire.mapihttp.rop_buffer import RopRequests
from tests.lab.running_lab import free_offset, running

CONNECTIONS, TRIES = 4, 3
REQUESTS, CHAINS, PEOPLE = 1_000, 300, 20
NODES = 50
HEALTH, CHAIN, START_S = 500, 200, 5.0
_HEALTHCHECK = "/mapi/healthcheck.htm"
# Where the ReturnValue of a first logon stands in the body of an Execute response.
_RETURNED = slice(28, 32)
_WAIT_S = 60.0

Work = Callable[["Wire", int], Awaitable[None]]


def rows() -> Iterator[dict[str, object]]:
    with tempfile.TemporaryDirectory() as folder, _served(Path(folder)) as told:
        ca_file = Path(told["ca_file"])

        def pace(port: int, work: Work, count: int) -> float:
            return max(
                asyncio.run(_pace((told["address"], port), ca_file, work, count))
                for _ in range(TRIES)
            )

        bare = pace(told["bare"], _page("/"), REQUESTS)
        health = pace(told["lab"], _page(_HEALTHCHECK), REQUESTS)
        yield _row("healthcheck.htm, beside a bare page", "requests/s", health, bare, HEALTH)
        chains = pace(told["lab"], _chain(told), CHAINS)
        yield _row(
            "MAPI Connect + Logon, beside two bare pages", "chains/s", chains, bare / 2, CHAIN
        )
    began = time.perf_counter()
    asyncio.run(_bare_nodes())
    bare_s = time.perf_counter() - began
    began = time.perf_counter()
    asyncio.run(_nodes())
    took_s = time.perf_counter() - began
    yield {
        "what": f"{NODES} nodes found and started, each asked once; beside {NODES} bare listeners",
        "ours": took_s, "other": bare_s, "unit": "s", "ratio": took_s / bare_s,
        "goal": f"<= {START_S:g} s", "met": took_s <= START_S,
    }  # fmt: skip


def _row(what: str, unit: str, ours: float, other: float, goal: int) -> dict[str, object]:
    return {
        "what": f"{what}; Basic over kept-alive TLS", "ours": ours, "other": other, "unit": unit,
        "ratio": ours / other, "goal": f">= {goal}/s", "met": ours >= goal,
    }  # fmt: skip


# the lab, in a process of its own


@contextmanager
def _served(folder: Path) -> Iterator[dict[str, Any]]:
    process = subprocess.Popen(
        [sys.executable, __file__, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.communicate(timeout=30)  # it ends when its input does


async def _one_word(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [(b"content-type", b"text/html"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


async def _serve(folder: Path) -> None:
    """A town of 500 whose servers let clients in with Basic, and the bare server beside it."""
    async with running(folder, mailboxes=500, speed=1.0) as lab:
        _allow_basic(lab)
        machine = lab.layout.exchange[0]
        certificate = lab.authority.certificate(machine.name, machine.address)
        async with Listener(_one_word, machine.address, tls=certificate.context()) as bare:
            people = lab.web.people
            staff = list(lab.organisation.present(Kind.USER))[:PEOPLE]
            print(
                json.dumps(
                    {
                        "address": machine.address, "lab": lab.layout.port(HTTPS),
                        "bare": bare.port, "ca_file": str(lab.folder / "ca.pem"),
                        "people": [
                            (one.account, password(one.account).reveal(), people.legacy(one),
                             people.mailbox_id(one))
                            for one in staff
                        ],
                    }
                ),
                flush=True,
            )  # fmt: skip
            await asyncio.to_thread(sys.stdin.read)


def _allow_basic(lab: Lab) -> None:
    organisation = lab.organisation
    for _, live in lab.web.directories._objects["mapi"]():
        offered = {"IISAuthenticationMethods": ["Basic", "Ntlm", "Negotiate"]}
        organisation.settings.change(str(live["Guid"]), offered, organisation.now)


# the client


class Wire:
    """One connection that stays open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def ask(self, raw: bytes) -> tuple[bytes, bytes]:
        """The head, and the body without its chunks."""
        self.writer.write(raw)
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        lower = head.lower()
        at = lower.find(b"content-length: ")
        if at >= 0:
            size = int(lower[at + 16 : lower.index(b"\r", at)])
            return head, await self._reader.readexactly(size)
        body = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)
        return head, body


async def _pace(where: tuple[str, int], ca_file: Path, work: Work, count: int) -> float:
    """So often the work was done per second, over all connections."""
    context = ssl.create_default_context(cafile=str(ca_file))
    wires = [
        Wire(*await asyncio.open_connection(*where, ssl=context, server_hostname=where[0]))
        for _ in range(CONNECTIONS)
    ]
    todo = iter(range(count))

    async def busy(wire: Wire) -> None:
        for number in todo:
            await work(wire, number)

    for wire in wires:  # the first one on each connection is not counted
        await work(wire, 0)
    began = time.perf_counter()
    async with asyncio.timeout(_WAIT_S):
        await asyncio.gather(*map(busy, wires))
    took_s = time.perf_counter() - began
    for wire in wires:
        wire.writer.close()
    return count / took_s


def _page(path: str) -> Work:
    raw = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()

    async def ask(wire: Wire, number: int) -> None:
        await wire.ask(raw)

    return ask


def _chain(told: dict[str, Any]) -> Work:
    """Connect and RopLogon of one of some people, with the cookies of the one in the other."""
    ready = [_messages(*one) for one in told["people"]]

    async def ask(wire: Wire, number: int) -> None:
        connect, execute, body = ready[number % len(ready)]
        head, _ = await wire.ask(connect)
        cookies = b"; ".join(
            line[12:].partition(b";")[0]
            for line in head.split(b"\r\n")
            if line.startswith(b"set-cookie: ")
        )
        head, framed = await wire.ask(execute + b"Cookie: " + cookies + b"\r\n\r\n" + body)
        answer = framed.partition(b"\r\n\r\n")[2]
        assert b"x-responsecode: 0\r\n" in head and len(answer) == 200, (head, framed)
        assert answer[_RETURNED] == bytes(4), answer

    return ask


def _messages(account: str, secret: str, dn: str, mailbox_id: str) -> tuple[bytes, bytes, bytes]:
    """A whole Connect; an Execute's head as far as its cookies, and its body."""
    token = base64.b64encode(f"{account}:{secret}".encode()).decode()
    connect = bodies.ConnectRequest(dn).encode()
    execute = bodies.ExecuteRequest(RopRequests((rops.Logon(dn),)).encode()).encode()

    def head(kind: str, size: int) -> bytes:
        return (
            f"POST /mapi/emsmdb/?MailboxId={mailbox_id} HTTP/1.1\r\nHost: bench\r\n"
            f"Authorization: Basic {token}\r\nContent-Type: {CONTENT_TYPE}\r\n"
            f"X-RequestType: {kind}\r\nX-RequestId: {counted(uuid4(), 1)}\r\n"
            f"Content-Length: {size}\r\n"
        ).encode()

    return (
        head("Connect", len(connect)) + b"\r\n" + connect, head("Execute", len(execute)), execute,
    )  # fmt: skip


# many nodes


def _of_many(*words: Any, **options: Any) -> Organisation:
    """A town with so many servers, each in one of its sites."""
    town = _found(*words, **options)
    last = town.servers[-1]
    for number in range(len(town.servers) + 1, NODES + 1):
        name = f"LS-EX{number}N"
        fqdn = f"{name}.{town.domain}".lower()
        town.servers = (*town.servers, replace(last, name=name, fqdn=fqdn, dag=""))
        town.activation[name] = Activation()
    return town


_found = founding.found


async def _nodes() -> None:
    """All that an Exchange server of the lab has on its web and mail ports, on each node."""
    with tempfile.TemporaryDirectory() as folder, patch.object(founding, "found", _of_many):
        lab = Lab(story.read("town"), Path(folder), mailboxes=500, offset=free_offset())
        async with AsyncExitStack() as stack:
            where = []
            for number, planned in enumerate(lab.layout.exchange, 1):
                machine = replace(planned, address=f"127.0.100.{number}")
                for server in lab._exchange(machine):
                    await stack.enter_async_context(server)
                where.append((machine.address, lab.layout.port(HTTPS), machine.name))
            lab.authority.write(Path(folder) / "ca.pem")
            await _each_once(where, Path(folder) / "ca.pem", _page(_HEALTHCHECK))
        lab.world.close()


async def _bare_nodes() -> None:
    """As many listeners with a certificate each."""
    authority = Authority()
    with tempfile.TemporaryDirectory() as folder:
        authority.write(Path(folder) / "ca.pem")
        async with AsyncExitStack() as stack:
            where = []
            for number in range(1, NODES + 1):
                address = f"127.0.100.{number}"
                tls = authority.certificate(address).context()
                listener = Listener(_one_word, address, tls=tls)
                await stack.enter_async_context(listener)
                where.append((address, listener.port, address))
            await _each_once(where, Path(folder) / "ca.pem", _page("/"))


async def _each_once(where: list[tuple[str, int, str]], ca_file: Path, work: Work) -> None:
    context = ssl.create_default_context(cafile=str(ca_file))
    for address, port, name in where:
        wire = Wire(
            *await asyncio.open_connection(address, port, ssl=context, server_hostname=name)
        )
        await work(wire, 0)
        wire.writer.close()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
