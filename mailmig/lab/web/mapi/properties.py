"""What mailboxes and folders tell of themselves in MAPI, from the same figures as all else.

The size of a mailbox is `TotalItemSize` of Get-MailboxStatistics. Quotas are kilobytes; one that
does not limit is not there: an error code in its place, as a store has it (protocols.md 1.7).
"""

from collections.abc import Callable, Mapping
from typing import Final

from mailmig.lab.contents import FOLDERS, Contents
from mailmig.lab.organisation import Organisation
from mailmig.lab.population import Mailbox
from mailmig.model.quota import KIB, Quota
from mailmig.wire.mapihttp import rops
from mailmig.wire.mapihttp.codes import ErrorCode
from mailmig.wire.mapihttp.properties import (
    CONTENT_COUNT,
    CONTENT_UNREAD,
    DISPLAY_NAME,
    FOLDER_ID,
    MAILBOX_OWNER_NAME,
    MESSAGE_SIZE,
    MESSAGE_SIZE_EXTENDED,
    PROHIBIT_RECEIVE_QUOTA,
    PROHIBIT_SEND_QUOTA,
    STORAGE_QUOTA,
    Cell,
    PropertyError,
    PropertyType,
    Row,
    Value,
)

Makers = Mapping[int, Callable[[], Value | None]]
# The folders of a logon by their keys in `contents`; "" are those that only the owner's client uses.
KEYS: Final = (
    "root", "", "", "msgfolderroot", "inbox", "outbox", "sentitems", "deleteditems", "", "",
    "searchfolders", "", "",
)  # fmt: skip
_TYPE: Final = 0xFFFF
_TEXT: Final = (PropertyType.STRING, PropertyType.STRING8)


def of_store(organisation: Organisation, mailbox: Mailbox) -> Makers:
    """What a logon handle tells."""
    limits = organisation.effective(mailbox)
    return {
        MESSAGE_SIZE_EXTENDED: lambda: mailbox.used,
        MESSAGE_SIZE: lambda: _signed(mailbox.used),
        MAILBOX_OWNER_NAME: lambda: mailbox.display_name,
        DISPLAY_NAME: lambda: mailbox.display_name,
        CONTENT_COUNT: lambda: mailbox.items,
        STORAGE_QUOTA: lambda: _kilobytes(limits.warn),
        PROHIBIT_SEND_QUOTA: lambda: _kilobytes(limits.send),
        PROHIBIT_RECEIVE_QUOTA: lambda: _kilobytes(limits.receive),
    }


def of_folder(contents: Contents, mailbox: Mailbox, place: int, folder_id: bytes) -> Makers:
    """What the handle of a folder tells; `place` is that among the folders of a logon."""
    key = KEYS[place]
    size = contents.size(mailbox, key) if key else 0
    return {
        DISPLAY_NAME: lambda: FOLDERS[key].name(mailbox) if key else rops.FOLDERS[place].title(),
        MESSAGE_SIZE_EXTENDED: lambda: size,
        MESSAGE_SIZE: lambda: _signed(size),
        CONTENT_COUNT: lambda: contents.count(mailbox, key) if key else 0,
        CONTENT_UNREAD: lambda: contents.unread(mailbox, key) if key else 0,
        FOLDER_ID: lambda: int.from_bytes(folder_id, "little", signed=True),
    }


def row(tags: tuple[int, ...], makers: Makers, limit: int) -> Row:
    """The values of these tags; `limit` is the most bytes of a text, 0 is none."""
    return tuple(_cell(tag, makers, limit) for tag in tags)


def _cell(tag: int, makers: Makers, limit: int) -> Cell:
    """A text is there in both its types; one in 8 bits loses what is not ASCII."""
    narrow = tag & _TYPE == PropertyType.STRING8
    make = makers.get(tag - PropertyType.STRING8 + PropertyType.STRING if narrow else tag)
    value = None if make is None else make()
    if value is None:
        return PropertyError(ErrorCode.ecNotFound)
    if narrow:
        value = str(value).encode("ascii", "replace").decode()
    if limit and tag & _TYPE in _TEXT and len(str(value)) * (1 if narrow else 2) > limit:
        return PropertyError(ErrorCode.ecNotEnoughMemory)
    return value


def _kilobytes(quota: Quota) -> int | None:
    return quota // KIB if isinstance(quota, int) else None


def _signed(number: int) -> int:
    """The lower 32 bits, as the type has them."""
    return (number + 2**31) % 2**32 - 2**31
