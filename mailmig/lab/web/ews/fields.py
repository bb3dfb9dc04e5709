"""Properties of folders and items: what EWS calls them, their values, and how they are written.

A property that a client asks for and that is neither in the tables nor was set by somebody is left
out, as one without a value.
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr, unescape

from mailmig.lab import messages
from mailmig.lab.contents import DRAFTS, FOLDERS, SENT, Attachment, Folder, Message
from mailmig.lab.web.access import Access
from mailmig.lab.web.ews.envelopes import NAMES, TYPES, Refused
from mailmig.lab.web.ews.identifiers import Id, element, pack_file
from mailmig.lab.web.ews.stores import Place, Stores

SIZE_TAG: Final = 0x0E08
_ELEMENTS: Final = {
    "IPF.Appointment": ("CalendarFolder", "CalendarItem"),
    "IPF.Contact": ("ContactsFolder", "Contact"),
    "IPF.Task": ("TasksFolder", "Task"),
}  # fmt: skip
_CLASSES: Final = {
    "CalendarItem": "IPM.Appointment", "Contact": "IPM.Contact", "Task": "IPM.Task",
    "Message": "IPM.Note",
}  # fmt: skip
_WORDS: Final = {True: "true", False: "false"}
_TRUE: Final = ("true", "1")
_FIELD_URI: Final = f"{{{TYPES}}}FieldURI"
EXTENDED_URI: Final = f"{{{TYPES}}}ExtendedFieldURI"
# What a shape without further properties gives.
_FOLDER_DEFAULT: Final = (
    "folder:DisplayName", "folder:TotalCount", "folder:ChildFolderCount", "folder:UnreadCount",
)  # fmt: skip
_ITEM_DEFAULT: Final = (
    "item:Subject", "item:Sensitivity", "item:DateTimeSent", "item:DateTimeCreated", "item:Size",
    "item:HasAttachments", "message:From", "message:IsRead",
)  # fmt: skip

Value = str | int | bool | datetime


class Shape:
    """Which properties a client wants, and the extended ones as it named them."""

    def __init__(self, asked: Element, tag: str) -> None:
        shape = asked.find(f"m:{tag}", NAMES)
        self.base = "Default" if shape is None else shape.findtext("t:BaseShape", "", NAMES)
        more = None if shape is None else shape.find("t:AdditionalProperties", NAMES)
        named = [] if more is None else list(more)
        self.fields = {one.get("FieldURI", "") for one in named if one.tag == _FIELD_URI}
        self.extended = [one for one in named if one.tag == EXTENDED_URI]
        self.body = ("" if shape is None else shape.findtext("t:BodyType", "", NAMES)) or "Best"
        if shape is not None and shape.findtext("t:IncludeMimeContent", "", NAMES) in _TRUE:
            self.fields.add("item:MimeContent")

    def wants(self, name: str, default: Iterable[str]) -> bool:
        """Whether a property belongs to the answer."""
        if self.base == "AllProperties" or name in self.fields:
            return True
        return self.base == "Default" and name in default


def folder(stores: Stores, place: Place, shape: Shape) -> str:
    """A folder as an element; its parts in the order of the schema."""
    kind = FOLDERS[place.key]
    found = [element("FolderId", place.id)]
    for name, make in _FOLDER.items():
        if shape.wants(name, _FOLDER_DEFAULT):
            found.append(make(stores, place, kind))
        if name == "folder:ChildFolderCount":
            found += [_extended(one, stores.contents.size(place.owner, place.key))
                      for one in shape.extended]  # fmt: skip
    tag = _ELEMENTS.get(kind.kind, ("Folder", ""))[0]
    return f"<t:{tag}>{''.join(found)}</t:{tag}>"


def _extended(asked: Element, size: int) -> str:
    """PidTagMessageSize; 32 bits overflow to a negative number (protocols.md 2.3)."""
    try:
        tag = int(asked.get("PropertyTag", "0"), 0)
    except ValueError:
        raise Refused("ErrorInvalidRequest") from None
    if tag != SIZE_TAG:
        return ""
    kind = asked.get("PropertyType", "")
    value = size if kind == "Long" else (size + 2**31) % 2**32 - 2**31
    named = f"PropertyTag={quoteattr(asked.get('PropertyTag', ''))} PropertyType={quoteattr(kind)}"
    return (
        f"<t:ExtendedProperty><t:ExtendedFieldURI {named}/><t:Value>{value}</t:Value>"
        "</t:ExtendedProperty>"
    )


def _parent(stores: Stores, place: Place, kind: Folder) -> str:
    above = kind.parent or place.key  # the root's parent is the root itself
    return element("ParentFolderId", Id(place.owner.exchange_guid, above))


def _children(stores: Stores, place: Place, kind: Folder) -> str:
    number = sum(one.parent == place.key for one in FOLDERS.values())
    return f"<t:ChildFolderCount>{number}</t:ChildFolderCount>"


def _rights(stores: Stores, place: Place, kind: Folder) -> str:
    owns, changes = place.access >= Access.OWN, place.access >= Access.CHANGE
    rights = {
        "CreateAssociated": owns, "CreateContents": changes, "CreateHierarchy": owns,
        "Delete": owns, "Modify": owns, "Read": True,
    }  # fmt: skip
    words = "".join(f"<t:{name}>{_WORDS[may]}</t:{name}>" for name, may in rights.items())
    return f"<t:EffectiveRights>{words}</t:EffectiveRights>"


def _distinguished(stores: Stores, place: Place, kind: Folder) -> str:
    return f"<t:DistinguishedFolderId>{kind.key}</t:DistinguishedFolderId>" * kind.distinguished


def _class(stores: Stores, place: Place, kind: Folder) -> str:
    return f"<t:FolderClass>{kind.kind}</t:FolderClass>" if kind.kind else ""


_FOLDER: Final[Mapping[str, Callable[[Stores, Place, Folder], str]]] = {
    "folder:ParentFolderId": _parent,
    "folder:FolderClass": _class,
    "folder:DisplayName": lambda stores, place, kind: (
        f"<t:DisplayName>{escape(kind.name(place.owner))}</t:DisplayName>"
    ),
    "folder:TotalCount": lambda stores, place, kind: (
        f"<t:TotalCount>{stores.contents.count(place.owner, place.key)}</t:TotalCount>"
    ),
    "folder:ChildFolderCount": _children,
    "folder:EffectiveRights": _rights,
    "folder:DistinguishedFolderId": _distinguished,
    "folder:UnreadCount": lambda stores, place, kind: (
        f"<t:UnreadCount>{stores.contents.unread(place.owner, place.key)}</t:UnreadCount>"
    ),
}


def item_class(key: str) -> str:
    """The element of a folder's items."""
    return _ELEMENTS.get(FOLDERS[key].kind, ("", "Message"))[1]


def item_id(place: Place, one: Message) -> Id:
    """The id of an item."""
    return Id(place.owner.exchange_guid, one.folder, one.number, one.stored)


# Properties with a plain value, in the order of the schema; those of one class come last.
_VALUES: Final[Mapping[str, Callable[[Message], Value | None]]] = {
    "item:ItemClass": lambda one: _CLASSES[item_class(one.folder)],
    "item:Subject": lambda one: one.subject,
    "item:Sensitivity": lambda one: "Normal",
    "item:DateTimeReceived": lambda one: one.received,
    "item:Size": lambda one: one.size,
    "item:Importance": lambda one: "Normal",
    "item:IsSubmitted": lambda one: False,
    "item:IsDraft": lambda one: one.folder == DRAFTS,
    "item:IsFromMe": lambda one: one.folder == SENT,
    "item:DateTimeSent": lambda one: one.sent,
    "item:DateTimeCreated": lambda one: one.received,
    "item:DisplayCc": lambda one: "; ".join(one.cc),
    "item:DisplayTo": lambda one: "; ".join(one.to),
    "item:HasAttachments": lambda one: any(not file.inline for file in one.attachments),
    "item:LastModifiedTime": lambda one: one.received,
    "message:InternetMessageId": lambda one: one.message_id,
    "message:IsRead": lambda one: one.read,
    "calendar:Start": lambda one: one.sent,
    "calendar:End": lambda one: one.sent + timedelta(hours=1),
    "contacts:DisplayName": lambda one: one.subject,
    "task:Status": lambda one: "NotStarted",
}
# Which properties each element has beside those of all items.
_OWN: Final = {
    "Message": "message", "CalendarItem": "calendar", "Contact": "contacts", "Task": "task",
}  # fmt: skip


def kind_of(tag: str) -> str:
    """With what the names of an element's own properties begin. Raises `Refused`."""
    if tag not in _OWN:
        raise Refused("ErrorSchemaValidation")
    return _OWN[tag]


def value(one: Message, name: str) -> Value | None:
    """The value of a property with a plain one. Raises `KeyError` for an unknown one."""
    if name in ("message:From", "message:Sender"):
        return one.sender
    first = _VALUES[name](one)
    kept = dict(one.properties).get(name)
    return first if kept is None else typed(content(kept).strip(), first)


def typed(text: str, like: Value | None) -> Value:
    """A text as a value of the same kind. Raises `ValueError`."""
    if isinstance(like, bool):
        return text.lower() in _TRUE
    if isinstance(like, int):
        return int(text)
    if isinstance(like, datetime):
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return text


def content(kept: str) -> str:
    """The text in a kept element that holds nothing else."""
    return unescape(kept.partition(">")[2].rpartition("<")[0])


def extended_name(path: Element) -> str:
    """An extended property by all that names it."""
    return "|".join(f"{name}={text}" for name, text in sorted(path.items()))


def written(found: Value | None) -> str:
    """A value as XML has it."""
    if isinstance(found, bool):
        return _WORDS[found]
    if isinstance(found, datetime):
        return found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return escape("" if found is None else str(found))


def item(stores: Stores, place: Place, one: Message, shape: Shape) -> str:
    """An item as an element."""
    tag = item_class(one.folder)
    found = []
    if "item:MimeContent" in shape.fields:
        raw = base64.b64encode(messages.written(one)).decode()
        found.append(f'<t:MimeContent CharacterSet="UTF-8">{raw}</t:MimeContent>')
    found.append(element("ItemId", item_id(place, one)))
    if shape.wants("item:ParentFolderId", ()):
        found.append(element("ParentFolderId", place.id))
    for name in _VALUES:
        if name.startswith("item:") and shape.wants(name, _ITEM_DEFAULT):
            found.append(_plain(one, name))
        if name == "item:Sensitivity":
            found += _bodies(place, one, shape)
        if name == "item:HasAttachments":
            found += _kept_extended(one, shape)
    if tag == "Message":
        found += _of_message(stores, one, shape)
    own = f"{_OWN[tag]}:"
    found += [
        _plain(one, name)
        for name in _VALUES
        if name.startswith(own) and shape.wants(name, _ITEM_DEFAULT)
    ]
    found += [
        kept for name, kept in one.properties
        if name not in _VALUES and ":" in name and shape.wants(name, ())
    ]  # fmt: skip
    return f"<t:{tag}>{''.join(found)}</t:{tag}>"


def _bodies(place: Place, one: Message, shape: Shape) -> Iterator[str]:
    """The body as it is wanted, and the files with it."""
    if shape.wants("item:Body", ()):
        if shape.body == "HTML" or (shape.body == "Best" and one.html):
            lines = escape(one.body).replace("\n", "<br>\n")
            html = one.html or f"<html><body>{lines}</body></html>"
            yield f'<t:Body BodyType="HTML">{escape(html)}</t:Body>'
        else:
            yield f'<t:Body BodyType="Text">{escape(one.body)}</t:Body>'
    if shape.wants("item:TextBody", ()):
        yield f'<t:TextBody BodyType="Text">{escape(one.body)}</t:TextBody>'
    if shape.wants("item:Attachments", ()) and one.attachments:
        named = item_id(place, one)
        yield f"<t:Attachments>{''.join(file(named, each) for each in one.attachments)}</t:Attachments>"


def file(item: Id, one: Attachment, more: str = "") -> str:
    """An attachment as an element; `more` is what stands behind its other properties."""
    where = (
        f"<t:AttachmentId Id={quoteattr(pack_file(item, one.number))} "
        f"RootItemId={quoteattr(item.text)} RootItemChangeKey={quoteattr(item.change_key)}/>"
    )
    content_id = f"<t:ContentId>{escape(one.content_id)}</t:ContentId>" if one.content_id else ""
    return (
        f"<t:FileAttachment>{where}<t:Name>{escape(one.name)}</t:Name>"
        f"<t:ContentType>{escape(one.kind)}</t:ContentType>{content_id}"
        f"<t:Size>{len(one.content)}</t:Size><t:IsInline>{_WORDS[one.inline]}</t:IsInline>{more}"
        "</t:FileAttachment>"
    )


def _kept_extended(one: Message, shape: Shape) -> Iterator[str]:
    known = dict(one.properties)
    for path in shape.extended:
        if extended_name(path) in known:
            yield known[extended_name(path)]


def _plain(one: Message, name: str) -> str:
    tag = name.partition(":")[2]
    return f"<t:{tag}>{written(value(one, name))}</t:{tag}>"


def _of_message(stores: Stores, one: Message, shape: Shape) -> list[str]:
    found = []
    if shape.wants("item:InternetMessageHeaders", ()) and one.headers:
        lines = "".join(
            f"<t:InternetMessageHeader HeaderName={quoteattr(name)}>{escape(text)}"
            "</t:InternetMessageHeader>"
            for name, text in one.headers
        )
        found.append(f"<t:InternetMessageHeaders>{lines}</t:InternetMessageHeaders>")
    for name, addresses in (
        ("Sender", (one.sender,)), ("ToRecipients", one.to), ("CcRecipients", one.cc),
        ("BccRecipients", one.bcc), ("From", (one.sender,)),
    ):  # fmt: skip
        if shape.wants(f"message:{name}", _ITEM_DEFAULT) and addresses:
            boxes = "".join(mailbox(stores, address) for address in addresses)
            found.append(f"<t:{name}>{boxes}</t:{name}>")
    return found


def mailbox(stores: Stores, address: str) -> str:
    """Somebody as EWS names him."""
    known = stores.people.addressed(address)
    name = address if known is None else known.display_name
    kind = "OneOff" if known is None else "Mailbox"
    return (
        f"<t:Mailbox><t:Name>{escape(name)}</t:Name><t:EmailAddress>{escape(address)}"
        f"</t:EmailAddress><t:RoutingType>SMTP</t:RoutingType><t:MailboxType>{kind}"
        "</t:MailboxType></t:Mailbox>"
    )
