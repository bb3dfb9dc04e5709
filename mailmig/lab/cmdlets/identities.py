"""Which object an identity means: GUID, address, alias, account, path, name.

Exchange tries every spelling at once; an identity that fits several objects is refused. Spellings
are compared without case. The register is made when it is first asked and again when somebody
joined; who is gone stays in it and is left out when found.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mailmig.lab.organisation import Organisation
from mailmig.lab.places import Places
from mailmig.lab.population import Mailbox, Principal, Rights


@dataclass(frozen=True, slots=True)
class PlainUser:
    """An account without a mailbox."""

    guid: str
    account: str
    department: str

    @property
    def gone(self) -> bool:
        return False


Recipient = Mailbox | Principal | PlainUser


@dataclass(slots=True)
class Register:
    """All recipients of an organisation by the spellings of their identities."""

    organisation: Organisation
    places: Places
    _known: dict[str, list[Recipient]] = field(default_factory=dict)
    _counted: tuple[int, int, int] = (-1, -1, -1)
    _trustees: dict[str, tuple[Rights, int, dict[int, list[int]]]] = field(default_factory=dict)

    def find(self, identity: object) -> list[Recipient]:
        """Whoever is meant; normally one."""
        self._refresh()
        found = self._known.get(_folded(str(identity)), [])
        return [one for one in found if not (isinstance(one, Mailbox) and one.gone)]

    def mailboxes(self, identity: object) -> list[Mailbox]:
        """The mailboxes that are meant."""
        return [one for one in self.find(identity) if isinstance(one, Mailbox)]

    def trustees(self, name: str) -> dict[int, list[int]]:
        """Who holds rights of this sort ("full_access", "send_as"), by the owner's number.

        Made again when rights were granted or taken since.
        """
        rights: Rights = getattr(self.organisation, name)
        known = self._trustees.get(name)
        if known is None or known[0] is not rights or known[1] != rights.version:
            found: dict[int, list[int]] = {}
            for owner, trustee in rights:
                found.setdefault(owner, []).append(trustee)
            known = self._trustees[name] = (rights, rights.version, found)
        return known[2]

    def _refresh(self) -> None:
        state = self.organisation
        counted = (len(state.mailboxes), len(state.principals), len(state.accounts_only))
        if counted == self._counted:
            return
        known: dict[str, list[Recipient]] = {}
        for recipient, spellings in self._all():
            for spelling in {_folded(one) for one in spellings if one}:
                known.setdefault(spelling, []).append(recipient)
        self._known, self._counted = known, counted

    def _all(self) -> Iterator[tuple[Recipient, Iterable[str]]]:
        state, places = self.organisation, self.places
        for mailbox in state.mailboxes:
            archive = mailbox.archive.guid if mailbox.archive else ""
            yield mailbox, (
                mailbox.guid, mailbox.exchange_guid, archive, mailbox.alias, mailbox.address,
                mailbox.name, mailbox.display_name, mailbox.account,
                rf"{state.netbios}\{mailbox.account}", f"{mailbox.account}@{state.domain}",
                places.distinguished(mailbox.path, mailbox.name),
                places.canonical(mailbox.path, mailbox.name),
                places.legacy(mailbox.guid, mailbox.name),
            )  # fmt: skip
        for group in state.principals:
            if group.is_group:
                yield group, (
                    group.guid, group.name, group.account, rf"{state.netbios}\{group.account}",
                    places.distinguished(group.path, group.name),
                    places.canonical(group.path, group.name),
                )  # fmt: skip
        for guid, account, department in state.accounts_only:
            yield PlainUser(guid, account, department), (
                guid, account, rf"{state.netbios}\{account}", f"{account}@{state.domain}",
                places.distinguished(("Users",), account), places.canonical(("Users",), account),
            )  # fmt: skip


def _folded(identity: str) -> str:
    return identity.strip("{}").lower() if len(identity) == 38 else identity.lower()
