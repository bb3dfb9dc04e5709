"""CreateAttachment, GetAttachment, DeleteAttachment: files; items inside items are not simulated."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import replace
from typing import Final
from xml.etree.ElementTree import Element

from mailmig.lab.contents import Attachment, Message
from mailmig.lab.delivering import size_of
from mailmig.lab.web.access import Access
from mailmig.lab.web.ews.envelopes import NAMES, TYPES, Refused, message, refusal
from mailmig.lab.web.ews.fields import file, item_id
from mailmig.lab.web.ews.identifiers import element, unpack_file
from mailmig.lab.web.ews.items import named_item
from mailmig.lab.web.ews.stores import Place, Stores

_KIND: Final = "application/octet-stream"


def added(one: Message, asked: Element) -> Message:
    """An item with the files of an Attachments element. Raises `Refused`."""
    number = max((file.number for file in one.attachments), default=-1) + 1
    files = tuple(_read(each, place) for place, each in enumerate(asked, number))
    return replace(one, attachments=(*one.attachments, *files))


def _read(asked: Element, number: int) -> Attachment:
    if asked.tag != f"{{{TYPES}}}FileAttachment":
        raise Refused("ErrorInvalidRequest", "The lab attaches files only.")
    try:
        raw = asked.findtext("t:Content", "", NAMES)
        content = base64.b64decode("".join(raw.split()), validate=True)
    except (ValueError, binascii.Error):
        raise Refused("ErrorSchemaValidation") from None
    return Attachment(
        number, asked.findtext("t:Name", "", NAMES),
        asked.findtext("t:ContentType", "", NAMES) or _KIND, content,
        asked.findtext("t:ContentId", "", NAMES),
        asked.findtext("t:IsInline", "", NAMES) in ("true", "1"),
    )  # fmt: skip


def create(stores: Stores, asked: Element) -> Iterator[str]:
    """One message per file, in order."""
    parent = asked.find("m:ParentItemId", NAMES)
    for one in asked.iterfind("m:Attachments/*", NAMES):
        try:
            if parent is None:
                raise Refused("ErrorInvalidRequest")
            place, item = named_item(stores, parent)
            place.needs(Access.CHANGE)
            grown = added(item, _holding(one))
            _keep(stores, place, item, grown)
            bare = replace(grown.attachments[-1], content=b"")
            content = file(item_id(place, item), bare)
            yield message("CreateAttachment", f"<m:Attachments>{content}</m:Attachments>")
        except Refused as refused:
            yield refusal("CreateAttachment", refused, "<m:Attachments/>")


def _holding(one: Element) -> Element:
    holder = Element("Attachments")
    holder.append(one)
    return holder


def get(stores: Stores, asked: Element) -> Iterator[str]:
    """One message per id, in order."""
    for one in asked.iterfind("m:AttachmentIds/t:AttachmentId", NAMES):
        try:
            place, item, found = _named(stores, one)
            raw = base64.b64encode(found.content).decode()
            content = file(item_id(place, item), found, f"<t:Content>{raw}</t:Content>")
            yield message("GetAttachment", f"<m:Attachments>{content}</m:Attachments>")
        except Refused as refused:
            yield refusal("GetAttachment", refused, "<m:Attachments/>")


def delete(stores: Stores, asked: Element) -> Iterator[str]:
    """One message per id, in order."""
    for one in asked.iterfind("m:AttachmentIds/t:AttachmentId", NAMES):
        try:
            place, item, found = _named(stores, one)
            place.needs(Access.CHANGE)
            rest = tuple(each for each in item.attachments if each is not found)
            _keep(stores, place, item, replace(item, attachments=rest))
            root = element("RootItemId", item_id(place, item))
            named = root.replace("<t:RootItemId Id=", "<m:RootItemId RootItemId=")
            yield message("DeleteAttachment", named.replace(" ChangeKey=", " RootItemChangeKey="))
        except Refused as refused:
            yield refusal("DeleteAttachment", refused)


def _named(stores: Stores, one: Element) -> tuple[Place, Message, Attachment]:
    item, number = unpack_file(one.get("Id", ""))
    place = stores.named(item)
    found = stores.contents.item(place.owner, item.folder, item.number, stored=item.stored)
    for each in () if found is None else found.attachments:
        if found is not None and each.number == number:
            return place, found, each
    raise Refused("ErrorAttachmentNotFound")


def _keep(stores: Stores, place: Place, before: Message, after: Message) -> None:
    grown = size_of(after) - size_of(before)
    stores.contents.edit(place.owner, replace(after, size=before.size + grown))
