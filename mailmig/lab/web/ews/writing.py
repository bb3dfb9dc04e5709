"""CreateItem, UpdateItem, SendItem: what people write, change and send."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final
from xml.etree.ElementTree import Element

from mailmig.lab.contents import DRAFTS, SENT, Message
from mailmig.lab.delivering import size_of
from mailmig.lab.population import Mailbox
from mailmig.lab.web.access import Access
from mailmig.lab.web.ews import setting
from mailmig.lab.web.ews.envelopes import NAMES, TYPES, Refused, message, refusal
from mailmig.lab.web.ews.fields import file, item_class, item_id
from mailmig.lab.web.ews.identifiers import element
from mailmig.lab.web.ews.items import NO_ITEMS, items, named_item
from mailmig.lab.web.ews.stores import Place, Stores

_CALENDAR: Final = "calendar"
_NO_INVITATIONS: Final = ("", "SendToNone")
_NO_CONFLICTS: Final = "<m:ConflictResults><t:Count>0</t:Count></m:ConflictResults>"


def create(stores: Stores, asked: Element) -> Iterator[str]:
    """Messages are sent, saved, or both; entries of a calendar are saved."""
    for one in asked.iterfind("m:Items/*", NAMES):
        try:
            yield message("CreateItem", _created(stores, asked, one))
        except Refused as refused:
            yield refusal("CreateItem", refused, NO_ITEMS)


def _created(stores: Stores, asked: Element, one: Element) -> str:
    tag = one.tag.removeprefix(f"{{{TYPES}}}")
    if tag not in ("Message", "CalendarItem"):
        raise Refused("ErrorInvalidRequest", f"The lab creates no {tag}.")
    how = _disposition(asked) if tag == "Message" else _without_invitations(asked)
    usual = DRAFTS if how == "SaveOnly" else SENT
    folder = _folder(stores, asked, _CALENDAR if tag == "CalendarItem" else usual)
    if how != "SendOnly":
        folder.needs(Access.CHANGE)
        if item_class(folder.key) != tag:
            raise Refused("ErrorInvalidRequest", f"The lab keeps no {tag} in that folder.")
    written = _written(stores, one)
    if how != "SaveOnly":
        _send(stores, written)
    if how == "SendOnly":
        return NO_ITEMS
    copy = replace(written, folder=folder.key, read=True)
    kept = stores.contents.put(folder.owner, copy)
    if how == "SendAndSaveCopy":  # who sends is not told the id of the copy (protocols.md 2.2)
        return NO_ITEMS
    named = item_id(folder, kept)
    files = "".join(file(named, each) for each in kept.attachments)
    content = element("ItemId", named) + (f"<t:Attachments>{files}</t:Attachments>" * bool(files))
    return f"<m:Items><t:{tag}>{content}</t:{tag}></m:Items>"


def _disposition(asked: Element) -> str:
    how = asked.get("MessageDisposition", "")
    if how not in ("SaveOnly", "SendOnly", "SendAndSaveCopy"):
        raise Refused("ErrorInvalidRequest")
    return how


def _without_invitations(asked: Element) -> str:
    for name in ("SendMeetingInvitations", "SendMeetingInvitationsOrCancellations"):
        if asked.get(name, "") not in _NO_INVITATIONS:
            raise Refused("ErrorInvalidRequest", "The lab sends no invitations.")
    return "SaveOnly"


def _written(stores: Stores, one: Element) -> Message:
    """What somebody wrote, from whom he says it is: that counts when it is sent. Raises `Refused`."""
    if stores.caller is None:
        raise Refused("ErrorMissingEmailAddress")
    blank = stores.world.delivering.written(stores.caller.address, (), "", "")
    written = setting.written(blank, one)
    return replace(written, size=size_of(written))


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


def update(stores: Stores, asked: Element) -> Iterator[str]:
    """One message per item; each is changed as a whole or not at all."""
    for change in asked.iterfind("m:ItemChanges/t:ItemChange", NAMES):
        try:
            yield message("UpdateItem", _updated(stores, asked, change) + _NO_CONFLICTS)
        except Refused as refused:
            yield refusal("UpdateItem", refused, NO_ITEMS)


def _updated(stores: Stores, asked: Element, change: Element) -> str:
    named = change.find("t:ItemId", NAMES)
    if named is None:
        raise Refused("ErrorInvalidRequest")
    place, before = named_item(stores, named)
    place.needs(Access.CHANGE)
    after = before
    for one in change.iterfind("t:Updates/*", NAMES):
        after = setting.updated(after, one)
    after = replace(after, size=before.size + size_of(after) - size_of(before))
    is_message = item_class(place.key) == "Message"
    how = _disposition(asked) if is_message else _without_invitations(asked)
    if how != "SaveOnly":
        _send(stores, after)
    stores.contents.edit(place.owner, after)
    if how == "SaveOnly":
        return items(place, after)
    if how == "SendOnly":
        stores.contents.take(place.owner, after)
    else:
        stores.contents.move(place.owner, after, SENT)
    return NO_ITEMS


def send(stores: Stores, asked: Element) -> Iterator[str]:
    """Drafts leave their folder; a copy is kept where the client wants it."""
    for one in asked.iterfind("m:ItemIds/*", NAMES):
        try:
            place, found = named_item(stores, one)
            place.needs(Access.CHANGE)
            keeps = asked.get("SaveItemToFolder") in ("true", "1")
            folder = _folder(stores, asked, SENT) if keeps else None
            if folder is not None:
                folder.needs(Access.CHANGE)
            _send(stores, found)
            stores.contents.take(place.owner, found)
            if folder is not None:
                stores.contents.put(folder.owner, replace(found, folder=folder.key, read=True))
            yield message("SendItem", "")
        except Refused as refused:
            yield refusal("SendItem", refused)


def _sender(stores: Stores, address: str) -> Mailbox:
    """Whom it is from: whoever sends, or somebody in whose name he may."""
    named, caller = stores.people.addressed(address), stores.caller
    if named is None or caller is None:
        raise Refused("ErrorSendAsDenied")
    if stores.people.may("send_as", caller, named) or caller.number in named.on_behalf:
        return named
    raise Refused("ErrorSendAsDenied")


def _send(stores: Stores, written: Message) -> None:
    """Raises `Refused` where it cannot even leave."""
    sender = _sender(stores, written.sender)
    limit = stores.world.organisation.effective(sender).send
    if isinstance(limit, int) and sender.used > limit:
        raise Refused("ErrorQuotaExceeded")
    addresses = (*written.to, *written.cc, *written.bcc)
    if not addresses or not all("@" in address for address in addresses):
        raise Refused("ErrorInvalidRecipients")
    recipients = [pair for address in addresses for pair in stores.people.sent_to(address)]
    home = stores.people.home(stores.caller or sender)
    now = stores.world.organisation.now
    leaving = replace(written, sent=now, received=now, read=False)
    stores.world.delivering.send(leaving, recipients, home.name)
