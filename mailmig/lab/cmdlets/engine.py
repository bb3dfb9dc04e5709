"""Runs pipelines of cmdlets for one server: who may, what it was bound to, how much of it comes.

A call is bound against the reference for the version of the answering server, through the eyes
of the caller's roles. What the reference knows and the lab does not simulate fails with the lab's
own error. Objects become texts only when they are sent; the texts are kept (see `texts`).
"""

import importlib
import logging
import pkgutil
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from typing import Final
from uuid import UUID

import mailmig.lab.cmdlets
from mailmig.lab import values as v
from mailmig.lab.accounts import Account
from mailmig.lab.cmdlets import binding, errors, roles
from mailmig.lab.cmdlets.errors import Failed
from mailmig.lab.cmdlets.identities import Register
from mailmig.lab.cmdlets.simulated import ALWAYS, Ask, Given, Row, Simulated, View
from mailmig.lab.cmdlets.texts import Texts
from mailmig.lab.exchange.calls import (
    Call,
    ErrorRecord,
    Item,
    Output,
    Warning,
    command_not_found,
    not_simulated,
)
from mailmig.lab.exchange.selecting import Selection
from mailmig.lab.places import Places
from mailmig.lab.shapes import Make, shape, whole_object
from mailmig.lab.world import World
from mailmig.model.organisation import Server
from mailmig.wire.clixml import Obj, Value


@lru_cache(maxsize=1)
def simulated() -> Mapping[str, Simulated]:
    """All cmdlets that the lab simulates, by name in lower case: the `CMDLETS` of each module here."""
    return {
        cmdlet.name.lower(): cmdlet
        for module in pkgutil.iter_modules(mailmig.lab.cmdlets.__path__)
        for cmdlet in getattr(
            importlib.import_module(f"mailmig.lab.cmdlets.{module.name}"), "CMDLETS", ()
        )
    }


# Hears of values that the reference does not list: suspicious, not proven wrong.
ODD_VALUES: Final = logging.getLogger("mailmig.lab.odd_values")
LIMIT: Final = 1000
# Words from memory [MEM]; clients know the one from the other by "1000" only.
LIMITED: Final = (
    "By default, only the first 1000 items are returned. Use the ResultSize parameter to specify "
    'the number of items returned. To return all items, specify "-ResultSize Unlimited". Be aware '
    "that, depending on the actual number of items, returning all items can take a long time and "
    "consume a large amount of memory. Also, we don't recommend storing the results in a "
    "variable. Instead, pipe the results to another task or script to perform batch changes."
)
MORE: Final = (
    "There are more results available than are currently displayed. To view them, increase the "
    "value for the ResultSize parameter."
)


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of world time: per call and per object, by cmdlet in lower case.

    Orders of magnitude of a busy server: migration.md 2.4 ("seconds per mailbox") and lab.md.
    """

    per_call: Mapping[str, float] = field(
        default_factory=lambda: {"get-adpermission": 2.0, "get-mailboxpermission": 1.0}
    )
    per_object: Mapping[str, float] = field(
        default_factory=lambda: {"get-moverequeststatistics": 0.1}
    )


FREE: Final = Costs({}, {})


@dataclass(frozen=True, slots=True)
class _Stage:
    cmdlet: Simulated
    ask: Ask
    limit: int | None
    told: bool

    @property
    def stops_at_errors(self) -> bool:
        return str(self.ask.bound.get("ErrorAction")).lower() in ("stop", "1")

    def drops(self, output: Given) -> bool:
        """Whether the caller does not want to hear that."""
        name = {ErrorRecord: "ErrorAction", Warning: "WarningAction"}.get(type(output))
        said = str(self.ask.bound.get(name)).lower() if name else ""
        return said in ("silentlycontinue", "ignore", "0", "4")


class ExchangeCmdlets:
    """The cmdlets of one server (`mailmig.lab.exchange.calls.Engine`)."""

    def __init__(
        self, world: World, server: str, *, costs: Costs | None = None, texts: Texts | None = None
    ) -> None:
        self.world = world
        self._name = world.organisation.server(server).name
        self.costs = Costs() if costs is None else costs
        self.texts = Texts() if texts is None else texts
        organisation = world.organisation
        self._register = Register(organisation, Places(organisation.domain, organisation.name))
        self._views: dict[str, View] = {}

    @property
    def server(self) -> Server:
        """The server as it is now: an update gives it another build."""
        return self.world.organisation.server(self._name)

    def knows(self, caller: Account, name: str) -> bool:
        """Whether the caller's roles bring a cmdlet of that name on a server of this version."""
        return roles.seen(self.world, self.server.version, caller, name) is not None

    def invoke(self, caller: Account, pipeline: tuple[Call, ...]) -> Iterator[Output]:
        """Whole objects."""
        return self._run(caller, pipeline, None)

    def select(
        self, caller: Account, pipeline: tuple[Call, ...], names: tuple[str, ...]
    ) -> Iterator[Output]:
        """The same through Select-Object, without building what nobody asked for."""
        return self._run(caller, pipeline, names)

    def _run(
        self, caller: Account, pipeline: tuple[Call, ...], names: tuple[str, ...] | None
    ) -> Generator[Output]:
        try:
            stages = [self._stage(caller, call, place) for place, call in enumerate(pipeline)]
        except Failed as failed:
            yield failed.record
            return
        conditions = self.world.conditions(self.server.name)
        self.world.spend(conditions.delay_s)
        for stage in stages:
            cost = self.costs.per_call.get(stage.cmdlet.name.lower(), 0.0)
            self.world.spend(cost * conditions.slowness)
        self.world.sync()
        each = self.costs.per_object.get(stages[-1].cmdlet.name.lower(), 0.0)
        given = self._chained(stages)
        while True:
            with self.world.lock:
                one = next(given, None)
                output = self._text(one, names) if isinstance(one, Row) else one
            if output is None:
                return
            if isinstance(output, Item) and each:
                self.world.spend(each * conditions.slowness)
            yield output
            if isinstance(output, ErrorRecord) and output.terminating:
                return

    def _stage(self, caller: Account, call: Call, place: int) -> _Stage:
        """One call, bound. Raises `Failed`."""
        known = roles.seen(self.world, self.server.version, caller, call.name)
        if known is None:
            raise Failed(command_not_found(call.name))
        bound = binding.bind(known, call, piped=place > 0)
        for odd in bound.odd:
            ODD_VALUES.warning("%s -%s %s", odd.cmdlet, odd.parameter, odd.value)
        cmdlet = simulated().get(known.name.lower())
        if cmdlet is None:
            raise Failed(not_simulated(f"the cmdlet {known.name}"))
        for name in bound.values:
            if (
                name not in cmdlet.parameters
                and name not in ALWAYS
                and not (cmdlet.changes and name in ("Confirm", "WhatIf"))
            ):
                raise Failed(not_simulated(f"the parameter -{name} of {known.name}"))
        if cmdlet.asks and bound.values.get("Confirm") is not False and not bound.is_on("WhatIf"):
            raise errors.cannot_ask(known.name)
        limit, told = _limit(cmdlet, bound)
        ask = Ask(
            self.world, self.server, self._view(), self._register, bound, caller.logon_name
        )  # fmt: skip
        return _Stage(cmdlet, ask, limit, told)

    def _view(self) -> View:
        culture = self.world.conditions(self.server.name).culture
        if culture.name not in self._views:
            self._views[culture.name] = View(self.world.organisation, self.server, culture)
        return self._views[culture.name]

    def _chained(self, stages: list[_Stage]) -> Iterator[Given]:
        """The rows of the last stage, and what all stages had to complain of."""
        *before, last = stages
        if not before:
            yield from _heard(last, last.ask)
            return
        for given in self._chained(before):
            if isinstance(given, Row):
                yield from _heard(last, last.ask.of(given.key))
            else:
                yield given

    def _text(self, row: Row, names: tuple[str, ...] | None) -> Item:
        view = self._view()
        profile = self.world.conditions(self._name).profile
        if profile:
            item = Item(self.texts.once(lambda: profile.applied(_built(row, view, None))))
            return item if names is None else Selection(names).item(item)
        make = partial(_built, row, view, names)
        key = (self.server.name, view.culture.name, row.shape, row.key, names)
        if row.stamp is None:
            return Item(self.texts.once(make))
        return Item(self.texts.text(key, row.stamp, make))


def _limit(cmdlet: Simulated, bound: binding.Bound) -> tuple[int | None, bool]:
    """How many objects come, `None` for all; and whether the caller named the number."""
    asked = bound.get("ResultSize")
    if asked is None:
        return (LIMIT if cmdlet.limited else None), False
    if str(asked).lower() == "unlimited":
        return None, True
    try:
        number = binding.whole(str(asked))
    except ValueError:
        number = -1
    if number < 0:
        raise errors.unconvertible(bound.cmdlet, "ResultSize", asked, "Unlimited")
    return number, True


def _heard(stage: _Stage, ask: Ask) -> Iterator[Given]:
    """What a cmdlet gives: as many rows as wanted, errors and warnings as the caller wants them."""
    for given in _limited(stage, _guarded(stage, ask)):
        if stage.drops(given):
            continue
        if isinstance(given, ErrorRecord) and stage.stops_at_errors:
            yield _ending(given)
            return
        yield given


def _guarded(stage: _Stage, ask: Ask) -> Iterator[Given]:
    try:
        yield from stage.cmdlet.run(ask)
    except Failed as failed:
        yield failed.record


def _limited(stage: _Stage, given: Iterator[Given]) -> Iterator[Given]:
    rows = 0
    for one in given:
        if isinstance(one, Row):
            if rows == stage.limit:
                yield Warning(MORE if stage.told else LIMITED)
                return
            rows += 1
        yield one


def _ending(record: ErrorRecord) -> ErrorRecord:
    return ErrorRecord(
        record.message, record.fully_qualified_id, record.category, record.target,
        record.target_type, record.exception, record.activity, terminating=True,
    )  # fmt: skip


def _built(row: Row, view: View, names: tuple[str, ...] | None) -> Obj:
    text, live = row.make()
    if names is None:
        return whole_object(row.shape, view.culture, view.session, text, live)
    return Obj(
        (
            f"Selected.{shape(row.shape).types[0]}",
            "System.Management.Automation.PSCustomObject",
            "System.Object",
        ),
        extended={
            name: live[name] if make is _GIVEN else _member(name, make, row.shape, view)
            for name, make in _chosen(row.shape, names)
        },
    )


# Where the value of a chosen member comes from: a maker, what is given, a note, or nowhere.
_NOTE: Final = "note"
_GIVEN: Final = "given"
_NOWHERE: Final = "nowhere"


@lru_cache(maxsize=256)
def _chosen(name: str, names: tuple[str, ...]) -> tuple[tuple[str, "Make | str"], ...]:
    """The members that are wanted of a shape: by the order of the names, then by its own."""
    found = shape(name)
    notes = ("PSComputerName", "RunspaceId", "PSShowComputerName")
    members: dict[str, Make | str] = {key: make or _GIVEN for key, make in found.properties}
    members |= dict.fromkeys((*notes, *(("SerializationData",) if found.blob else ())), _NOTE)
    chosen: dict[str, Make | str] = {}
    for asked in names or ("*",):
        low = asked.lower()
        pattern = "*" in low or "?" in low
        fits = [
            key
            for key in members
            if key.lower() == low or (pattern and fnmatchcase(key.lower(), low))
        ]
        if not fits and not pattern:
            chosen.setdefault(asked, _NOWHERE)
        for key in fits:
            chosen.setdefault(key, members[key])
    return tuple(chosen.items())


def _member(name: str, make: "Make | str", shape_name: str, view: View) -> Value:
    """What an untouched object has there, a note, or nothing."""
    if not isinstance(make, str):
        return make(view.culture)
    if make == _NOWHERE:
        return None
    notes: dict[str, Value] = {
        "PSComputerName": view.session.computer,
        "RunspaceId": UUID(view.session.runspace),
        "PSShowComputerName": False,
    }
    if name in notes:
        return notes[name]
    return v.blob(shape_name, shape(shape_name).blob)[name]
