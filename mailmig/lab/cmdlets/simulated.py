"""What a cmdlet of the lab is made of: the ask that it answers, the rows that it gives.

    def get_thing(ask: Ask) -> Iterator[Given]:
        yield Row("Get-Thing", key, stamp, lambda: (text, live))

    CMDLETS = (Simulated("Get-Thing", get_thing, ("Status",)),)

A `Row` becomes an object of a shape in `mailmig.lab.properties`; nothing is built before somebody
wants its text. A parameter that the reference knows and a cmdlet does not name here is refused
with the lab's own error: ignoring it would lie.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from mailmig.lab.cmdlets import errors
from mailmig.lab.cmdlets.binding import Bound, whole
from mailmig.lab.cmdlets.errors import Failed
from mailmig.lab.cmdlets.identities import Recipient, Register
from mailmig.lab.cultures import Culture
from mailmig.lab.databases import Database
from mailmig.lab.exchange.calls import ErrorRecord, Warning
from mailmig.lab.front_ends import FrontEnds
from mailmig.lab.mail_flow import MailFlow
from mailmig.lab.objects import Live
from mailmig.lab.organisation import Organisation, guid
from mailmig.lab.places import Places
from mailmig.lab.recipients import Recipients
from mailmig.lab.rows import Bulk
from mailmig.lab.shapes import Session
from mailmig.lab.stores import Stores
from mailmig.lab.world import World
from mailmig.model.organisation import Server

# Every cmdlet takes these: which directory server is asked makes no difference in the lab yet,
# and what PowerShell itself does with output does not concern a cmdlet.
ALWAYS: Final = frozenset(
    {"DomainController", "ReadFromDomainController", "IgnoreDefaultScope", "ResultSize",
     "Verbose", "Debug", "ErrorAction", "WarningAction", "InformationAction", "OutBuffer"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One object that a cmdlet gives.

    `key` is the identity that the next cmdlet of a pipeline takes. `stamp` tells when a text
    that was made before still holds; None: never.
    """

    shape: str
    key: str
    stamp: Hashable
    make: Callable[[], tuple[str, Live]]


Given = Row | ErrorRecord | Warning


class View:
    """The organisation's objects as one server shows them to sessions of one culture."""

    def __init__(self, organisation: Organisation, server: Server, culture: Culture) -> None:
        self.culture = culture
        self.places = Places(organisation.domain, organisation.name)
        self.bulk = Bulk(organisation, self.places, culture)
        stores = Stores(organisation, self.places, culture)
        front_ends = FrontEnds(organisation, self.places, culture)
        mail_flow = MailFlow(organisation, self.places, culture)
        self.objects = stores.files() | front_ends.files() | mail_flow.files()
        self.stores = stores
        self.recipients = Recipients(stores, self.bulk)
        self.session = Session(server.fqdn, guid(organisation.seed, "runspace"))


@dataclass(frozen=True, slots=True)
class Ask:
    """One run of a cmdlet."""

    world: World
    server: Server
    view: View
    register: Register
    bound: Bound
    caller: str

    @property
    def organisation(self) -> Organisation:
        return self.world.organisation

    @property
    def identity(self) -> str:
        """The identity as a text; empty when everything is meant."""
        return "" if self.bound.everything else str(self.bound.get("Identity"))

    def of(self, key: str) -> "Ask":
        """The same for one object that came through the pipeline."""
        values = {**self.bound.values, "Identity": key}
        return replace(self, bound=replace(self.bound, values=values))

    def failed(self, message: str, exception: str, category: str = "InvalidData") -> Failed:
        """An error of this cmdlet about the identity that it was asked for."""
        return errors.task_error(
            self.server.name, self.bound.cmdlet, message, exception, category=category,
            target=self.identity or None,
        )  # fmt: skip

    def not_found(self, identity: str = "") -> Failed:
        """There is no such object."""
        return errors.not_found(
            self.server.name, self.bound.cmdlet, identity or self.identity,
            f"ls-dc1.{self.organisation.domain}",
        )  # fmt: skip

    def the_one(self, found: list[Recipient]) -> Recipient:
        """The only one of those that were found. Raises `Failed`."""
        if not found:
            raise self.not_found()
        if len(found) > 1:
            raise errors.not_unique(self.server.name, self.bound.cmdlet, self.identity)
        return found[0]

    def database(self, parameter: str) -> Database | None:
        """The database that a parameter names by name, GUID or distinguished name."""
        wanted = self.bound.get(parameter)
        if wanted in (None, ""):
            return None
        for database in self.organisation.databases.values():
            if is_meant(str(wanted), database.name, database.guid,
                        self.view.places.configuration(self.view.stores.database_names(
                            database.name))):  # fmt: skip
                return database
        raise self.not_found(str(wanted))

    def server_named(self, parameter: str) -> Server | None:
        """The server that a parameter names, with or without its domain."""
        wanted = self.bound.get(parameter)
        if wanted in (None, ""):
            return None
        for server in self.organisation.servers:
            if is_meant(str(wanted), server.name, server.fqdn):
                return server
        raise self.not_found(str(wanted))

    def limit(self, parameter: str, value: object) -> int | None:
        """A number; None for "unlimited". Raises `Failed`."""
        if str(value).lower() == "unlimited":
            return None
        try:
            number = whole(str(value))
        except ValueError:
            number = -1
        if number < 0:
            raise errors.unconvertible(self.bound.cmdlet, parameter, value, "Unlimited")
        return number

    def reached(self, parameter: str) -> Server:
        """The server that a parameter names, else this one. Raises `Failed` when it is off.

        Words and class from memory [MEM].
        """
        server = self.server_named(parameter) or self.server
        if server.name in self.organisation.down:
            raise self.failed(
                f"Couldn't connect to server '{server.name}': the RPC server is unavailable.",
                "Microsoft.Exchange.Data.Common.LocalizedException", "ReadError",
            )  # fmt: skip
        return server


def is_meant(wanted: str, *spellings: str) -> bool:
    """Whether an identity is one of the spellings."""
    low = wanted.lower()
    return any(low == spelling.lower() for spelling in spellings)


@dataclass(frozen=True, slots=True)
class Simulated:
    """A cmdlet of the lab.

    `limited` ones stop at 1,000 objects unless `-ResultSize` says otherwise; one that `asks`
    wants to be confirmed.
    """

    name: str
    run: Callable[[Ask], Iterator[Given]]
    parameters: tuple[str, ...] = ()
    limited: bool = False
    asks: bool = False
    changes: bool = False
