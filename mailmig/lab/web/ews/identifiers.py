"""Ids of folders and items: opaque to clients, readable here.

An id is what it names, as text, packed: the mailbox's ExchangeGuid, the folder, and for an item its
number and whether it is stored. The other forms of ConvertId pack the same text differently, so
that they lead back; their real layout is not established.
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element
from xml.sax.saxutils import quoteattr

from mailmig.lab.contents import FOLDERS
from mailmig.lab.web.ews.envelopes import NAMES, Refused, message, refusal

_FORMATS: Final = ("EwsLegacyId", "EwsId", "EntryId", "HexEntryId", "StoreId", "OwaId")
_FILE: Final = "Attachment"
_MALFORMED: Final = "ErrorInvalidIdMalformed"


@dataclass(frozen=True, slots=True)
class Id:
    """What an id names; `number` is -1 for a folder."""

    mailbox: str
    folder: str
    number: int = -1
    stored: bool = False

    @property
    def text(self) -> str:
        return pack(self, "EwsId")

    @property
    def change_key(self) -> str:
        return base64.b64encode(f"1:{self.folder}".encode()).decode()


def pack(named: Id, form: str) -> str:
    """An id in one of the forms of ConvertId."""
    raw = f"{form}|{named.mailbox}|{named.folder}|{named.number}|{int(named.stored)}".encode()
    return raw.hex().upper() if form == "HexEntryId" else base64.b64encode(raw).decode()


def unpack(text: str, form: str = "EwsId") -> Id:
    """Raises `Refused` for what is no id of this form."""
    try:
        raw = bytes.fromhex(text) if form == "HexEntryId" else base64.b64decode(text, validate=True)
        said, mailbox, folder, number, stored = raw.decode().split("|")
        found = Id(mailbox, folder, int(number), stored == "1")
    except (ValueError, binascii.Error):
        raise Refused(_MALFORMED) from None
    if said != form or folder not in FOLDERS:
        raise Refused(_MALFORMED)
    return found


def pack_file(item: Id, number: int) -> str:
    """The id of an attachment: its item's, and its number there."""
    return base64.b64encode(f"{_FILE}|{number}|{item.text}".encode()).decode()


def unpack_file(text: str) -> tuple[Id, int]:
    """The item and the number. Raises `Refused`."""
    try:
        said, number, item = base64.b64decode(text, validate=True).decode().split("|")
        found = int(number)
    except (ValueError, binascii.Error):
        raise Refused("ErrorInvalidAttachmentId") from None
    if said != _FILE:
        raise Refused("ErrorInvalidAttachmentId")
    return unpack(item), found


def element(name: str, named: Id) -> str:
    """An id as an element of an answer."""
    return f"<t:{name} Id={quoteattr(named.text)} ChangeKey={quoteattr(named.change_key)}/>"


def convert(asked: Element) -> Iterator[str]:
    """The response messages of ConvertId."""
    wanted = asked.get("DestinationFormat", "")
    for one in asked.iterfind("m:SourceIds/t:AlternateId", NAMES):
        try:
            yield message("ConvertId", _converted(one, wanted))
        except Refused as refused:
            yield refusal("ConvertId", refused)


def _converted(one: Element, wanted: str) -> str:
    form = one.get("Format", "")
    if form not in _FORMATS or wanted not in _FORMATS:
        raise Refused("ErrorInvalidRequest")
    text = pack(unpack(one.get("Id", ""), form), wanted)
    return (
        '<m:AlternateId xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:type="t:AlternateIdType" Format="{wanted}" Id={quoteattr(text)} '
        f"Mailbox={quoteattr(one.get('Mailbox', ''))}/>"
    )
