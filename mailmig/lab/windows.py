"""WinRM's command shell of a Windows machine (MS-WSMV), for what PowerShell is asked to run there.

    endpoint = WindowsEndpoint(handler)
    service = Service("EX1", accounts, [endpoint])

A handler gets the account and the script of `powershell -EncodedCommand ...` or `-Command ...`
and answers, or gives None for a script that it does not know. It may be a coroutine function
when it takes time; a plain one must not block. Scripts are not run: the lab knows the exact
ones that mailmig sends. All else is answered as cmd.exe answers an unknown name.

Output is text in the code page that the client asked for (437 unless told otherwise), so signs
beyond it are lost just as on Windows. Errors of PowerShell come as CLIXML on stderr.
"""

import asyncio
import inspect
import logging
import re
import uuid
from base64 import b64decode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from mailmig.lab.accounts import Account
from mailmig.lab.wsman import envelopes
from mailmig.lab.wsman.envelopes import Request
from mailmig.lab.wsman.shells import Shell, command_answer, receive_answer, room
from mailmig.wire.clixml_text import escape
from mailmig.wire.clixml_tree import NAMESPACE

RESOURCE_URI: Final = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd"
PATH: Final = "/wsman"
IDLE: Final = timedelta(hours=2)
COMMANDS_PER_SHELL: Final = 1000
# cmd.exe takes no longer line, CreateProcess none beyond the second.
LONGEST_LINE: Final = 8191
LONGEST_DIRECT_LINE: Final = 32767
_LOG = logging.getLogger(__name__)
_POWERSHELL = re.compile(r"^(?:.*[\\/])?(?:powershell|pwsh)(?:\.exe)?$", re.IGNORECASE)
_BAD_ENCODING = (
    "Cannot process the command because the value specified with -EncodedCommand is not properly "
    "encoded. The value must be Base64 encoded."
)
# What powershell.exe writes to stderr besides errors when modules are loaded for the first time.
_PROGRESS = (
    '<Obj S="progress" RefId="0"><TN RefId="0"><T>System.Management.Automation.PSCustomObject</T>'
    '<T>System.Object</T></TN><MS><I64 N="SourceId">1</I64><PR N="Record"><AV>Preparing modules '
    "for first use.</AV><AI>0</AI><Nil /><PI>-1</PI><PC>-1</PC><T>Completed</T><SR>-1</SR><SD> "
    "</SD></PR></MS></Obj>"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed. `errors` are PowerShell's error texts, one per record."""

    stdout: str = ""
    errors: tuple[str, ...] = ()
    code: int = 0


Handler = Callable[[Account, str], Answer | Awaitable[Answer | None] | None]


@dataclass(frozen=True, slots=True)
class _Printed:
    stdout: str
    stderr: str
    code: int


class WindowsEndpoint:
    """WinRM of one machine. Its attributes may be changed at any time."""

    def __init__(self, handler: Handler, *, path: str = PATH) -> None:
        self.path = path
        self.resource_uri = RESOURCE_URI
        self.handler = handler
        self.idle = IDLE
        self.commands_per_shell = COMMANDS_PER_SHELL
        self.progress_noise = False  # progress on stderr beside what succeeded

    def open(self, request: Request, account: Account) -> Shell:
        return CommandShell(self, request, account)

    async def close(self) -> None:
        return None


class _Command:
    """One command: running, or printed and not yet fetched to its end."""

    def __init__(self, task: "asyncio.Task[_Printed]") -> None:
        self.task = task
        self.waiting: list[tuple[str, bytes]] | None = None


class CommandShell(Shell):
    """One shell of one client."""

    output_streams = "stdout stderr"

    def __init__(self, endpoint: WindowsEndpoint, request: Request, account: Account) -> None:
        super().__init__(request, account, endpoint.idle)
        self._endpoint = endpoint
        self._encoding = _code_page(request.options.get("WINRS_CODEPAGE", "437"))
        self._commands: dict[str, _Command] = {}
        self._closed = asyncio.Event()

    async def command(self, request: Request) -> str:
        line = request.find("rsp:CommandLine")
        if len(self._commands) >= self._endpoint.commands_per_shell:
            raise envelopes.too_many_commands()
        given = line.get("CommandId") or str(uuid.uuid4())
        try:
            known = str(uuid.UUID(given)).upper()
        except ValueError:
            raise envelopes.unknown_command(given) from None
        words = [line.findtext("rsp:Command", "", envelopes.NAMES) or ""]
        words += [word.text or "" for word in line.iterfind("rsp:Arguments", envelopes.NAMES)]
        direct = request.options.get("WINRS_SKIP_CMD_SHELL", "").upper() == "TRUE"
        run = self._run(" ".join(words).strip(), direct)
        self._commands[known] = _Command(asyncio.ensure_future(run))
        return command_answer(known)

    async def receive(self, request: Request) -> str:
        known = request.find("rsp:Receive/rsp:DesiredStream").get("CommandId", "").upper()
        command = self._command(known)
        closed = asyncio.ensure_future(self._closed.wait())
        try:
            await asyncio.wait(
                {command.task, closed},
                timeout=request.timeout_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            closed.cancel()
        if self._closed.is_set():
            raise envelopes.unknown_shell(self.id)
        if not command.task.done():
            raise envelopes.timed_out()
        if command.task.cancelled():
            return receive_answer([], known, done=True, exit_code=1)
        return self._printed(command, known, room(request))

    async def send(self, request: Request) -> str:
        """Input is taken and nobody reads it: the scripts of mailmig ask nothing."""
        self._command(request.find("rsp:Send/rsp:Stream").get("CommandId", "").upper())
        return "<rsp:SendResponse/>"

    async def signal(self, request: Request) -> str:
        signal = request.find("rsp:Signal")
        known = signal.get("CommandId", "").upper()
        command = self._command(known)
        command.task.cancel()
        await asyncio.gather(command.task, return_exceptions=True)
        code = (signal.findtext("rsp:Code", "", envelopes.NAMES) or "").lower()
        if code.endswith("terminate"):
            del self._commands[known]
        return "<rsp:SignalResponse/>"

    async def close(self) -> None:
        self._closed.set()
        tasks = [command.task for command in self._commands.values()]
        self._commands.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _command(self, known: str) -> _Command:
        command = self._commands.get(known)
        if command is None:
            raise envelopes.unknown_command(known)
        return command

    def _printed(self, command: _Command, known: str, size: int) -> str:
        printed = command.task.result()
        if command.waiting is None:
            command.waiting = [
                (name, text.encode(self._encoding, "replace"))
                for name, text in (("stdout", printed.stdout), ("stderr", printed.stderr))
            ]
        now, command.waiting = _cut(command.waiting, size)
        if command.waiting:
            return receive_answer(now, known)
        return receive_answer(now, known, done=True, exit_code=printed.code)

    async def _run(self, line: str, direct: bool) -> _Printed:
        if len(line) > (LONGEST_DIRECT_LINE if direct else LONGEST_LINE):
            return _Printed("", "The command line is too long.\r\n", 1)
        name, _, rest = line.partition(" ")
        if not _POWERSHELL.match(name.strip('"')):
            return _Printed("", unknown_name(name), 1)
        try:
            script = powershell_script(rest)
        except ValueError:
            return _Printed("", f"{_BAD_ENCODING}\r\n", -196608)
        try:
            answer = self._endpoint.handler(self.owner, script)
            if inspect.isawaitable(answer):
                answer = await answer
        except Exception as error:  # noqa: BLE001  a mistake of the handler, shown as one
            _LOG.exception("the lab's handler broke")
            answer = Answer(errors=(f"The lab itself broke: {error!r}.",), code=1)
        return self._of_powershell(answer, script)

    def _of_powershell(self, answer: Answer | None, script: str) -> _Printed:
        if answer is None:
            name = (script.split() or [""])[0]
            answer = Answer(errors=(_unknown_cmdlet(name),), code=1)
        noise = _PROGRESS if self._endpoint.progress_noise else ""
        return _Printed(answer.stdout, error_stream(answer.errors, noise), answer.code)


def unknown_name(name: str) -> str:
    """What cmd.exe prints for a program that it does not find."""
    return (
        f"'{name}' is not recognized as an internal or external command,\r\n"
        "operable program or batch file.\r\n"
    )


def _unknown_cmdlet(name: str) -> str:
    return (
        f"{name} : The term '{name}' is not recognized as the name of a cmdlet, function, script "
        "file, or operable program. Check the spelling of the name, or if a path was included, "
        "verify that the path is correct and try again.\r\n"
        f"    + CategoryInfo          : ObjectNotFound: ({name}:String) [], CommandNotFoundException"
        "\r\n    + FullyQualifiedErrorId : CommandNotFoundException\r\n "
    )


def error_stream(errors: tuple[str, ...], noise: str = "") -> str:
    """PowerShell's stderr when it is no console: CLIXML, one `S` per line of each error."""
    if not errors and not noise:
        return ""
    lines = [line for error in errors for line in error.splitlines()]
    texts = "".join(f'<S S="Error">{escape(line)}_x000D__x000A_</S>' for line in lines)
    return f'#< CLIXML\r\n<Objs Version="1.1.0.1" xmlns="{NAMESPACE}">{noise}{texts}</Objs>'


def powershell_script(arguments: str) -> str:
    """The script among powershell.exe's arguments; ValueError when it is wrongly encoded.

    Options may be cut short, as there: `-enc`, `-e`, `-c`. Without one the rest is the command.
    """
    words = arguments.split()
    for at, word in enumerate(words):
        option = word.lower().lstrip("-/")
        if not word.startswith(("-", "/")) or not option:
            continue
        if option == "ec" or "encodedcommand".startswith(option):
            return _decoded(words[at + 1] if at + 1 < len(words) else "")
        if "command".startswith(option):
            return arguments.split(word, 1)[1].strip().strip('"')
    return arguments.strip().strip('"')


def _decoded(text: str) -> str:
    return b64decode(text, validate=True).decode("utf-16-le")


def _code_page(number: str) -> str:
    encoding = "utf-8" if number == "65001" else f"cp{number}"
    try:
        "".encode(encoding)
    except LookupError:
        return "cp437"
    return encoding


def _cut(
    streams: list[tuple[str, bytes]], size: int
) -> tuple[list[tuple[str, bytes]], list[tuple[str, bytes]]]:
    """What fits into one answer, and the rest."""
    now: list[tuple[str, bytes]] = []
    rest: list[tuple[str, bytes]] = []
    for name, data in streams:
        if data[:size]:
            now.append((name, data[:size]))
        if data[size:]:
            rest.append((name, data[size:]))
        size = max(0, size - len(data))
    return now, rest
