"""Raw values of the directory become numbers, GUIDs, names. What cannot be read is noted.

Quotas are KB in the directory and bytes with us. An attribute that is absent is unlimited for
a limit, and otherwise empty. The server's schema is never asked: not every server shows it.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

from mailmig.model.organisation import NO_BUILD, Build
from mailmig.model.quota import KIB, UNKNOWN, UNLIMITED, Quota, Quotas

Raw = Mapping[str, Sequence[bytes]]

_NO_GUID: Final = bytes(16)

_BUILD: Final = re.compile(r"Version (\d+)\.(\d+) \(Build (\d+)\.(\d+)\)")
# Exchange keeps a build with 30,000 added: 15.2 (Build 32562.17) is 15.2.2562.17.
_BUILD_OFFSET: Final = 30_000


class Values:
    """The values of one entry at a time; `faults` counts what could not be read, by attribute."""

    __slots__ = ("dn", "faults", "raw")

    def __init__(self) -> None:
        self.raw: Raw = {}
        self.dn = ""
        self.faults: Counter[str] = Counter()

    def take(self, dn: str, raw: Raw) -> None:
        """Read from this entry from now on."""
        self.dn = dn
        self.raw = raw

    def has(self, name: str) -> bool:
        return bool(self.raw.get(name))

    def bytes(self, name: str) -> bytes:
        """The first value, b"" where there is none."""
        found = self.raw.get(name)
        return found[0] if found else b""

    def text(self, name: str) -> str:
        found = self.raw.get(name)
        if not found:
            return ""
        try:
            return found[0].decode().strip()
        except UnicodeDecodeError:
            self.faults[name] += 1
            return found[0].decode("utf-8", "replace")

    def texts(self, name: str) -> list[str]:
        return [value.decode("utf-8", "replace") for value in self.raw.get(name) or ()]

    def is_cut(self, name: str) -> bool:
        """Whether only a part of the values came; the others are asked for by their places."""
        start = f"{name};range=".lower()
        return any(";" in key and key.lower().startswith(start) for key in self.raw)

    def guid(self, name: str) -> str:
        """A GUID as text, "" where there is none, or one that is all zero."""
        found = self.raw.get(name)
        if not found:
            return ""
        value = found[0]
        if len(value) != 16:
            self.faults[name] += 1
            return ""
        return "" if value == _NO_GUID else _guid(value)

    def number(self, name: str) -> int | None:
        found = self.raw.get(name)
        if not found:
            return None
        try:
            return int(found[0])
        except ValueError:
            self.faults[name] += 1
            return None

    def flag(self, name: str) -> bool | None:
        """TRUE or FALSE; None where it is absent or neither."""
        found = self.raw.get(name)
        if not found:
            return None
        if found[0] not in (b"TRUE", b"FALSE"):
            self.faults[name] += 1
            return None
        return found[0] == b"TRUE"

    def moment(self, name: str) -> datetime | None:
        """A time as "20261121193400.0Z", which is UTC; None where there is none."""
        text = self.text(name)
        try:
            return datetime.strptime(text, "%Y%m%d%H%M%S.%fZ").replace(tzinfo=UTC)
        except ValueError:
            self.faults[name] += bool(text)
            return None

    def quota(self, name: str) -> Quota:
        """A limit in bytes; the directory holds KB, and nothing where it is unlimited."""
        found = self.raw.get(name)
        if not found:
            return UNLIMITED
        try:
            kilobytes = int(found[0])
        except ValueError:
            kilobytes = -1
        if kilobytes < 0:
            self.faults[name] += 1
            return UNKNOWN
        return kilobytes * KIB

    def quotas(self) -> Quotas:
        """The three limits of a mailbox or a database."""
        return Quotas(
            self.quota("mDBStorageQuota"),
            self.quota("mDBOverQuotaLimit"),
            self.quota("mDBOverHardQuotaLimit"),
        )

    def build(self, name: str) -> Build:
        """A build from "Version 15.2 (Build 32562.17)"; `NO_BUILD` where it says nothing."""
        found = _BUILD.search(self.text(name))
        if found is None:
            self.faults[name] += self.has(name)
            return NO_BUILD
        major, minor, number, revision = map(int, found.groups())
        plain = number - _BUILD_OFFSET if number >= _BUILD_OFFSET else number
        return (major, minor, plain, revision)


@lru_cache(maxsize=4096)
def first(dn: str) -> str:
    """The name of the object that a distinguished name leads to."""
    return _plain(split(dn)[0].partition("=")[2]) if dn else ""


@lru_cache(maxsize=4096)
def above(dn: str) -> str:
    """The distinguished name of the object above, "" at the top."""
    return ",".join(split(dn)[1:])


def canonical(dn: str) -> str:
    r"""A distinguished name as Exchange prints it: "town.example/Amt/Bau \/ Tief/Anna"."""
    head, _, rest = _cut(dn)
    unit = canonical_unit(rest)
    name = _plain(head.partition("=")[2]).replace("/", "\\/")
    return f"{unit}/{name}" if unit else name


@lru_cache(maxsize=4096)
def canonical_unit(dn: str) -> str:
    """The same for a container; the parts of the domain come first, with dots."""
    domain, names = [], []
    for part in split(dn):
        kind, _, value = part.partition("=")
        if kind.strip().upper() == "DC":
            domain.append(_plain(value))
        else:
            names.append(_plain(value).replace("/", "\\/"))
    return "/".join((".".join(domain), *reversed(names))) if dn else ""


def key(dn: str) -> str:
    r"""A distinguished name for comparing: no case, and `\2C` and `\,` are the same."""
    if "\\" not in dn:
        return dn.lower()
    parts = (part.partition("=") for part in split(dn))
    plain = ((kind, _plain(value).replace(",", "\\,")) for kind, _, value in parts)
    return ",".join(f"{kind}={value}" for kind, value in plain).lower()


def parent(dn: str) -> str:
    """As `above`, for names that come once: nothing is kept."""
    return _cut(dn)[2]


def split(dn: str) -> list[str]:
    """The parts of a distinguished name as they stand there, escapes included."""
    parts = []
    while dn:
        head, _, dn = _cut(dn)
        parts.append(head.strip())
    return parts


def _cut(dn: str) -> tuple[str, str, str]:
    """The first part, and what follows its comma."""
    if "\\" not in dn:
        return dn.partition(",")
    at = 0
    while at < len(dn) and dn[at] != ",":
        at += 2 if dn[at] == "\\" else 1
    return dn[:at], ",", dn[at + 1 :]


def _plain(value: str) -> str:
    """A value behind its escapes (RFC 4514): `\\,` and `\\2C` are both a comma."""
    if "\\" not in value:
        return value
    raw = re.sub(
        rb"\\([0-9A-Fa-f]{2}|.)",
        lambda m: bytes.fromhex(m[1].decode()) if len(m[1]) == 2 else m[1],
        value.encode(),
        flags=re.DOTALL,
    )
    return raw.decode("utf-8", "replace")


def _guid(value: bytes) -> str:
    return str(UUID(bytes_le=value))
