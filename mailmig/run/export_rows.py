"""What is left of an object in the export folder: chosen properties, cut to a depth.

The same as `Select-Object` and `Export-Clixml -Depth N` leave of it in the collect script. The
conditions on rights are those of `keep` in `mailmig.wire.collection`. As there, values are
compared as texts: flags arrive as booleans in one session and as objects in another.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from uuid import UUID

from mailmig.sources.export_rights import SELF_NAMES
from mailmig.wire.clixml import Obj, Value
from mailmig.wire.clixml_values import PREFIXES

OWNER: Final = "OwnerGuid"
_CUSTOM: Final = ("System.Management.Automation.PSCustomObject", "System.Object")
_SELVES: Final = frozenset(name.casefold() for name in SELF_NAMES)


def row(item: Obj, properties: Sequence[str], depth: int, owner: Value = None) -> Obj:
    """The object as its file holds it; `owner` is the ExchangeGuid in front, where there is one.

    A property that the object does not have is null, as with Select-Object.
    """
    first = item.types[0] if item.types else "System.Object"
    while first.startswith(PREFIXES):
        first = first.partition(".")[2]
    members: dict[str, Value] = {} if owner is None else {OWNER: owner}
    for name in properties:
        members[name] = cut(item.get(name), depth - 1)
    return Obj((f"Selected.{first}", *_CUSTOM), extended=members)


def cut(value: Value, depth: int) -> Value:
    """What is left of a value with so many levels to go: at 0 an object is its text.

    Lists are not counted as a level. An object without a text becomes an empty one.
    """
    if not isinstance(value, Obj):
        return value
    inner = value.value
    if isinstance(inner, list):
        return Obj(value.types, value.text, value=type(inner)(cut(one, depth) for one in inner))
    if depth < 1:
        if value.text is None and not isinstance(inner, dict) and value.enum is None:
            return "" if inner is None else inner
        return value.text or ""
    adapted, extended = (
        {name: cut(one, depth - 1) for name, one in part.items()}
        for part in (value.adapted, value.extended)
    )
    return Obj(value.types, value.text, adapted, extended, inner)


def said(value: Value) -> str:
    """A value as PowerShell puts it into a text: "True", "a b" for a list, "" for null."""
    if value is None:
        return ""
    if isinstance(value, Obj):
        if isinstance(value.value, list):
            return " ".join(said(one) for one in value.value)
        if value.text is not None:
            return value.text
        return "" if isinstance(value.value, dict) else said(value.value)
    return str(value)


def guid_of(value: Value) -> str:
    """A GUID as text in small letters; "" for none and for the empty one."""
    try:
        found = value if isinstance(value, UUID) else UUID(said(value))
    except ValueError:
        return ""
    return str(found) if found.int else ""


def is_self(item: Obj) -> bool:
    """Whether a right is that of the owner himself, in the languages that are known."""
    return said(item.get("User")).casefold() in _SELVES


def _granted(item: Obj) -> bool:
    """An explicit, allowing right of somebody else."""
    flags = (said(item.get(name)).casefold() for name in ("IsInherited", "Deny"))
    return "true" not in flags and not is_self(item)


def _granted_send_as(item: Obj) -> bool:
    return _granted(item) and "send-as" in said(item.get("ExtendedRights")).casefold()


KEEP: Final[Mapping[str, Callable[[Obj], bool]]] = {
    "full_access": _granted,
    "send_as": _granted_send_as,
}
"""Which rows of a file stay, by its name; all of them where there is no entry."""


def is_about(item: Obj, database: str = "", names: frozenset[str] = frozenset()) -> bool:
    """Whether a row is about what was asked: a database, or an object with one of the names.

    A row that does not say what it is about passes. `names` are folded.
    """
    if database:
        about = said(item.get("DatabaseName")).casefold()
        return not about or about == database.casefold()
    identity = item.get("Identity")
    if identity is None:
        return True
    own = identity.get("DistinguishedName") if isinstance(identity, Obj) else None
    found = {said(one).casefold() for one in (identity, own)} - {""}
    return not found or not found.isdisjoint(names)
