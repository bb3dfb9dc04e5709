"""What somebody may do in a folder of a mailbox, over whichever protocol he comes."""

from enum import IntEnum
from typing import Final

from mailmig.lab.cmdlets import folders
from mailmig.lab.population import Mailbox
from mailmig.lab.web.people import People

# What a folder's role lets somebody do.
_ROLES: Final = {"Reviewer": 1, "Editor": 2}
_SHARED_FOLDERS: Final = {"inbox": "Inbox", "calendar": "Calendar"}


class Access(IntEnum):
    """What somebody may do in a folder; each includes those before it."""

    NONE = 0
    READ = 1
    CHANGE = 2
    OWN = 3


def access(people: People, caller: Mailbox | None, owner: Mailbox, key: str) -> Access:
    """What the caller may do there; he is None for an account without a mailbox."""
    if caller is None:
        return Access.NONE
    if people.may("full_access", caller, owner):
        return Access.OWN
    kind = _SHARED_FOLDERS.get(key)
    if kind is None:
        return Access.NONE
    rights = folders.rights(people.organisation, owner, kind)
    held = [_ROLES.get(right, 0) for user, right, _ in rights if user is caller]
    return Access(max(held, default=0))
