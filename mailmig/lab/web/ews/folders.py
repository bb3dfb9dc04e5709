"""GetFolder and FindFolder."""

from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element

from mailmig.lab.contents import below
from mailmig.lab.web.ews.envelopes import NAMES, Refused, message, not_too_many, refusal
from mailmig.lab.web.ews.fields import Shape, folder
from mailmig.lab.web.ews.searching import page
from mailmig.lab.web.ews.stores import Place, Stores

_NONE: Final = "<m:Folders/>"


def get(stores: Stores, asked: Element) -> Iterator[str]:
    """One message per id, in order (protocols.md 2.2)."""
    shape = Shape(asked, "FolderShape")
    for one in asked.iterfind("m:FolderIds/*", NAMES):
        try:
            found = folder(stores, stores.place(one), shape)
            yield message("GetFolder", f"<m:Folders>{found}</m:Folders>")
        except Refused as refused:
            yield refusal("GetFolder", refused, _NONE)


def find(stores: Stores, asked: Element) -> Iterator[str]:
    """The folders below each that is named, all of them or only the next."""
    shape, deep = Shape(asked, "FolderShape"), asked.get("Traversal") == "Deep"
    for one in not_too_many(asked.findall("m:ParentFolderIds/*", NAMES)):
        try:
            if asked.find("m:Restriction", NAMES) is not None:
                raise Refused("ErrorUnsupportedPathForQuery")
            yield message("FindFolder", _found(stores, stores.place(one), asked, shape, deep=deep))
        except Refused as refused:
            yield refusal("FindFolder", refused)


def _found(stores: Stores, top: Place, asked: Element, shape: Shape, *, deep: bool) -> str:
    inner = [one for one in below(top.key) if deep or one.parent == top.key]
    places = []
    for one in inner:
        try:
            places.append(stores.folder(top.owner, one.key))
        except Refused:  # nobody is told of folders that he may not see
            continue
    offset, length = page(len(places), asked, "IndexedPageFolderView")
    shown = places[offset : offset + length]
    following = offset + len(shown)
    last = following >= len(places)
    content = "".join(folder(stores, place, shape) for place in shown)
    return (
        f'<m:RootFolder IndexedPagingOffset="{following}" TotalItemsInView="{len(places)}" '
        f'IncludesLastItemInRange="{"true" if last else "false"}"><t:Folders>{content}'
        "</t:Folders></m:RootFolder>"
    )
