"""Binds a call to a cmdlet's parameters as PowerShell does, or refuses it as PowerShell does.

Names count without case and may be shortened as long as they stay unambiguous; a whole name or
alias wins over a longer name that begins with it. What has no name goes by position. The set
that is left over by the given parameters must be one whose required ones are all there.

Two ways of a `Get-` differ from every other cmdlet and lose data (migration.md 1.3): an identity
that is null or empty counts as given and names everything. `Bound.everything` tells.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from mailmig.lab.cmdlets import errors
from mailmig.lab.cmdlets.errors import Failed
from mailmig.lab.cmdlets.reference import REVIEWED, Cmdlet, Parameter
from mailmig.lab.exchange.calls import Call

# Stands for the identity of each object that comes through the pipeline.
PIPED: Final = "\0"
_LISTS: Final = ("MultiValuedProperty", "ProxyAddressCollection", "Object")
# int() itself takes other digits and underscores as well.
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class OddValue:
    """A value that the reference does not list: suspicious, not proven wrong."""

    cmdlet: str
    parameter: str
    value: str


@dataclass(frozen=True, slots=True)
class Bound:
    """A call's parameters by their whole names. A switch is True or False, null is None."""

    cmdlet: str
    values: Mapping[str, object]
    odd: tuple[OddValue, ...] = ()

    def get(self, name: str) -> object:
        """The value, None when the parameter was not given."""
        return self.values.get(name)

    def is_on(self, name: str) -> bool:
        """Whether a switch or a boolean was given and is true."""
        return bool(self.values.get(name))

    @property
    def everything(self) -> bool:
        """No identity, or an empty one: a `Get-` means all objects by that."""
        return self.values.get("Identity") in (None, "")


def bind(cmdlet: Cmdlet, call: Call, *, piped: bool = False) -> Bound:
    """The parameters of a call. Raises `errors.Failed`.

    `piped` says that objects come from the cmdlet before: they fill `Identity`.
    """
    given: dict[str, object] = {}
    loose: list[object] = []
    for name, value in call.parameters:
        if name is None:
            loose.append(value)
            continue
        parameter = _named(cmdlet, name)
        if parameter.name in given:
            raise errors.bound_twice(cmdlet.name, parameter.name)
        given[parameter.name] = value
    if piped:
        if "Identity" in given or not _takes_pipeline(cmdlet):
            raise _no_input(cmdlet)
        given["Identity"] = PIPED
    _by_position(cmdlet, given, loose)
    _one_set(cmdlet, given)
    odd: list[OddValue] = []
    values = {
        name: _value(cmdlet, cmdlet.parameters[name], value, odd) for name, value in given.items()
    }
    return Bound(cmdlet.name, values, tuple(odd))


def _takes_pipeline(cmdlet: Cmdlet) -> bool:
    return "Identity" in cmdlet.parameters and cmdlet.parameters["Identity"].pipeline


def _no_input(cmdlet: Cmdlet) -> Failed:
    return errors.refused(
        cmdlet.name,
        "The input object cannot be bound to any parameters for the command either because the "
        "command does not take pipeline input or the input and its properties do not match any of "
        "the parameters that take pipeline input.",
        "InputObjectNotBound",
    )


def _named(cmdlet: Cmdlet, name: str) -> Parameter:
    """The one parameter that is meant by a name, a short name or the beginning of either."""
    low = name.lower()
    for parameter in cmdlet.parameters.values():
        if low in (parameter.name.lower(), *map(str.lower, parameter.aliases)):
            return parameter
    matches = [
        parameter
        for parameter in cmdlet.parameters.values()
        if any(known.lower().startswith(low) for known in (parameter.name, *parameter.aliases))
    ]
    if not matches or not low:
        raise errors.unknown_parameter(cmdlet.name, name)
    if len(matches) > 1:
        raise errors.ambiguous_parameter(cmdlet.name, name, [match.name for match in matches])
    return matches[0]


def _by_position(cmdlet: Cmdlet, given: dict[str, object], loose: list[object]) -> None:
    """Puts what has no name where it belongs: the lowest free place of a set that still fits."""
    for value in loose:
        sets = _possible(cmdlet, given)
        free = [
            parameter
            for parameter in cmdlet.parameters.values()
            if parameter.position is not None
            and parameter.name not in given
            and any(parameter.is_in(name) for name in sets)
        ]
        if not free:
            raise errors.no_position(cmdlet.name, value)
        given[min(free, key=lambda parameter: parameter.position or 0).name] = value


def _possible(cmdlet: Cmdlet, given: Mapping[str, object]) -> list[str]:
    return [
        name
        for name in cmdlet.sets
        if all(cmdlet.parameters[parameter].is_in(name) for parameter in given)
    ]


def _one_set(cmdlet: Cmdlet, given: Mapping[str, object]) -> None:
    """Some set must hold all that was given, and all that it requires must have been given."""
    possible = _possible(cmdlet, given)
    if not possible:
        raise errors.mixed_sets(cmdlet.name)
    lacking = []
    for name in possible:
        lacks = [
            parameter.name
            for parameter in cmdlet.parameters.values()
            if parameter.required and parameter.is_in(name) and parameter.name not in given
        ]
        if not lacks:
            return
        lacking.append(lacks)
    # Which set is the default one the reference does not tell: the one that lacks least [MEM].
    raise errors.missing(cmdlet.name, min(lacking, key=len))


def _value(cmdlet: Cmdlet, parameter: Parameter, value: object, odd: list[OddValue]) -> object:
    if parameter.is_switch:
        return _switch(cmdlet, parameter, value)
    if value in (None, ""):
        if parameter.name != "Identity" or not cmdlet.name.startswith("Get-"):
            _refuse_empty(cmdlet, parameter, value)
        return value
    _whether_listed(cmdlet, parameter, value, odd)
    if isinstance(value, list) and not (parameter.type.endswith("[]") or parameter.type in _LISTS):
        raise errors.unconvertible(cmdlet.name, parameter.name, "System.Object[]", parameter.type)
    convert = _CONVERSIONS.get(parameter.type)
    if convert is None:
        return value
    try:
        return convert(value)
    except (ValueError, TypeError):
        raise errors.unconvertible(cmdlet.name, parameter.name, value, parameter.type) from None


def _refuse_empty(cmdlet: Cmdlet, parameter: Parameter, value: object) -> None:
    """Only what is required may not be empty: elsewhere null takes a value away."""
    if parameter.required:
        raise errors.empty_value(cmdlet.name, parameter.name, value)


def _switch(cmdlet: Cmdlet, parameter: Parameter, value: object) -> bool:
    """Given without a value it is on; with a value that must be true, false or a number."""
    if value is None:
        return True
    if isinstance(value, bool | int):
        return bool(value)
    raise errors.unconvertible(
        cmdlet.name, parameter.name, value, "System.Management.Automation.SwitchParameter"
    )


def _whether_listed(
    cmdlet: Cmdlet, parameter: Parameter, value: object, odd: list[OddValue]
) -> None:
    """Enum values: a number passes, a name must be listed where the list was reviewed."""
    if not parameter.values:
        return
    names = (parameter.name, *parameter.aliases)
    reviewed = next((name for name in names if (cmdlet.name, name) in REVIEWED), None)
    more = () if reviewed is None else REVIEWED[cmdlet.name, reviewed]
    known = {text.lower() for text in (*parameter.values, *more)}
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, str) or one.lower() in known:
            continue
        if reviewed is not None:
            raise errors.unconvertible(cmdlet.name, parameter.name, one, parameter.type)
        odd.append(OddValue(cmdlet.name, parameter.name, one))


def _boolean(value: object) -> bool:
    if isinstance(value, bool | int):
        return bool(value)
    raise ValueError(value)


def _whole_number(value: object) -> int:
    if isinstance(value, bool):
        raise TypeError(value)
    return whole(value) if isinstance(value, str | int) else _not_a(value)


def whole(value: str | int) -> int:
    """A number of 32 bits, with a sign or without one. Raises `ValueError`."""
    text = str(value).strip()
    if not _WHOLE.fullmatch(text) or not -(2**31) <= int(text) < 2**32:
        raise ValueError(value)
    return int(text)


def _not_a(value: object) -> int:
    raise TypeError(value)


def _guid(value: object) -> UUID:
    return value if isinstance(value, UUID) else UUID(str(value))


def _moment(value: object) -> datetime:
    """Texts as `2026-11-21 18:00:00Z`: other forms follow the machine's culture and are refused."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))


_CONVERSIONS: Final[dict[str, Callable[[object], object]]] = {
    "Boolean": _boolean, "Int32": _whole_number, "UInt32": _whole_number, "Guid": _guid,
    "DateTime": _moment, "ExDateTime": _moment,
}  # fmt: skip
