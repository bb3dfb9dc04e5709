"""Who may use whose mailbox: the edges of the organisation.

People of one department share: its functional mailboxes, the head's mailbox with the
assistant, colleagues that stand in for each other. A service account may open most
mailboxes of its branch, groups hold rights too, one group is everybody, and some rights
belong to SIDs that no longer resolve.
"""

import random
from typing import Any

from mailmig.lab.organisation import Organisation, guid
from mailmig.lab.population import Mailbox, Principal
from mailmig.lab.story import Story
from mailmig.model.directory import Kind

EVERYBODY = "Alle Mitarbeitenden"
# What Active Directory takes in no sAMAccountName; its own consoles write "_" instead.
_NO_ACCOUNT = str.maketrans(dict.fromkeys('"/\\[]:;|=,+*?<>', "_"))


def share_mailboxes(
    organisation: Organisation,
    story: Story,
    members: list[list[Mailbox]],
    shared: list[list[Mailbox]],
    draw: random.Random,
) -> None:
    """Grant rights: `members` and `shared` are the mailboxes of each department, in its order."""
    _Sharing(organisation, story.sharing, members, shared, draw).grant_all()


class _Sharing:
    def __init__(
        self,
        organisation: Organisation,
        told: Any,
        members: list[list[Mailbox]],
        shared: list[list[Mailbox]],
        draw: random.Random,
    ) -> None:
        self.organisation = organisation
        self.told = told
        self.members = members
        self.shared = shared
        self.draw = draw
        self.groups: list[int] = []
        self.orphans = 0

    def grant_all(self) -> None:
        self._groups()
        services = self._service_accounts()
        for place, here in enumerate(self.members):
            for mailbox in self.shared[place]:
                self._functional(mailbox, here, self.groups[place])
            self._head(here)
            self._stand_ins(here)
        self._rooms()
        self._everybody()
        self._service_rights(services)

    def _principal(self, principal: Principal) -> int:
        self.organisation.principals.append(principal)
        return -len(self.organisation.principals)

    def _group(self, name: str, members: tuple[int, ...]) -> int:
        number = len(self.organisation.principals)
        account = f"G-{name}"[:256].translate(_NO_ACCOUNT)
        return self._principal(
            Principal(
                rf"{self.organisation.netbios}\{account}",
                guid(self.organisation.seed, "group", number),
                name, account, ("Gruppen",), members,
            )
        )  # fmt: skip

    def _groups(self) -> None:
        """A group for each department, one for each unit with the departments in it, one for all."""
        units: dict[tuple[str, ...], list[int]] = {}
        branches: dict[int, list[int]] = {}
        for place, department in enumerate(self.organisation.departments):
            people = tuple(m.number for m in (*self.members[place], *self.shared[place]))
            self.groups.append(self._group(department.name, people))
            units.setdefault(department.path[:-1], []).append(self.groups[-1])
            branches.setdefault(department.branch, []).extend(people)
        for path, groups in units.items():
            if len(groups) > 1:
                self._group(" ".join(("Amt", *path[1:])), tuple(groups))
        if len(branches) == 1:
            self._group(EVERYBODY, tuple(branches[0]))
            return
        parts = [
            self._group(f"{EVERYBODY} {branch + 1:03}", tuple(people))
            for branch, people in branches.items()
        ]
        self._group(EVERYBODY, tuple(parts))

    def _orphan(self) -> int:
        self.orphans += 1
        return self._principal(
            Principal(f"S-1-5-21-1004336348-1177238915-682003330-{20_000 + 7 * self.orphans}")
        )

    def _both(self, owner: Mailbox, trustee: int) -> None:
        self.organisation.full_access.grant(owner.number, trustee)
        self.organisation.send_as.grant(owner.number, trustee)

    def _functional(self, mailbox: Mailbox, here: list[Mailbox], group: int) -> None:
        if self.draw.random() < self.told["by_group_share"]:
            self._both(mailbox, group)
            people = here[:2]
        else:
            least, most = self.told["full_access"]
            people = self.draw.sample(here, min(len(here), self.draw.randint(least, most)))
        for person in people:
            self.organisation.full_access.grant(mailbox.number, person.number)
            if self.draw.random() < self.told["send_as_share"]:
                self.organisation.send_as.grant(mailbox.number, person.number)
            if self.draw.random() < self.told["orphan_share"]:
                self.organisation.full_access.grant(mailbox.number, self._orphan())

    def _head(self, here: list[Mailbox]) -> None:
        """The head's mailbox is open to the assistant; the assistant sends on behalf."""
        if len(here) < 3:
            return
        head, assistant, deputy = here[:3]
        self._both(head, assistant.number)
        self.organisation.full_access.grant(head.number, deputy.number)
        head.on_behalf = (assistant.number, deputy.number)

    def _stand_ins(self, here: list[Mailbox]) -> None:
        if len(here) < 2:
            return
        for mailbox in here[1:]:
            wanted = self.told["stand_ins"]
            number = int(wanted) + (self.draw.random() < wanted - int(wanted))
            others = self.draw.sample(here, min(len(here), number + 1))
            granted = [other.number for other in others if other is not mailbox][:number]
            for other in granted:
                self.organisation.full_access.grant(mailbox.number, other)
            if granted and self.draw.random() < self.told["on_behalf_share"]:
                mailbox.on_behalf = (granted[0],)

    def _rooms(self) -> None:
        """Rooms and cars are booked by somebody."""
        people = [mailbox for here in self.members for mailbox in here]
        if not people:
            return
        for mailbox in self.organisation.present(Kind.ROOM, Kind.EQUIPMENT):
            for person in self.draw.sample(people, min(3, len(people))):
                self.organisation.full_access.grant(mailbox.number, person.number)

    def _everybody(self) -> None:
        """One notice board is open to all of the staff."""
        boards = [mailbox for here in self.shared for mailbox in here]
        if boards:
            everybody = next(
                -1 - i for i, p in enumerate(self.organisation.principals) if p.name == EVERYBODY
            )
            self.organisation.full_access.grant(boards[0].number, everybody)

    def _service_accounts(self) -> dict[int, Mailbox]:
        """One person's mailbox of each branch is really an account of the archiving service."""
        services: dict[int, Mailbox] = {}
        for place, department in enumerate(self.organisation.departments):
            here = self.members[place]
            if department.branch in services or len(here) < 6 or department.name[:5] != "Infor":
                continue
            service = here[-1]
            service.name = service.display_name = f"Dienst Archivierung {department.branch + 1}"
            service.alias = f"svc.archiv{department.branch + 1}"
            service.account = f"svc-archiv{department.branch + 1}"
            service.title, service.hidden = "Dienstkonto", True
            services[department.branch] = service
        return services

    def _service_rights(self, services: dict[int, Mailbox]) -> None:
        for place, department in enumerate(self.organisation.departments):
            service = services.get(department.branch)
            if service is None:
                continue
            for mailbox in (*self.members[place], *self.shared[place]):
                if mailbox is not service and self.draw.random() < self.told["service_share"]:
                    self.organisation.full_access.grant(mailbox.number, service.number)
