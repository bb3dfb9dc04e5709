"""Shells: what a client creates, uses by its id, and deletes or lets expire (MS-WSMV 3.1.4).

A shell belongs to whoever created it; for anybody else it does not exist. It expires when no
request has touched it for its idle time. That time is measured with the clock that is passed
in, and a request under way keeps its shell alive however fast that clock runs.
"""

import uuid
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Protocol
from xml.sax.saxutils import escape

from mailmig.lab.accounts import Account
from mailmig.lab.wsman import envelopes
from mailmig.lab.wsman.envelopes import SHELL, Request

Clock = Callable[[], datetime]

# What one answer may hold of output, as base64 (lab.md 1), and what its envelope needs beside.
ANSWER_SIZE = 450 * 1024
_ENVELOPE_ROOM = 2048


class Shell(ABC):
    """One shell. The verbs return what stands in the body of the answer, or raise `Fault`."""

    output_streams = "stdout"

    def __init__(self, request: Request, owner: Account, idle: timedelta) -> None:
        given = request.body.find("rsp:Shell", envelopes.NAMES)
        asked = "" if given is None else given.get("ShellId", "")
        self.id = _checked_id(asked) or str(uuid.uuid4()).upper()
        self.owner = owner
        self.resource_uri = request.resource_uri
        own = "" if given is None else given.findtext("rsp:IdleTimeOut", "", envelopes.NAMES)
        self.idle = min(idle, timedelta(seconds=envelopes.seconds(own or "", idle.total_seconds())))
        self.under_way = 0
        self.last_used: datetime | None = None

    @abstractmethod
    async def command(self, request: Request) -> str: ...

    @abstractmethod
    async def receive(self, request: Request) -> str: ...

    @abstractmethod
    async def send(self, request: Request) -> str: ...

    @abstractmethod
    async def signal(self, request: Request) -> str: ...

    @abstractmethod
    async def close(self) -> None:
        """Ends all that runs in it; may be called more than once."""

    def created(self, address: str) -> str:
        """The answer to Create."""
        return (
            f"<x:ResourceCreated><a:Address>{escape(address)}</a:Address>"
            f"<a:ReferenceParameters><w:ResourceURI>{escape(self.resource_uri)}</w:ResourceURI>"
            f'<w:SelectorSet><w:Selector Name="ShellId">{self.id}</w:Selector></w:SelectorSet>'
            f"</a:ReferenceParameters></x:ResourceCreated>{self.described()}"
        )

    def described(self) -> str:
        """The answer to Get, and a part of that to Create."""
        return (
            f"<rsp:Shell><rsp:ShellId>{self.id}</rsp:ShellId>"
            f"<rsp:ResourceUri>{escape(self.resource_uri)}</rsp:ResourceUri>"
            f"<rsp:Owner>{escape(self.owner.logon_name)}</rsp:Owner><rsp:State>Connected</rsp:State>"
            f"<rsp:IdleTimeOut>PT{self.idle.total_seconds():.3f}S</rsp:IdleTimeOut>"
            f"<rsp:OutputStreams>{self.output_streams}</rsp:OutputStreams></rsp:Shell>"
        )


def _checked_id(text: str) -> str:
    try:
        return str(uuid.UUID(text)).upper()
    except ValueError:
        return ""


class Endpoint(Protocol):
    """One kind of shell under one path, as IIS or WinRM offers it."""

    path: str
    resource_uri: str

    def open(self, request: Request, account: Account) -> Shell:
        """A new shell; raises `Fault` when the request asks for something it cannot be."""
        ...

    async def close(self) -> None: ...


class Shells:
    """All shells of one server."""

    def __init__(self, now: Clock, per_account: int) -> None:
        self.per_account = per_account
        self._now = now
        self._shells: dict[str, Shell] = {}

    def __len__(self) -> int:
        return len(self._shells)

    def __iter__(self) -> Iterator[Shell]:
        return iter(tuple(self._shells.values()))

    def check_quota(self, account: Account) -> None:
        """Raises `Fault` when the account has as many shells as it may have."""
        if sum(shell.owner.name == account.name for shell in self) >= self.per_account:
            raise envelopes.too_many_shells(self.per_account)

    def add(self, shell: Shell) -> None:
        shell.last_used = self._now()
        self._shells[shell.id] = shell

    def get(self, shell_id: str, account: Account) -> Shell:
        """The account's shell of that id. Raises `Fault`."""
        shell = self._shells.get(shell_id.strip("{}").upper())
        if shell is None or shell.owner.name != account.name:
            raise envelopes.unknown_shell(shell_id)
        return shell

    def touch(self, shell: Shell) -> None:
        shell.last_used = self._now()

    async def remove(self, shell: Shell) -> None:
        self._shells.pop(shell.id, None)
        await shell.close()

    async def expire(self) -> None:
        """Ends the shells whose idle time is over."""
        now = self._now()
        for shell in self:
            used = shell.last_used
            if shell.under_way == 0 and used is not None and now - used > shell.idle:
                await self.remove(shell)

    async def clear(self) -> None:
        """Ends all shells now, whatever they are doing."""
        for shell in self:
            await self.remove(shell)


def room(request: Request) -> int:
    """How many bytes of output fit into one answer to this request."""
    size = min(ANSWER_SIZE, request.envelope_size - _ENVELOPE_ROOM)
    return size // 4 * 3


def command_answer(command_id: str) -> str:
    return f"<rsp:CommandResponse><rsp:CommandId>{command_id}</rsp:CommandId></rsp:CommandResponse>"


def receive_answer(
    streams: Iterable[tuple[str, bytes]],
    command_id: str | None = None,
    *,
    done: bool = False,
    exit_code: int | None = None,
) -> str:
    """Output of a command, or of the shell itself when there is no command id."""
    of = f' CommandId="{command_id}"' if command_id else ""
    parts = [
        f'<rsp:Stream Name="{name}"{of}>{b64encode(data).decode()}</rsp:Stream>'
        for name, data in streams
    ]
    if command_id:
        code = "" if exit_code is None else f"<rsp:ExitCode>{exit_code}</rsp:ExitCode>"
        state = f"{SHELL}/CommandState/{'Done' if done else 'Running'}"
        parts.append(f'<rsp:CommandState{of} State="{state}">{code}</rsp:CommandState>')
    return f"<rsp:ReceiveResponse>{''.join(parts)}</rsp:ReceiveResponse>"
