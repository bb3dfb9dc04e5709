"""FindItem, GetItem, MoveItem, CopyItem, DeleteItem."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final
from xml.etree.ElementTree import Element

from mailmig.lab.contents import DELETIONS, TRASH, Message
from mailmig.lab.web.access import Access
from mailmig.lab.web.ews.envelopes import NAMES, Refused, message, not_too_many, refusal
from mailmig.lab.web.ews.fields import Shape, item, item_class, item_id
from mailmig.lab.web.ews.identifiers import element, unpack
from mailmig.lab.web.ews.searching import calendar_view, cut, in_order, page, restriction, starts
from mailmig.lab.web.ews.stores import Place, Stores

NO_ITEMS: Final = "<m:Items/>"


def find(stores: Stores, asked: Element) -> Iterator[str]:
    """The items of each folder that is named."""
    shape = Shape(asked, "ItemShape")
    for one in not_too_many(asked.findall("m:ParentFolderIds/*", NAMES)):
        try:
            yield message("FindItem", _found(stores, stores.place(one), asked, shape))
        except Refused as refused:
            yield refusal("FindItem", refused)


def _found(stores: Stores, place: Place, asked: Element, shape: Shape) -> str:
    if asked.find("m:QueryString", NAMES) is not None:
        raise Refused("ErrorInvalidRequest", "The lab searches by restrictions only.")
    items = stores.contents.items(place.owner, place.key)
    view = calendar_view(asked)
    if view is not None:
        known = sorted(filter(view.test, items), key=starts)[: view.most]
        count, items = len(known), iter(known)
    elif asked.find("m:Restriction", NAMES) is not None:
        known = list(filter(restriction(asked), items))
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
    for one in asked.iterfind("m:ItemIds/*", NAMES):
        try:
            place, found = named_item(stores, one)
            content = item(stores, place, found, shape)
            yield message("GetItem", f"<m:Items>{content}</m:Items>")
        except Refused as refused:
            yield refusal("GetItem", refused, NO_ITEMS)


def named_item(stores: Stores, asked: Element) -> tuple[Place, Message]:
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
    for one in asked.iterfind("m:ItemIds/*", NAMES):
        try:
            place, found = named_item(stores, one)
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


def move(stores: Stores, asked: Element) -> Iterator[str]:
    """Into another folder, of whichever mailbox; who moves to another mailbox gets no id back."""
    yield from _elsewhere("MoveItem", stores, asked)


def copy(stores: Stores, asked: Element) -> Iterator[str]:
    """The same, and the item stays where it is as well."""
    yield from _elsewhere("CopyItem", stores, asked)


def _elsewhere(operation: str, stores: Stores, asked: Element) -> Iterator[str]:
    named = asked.find("m:ToFolderId", NAMES)
    folder = None if named is None else next(iter(named), None)
    for one in asked.iterfind("m:ItemIds/*", NAMES):
        try:
            if folder is None:
                raise Refused("ErrorInvalidRequest")
            target = stores.place(folder)
            target.needs(Access.CHANGE)
            place, found = named_item(stores, one)
            moves, same = operation == "MoveItem", target.owner is place.owner
            if moves:
                place.needs(Access.CHANGE)
            if moves and same:
                kept = stores.contents.move(place.owner, found, target.key)
            else:
                if moves:
                    stores.contents.take(place.owner, found)
                kept = stores.contents.put(target.owner, replace(found, folder=target.key))
            yield message(operation, items(target, kept) if same else NO_ITEMS)
        except Refused as refused:
            yield refusal(operation, refused, NO_ITEMS)


def items(place: Place, one: Message) -> str:
    """An item by its id alone."""
    tag = item_class(place.key)
    return f"<m:Items><t:{tag}>{element('ItemId', item_id(place, one))}</t:{tag}></m:Items>"
