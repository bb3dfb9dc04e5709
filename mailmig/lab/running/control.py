"""The way into a running lab: switching its faults from another process.

    async with Control(lab.faults, folder):     # in the lab
        ...
    talk(folder, "on", "vote-missing", "LS-EX1")     # anywhere else on this machine

One line of JSON goes each way over loopback. Where the lab listens and the token that it wants
stand in `control.json` in its folder, mode 0600; the file goes when the lab goes. A lab that was
killed leaves it behind: then nobody answers there, or somebody who does not know the token.
"""

import asyncio
import json
import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from mailmig.lab.faults.switchboard import Active, Switchboard
from mailmig.lab.running.folder import CannotWriteLab
from mailmig.model.errors import MailmigError

FILE: Final = "control.json"
ADDRESS: Final = "127.0.0.1"
_LONGEST: Final = 64 * 1024
# How long either side waits for the other one: seconds.
_PATIENCE_S: Final = 10.0
_WRONG_TOKEN: Final = "token"  # noqa: S105


class NoLab(MailmigError):
    """No lab runs with this folder: start one, or name its folder."""

    def __init__(self, folder: Path, why: str) -> None:
        super().__init__(
            f"no lab runs with the folder {folder} ({why}): start one with "
            f"`mailmig lab run --folder {folder}`, or name the folder of the one that runs"
        )
        self.folder = folder
        self.why = why


class LabRuns(MailmigError):
    """A lab runs with this folder already: end that one, or name another folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"a lab runs with the folder {folder} already: end it, or name another --folder"
        )
        self.folder = folder


class NotYourLab(MailmigError):
    """The token is not that of the lab which answers: the file is an old one, or not of this lab."""

    def __init__(self, path: Path, port: int) -> None:
        super().__init__(
            f"the lab that listens on port {port} does not take the token in {path}: the file is "
            "of another lab; name the folder of the one that runs"
        )
        self.path = path
        self.port = port


class CannotReadControl(MailmigError):
    """The file that leads to the lab cannot be read: look at its rights."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"{path} cannot be read: {error.strerror or error}; was it another user's lab?"
        )
        self.path = path


class LabRefuses(MailmigError):
    """The lab does not do what it was asked for; the sentence is its own."""


class Control:
    """The lab's end; an asynchronous context. Raises `CannotWriteLab`."""

    def __init__(self, board: Switchboard, folder: Path) -> None:
        self._board = board
        self._path = folder / FILE
        self._token = secrets.token_urlsafe(24)
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, ADDRESS, 0, limit=_LONGEST)
        port = self._server.sockets[0].getsockname()[1]
        try:
            self._write(port)
        except OSError as error:
            self._server.close()
            raise CannotWriteLab(self._path, error) from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        if self._is_ours():
            self._path.unlink(missing_ok=True)
        await self._server.wait_closed()

    def _write(self, port: int) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"port": port, "token": self._token}, file)

    def _is_ours(self) -> bool:
        """Whether no later lab has taken the folder."""
        try:
            found = _read(self._path)
        except OSError:
            return False
        return found is not None and found["token"] == self._token

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                asked = json.loads(await reader.readline())
                writer.write(json.dumps(await self._reply(asked)).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError, RecursionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _reply(self, asked: object) -> dict[str, Any]:
        if not isinstance(asked, dict):
            return {"wrong": "request"}
        token = str(asked.get("token"))
        if not secrets.compare_digest(token.encode(), self._token.encode()):
            return {"wrong": _WRONG_TOKEN}
        fault, target = str(asked.get("fault") or ""), str(asked.get("target") or "")
        try:
            # Cmdlets hold the world's lock in threads of their own: the loop must not wait for it.
            on = await asyncio.to_thread(self._switch, str(asked.get("do")), fault, target)
        except MailmigError as error:
            return {"error": str(error)}
        return {"on": [[one.id, one.target] for one in on]}

    def _switch(self, do: str, fault: str, target: str) -> list[Active]:
        if do == "on":
            self._board.on(fault, target)
        elif do == "off" and fault:
            self._board.off(fault, target)
        elif do == "off":
            self._board.all_off()
        return list(self._board)


def talk(folder: Path, do: str, fault: str = "", target: str = "") -> list[Active]:
    """Tell the lab of this folder `on`, `off` (all faults without one) or `list`.

    Gives the faults that are on then. Raises `NoLab`, `NotYourLab`, `CannotReadControl`, and
    `LabRefuses` with what the lab had to say.
    """
    path = folder / FILE
    try:
        where = _read(path)
    except FileNotFoundError:
        raise NoLab(folder, f"it holds no {FILE}") from None
    except OSError as error:
        raise CannotReadControl(path, error) from error
    if where is None:
        raise NoLab(folder, f"{FILE} is damaged")
    port = where["port"]
    question = {"token": where["token"], "do": do, "fault": fault, "target": target}
    said = _exchange(port, json.dumps(question).encode() + b"\n")
    if said is None:
        raise NoLab(folder, f"nobody answers on port {port}; it was killed")
    if said.get("wrong") == _WRONG_TOKEN:
        raise NotYourLab(path, port)
    if "error" in said:
        raise LabRefuses(str(said["error"]))
    if "on" not in said:
        raise NoLab(folder, f"what answers on port {port} is none, or it failed: see its output")
    return [Active(str(name), str(at)) for name, at in said["on"]]


def refuse_second(folder: Path) -> None:
    """Raises `LabRuns` when a lab answers for this folder."""
    with suppress(NoLab, NotYourLab, CannotReadControl):
        talk(folder, "list")
        raise LabRuns(folder)


def _read(path: Path) -> Any:
    """What the file says; `None` when it makes no sense."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError:
        return None
    right = isinstance(found, dict) and isinstance(found.get("port"), int) and "token" in found
    return found if right and 0 < found["port"] < 2**16 else None


def _exchange(port: int, question: bytes) -> dict[str, Any] | None:
    """One line there, one line back; `None` when nobody is there, nothing when it is nonsense."""
    try:
        connected = socket.create_connection((ADDRESS, port), _PATIENCE_S)
    except OSError:
        return None
    try:
        with connected, connected.makefile("rb") as answer:
            connected.sendall(question)
            found = json.loads(answer.readline(_LONGEST))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
