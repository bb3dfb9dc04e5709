"""Runspace pools of remote PowerShell behind WS-Management (MS-PSRP 3.2).

psrpcore speaks the protocol: opening, pipelines, keys, states, records. Objects go around it as
ready CLIXML (see `messages`). A pool runs as many pipelines at once as its client asked for;
others wait. A pipeline whose client does not fetch is paused when about two answers wait.

What was said in no-language mode: a script is refused, a pipeline of known cmdlets runs, and
`Select-Object -Property` may stand at its end. Merged streams (`2>&1`) stay where they were.
"""

import asyncio
import contextlib
import itertools
import logging
import uuid
from collections.abc import Iterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any, Final
from uuid import UUID
from xml.sax.saxutils import escape

import psrpcore
from psrpcore import types

from mailmig.lab.accounts import Account
from mailmig.lab.exchange import calls, records, selecting
from mailmig.lab.exchange.calls import Call, Caller, Engine, ErrorRecord, Item, Output, Progress
from mailmig.lab.exchange.messages import PIPELINE_OUTPUT, Outbox, message_header, messages
from mailmig.lab.exchange.plain import plain
from mailmig.lab.exchange.pulling import Pullers
from mailmig.lab.wsman import envelopes
from mailmig.lab.wsman.envelopes import Request
from mailmig.lab.wsman.shells import (
    ANSWER_SIZE,
    Shell,
    command_answer,
    receive_answer,
    room,
)
from mailmig.lab.wsman.switches import Switches

RESOURCE_URI: Final = "http://schemas.microsoft.com/powershell/Microsoft.Exchange"
PATH: Final = "/PowerShell"
# Exchange's web.config of that directory; 1,000 commands is the default of WinRM's plug-ins.
IDLE: Final = timedelta(minutes=15)
COMMANDS_PER_SHELL: Final = 1000
MOST_RUNSPACES: Final = 18
# An answer that could hold more waits so long for it: a few large answers cost less than many.
LINGER_S: Final = 0.01
# So much output may wait for its client before the cmdlet is paused.
PAUSE_AT: Final = 2 * ANSWER_SIZE

_LOG = logging.getLogger(__name__)
_Event = psrpcore.PSRPEvent[Any, Any]
_State = types.PSInvocationState


class ExchangeEndpoint:
    """Exchange's PowerShell directory of one server. Its attributes may be changed at any time."""

    def __init__(
        self,
        engine: Engine,
        *,
        path: str = PATH,
        resource_uri: str = RESOURCE_URI,
        switches: Switches | None = None,
    ) -> None:
        self.path = path
        self.resource_uri = resource_uri
        self.engine = engine
        self.switches = Switches() if switches is None else switches
        self.idle = IDLE
        self.commands_per_shell = COMMANDS_PER_SHELL
        self.pullers = Pullers()

    def open(self, request: Request, account: Account) -> Shell:
        return RunspacePool(self, request, account)

    async def close(self) -> None:
        await self.pullers.close()


class _Channel:
    """What waits for one receiver: the pool itself, or one pipeline."""

    def __init__(self, ids: Iterator[int]) -> None:
        self.outbox = Outbox(ids)
        self.finished = False
        self._changed = asyncio.Event()
        self._fetched = asyncio.Event()

    def put(self, message: bytes) -> None:
        self.outbox.put(message)
        self._changed.set()

    def finish(self) -> None:
        self.finished = True
        self._changed.set()

    async def something(self) -> None:
        """Returns as soon as there is something to say."""
        await self._until(1)

    async def enough(self, size: int) -> None:
        """Returns when there is that much to say, or no more comes, or it takes too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                await self._until(size)

    async def _until(self, size: int) -> None:
        while self.outbox.waiting < size and not self.finished:
            self._changed.clear()
            await self._changed.wait()

    async def space(self) -> None:
        """Returns as soon as not too much waits."""
        while self.outbox.waiting > PAUSE_AT:
            self._fetched.clear()
            await self._fetched.wait()

    def take(self, size: int) -> bytes:
        data = self.outbox.take(size)
        self._fetched.set()
        return data


class _Pipeline:
    """One command of a pool."""

    def __init__(self, half: psrpcore.ServerPipeline, channel: _Channel) -> None:
        self.half = half
        self.channel = channel
        self.output_header = message_header(
            PIPELINE_OUTPUT, half.runspace_pool.runspace_pool_id, half.pipeline_id
        )
        self.task: asyncio.Task[None] | None = None


class RunspacePool(Shell):
    """One session of one client."""

    def __init__(self, endpoint: ExchangeEndpoint, request: Request, account: Account) -> None:
        super().__init__(request, account, endpoint.idle)
        self._endpoint = endpoint
        self._caller = Caller.of(account, request.locale, request.data_locale)
        self._half = psrpcore.ServerRunspacePool()
        self._ids = itertools.count(1)
        self._own = _Channel(self._ids)
        self._pipelines: dict[UUID, _Pipeline] = {}
        self._turns = asyncio.Semaphore(1)
        xml = request.find("rsp:Shell/ps:creationXml").text
        self._feed(envelopes.unbase64(xml, "creationXml"))
        self._turns = asyncio.Semaphore(max(1, min(self._half.max_runspaces, MOST_RUNSPACES)))

    # the verbs

    async def command(self, request: Request) -> str:
        line = request.find("rsp:CommandLine")
        known = _identifier(line.get("CommandId")) or uuid.uuid4()
        if len(self._pipelines) >= self._endpoint.commands_per_shell:
            raise envelopes.too_many_commands()
        if known in self._pipelines:
            raise envelopes.broken_payload("the command id is in use")
        data = envelopes.unbase64(
            line.findtext("rsp:Arguments", "", envelopes.NAMES), "rsp:Arguments"
        )
        # psrpcore wants the pipeline to exist before its message comes
        half = psrpcore.ServerPipeline(self._half, known)
        self._pipelines[known] = _Pipeline(half, _Channel(self._ids))
        try:
            self._feed(data, known)
        except envelopes.Fault:
            await self._drop(known)
            raise
        return command_answer(str(known).upper())

    async def send(self, request: Request) -> str:
        stream = request.find("rsp:Send/rsp:Stream")
        known = _identifier(stream.get("CommandId"))
        if known is not None:
            self._pipeline(known)
        self._feed(envelopes.unbase64(stream.text, "rsp:Stream"), known)
        return "<rsp:SendResponse/>"

    async def receive(self, request: Request) -> str:
        text = request.find("rsp:Receive/rsp:DesiredStream").get("CommandId")
        known = _identifier(text)
        channel = self._own if known is None else self._pipeline(known).channel
        try:
            async with asyncio.timeout(request.timeout_s):
                await channel.something()
        except TimeoutError:
            raise envelopes.timed_out() from None
        if channel is self._own and channel.finished:
            raise envelopes.unknown_shell(self.id)
        if channel is not self._own:
            await channel.enough(room(request))
        data = channel.take(room(request))
        done = channel.finished and not channel.outbox.waiting
        streams = [("stdout", data)] if data else []
        return receive_answer(streams, str(known).upper() if known else None, done=done)

    async def signal(self, request: Request) -> str:
        signal = request.find("rsp:Signal")
        known = _identifier(signal.get("CommandId"))
        if known is None:
            raise envelopes.unknown_command("")
        pipeline = self._pipeline(known)
        code = (signal.findtext("rsp:Code", "", envelopes.NAMES) or "").lower()
        await self._stop(pipeline)
        if code.endswith("terminate"):
            await self._drop(known)
        return "<rsp:SignalResponse/>"

    async def close(self) -> None:
        for known in tuple(self._pipelines):
            await self._drop(known)
        self._own.finish()

    # pipelines

    def _pipeline(self, known: UUID) -> _Pipeline:
        pipeline = self._pipelines.get(known)
        if pipeline is None:
            raise envelopes.unknown_command(str(known).upper())
        return pipeline

    async def _stop(self, pipeline: _Pipeline) -> None:
        """Ends a pipeline that is running; its last word is that it was stopped."""
        task = pipeline.task
        if task is None or task.done():
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if not pipeline.channel.finished:
            if pipeline.half.state == _State.Running:
                pipeline.half.stop()
            self._flush()
            pipeline.channel.finish()

    async def _drop(self, known: UUID) -> None:
        pipeline = self._pipelines.pop(known)
        await self._stop(pipeline)
        pipeline.channel.finish()
        self._half.pipeline_table.pop(known, None)

    def _feed(self, data: bytes, pipeline: UUID | None = None) -> None:
        """Hands bytes of the client to psrpcore and does what they ask for."""
        payload = psrpcore.PSRPPayload(data, psrpcore.StreamType.default, pipeline)
        try:
            self._half.receive_data(payload)
            while (event := self._half.next_event()) is not None:
                self._heed(event)
        except Exception as error:  # psrpcore meets nonsense with errors of every kind
            raise envelopes.broken_payload(f"no message of PowerShell ({error!r})") from error
        self._flush()

    def _heed(self, event: _Event) -> None:
        answer = self._half.runspace_availability_response
        if isinstance(event, psrpcore.CreatePipelineEvent | psrpcore.GetCommandMetadataEvent):
            pipeline = self._pipelines[event.pipeline_id]
            pipeline.task = asyncio.ensure_future(self._run(pipeline, event))
        elif isinstance(event, psrpcore.GetAvailableRunspacesEvent):
            running = sum(
                p.task is not None and not p.task.done() for p in self._pipelines.values()
            )
            answer(event.ci, max(0, self._half.max_runspaces - running))
        elif isinstance(
            event,
            psrpcore.SetMaxRunspacesEvent
            | psrpcore.SetMinRunspacesEvent
            | psrpcore.ResetRunspaceStateEvent,
        ):
            answer(event.ci, True)

    def _flush(self) -> None:
        """Takes what psrpcore has to say into the channels, so that one hand numbers it all."""
        while (payload := self._half.data_to_send()) is not None:
            channel = self._own
            if payload.pipeline_id is not None:
                pipeline = self._pipelines.get(payload.pipeline_id)
                if pipeline is None:
                    continue
                channel = pipeline.channel
            for message in messages(payload.data):
                channel.put(message)

    # one pipeline

    async def _run(self, pipeline: _Pipeline, event: _Event) -> None:
        async with self._turns:
            pipeline.half.start()
            self._flush()
            try:
                failure = await self._statements(pipeline, event)
            except Exception as error:  # noqa: BLE001  a mistake of the cmdlets, shown as one
                _LOG.exception("the lab's cmdlets broke")
                failure = ErrorRecord(
                    f"The lab itself broke: {error!r}.", "LabFailure", terminating=True,
                    exception="System.InvalidOperationException",
                )  # fmt: skip
            if failure is None:
                pipeline.half.complete()
            else:
                pipeline.half.prepare_message(records.failed(failure))
                pipeline.half.state = _State.Failed
            self._flush()
            pipeline.channel.finish()

    async def _statements(self, pipeline: _Pipeline, event: _Event) -> ErrorRecord | None:
        """Runs one statement after the other; the error that ended them, if one did."""
        if not isinstance(event, psrpcore.CreatePipelineEvent):
            return calls.not_simulated("command metadata")
        powershell = event.pipeline
        if not powershell.no_input:
            return calls.not_simulated("objects that are piped into a session")
        for statement in _split(powershell.commands):
            failure = await self._statement(pipeline, statement)
            if failure is not None:
                return failure
        return None

    async def _statement(
        self, pipeline: _Pipeline, commands: list[psrpcore.Command]
    ) -> ErrorRecord | None:
        for command in commands:
            if command.is_script:
                return calls.no_language(command.command_text)
        cmdlets = [_call(command) for command in commands]
        try:
            selection = self._selection(cmdlets)
        except selecting.Refused as refused:
            return refused.record
        for cmdlet in cmdlets:
            if not self._endpoint.engine.knows(self._caller, cmdlet.name):
                return calls.command_not_found(cmdlet.name)
        if not cmdlets:
            return None
        engine = self._endpoint.engine
        if selection is not None and isinstance(engine, calls.SelectingEngine):
            outputs = engine.select(self._caller, tuple(cmdlets), selection.names)
            selection = None
        else:
            outputs = engine.invoke(self._caller, tuple(cmdlets))
        async with aclosing(self._endpoint.pullers.portions(outputs)) as portions:
            async for portion in portions:
                for output in portion:
                    if isinstance(output, ErrorRecord) and output.terminating:
                        return output
                    self._put(pipeline, output, selection)
                await pipeline.channel.space()
        return None

    def _selection(self, cmdlets: list[Call]) -> selecting.Selection | None:
        """Takes a Select-Object off the end. Raises `Refused`."""
        if self._endpoint.switches.no_select or not cmdlets:
            return None
        if not selecting.is_select(cmdlets[-1].name):
            if any(selecting.is_select(cmdlet.name) for cmdlet in cmdlets):
                record = calls.not_simulated("Select-Object amid a pipeline")
                raise selecting.Refused(record)
            return None
        return selecting.Selection.of(cmdlets.pop())

    def _put(
        self, pipeline: _Pipeline, output: Output, selection: selecting.Selection | None
    ) -> None:
        if isinstance(output, Item):
            if selection is not None:
                output = selection.item(output)
            xml = output.xml if isinstance(output.xml, bytes) else output.xml.encode()
            pipeline.channel.put(pipeline.output_header + xml)
            return
        kind = types.PSRPMessageType
        if isinstance(output, ErrorRecord):
            pipeline.half.prepare_message(records.error(output), kind.ErrorRecord)
        elif isinstance(output, Progress):
            pipeline.half.prepare_message(records.progress(output))
        else:
            pipeline.half.prepare_message(records.warning(output), kind.WarningRecord)
        self._flush()


def _identifier(text: str | None) -> UUID | None:
    """A command id; None when there is none, a fault when it is broken."""
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError:
        raise envelopes.unknown_command(escape(text)) from None


def _split(commands: list[psrpcore.Command]) -> Iterator[list[psrpcore.Command]]:
    statement: list[psrpcore.Command] = []
    for command in commands:
        statement.append(command)
        if command.end_of_statement:
            yield statement
            statement = []
    if statement:
        yield statement


def _call(command: psrpcore.Command) -> Call:
    return Call(
        str(command.command_text),
        tuple(
            (None if name is None else str(name).strip("-:"), plain(value))
            for name, value in command.parameters
        ),
    )
