"""Windows security descriptors as bytes, and the two rights that Exchange keeps in them.

    send_as(entry["nTSecurityDescriptor"])                  # SIDs, as bytes
    full_access(entry["msExchMailboxSecurityDescriptor"])

Layout: MS-DTYP 2.4.6 (descriptor), 2.4.5 (list), 2.4.4 (entry), 2.4.2 (SID); all numbers are
little-endian but a SID's authority. SIDs stay bytes, which compare and hash fast; `sid_text`
shows one. An absent list (`None`) is not an empty one: absent lets everybody in, empty nobody.

Both rights are what the cmdlets print as explicit and allowing: entries that are inherited or
that deny are left out, and so is SELF, who is the owner. "All extended rights" and "full
control" of the object are not counted as Send As, as `Get-ADPermission` does not print them so.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

ALLOW: Final = 0x00
DENY: Final = 0x01
ALLOW_OBJECT: Final = 0x05
DENY_OBJECT: Final = 0x06

INHERITED: Final = 0x10

# Masks: an extended right of an object; Full Access in the mailbox's own descriptor.
CONTROL_ACCESS: Final = 0x100
FULL_ACCESS: Final = 0x1
SEND_AS: Final = UUID("ab721a54-1e2f-11d0-9819-00aa0040529b")

SELF: Final = bytes.fromhex("01010000000000050a000000")  # S-1-5-10

_HEAD: Final = struct.Struct("<BBHIIII")
_LIST: Final = struct.Struct("<BBHHH")
_ENTRY: Final = struct.Struct("<BBHI")
_OBJECT_KINDS: Final = frozenset({ALLOW_OBJECT, DENY_OBJECT, 0x07})
_KINDS: Final = frozenset({ALLOW, DENY, 0x02}) | _OBJECT_KINDS
_DACL_PRESENT, _SACL_PRESENT, _SELF_RELATIVE = 0x4, 0x10, 0x8000
_REVISION: Final = 1
# Lists with object entries are of revision 4.
_PLAIN_LIST, _OBJECT_LIST = 2, 4
_MOST_PARTS: Final = 15
_SEND_AS_BYTES: Final = SEND_AS.bytes_le


class BadDescriptor(ValueError):
    """Bytes that are no security descriptor, or no SID."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an access list: what it does, for whom; `object_type` names an extended right.

    `kind` is the entry's type as a number (`ALLOW`, `DENY_OBJECT`, ...); of kinds beyond the
    plain and the object ones neither mask nor SID is read (0 and b"").
    """

    kind: int
    flags: int
    mask: int
    sid: bytes
    object_type: UUID | None = None
    inherited_object_type: UUID | None = None


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Owner, group and the two lists; `None` is a part that is absent."""

    owner: bytes | None = None
    group: bytes | None = None
    dacl: tuple[Entry, ...] | None = None
    sacl: tuple[Entry, ...] | None = None
    control: int = 0


def read(raw: bytes) -> Descriptor:
    """The descriptor in self-relative form.

    Raises:
        BadDescriptor: the bytes end early, point outside, or are of another revision.
    """
    try:
        revision, _, control, owner, group, sacl, dacl = _HEAD.unpack_from(raw)
        if revision != _REVISION or not control & _SELF_RELATIVE:
            raise BadDescriptor(f"revision {revision}, control {control:#x}: not self-relative")
        return Descriptor(
            _sid_at(raw, owner) if owner else None,
            _sid_at(raw, group) if group else None,
            tuple(_entries(raw, dacl)) if control & _DACL_PRESENT and dacl else None,
            tuple(_entries(raw, sacl)) if control & _SACL_PRESENT and sacl else None,
            control,
        )
    except struct.error as error:
        raise BadDescriptor(f"a security descriptor of {len(raw)} bytes ends early") from error


def write(descriptor: Descriptor) -> bytes:
    """The descriptor in self-relative form; flags for the parts that are there are set."""
    control = descriptor.control | _SELF_RELATIVE
    body = b""
    places = []
    for part, flag in (
        (descriptor.owner, 0),
        (descriptor.group, 0),
        (descriptor.sacl, _SACL_PRESENT),
        (descriptor.dacl, _DACL_PRESENT),
    ):
        places.append(_HEAD.size + len(body) if part is not None else 0)
        if part is None:
            control &= ~flag
        else:
            control |= flag
            body += part if isinstance(part, bytes) else _list(part)
    return _HEAD.pack(_REVISION, 0, control, *places) + body


def full_access(raw: bytes) -> list[bytes]:
    """The SIDs with Full Access, from a msExchMailboxSecurityDescriptor, each once.

    Raises:
        BadDescriptor: as `read`.
    """
    return _granted(raw, FULL_ACCESS, None)


def send_as(raw: bytes) -> list[bytes]:
    """The SIDs with Send As, from a nTSecurityDescriptor, each once.

    Raises:
        BadDescriptor: as `read`.
    """
    return _granted(raw, CONTROL_ACCESS, _SEND_AS_BYTES)


def sid_text(sid: bytes) -> str:
    """A SID as people write it: S-1-5-21-...

    Raises:
        BadDescriptor: the bytes are no SID.
    """
    if len(sid) < 8 or sid[0] != _REVISION or len(sid) != 8 + 4 * sid[1]:
        raise BadDescriptor(f"{sid.hex()} is no SID")
    parts = struct.unpack_from(f"<{sid[1]}I", sid, 8)
    return "-".join(("S-1", str(int.from_bytes(sid[2:8])), *map(str, parts)))


def sid_bytes(text: str) -> bytes:
    """The bytes of a SID that is written as S-1-5-21-...

    Raises:
        BadDescriptor: the text is no SID.
    """
    letter, *numbers = text.upper().split("-")
    try:
        revision, authority, *parts = map(int, numbers)
        if letter != "S" or revision != _REVISION or len(parts) > _MOST_PARTS:
            raise BadDescriptor(f"{text!r} is no SID")
        head = bytes((_REVISION, len(parts))) + authority.to_bytes(6)
        return head + struct.pack(f"<{len(parts)}I", *parts)
    except (ValueError, OverflowError, struct.error) as error:
        raise BadDescriptor(f"{text!r} is no SID") from error


def _granted(raw: bytes, mask: int, object_type: bytes | None) -> list[bytes]:
    """The SIDs of explicit allowing entries with this mask and this extended right.

    Reads only what it needs: a directory has two descriptors for every mailbox.
    """
    try:
        revision, _, control, _, _, _, at = _HEAD.unpack_from(raw)
        if revision != _REVISION or not control & _SELF_RELATIVE:
            raise BadDescriptor(f"revision {revision}, control {control:#x}: not self-relative")
        if not at or not control & _DACL_PRESENT:
            return []
        _, _, _, count, _ = _LIST.unpack_from(raw, at)
        at += _LIST.size
        found: dict[bytes, None] = {}
        wanted = ALLOW if object_type is None else ALLOW_OBJECT
        for _ in range(count):
            kind, flags, size, granted = _ENTRY.unpack_from(raw, at)
            if size < _ENTRY.size or at + size > len(raw):
                raise BadDescriptor(f"an entry at {at} does not fit")
            if kind == wanted and granted & mask and not flags & INHERITED:
                start = at + 8
                if object_type is not None:
                    (has,) = struct.unpack_from("<I", raw, start)
                    start += 4
                    if not has & 1 or raw[start : start + 16] != object_type:
                        at += size
                        continue
                    start += 32 if has & 2 else 16
                found[_sid_at(raw, start)] = None
            at += size
    except struct.error as error:
        raise BadDescriptor(f"a security descriptor of {len(raw)} bytes ends early") from error
    found.pop(SELF, None)
    return list(found)


def _entries(raw: bytes, at: int) -> Iterable[Entry]:
    _, _, _, count, _ = _LIST.unpack_from(raw, at)
    at += _LIST.size
    for _ in range(count):
        kind, flags, size, mask = _ENTRY.unpack_from(raw, at)
        if size < _ENTRY.size or at + size > len(raw):
            raise BadDescriptor(f"an entry at {at} does not fit")
        if kind not in _KINDS:
            yield Entry(kind, flags, 0, b"")
        else:
            start, own, inherited = at + 8, None, None
            if kind in _OBJECT_KINDS:
                (has,) = struct.unpack_from("<I", raw, start)
                start += 4
                own, start = _uuid(raw, start, has & 1)
                inherited, start = _uuid(raw, start, has & 2)
            yield Entry(kind, flags, mask, _sid_at(raw, start), own, inherited)
        at += size


def _uuid(raw: bytes, at: int, there: int) -> tuple[UUID | None, int]:
    if not there:
        return None, at
    if at + 16 > len(raw):
        raise BadDescriptor(f"an entry ends early at {at}")
    return UUID(bytes_le=raw[at : at + 16]), at + 16


def _sid_at(raw: bytes, at: int) -> bytes:
    if at + 8 > len(raw) or raw[at] != _REVISION or raw[at + 1] > _MOST_PARTS:
        raise BadDescriptor(f"no SID at {at} of {len(raw)} bytes")
    sid = raw[at : at + 8 + 4 * raw[at + 1]]
    if len(sid) < 8 + 4 * raw[at + 1]:
        raise BadDescriptor(f"the SID at {at} ends early")
    return sid


def _list(entries: tuple[Entry, ...]) -> bytes:
    body = b"".join(map(_entry, entries))
    revision = _OBJECT_LIST if any(e.kind in _OBJECT_KINDS for e in entries) else _PLAIN_LIST
    return _LIST.pack(revision, 0, _LIST.size + len(body), len(entries), 0) + body


def _entry(entry: Entry) -> bytes:
    body = entry.sid
    if entry.kind in _OBJECT_KINDS:
        own, inherited = entry.object_type, entry.inherited_object_type
        has = (own is not None) + 2 * (inherited is not None)
        body = has.to_bytes(4, "little")
        body += b"".join(one.bytes_le for one in (own, inherited) if one is not None) + entry.sid
    return _ENTRY.pack(entry.kind, entry.flags, _ENTRY.size + len(body), entry.mask) + body
