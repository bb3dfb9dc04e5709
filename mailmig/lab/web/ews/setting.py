"""What clients set in items: an element of a request becomes a part of a `Message`.

Subject, body, people, attachments and whether it was read are parts of their own. What else may be
set is kept as it came and given back, without any effect in the lab.
"""

import base64
import binascii
from dataclasses import replace
from typing import Final
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from mailmig.lab import messages
from mailmig.lab.contents import Message
from mailmig.lab.web.ews import fields
from mailmig.lab.web.ews.attachments import added
from mailmig.lab.web.ews.envelopes import NAMES, TYPES, Refused

_PREFIX: Final = f"{{{TYPES}}}"
# Elements of every kind of item (Learn, "Item" in the EWS reference): those that nobody can set, and
# all. Any other belongs to one kind.
_FIXED: Final = {
    "ItemId", "ParentFolderId", "DateTimeReceived", "Size", "IsSubmitted", "IsDraft", "IsFromMe",
    "IsResend", "IsUnmodified", "InternetMessageHeaders", "DateTimeSent", "DateTimeCreated",
    "ResponseObjects", "DisplayCc", "DisplayTo", "DisplayBcc", "HasAttachments",
    "EffectiveRights", "LastModifiedName", "LastModifiedTime", "ConversationId", "UniqueBody",
    "TextBody", "WebClientReadFormQueryString", "WebClientEditFormQueryString", "StoreEntryId",
    "InstanceKey",
}  # fmt: skip
_OF_ITEMS: Final = _FIXED | {
    "MimeContent", "ItemClass", "Subject", "Sensitivity", "Body", "Attachments", "Categories",
    "Importance", "InReplyTo", "ReminderDueBy", "ReminderIsSet", "ReminderMinutesBeforeStart",
    "Culture", "Flag", "IconIndex", "PolicyTag", "ArchiveTag", "RetentionDate", "IsAssociated",
}  # fmt: skip


def written(one: Message, asked: Element) -> Message:
    """An item with everything that its element in CreateItem says. Raises `Refused`."""
    own = fields.kind_of(asked.tag.removeprefix(_PREFIX))
    for element in asked:
        tag = element.tag.removeprefix(_PREFIX)
        if tag == "ExtendedProperty":
            one = with_extended(one, element)
        else:
            one = with_property(one, f"{'item' if tag in _OF_ITEMS else own}:{tag}", element)
    return one


def updated(one: Message, asked: Element) -> Message:
    """An item after one SetItemField or DeleteItemField. Raises `Refused`."""
    path = next(iter(asked), None)
    kind = asked.tag.removeprefix(_PREFIX)
    if path is None or kind not in ("SetItemField", "DeleteItemField"):
        raise Refused("ErrorInvalidRequest", f"The lab knows no {kind}.")
    inner = asked[1][0] if len(asked) > 1 and len(asked[1]) else None
    if (inner is None) is (kind == "SetItemField"):
        raise Refused("ErrorSchemaValidation")
    if path.tag == fields.EXTENDED_URI:
        if inner is None:
            return _without(one, fields.extended_name(path))
        return with_extended(one, inner)
    name = path.get("FieldURI", "")
    if path.get("FieldIndex") or ":" not in name:
        raise Refused("ErrorInvalidPropertyRequest")
    return with_property(one, name, inner)


def with_property(one: Message, name: str, element: Element | None) -> Message:
    """An item with a property set, or without it for None. Raises `Refused`."""
    space, _, tag = name.partition(":")
    if space == "item" and tag in _FIXED:
        raise Refused("ErrorInvalidPropertySet")
    text = "" if element is None else element.text or ""
    match name:
        case "message:From" | "message:Sender":
            return replace(one, sender=next(iter(_addresses(element)), one.sender))
        case "message:ToRecipients":
            return replace(one, to=_addresses(element))
        case "message:CcRecipients":
            return replace(one, cc=_addresses(element))
        case "message:BccRecipients":
            return replace(one, bcc=_addresses(element))
        case "item:MimeContent":
            return _with_mime(one, text)
        case "item:Subject":
            return replace(one, subject=text)
        case "item:Body":
            return _with_body(one, element, text)
        case "message:IsRead":
            return replace(one, read=text in ("true", "1"))
        case "item:Attachments":
            return replace(one, attachments=()) if element is None else added(one, element)
    if element is None:
        return _without(one, name)
    _check(one, name, element)
    return _keeping(one, name, element)


def with_extended(one: Message, element: Element) -> Message:
    """An item with an extended property. Raises `Refused`."""
    path = element.find("t:ExtendedFieldURI", NAMES)
    if path is None:
        raise Refused("ErrorSchemaValidation")
    return _keeping(one, fields.extended_name(path), element)


def kept(element: Element) -> str:
    """An element as EWS writes it. Raises `Refused` for one of somebody else."""
    space, _, tag = element.tag.rpartition("}")
    if f"{space}}}" != _PREFIX:
        raise Refused("ErrorSchemaValidation")
    words = "".join(
        f" {name}={quoteattr(text)}" for name, text in element.items() if "}" not in name
    )
    inner = "".join(map(kept, element)) or escape(element.text or "")
    return f"<t:{tag}{words}>{inner}</t:{tag}>"


def _keeping(one: Message, name: str, element: Element) -> Message:
    rest = _without(one, name)
    return replace(rest, properties=(*rest.properties, (name, kept(element))))


def _without(one: Message, name: str) -> Message:
    rest = tuple(each for each in one.properties if each[0] != name)
    return replace(one, properties=rest)


def _check(one: Message, name: str, element: Element) -> None:
    """Raises `Refused` for a value that is none of the property's kind."""
    try:
        like = fields.value(one, name)
    except KeyError:
        return
    try:
        if len(element):
            raise ValueError(element.tag)
        fields.typed((element.text or "").strip(), like)
    except ValueError:
        raise Refused("ErrorInvalidPropertyRequest") from None


def _addresses(element: Element | None) -> tuple[str, ...]:
    found = () if element is None else element.iterfind(".//t:EmailAddress", NAMES)
    return tuple((address.text or "").strip() for address in found)


def _with_body(one: Message, element: Element | None, text: str) -> Message:
    if element is not None and element.get("BodyType") == "HTML":
        return replace(one, html=text, body=messages.text_of(text))
    return replace(one, html="", body=text)


def _with_mime(one: Message, text: str) -> Message:
    """What MIME says of a message; what it leaves open stays as it is."""
    try:
        raw = base64.b64decode("".join(text.split()), validate=True)
    except (ValueError, binascii.Error):
        raise Refused("ErrorMimeContentInvalidBase64String") from None
    found = messages.read(
        raw, one.sender, one.received, more_bytes=0, message_id=one.message_id, hops=()
    )
    return replace(
        found, folder=one.folder, number=one.number, stored=one.stored, size=one.size,
        read=one.read, bcc=messages.blind_copies(raw) or one.bcc, properties=one.properties,
    )  # fmt: skip
