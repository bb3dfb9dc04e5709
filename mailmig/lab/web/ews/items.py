"""FindItem, GetItem, CreateItem, DeleteItem."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final
from xml.etree.ElementTree import Element

from mailmig.lab.contents import DELETIONS, DRAFTS, SENT, TRASH, Message
from mailmig.lab.population import Mailbox
from mailmig.lab.web.ews.envelopes import NAMES, TYPES, Refused, message, refusal
from mailmig.lab.web.ews.fields import Shape, item, item_class, item_id
from mailmig.lab.web.ews.identifiers import element, unpack
from mailmig.lab.web.ews.searching import cut, in_order, page, restriction
from mailmig.lab.web.ews.stores import Access, Place, Stores

_NONE: Final = "<m:Items/>"
_DISPOSITIONS: Final = ("SaveOnly", "SendOnly", "SendAndSaveCopy")
_MESSAGE: Final = f"{{{TYPES}}}Message"


def find(stores: Stores, asked: Element) -> Iterator[str]:
    """The items of each folder that is named."""
    shape = Shape(asked, "ItemShape")
    for one in asked.find("m:ParentFolderIds", NAMES) or ():
        try:
            yield message("FindItem", _found(stores, stores.place(one), asked, shape))
        except Refused as refused:
            yield refusal("FindItem", refused)


def _found(stores: Stores, place: Place, asked: Element, shape: Shape) -> str:
    if (
        asked.find("m:QueryString", NAMES) is not None
        or asked.find("m:CalendarView", NAMES) is not None
    ):
        raise Refused("ErrorInvalidRequest", "The lab searches by restrictions only.")
    test = restriction(asked)
    items = stores.contents.items(place.owner, place.key)
    if asked.find("m:Restriction", NAMES) is not None:
        known = [one for one in items if test(one)]
        count, items = len(known), iter(known)
    else:
        count = stores.contents.count(place.owner, place.key)
    offset, length = page(count, asked, "IndexedPageItemView")
    shown = cut(in_order(items, asked), offset, length)
    following = offset + len(shown)
    last = following >= count
    content = "".join(item(stores, place, one, shape) for one in shown)
    return (
        f'<m:RootFolder IndexedPagingOffset="{following}" TotalItemsInView="{count}" '
        f'IncludesLastItemInRange="{"true" if last else "false"}"><t:Items>{content}'
        "</t:Items></m:RootFolder>"
    )


def get(stores: Stores, asked: Element) -> Iterator[str]:
    """One message per id, in order."""
    shape = Shape(asked, "ItemShape")
    for one in asked.find("m:ItemIds", NAMES) or ():
        try:
            place, found = _named(stores, one)
            content = item(stores, place, found, shape)
            yield message("GetItem", f"<m:Items>{content}</m:Items>")
        except Refused as refused:
            yield refusal("GetItem", refused, _NONE)


def _named(stores: Stores, asked: Element) -> tuple[Place, Message]:
    """The item of an ItemId and its folder. Raises `Refused`."""
    named = unpack(asked.get("Id", ""))
    place = stores.named(named)
    found = stores.contents.item(place.owner, named.folder, named.number, stored=named.stored)
    if found is None or found.folder != named.folder:
        raise Refused("ErrorItemNotFound")
    return place, found


def delete(stores: Stores, asked: Element) -> Iterator[str]:
    """Into the bin, into Recoverable Items, or for good."""
    how = asked.get("DeleteType", "")
    for one in asked.find("m:ItemIds", NAMES) or ():
        try:
            place, found = _named(stores, one)
            place.needs(Access.CHANGE)
            if how == "HardDelete":
                stores.contents.take(place.owner, found)
            elif how in ("SoftDelete", "MoveToDeletedItems"):
                target = DELETIONS if how == "SoftDelete" else TRASH
                stores.contents.move(place.owner, found, target)
            else:
                raise Refused("ErrorInvalidRequest")
            yield message("DeleteItem", "")
        except Refused as refused:
            yield refusal("DeleteItem", refused)


def create(stores: Stores, asked: Element) -> Iterator[str]:
    """Messages are sent, saved, or both."""
    how = asked.get("MessageDisposition", "")
    for one in asked.find("m:Items", NAMES) or ():
        try:
            yield message("CreateItem", _created(stores, asked, one, how))
        except Refused as refused:
            yield refusal("CreateItem", refused, _NONE)


def _created(stores: Stores, asked: Element, one: Element, how: str) -> str:
    if how not in _DISPOSITIONS:
        raise Refused("ErrorInvalidRequest")
    if one.tag != _MESSAGE or one.find("t:MimeContent", NAMES) is not None:
        raise Refused("ErrorInvalidRequest", "The lab takes messages with plain properties only.")
    folder = _folder(stores, asked, DRAFTS if how == "SaveOnly" else SENT)
    sender = _sender(stores, one)
    written = stores.world.delivering.written(
        sender.address, _addresses(one, "ToRecipients"), one.findtext("t:Subject", "", NAMES),
        one.findtext("t:Body", "", NAMES), _addresses(one, "CcRecipients"),
    )  # fmt: skip
    if how != "SendOnly":
        folder.needs(Access.CHANGE)
    if how != "SaveOnly":
        _send(stores, one, sender, written)
    if how == "SendOnly":
        return _NONE
    copy = replace(written, folder=folder.key, read=True)
    kept = stores.contents.put(folder.owner, copy)
    if how == "SendAndSaveCopy":  # who sends is not told the id of the copy (protocols.md 2.2)
        return _NONE
    tag = item_class(folder.key)
    return f"<m:Items><t:{tag}>{element('ItemId', item_id(folder, kept))}</t:{tag}></m:Items>"


def _folder(stores: Stores, asked: Element, usual: str) -> Place:
    """Where it is saved: the folder that is named, else the caller's usual one."""
    named = asked.find("m:SavedItemFolderId", NAMES)
    first = None if named is None else next(iter(named), None)
    if first is not None:
        return stores.place(first)
    if stores.caller is None:
        raise Refused("ErrorMissingEmailAddress")
    stores.open(stores.caller)
    return stores.folder(stores.caller, usual)


def _sender(stores: Stores, one: Element) -> Mailbox:
    """Whom it is from: whoever sends, or somebody in whose name he may."""
    caller = stores.caller
    if caller is None:
        raise Refused("ErrorMissingEmailAddress")
    address = one.findtext("t:From/t:Mailbox/t:EmailAddress", "", NAMES).strip()
    named = stores.people.addressed(address) if address else caller
    if named is None:
        raise Refused("ErrorSendAsDenied")
    if stores.people.may("send_as", caller, named) or caller.number in named.on_behalf:
        return named
    raise Refused("ErrorSendAsDenied")


def _addresses(one: Element, kind: str) -> tuple[str, ...]:
    found = one.iterfind(f"t:{kind}/t:Mailbox/t:EmailAddress", NAMES)
    return tuple((address.text or "").strip() for address in found)


def _send(stores: Stores, one: Element, sender: Mailbox, written: Message) -> None:
    """Raises `Refused` where it cannot even leave."""
    limit = stores.world.organisation.effective(sender).send
    if isinstance(limit, int) and sender.used > limit:
        raise Refused("ErrorQuotaExceeded")
    addresses = (*written.to, *written.cc, *_addresses(one, "BccRecipients"))
    if not addresses or not all("@" in address for address in addresses):
        raise Refused("ErrorInvalidRecipients")
    recipients = [(address, stores.people.addressed(address)) for address in addresses]
    home = stores.people.home(stores.caller or sender)
    stores.world.delivering.send(written, recipients, home.name)
