"""Whose mailbox is meant, where it is, and who may use it."""

from collections.abc import Iterator

from mailmig.lab.accounts import Account
from mailmig.lab.cmdlets.identities import Register
from mailmig.lab.databases import Database
from mailmig.lab.places import Places
from mailmig.lab.population import Mailbox
from mailmig.lab.public_folders import Folder
from mailmig.lab.world import World
from mailmig.model.organisation import Server
from mailmig.model.secret import Secret


class People:
    """The people of a world, as its servers know them; hold the world's lock."""

    def __init__(self, world: World) -> None:
        self.organisation = world.organisation
        self._folders = world.public_folders
        self.places = Places(self.organisation.domain, self.organisation.name)
        self._register = Register(self.organisation, self.places)

    def mailbox_of(self, account: Account) -> Mailbox | None:
        """The mailbox of an account, None when it has none (any more)."""
        name = rf"{self.organisation.netbios}\{account.name}"
        return next(iter(self._register.mailboxes(name)), None)

    def addressed(self, address: str) -> Mailbox | None:
        """The mailbox with this address, the primary one or that in the second domain."""
        alias, _, domain = address.strip().lower().removeprefix("smtp:").rpartition("@")
        second = self.organisation.mail_domains[-1]
        for one in self._register.mailboxes(alias):
            if one.alias.lower() == alias and domain in (one.domain.lower(), second):
                return one
        return None

    def candidates(self, text: str) -> Iterator[Mailbox]:
        """Who may be meant: whoever has this address, else whose names, alias or account begin so."""
        wanted = text.strip().lower().removeprefix("smtp:")
        known = self.addressed(wanted)
        if known is not None:
            yield known
        elif wanted:
            for one in self.organisation.present():
                names = (one.display_name, one.name, one.alias, one.account, one.address)
                if not one.hidden and any(name.lower().startswith(wanted) for name in names):
                    yield one

    def reached(self, address: str) -> list[Mailbox | Folder] | None:
        """Who gets what is sent to an address: a mailbox, a group's members, a public folder.

        None when nobody has the address; a group can be empty.
        """
        mailbox = self.addressed(address)
        if mailbox is not None:
            return [mailbox]
        low, domain = address.strip().lower(), self.organisation.mail_domains[0]
        for place, group in enumerate(self.organisation.principals):
            if group.is_group and group.address(domain) == low:
                members = [self.organisation.mailboxes[one] for one in self._members(-1 - place)]
                return [one for one in members if not one.gone]
        for folder in self._folders.all() if low.endswith(f".ordner@{domain}") else ():
            if folder.mail.lower() == low:
                return [folder]
        return None

    def sent_to(self, address: str) -> list[tuple[str, Mailbox | Folder | None]]:
        """The same as `Delivering.send` takes it; None where nobody has the address."""
        found = self.reached(address)
        return [(address, None)] if found is None else [(address, one) for one in found]

    def known(self, identity: str) -> Mailbox | None:
        """The mailbox with this GUID or legacyExchangeDN."""
        found = self._register.mailboxes(identity)
        return found[0] if len(found) == 1 else None

    def with_legacy(self, dn: str) -> Mailbox | None:
        """The mailbox with this legacyExchangeDN, in any case."""
        return self.known(dn) if dn.startswith("/") else None

    def database(self, mailbox: Mailbox) -> Database:
        """The database that a mailbox lives in."""
        return self.organisation.databases[mailbox.database]

    def home(self, mailbox: Mailbox) -> Server:
        """The server on which the mailbox's database is active."""
        return self.organisation.server(self.database(mailbox).server)

    def legacy(self, mailbox: Mailbox) -> str:
        """The legacyExchangeDN of a mailbox."""
        return self.places.legacy(mailbox.guid, mailbox.name)

    def mailbox_id(self, mailbox: Mailbox) -> str:
        """The name under which clients ask for a mailbox: <ExchangeGuid>@<domain>."""
        return f"{mailbox.exchange_guid}@{mailbox.domain}"

    def may(self, right: str, caller: Mailbox, owner: Mailbox) -> bool:
        """Whether the caller holds "full_access" or "send_as" on a mailbox, also by a group."""
        if caller is owner:
            return True
        held = self._register.trustees(right).get(owner.number, [])
        return any(caller.number in self._members(trustee) for trustee in held)

    def opens(self, caller: Mailbox) -> Iterator[Mailbox]:
        """Whose mailboxes Outlook opens beside his own: full access that he holds himself."""
        unmapped = self.organisation.full_access.unmapped
        for number, held in self._register.trustees("full_access").items():
            owner = self.organisation.mailboxes[number]
            if (number, caller.number) in unmapped:
                continue
            if caller.number in held and owner is not caller and not owner.gone:
                yield owner

    def _members(self, trustee: int) -> Iterator[int]:
        """A mailbox, or all that are in a group, however deep."""
        if trustee >= 0:
            yield trustee
            return
        for member in self.organisation.principals[-1 - trustee].members:
            yield from self._members(member)


def password(account: str) -> Secret:
    """The password of somebody who works there. A secret of the lab: it opens nothing else."""
    return Secret(f"lab-only-{account}")
