"""The stores behind EWS: may the caller open that mailbox now, and what may he do there?

Codes: protocols.md 2.4. Which pairs of versions refuse a delegate is not established beyond "on
different server versions"; here that is another product version in front of EWS: 2013, 2016, and
2019 together with SE, which call themselves the same.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from xml.etree.ElementTree import Element

from mailmig.lab.contents import FOLDERS, Contents
from mailmig.lab.machines import Reach
from mailmig.lab.population import Mailbox
from mailmig.lab.web.access import Access, access
from mailmig.lab.web.ews.envelopes import NAMES, TYPES, Refused
from mailmig.lab.web.ews.identifiers import Id, unpack
from mailmig.lab.web.messages import Call
from mailmig.lab.web.people import People
from mailmig.lab.world import World

# So long a store is not ready behind a switch to another copy [MEM].
_SETTLES: Final = timedelta(seconds=5)
_DISTINGUISHED: Final = f"{{{TYPES}}}DistinguishedFolderId"


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of a mailbox, and what the caller may do in it."""

    owner: Mailbox
    key: str
    access: Access

    @property
    def id(self) -> Id:
        return Id(self.owner.exchange_guid, self.key)

    def needs(self, access: Access) -> None:
        """Raises `Refused`: who may not even read does not see that it is there."""
        if self.access is Access.NONE:
            raise Refused("ErrorItemNotFound")
        if self.access < access:
            raise Refused("ErrorAccessDenied")


class Stores:
    """The mailboxes as one request sees them; `caller` is None for an account without one."""

    def __init__(self, world: World, people: People, call: Call, caller: Mailbox | None) -> None:
        self.world = world
        self.people = people
        self.call = call
        self.caller = caller
        self._opened: dict[int, Refused | None] = {}

    @property
    def contents(self) -> Contents:
        return self.world.contents

    def place(self, element: Element) -> Place:
        """The folder that a DistinguishedFolderId or a FolderId names. Raises `Refused`."""
        if element.tag == _DISTINGUISHED:
            key = element.get("Id", "").lower()
            address = (element.findtext("t:Mailbox/t:EmailAddress", "", NAMES) or "").strip()
            owner = self._addressed(address)
            self.open(owner)
            if key not in FOLDERS or not FOLDERS[key].distinguished:
                raise Refused("ErrorFolderNotFound")
            return self.folder(owner, key)
        return self.named(unpack(element.get("Id", "")))

    def named(self, named: Id) -> Place:
        """The folder of an id. Raises `Refused`."""
        owner = self.people.known(named.mailbox)
        if owner is None:
            raise Refused("ErrorNonExistentMailbox")
        self.open(owner)
        return self.folder(owner, named.folder)

    def folder(self, owner: Mailbox, key: str) -> Place:
        """A folder of an opened mailbox; raises `Refused` where the caller may nothing."""
        place = Place(owner, key, access(self.people, self.caller, owner, key))
        place.needs(Access.READ)
        return place

    def open(self, owner: Mailbox) -> None:
        """Raises `Refused` where nobody, or this caller, can open the mailbox now."""
        if owner.number not in self._opened:
            try:
                self._open(owner)
                self._opened[owner.number] = None
            except Refused as refused:
                self._opened[owner.number] = refused
        found = self._opened[owner.number]
        if found is not None:
            raise found

    def _addressed(self, address: str) -> Mailbox:
        if not address:
            if self.caller is None:
                raise Refused("ErrorMissingEmailAddress")
            return self.caller
        owner = self.people.addressed(address)
        if owner is None:
            raise Refused("ErrorNonExistentMailbox")
        return owner

    def _open(self, owner: Mailbox) -> None:
        home = self.people.home(owner)
        caller = self.caller or owner
        if self.people.home(caller).build[:2] != home.build[:2]:
            raise Refused("ErrorWrongServerVersionDelegate")
        if self.world.organisation.is_in_transit(owner):
            raise Refused("ErrorMailboxMoveInProgress")
        database = self.people.database(owner)
        now = self.world.organisation.now
        if database.activated is not None and now - database.activated < _SETTLES:
            raise Refused("ErrorMailboxFailover")
        if not database.mounted or home.name in self.world.organisation.down:
            raise Refused("ErrorMailboxStoreUnavailable")
        if home.name != self.call.server.name:
            reach = self.world.surroundings.machines.reach(home.fqdn, home.site)
            if reach is not Reach.UP:
                raise Refused("ErrorMailboxStoreUnavailable")
