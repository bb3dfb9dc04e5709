"""The values inside Exchange's objects, as PowerShell exports them with their properties.

Shapes as in real exports of Exchange 2019 (health.md 6, migration.md 1). Type names are
facts of the format. `SerializationData` is a .NET blob that every reader must ignore: here
it is noise of plausible size that begins as the real ones do.

Depth. Export-Clixml writes objects down to a depth and what lies deeper as text; lists do
not count. `cut` does the same.
"""

import base64
import hashlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Final, ParamSpec, Self
from uuid import UUID

from mailmig.lab.cultures import Culture
from mailmig.lab.places import Places
from mailmig.model.organisation import Build
from mailmig.model.quota import Quota
from mailmig.wire.clixml import Int64, Obj, UInt8, Value

DATA: Final = "Microsoft.Exchange.Data"
DIRECTORY: Final = f"{DATA}.Directory"
SYSTEM: Final = f"{DIRECTORY}.SystemConfiguration"
TOKEN: Final = "Version=15.0.0.0, Culture=neutral, PublicKeyToken=31bf3856ad364e35"  # noqa: S105
MSCORLIB: Final = "mscorlib, Version=4.0.0.0, Culture=neutral, PublicKeyToken=b77a5c561934e089"
_VALUE: Final = ("System.ValueType", "System.Object")
_ENUM: Final = ("System.Enum", *_VALUE)
_BLOB: Final = "SerializationData"
_BLOB_START: Final = base64.b64decode("AAEAAAD/////AQAAAAAAAAAMAgAAAG==")

ID_TYPES: Final = (f"{DIRECTORY}.ADObjectId", f"{DATA}.ObjectId", "System.Object")
SIZE_ARGUMENT: Final = f"[[{DATA}.ByteQuantifiedSize, {DATA}, {TOKEN}]]"
UNLIMITED_SIZE: Final = (f"{DATA}.Unlimited`1{SIZE_ARGUMENT}", *_VALUE)
UNLIMITED_NUMBER: Final = (f"{DATA}.Unlimited`1[[System.Int32, {MSCORLIB}]]", *_VALUE)
PARTITION: Final = UUID("59ce2f71-eaa2-4ddf-a4fa-f25069d0b324")
NO_GUID: Final = UUID(int=0)

# How many different constants of a kind are kept at most.
KEPT: Final = 4096
Given = ParamSpec("Given")


class Constant(Obj):
    """An object that never changes and stands in many others, in each as an object of its own.

    `pieces` is its text as far as that does not depend on where it stands; whoever writes keeps
    it there. General writers take two equal places of one object for references: `fresh` helps.
    """

    __slots__ = ("pieces",)

    pieces: tuple[tuple[str, tuple[str, ...], str], ...]

    @classmethod
    def of(cls, obj: Obj) -> Self:
        """The object, from now on constant."""
        made = cls(obj.types, obj.text, obj.adapted, obj.extended, obj.value)
        made.pieces = ()
        return made


def kept(make: Callable[Given, Obj]) -> Callable[Given, Constant]:
    """The same values of the same arguments are made only once."""

    known: dict[Hashable, Constant] = {}

    def made(*given: Given.args, **named: Given.kwargs) -> Constant:
        key = (given, *named.items())
        found = known.get(key)
        if found is None:
            if len(known) >= KEPT:
                known.clear()
            found = known[key] = Constant.of(make(*given, **named))
        return found

    return made


def fresh(value: Value, *, copy: bool = False) -> Value:
    """The same with every constant in it as an object of its own; the rest stays what it is."""
    if not isinstance(value, Obj):
        return value
    copy = copy or type(value) is Constant
    inner = value.value
    parts = [fresh(item, copy=copy) for item in inner] if type(inner) is list else inner
    adapted = {name: fresh(one, copy=copy) for name, one in value.adapted.items()}
    extended = {name: fresh(one, copy=copy) for name, one in value.extended.items()}
    if copy:
        return Obj(value.types, value.text, adapted, extended, parts)
    value.adapted, value.extended, value.value = adapted, extended, parts
    return value


@lru_cache(maxsize=512)
def noise(what: str, size: int) -> bytes:
    """A blob of so many bytes that nobody can decode and everybody must ignore."""
    body = bytearray(_BLOB_START)
    counter = 0
    while len(body) < size:
        body += hashlib.blake2b(f"{what}/{counter}".encode()).digest()
        counter += 1
    return bytes(body[:size])


def blob(what: str, size: int) -> dict[str, Value]:
    """The extended property that Exchange adds to many values."""
    return {_BLOB: noise(what, size)}


def enum(type_name: str, name: str, number: int, *, long: bool = False) -> Obj:
    """An enum value: name and number; RecipientTypeDetails has a 64-bit one."""
    return Obj((type_name, *_ENUM), name, value=Int64(number) if long else number)


def size(culture: Culture, number: int) -> Obj:
    """A ByteQuantifiedSize: only its text."""
    return Obj(
        (f"{DATA}.ByteQuantifiedSize", *_VALUE), culture.size(number),
        extended=blob("ByteQuantifiedSize", 260),
    )  # fmt: skip


def limit(culture: Culture, quota: Quota) -> Obj:
    """An Unlimited<ByteQuantifiedSize>; the finite one carries its value as text."""
    text = culture.quota(quota)
    unlimited = not isinstance(quota, int)
    properties: dict[str, Value] = {"IsUnlimited": unlimited}
    if not unlimited:
        properties["Value"] = text
    return Obj(UNLIMITED_SIZE, text, properties, blob("Unlimited", 383))


def unlimited_number(number: int | None) -> Obj:
    """An Unlimited<int>; `None` is unlimited."""
    properties: dict[str, Value] = {"IsUnlimited": number is None}
    if number is not None:
        properties["Value"] = number
    text = "Unlimited" if number is None else str(number)
    return Obj(UNLIMITED_NUMBER, text, properties, blob("UnlimitedNumber", 340))


def server_version(build: Build) -> Obj:
    """AdminDisplayVersion: "Version 15.2 (Build 2562.17)"."""
    major, minor, number, revision = build
    return Obj(
        (f"{DATA}.ServerVersion", "System.Object"),
        f"Version {major}.{minor} (Build {number}.{revision})",
        {
            "Major": major, "Minor": minor, "Build": number, "Revision": revision,
            "FilePatchLevelDescription": None,
        },
        blob("ServerVersion", 188),
    )  # fmt: skip


def object_version(minor: int, build: str, major: int = 0) -> Obj:
    """ExchangeVersion: which version of Exchange an object needs at least."""
    return Obj(
        (f"{DATA}.ExchangeObjectVersion", "System.Object"), f"{major}.{minor} ({build})",
        {
            "NextMajorVersion": f"{major + 1}.0 (0.0.0.0)",
            "NextMinorVersion": f"{major}.{minor + 1} (0.0.0.0)",
            "Major": UInt8(major), "Minor": UInt8(minor), "ExchangeBuild": build,
        },
        blob("ExchangeObjectVersion", 320),
    )  # fmt: skip


def organization_id() -> Obj:
    """OrganizationId: empty where there is one organisation only."""
    return Obj(
        (f"{DIRECTORY}.OrganizationId", "System.Object"), "",
        {
            "OrganizationalUnit": None, "ConfigurationUnit": None,
            "IsConsumerOrganization": False, "IdForEventLog": "",
        },
        blob("OrganizationId", 304),
    )  # fmt: skip


def time_span(span: timedelta) -> Obj:
    """An EnhancedTimeSpan: "10.00:00:00"."""
    seconds = int(span.total_seconds())
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{f'{days}.' if days else ''}{hours:02}:{minutes:02}:{rest:02}"
    return Obj(
        (f"{DATA}.EnhancedTimeSpan", *_VALUE), text,
        {
            "Days": days, "Hours": hours, "Milliseconds": 0, "Minutes": minutes, "Seconds": rest,
            "Ticks": Int64(seconds * 10_000_000), "TotalDays": seconds / 86400,
            "TotalHours": seconds / 3600, "TotalMilliseconds": seconds * 1000.0,
            "TotalMinutes": seconds / 60, "TotalSeconds": float(seconds),
            "Sign": (seconds > 0) - (seconds < 0),
        },
        blob("EnhancedTimeSpan", 188),
    )  # fmt: skip


def strings(texts: Iterable[str] = ()) -> Obj:
    """A list of texts."""
    return Obj(many(f"System.String, {MSCORLIB}"), value=list(texts))


def many(argument: str) -> tuple[str, ...]:
    """The type names of a MultiValuedProperty; `argument` with its assembly."""
    return (
        f"{DATA}.MultiValuedProperty`1[[{argument}]]",
        f"{DATA}.MultiValuedPropertyBase",
        "System.Object",
    )


def values(type_name: str, assembly: str, elements: Sequence[Value] = ()) -> Obj:
    """A list of Exchange's values."""
    return Obj(many(f"{type_name}, {assembly}, {TOKEN}"), value=list(elements))


def directory_values(type_name: str, elements: Sequence[Value] = ()) -> Obj:
    """A list of directory values, which has one type name more."""
    argument = f"[[{type_name}, {DIRECTORY}, {TOKEN}]]"
    types = (
        f"{DIRECTORY}.ADMultiValuedProperty`1{argument}",
        f"{DATA}.MultiValuedProperty`1{argument}",
        f"{DATA}.MultiValuedPropertyBase",
        "System.Object",
    )
    return Obj(types, value=list(elements))


def proxy_addresses(addresses: Sequence[str]) -> Obj:
    """EmailAddresses; the first one is the primary address."""
    element = (
        f"{DATA}.SmtpProxyAddress", f"{DATA}.ProxyAddress", f"{DATA}.ProxyAddressBase",
        "System.Object",
    )  # fmt: skip
    argument = f"[[{DATA}.ProxyAddress, {DATA}, {TOKEN}]]"
    types = (
        f"{DATA}.ProxyAddressCollection",
        f"{DATA}.ProxyAddressBaseCollection`1{argument}",
        *many(argument[2:-2]),
    )
    found: list[Value] = []
    for place, address in enumerate(addresses):
        prefix = "smtp" if place else "SMTP"
        text = f"{prefix}:{address}"
        properties: dict[str, Value] = {
            "SmtpAddress": address, "AddressString": address, "ProxyAddressString": text,
            "Prefix": "SMTP", "IsPrimaryAddress": place == 0, "PrefixString": prefix,
        }  # fmt: skip
        found.append(Obj(element, text, properties, blob("SmtpProxyAddress", 480)))
    return Obj(types, value=found)


def smtp_address(address: str) -> Obj:
    """PrimarySmtpAddress and its like."""
    local, _, domain = address.partition("@")
    return Obj(
        (f"{DATA}.SmtpAddress", *_VALUE), address,
        {
            "Length": len(address), "Local": local, "Domain": domain, "Address": address,
            "IsUTF8": not address.isascii(), "IsValidAddress": True,
        },
        blob("SmtpAddress", 250),
    )  # fmt: skip


def identities(elements: Sequence[Value] = ()) -> Obj:
    """A list of directory objects."""
    return directory_values(f"{DIRECTORY}.ADObjectId", elements)


def local_path(text: str) -> Obj:
    """A LocalLongFullPath: a folder or a file on the server."""
    return Obj(
        (f"{DATA}.LocalLongFullPath", f"{DATA}.LongPath", "System.Object"), text,
        {"PathName": text, "IsLocalFull": True, "IsUnc": False, "DriveName": text[:2]},
        blob("LocalLongFullPath", 250),
    )  # fmt: skip


def directory_id(
    places: Places, dn: str, text: str, parent: str, guid: str | None, name: str
) -> Obj:
    """An ADObjectId. Objects below the configuration print their name, recipients their path.

    `guid` is `None` where the directory gave only the name (then both GUIDs are zero).
    """
    first = _first_rdn(dn)
    return Obj(
        ID_TYPES, text,
        {
            "OrgHierarchyToIgnore": None, "IsDeleted": False, "Rdn": first, "Parent": parent,
            "Depth": _depth(dn), "DistinguishedName": dn, "IsRelativeDn": False,
            "DomainId": places.domain, "PartitionGuid": PARTITION if guid else NO_GUID,
            "PartitionFQDN": places.domain, "ObjectGuid": UUID(guid) if guid else NO_GUID,
            "Name": name,
        },
        blob("ADObjectId", 344),
    )  # fmt: skip


def configuration_id(
    places: Places, names: Sequence[str], guid: str | None, text: str | None = None
) -> Obj:
    """The id of an object below the organisation, innermost name first."""
    parent = names[1] if len(names) > 1 else "Microsoft Exchange"
    return directory_id(
        places, places.configuration(names), text or names[0], parent, guid, names[0]
    )


def schema_id(places: Places, name: str, guid: str) -> Obj:
    """ObjectCategory: a class of the schema."""
    parent = f"{places.domain}/Configuration/Schema"
    dn = f"CN={name},CN=Schema,CN=Configuration,{places.base}"
    return directory_id(places, dn, f"{parent}/{name}", parent, guid, name)


def site_id(places: Places, site: str, guid: str) -> Obj:
    """The id of an Active Directory site."""
    parent = f"{places.domain}/Configuration/Sites"
    dn = f"CN={site},CN=Sites,CN=Configuration,{places.base}"
    return directory_id(places, dn, f"{parent}/{site}", parent, guid, site)


def cut(value: Value, depth: int) -> Value:
    """What is left of a value that lies so deep: at depth 0 an object is its text."""
    if not isinstance(value, Obj):
        return value
    if isinstance(value.value, list):
        return Obj(value.types, value.text, value=[cut(item, depth) for item in value.value])
    if depth < 1:
        return value.text if value.text is not None else ""
    return value


def select(whole: Obj, properties: Sequence[str], depth: int) -> Obj:
    """What `Select-Object` makes of an object, exported with that depth."""
    return Obj(
        (
            f"Selected.{whole.types[0]}",
            "System.Management.Automation.PSCustomObject",
            "System.Object",
        ),
        extended={name: cut(whole.get(name), depth - 1) for name in properties},
    )


def _first_rdn(dn: str) -> str:
    """The leading part of a distinguished name, up to the first comma that is not escaped."""
    start = 0
    while True:
        comma = dn.find(",", start)
        if comma < 0 or dn[comma - 1] != "\\":
            return dn if comma < 0 else dn[:comma]
        start = comma + 1


def _depth(dn: str) -> int:
    """How deep an object lies: the parts of its name without the last."""
    return len(dn.replace("\\,", "").split(",")) - 1
