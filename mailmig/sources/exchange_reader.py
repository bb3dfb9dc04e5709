"""Our CLIXML reader inside of pypsrp, and a fall-back to pypsrp's own.

pypsrp reads a thousand objects per second and turns dates, durations and nested objects into
text. `Fragments` takes the objects of a pipeline out of the stream before pypsrp sees them and
hands them to `clixml.loads`; all else (states, errors, warnings) stays with pypsrp.

This hangs on a private name of pypsrp 0.9: `_fragmenter` of a pool. When it is gone `plug_in`
says so, and `as_obj` makes the same objects out of pypsrp's own, with less: dates stay text,
and the number of an enum may be missing.
"""

import struct
from typing import Any, Final

from pypsrp.complex_objects import GenericComplexObject
from pypsrp.exceptions import FragmentError
from pypsrp.messages import Message, MessageType
from pypsrp.powershell import Fragmenter, RunspacePool

from mailmig.wire import clixml
from mailmig.wire.clixml import Obj, Value

PLACE: Final = "_fragmenter"
_FRAGMENT: Final = struct.Struct(">QQBI")
_KIND: Final = struct.Struct("<4xI")
_MESSAGE_HEADER: Final = 40
_START, _END = 1, 2
_MARK: Final = b"\xef\xbb\xbf"


class _Output:
    """A message of pypsrp as far as pypsrp looks at it: the object is in `data.data`."""

    __slots__ = ("data", "message_type")

    def __init__(self, value: Value) -> None:
        self.message_type = MessageType.PIPELINE_OUTPUT
        self.data = _Data(value)


class _Data:
    __slots__ = ("data",)

    def __init__(self, value: Value) -> None:
        self.data = value


class Fragments(Fragmenter):
    """pypsrp's fragmenter (MS-PSRP 2.2.4), with the objects of a pipeline read by us."""

    def __init__(self, max_size: int, serializer: Any) -> None:
        super().__init__(max_size, serializer)
        self._parts: dict[int, list[bytes]] = {}

    def defragment(self, data: bytes) -> list[Any]:
        """The messages that are complete now. Raises `BrokenClixml` and `FragmentError`."""
        found: list[Any] = []
        at = 0
        while at < len(data):
            number, index, flags, length = _FRAGMENT.unpack_from(data, at)
            at += _FRAGMENT.size
            part = data[at : at + length]
            at += length
            if flags & _START:
                self._parts[number] = []
            parts = self._parts.get(number)
            if parts is None or index != len(parts) or len(part) != length:
                raise FragmentError(f"fragment {index} of message {number} does not fit")
            parts.append(part)
            if flags & _END:
                del self._parts[number]
                found.append(self._message(part if index == 0 else b"".join(parts)))
        return found

    def _message(self, message: bytes) -> Any:
        (kind,) = _KIND.unpack_from(message)
        if kind != MessageType.PIPELINE_OUTPUT:
            return Message.unpack(message, self.serializer)
        (value,) = clixml.loads(message[_MESSAGE_HEADER:].removeprefix(_MARK))
        return _Output(value)


def plug_in(pool: RunspacePool) -> bool:
    """Lets a pool that is not open yet read objects with our reader; False when it cannot."""
    theirs = getattr(pool, PLACE, None)
    if not isinstance(theirs, Fragmenter):
        return False
    setattr(pool, PLACE, Fragments(pool.connection.max_payload_size, theirs.serializer))
    return True


def as_obj(value: Any) -> Obj:
    """One object of a pipeline as `Obj`, whoever read it; a bare value becomes its `value`."""
    if isinstance(value, Obj):
        return value
    made = _value(value)
    if isinstance(made, Obj):
        return made
    return Obj(text=None if made is None else str(made), value=made)


def _value(value: Any) -> Value:
    """pypsrp's value as ours. Nested objects come from it as XML text now and then."""
    if isinstance(value, str) and value.startswith(("<Obj ", "<Obj>")):
        try:
            (inner,) = clixml.loads(value)
        except clixml.BrokenClixml:
            return value
        return inner
    if isinstance(value, GenericComplexObject):
        return _generic(value)
    if isinstance(value, list):
        return Obj(value=[_value(part) for part in value])
    if isinstance(value, dict):
        return Obj(value={_value(key): _value(part) for key, part in value.items()})
    made: Value = value
    return made


def _generic(value: GenericComplexObject) -> Obj:
    members = (value.adapted_properties, value.extended_properties)
    adapted, extended = ({str(k): _value(v) for k, v in part.items()} for part in members)
    inner = [_value(part) for part in value.property_sets]
    return Obj(
        tuple(value.types), value.to_string, adapted=adapted, extended=extended,
        value=inner[0] if len(inner) == 1 else None,
    )  # fmt: skip
