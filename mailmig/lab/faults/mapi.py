r"""Faults of MAPI over HTTP: the rows of the evidence matrix (protocols.md 1.8.1, 1.8.2).

What breaks from outside only is in `outside`, what the reverse proxy does with everybody in
`gateway`, servers that are down in `servers`, databases in `databases`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Final

from mailmig.lab.faults.client_access import WebFault
from mailmig.lab.faults.machines import Claiming, Worse
from mailmig.lab.faults.moves import MailboxGone, mailbox_named
from mailmig.lab.faults.servers import server_named
from mailmig.lab.faults.setting import OtherSetting, front_end_object
from mailmig.lab.organisation import guid
from mailmig.lab.population import Mailbox
from mailmig.lab.web.mapi.switches import MapiSwitches
from mailmig.lab.web.people import People
from mailmig.lab.world import World
from mailmig.model.directory import Kind
from mailmig.model.secret import Secret

# Longer than the two seconds above which a session is slow (health.md 2.7): seconds.
SLOW_S: Final = 3.0
# X-ResponseCode "unknown failure", sent behind DONE.
LATE_CODE: Final = 1
_A_MAILBOX: Final = "a mailbox by alias, address or GUID"
A_SERVER: Final = "an Exchange server, as EX16"


class MapiDisabled(OtherSetting):
    id = "mapi-disabled"
    family = "mapi"
    shows = ("mapi_enabled",)
    description = "MAPI over HTTP is switched off for the organisation: Autodiscover names none"
    wants = ""

    def on(self, world: World, target: str) -> None:
        key = guid(world.organisation.seed, "organisation")
        self.change(world, target, key, {"MapiHttpEnabled": False})


class MailboxFault(Claiming):
    """Something about one mailbox that is there."""

    family = "mapi"
    wants = _A_MAILBOX

    def mailbox(self, world: World, target: str) -> Mailbox:
        """The mailbox that is meant. Raises `BadTarget`."""
        found = mailbox_named(self, world, target)
        if found.gone:
            raise self.bad(target)
        return found


class MapiDisabledFor(MailboxFault):
    id = "mapi-disabled-for-mailbox"
    shows = ("mapi_enabled",)
    description = "MAPI over HTTP is switched off for one mailbox (Set-CASMailbox)"

    def __init__(self) -> None:
        super().__init__()
        self._before: bool | None = None

    def on(self, world: World, target: str) -> None:
        mailbox = self.mailbox(world, target)
        self.claim(world, target, [("mapi", mailbox.number)])
        self._before = mailbox.protocols.mapi_http
        mailbox.protocols = replace(mailbox.protocols, mapi_http=False)

    def off(self, world: World, target: str) -> None:
        mailbox = mailbox_named(self, world, target)
        mailbox.protocols = replace(mailbox.protocols, mapi_http=self._before)
        self.release(world)


class ExecuteRefused(WebFault):
    id = "mapi-execute-refused"
    family = "mapi"
    shows = ("mapi_connect",)
    description = "the front end lets Connect in and refuses every Execute with 401"
    wants = r"server and mapi, as EX1\mapi"
    condition: ClassVar[Mapping[str, object]] = {"no_execute": True}

    def on(self, world: World, target: str) -> None:
        if target.lower().partition("\\")[2] != "mapi":
            raise self.bad(target)
        super().on(world, target)


class SwitchFault(Worse):
    """How one server speaks MAPI over HTTP."""

    family = "mapi"
    shows = ("mapi_connect",)
    wants = A_SERVER
    switches: ClassVar[Mapping[str, object]]

    def what(self, world: World, target: str) -> MapiSwitches:
        return world.conditions(server_named(self, world, target)).mapi

    def worse(self, world: World, target: str) -> Mapping[str, object]:
        return self.switches


class Slow(SwitchFault):
    id = "mapi-slow"
    description = f"every Execute for mailboxes on the server takes {SLOW_S:g} s"
    switches: ClassVar[Mapping[str, object]] = {"delay_s": SLOW_S}


class LateFailure(SwitchFault):
    id = "mapi-late-failure"
    description = "every Execute begins with success and fails behind its last chunk"
    switches: ClassVar[Mapping[str, object]] = {"late_code": LATE_CODE}


class ProxyBroken(OtherSetting):
    id = "mapi-proxy-broken"
    family = "mapi"
    shows = ("mapi_connect", "mapi_shared_mailbox", "ca_auth")
    description = (
        "/mapi on the server takes Negotiate alone and clients come through front ends of another "
        "version: Connect succeeds, Execute fails with 500 (1722)"
    )
    wants = A_SERVER

    def on(self, world: World, target: str) -> None:
        state = world.organisation
        key, _ = front_end_object(world, "mapi", server_named(self, world, target))
        url = f"https://{state.namespace}/mapi"
        settings = {"IISAuthenticationMethods": ["Negotiate"], "InternalUrl": url}
        self.change(world, target, key, settings)


class NoPermission(Claiming):
    id = "mapi-no-permission"
    family = "mapi"
    shows = ("mapi_shared_mailbox",)
    description = "somebody took full access to a mailbox away from one of its delegates"
    wants = r"mailbox and delegate who holds full access himself alone, as poststelle\anna"

    def __init__(self) -> None:
        super().__init__()
        self._taken: list[int] = []
        self._unmapped: set[tuple[int, int]] = set()

    def on(self, world: World, target: str) -> None:
        owner, delegate = self._both(world, target)
        rights = world.organisation.full_access
        pair = owner.number, delegate.number
        held = list(rights)
        self._taken = [place for place, one in enumerate(held) if one == pair]
        self._unmapped = rights.unmapped & {pair}
        self.claim(world, target, [("full access", *pair)])
        for _ in self._taken:
            rights.revoke(*pair)
        if not self._taken or People(world).may("full_access", delegate, owner):
            self.off(world, target)
            raise self.bad(target)

    def off(self, world: World, target: str) -> None:
        owner, delegate = self._both(world, target)
        rights = world.organisation.full_access
        if (owner.number, delegate.number) not in rights:  # nobody gave it back meanwhile
            for place in self._taken:  # where it was, as the cmdlets list them
                rights.owners.insert(place, owner.number)
                rights.trustees.insert(place, delegate.number)
                rights.version += 1
            rights.unmapped |= self._unmapped
        self.release(world)

    def _both(self, world: World, target: str) -> tuple[Mailbox, Mailbox]:
        owner, _, delegate = target.partition("\\")
        return mailbox_named(self, world, owner), mailbox_named(self, world, delegate)


class RouteStale(MailboxFault):
    id = "mailbox-route-stale"
    shows = ("mapi_shared_mailbox",)
    description = (
        "after a move Autodiscover and the front ends still know the server where the mailbox was: "
        "that one answers ecWrongServer"
    )

    def on(self, world: World, target: str) -> None:
        mailbox, state = self.mailbox(world, target), world.organisation
        home = state.databases[mailbox.database].server
        version = state.server(home).version
        elsewhere = [one.name for one in state.servers if one.version != version]
        if not elsewhere:
            raise self.bad(target)
        self.claim(world, target, [("route", mailbox.number)])
        world.discovery.stale[mailbox.number] = elsewhere[0]
        for server in state.servers:
            if server.name != home:
                world.conditions(server.name).web.misrouted[mailbox.number] = elsewhere[0]

    def off(self, world: World, target: str) -> None:
        mailbox = mailbox_named(self, world, target)
        del world.discovery.stale[mailbox.number]
        for server in world.organisation.servers:
            world.conditions(server.name).web.misrouted.pop(mailbox.number, None)
        self.release(world)


class InTransit(MailboxFault):
    id = "mailbox-in-transit"
    shows = ("mapi_shared_mailbox",)
    description = "the mailbox is locked as in the last step of a move, and the step does not end"

    def on(self, world: World, target: str) -> None:
        mailbox = self.mailbox(world, target)
        self.claim(world, target, [("transit", mailbox.number)])
        world.organisation.locked_in_transit.add(mailbox.number)

    def off(self, world: World, target: str) -> None:
        number = mailbox_named(self, world, target).number
        world.organisation.locked_in_transit.discard(number)
        self.release(world)


class MailboxDisabled(MailboxGone):
    id = "mailbox-disabled"
    family = "mapi"
    shows = ("mapi_shared_mailbox",)
    description = "somebody disabled the mailbox: its database keeps it as disconnected"


class WrongIdentity(MailboxFault):
    id = "autodiscover-wrong-identity"
    shows = ("mapi_connect",)
    description = "Autodiscover tells a mailbox's owner the legacyExchangeDN of somebody else"

    def on(self, world: World, target: str) -> None:
        mailbox = self.mailbox(world, target)
        other = next(
            (one for one in world.organisation.present(Kind.USER) if one is not mailbox), None
        )
        if other is None:
            raise self.bad(target)
        self.claim(world, target, [("identity", mailbox.number)])
        world.discovery.mistaken[mailbox.number] = other.number

    def off(self, world: World, target: str) -> None:
        del world.discovery.mistaken[mailbox_named(self, world, target).number]
        self.release(world)


class AccountFault(Claiming):
    """Something about the account of somebody with a mailbox."""

    family = "mapi"
    shows: ClassVar[tuple[str, ...]] = ("mapi_connect",)
    wants = "an account, or a mailbox by alias, address or GUID"

    def name(self, world: World, target: str) -> str:
        """Its name as the domain spells it. Raises `BadTarget`."""
        found = world.accounts.find(target)
        return mailbox_named(self, world, target).account if found is None else found.name


class AccountLocked(AccountFault):
    id = "account-locked"
    description = "an account showed too many wrong passwords and is locked"

    def on(self, world: World, target: str) -> None:
        name = self.name(world, target)
        self.claim(world, target, [("lock", name)])
        world.accounts.lock(name)

    def off(self, world: World, target: str) -> None:
        world.accounts.unlock(self.name(world, target))
        self.release(world)


class PasswordChanged(AccountFault):
    id = "password-changed"
    description = "the password of an account is another one than everybody believes"

    def __init__(self) -> None:
        super().__init__()
        self._before = Secret("")

    def on(self, world: World, target: str) -> None:
        account = world.accounts.find(self.name(world, target))
        if account is None:
            raise self.bad(target)
        self.claim(world, target, [("password", account.name)])
        self._before = account.password
        changed = Secret(f"{account.password.reveal()}-changed")
        world.accounts.add(replace(account, password=changed))

    def off(self, world: World, target: str) -> None:
        account = world.accounts.find(self.name(world, target))
        assert account is not None
        world.accounts.add(replace(account, password=self._before))
        world.accounts.unlock(account.name)  # nobody is punished for what the fault did
        self.release(world)
