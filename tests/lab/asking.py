"""Asks the lab's cmdlets directly, without a protocol in between."""

from mailmig.lab import founding, story
from mailmig.lab.accounts import Account
from mailmig.lab.cmdlets.engine import FREE, Costs, ExchangeCmdlets
from mailmig.lab.exchange.calls import Call, ErrorRecord, Item, Output, Warning
from mailmig.lab.population import Mailbox
from mailmig.lab.world import World
from mailmig.model.secret import Secret
from mailmig.wire import clixml
from mailmig.wire.clixml import Obj

ADMIN = "Organization Management"


def account(*roles: str, name: str = "anna") -> Account:
    return Account(name, "town.example", Secret("x"), frozenset(roles or (ADMIN,)))


def town(mailboxes: int = 40) -> World:
    return World(founding.found(story.read("town"), mailboxes))


class Shell:
    """A session of one account on one server of a world of its own."""

    def __init__(
        self, world: World, server: str = "LS-EX16", *roles: str, costs: Costs = FREE
    ) -> None:
        self.world = world
        self.engine = ExchangeCmdlets(world, server, costs=costs)
        self.account = account(*roles)

    def outputs(self, *calls: Call) -> list[Output]:
        return list(self.engine.invoke(self.account, calls))

    def ask(self, name: str, **parameters: object) -> list[Output]:
        return self.outputs(Call(name, tuple(parameters.items())))

    def objects(self, name: str, **parameters: object) -> list[Obj]:
        """The objects of a call that has nothing to complain of."""
        found = self.ask(name, **parameters)
        assert all(isinstance(one, Item) for one in found), said(found)
        return read(found)

    def error(self, name: str, **parameters: object) -> ErrorRecord:
        """The only thing that a call gives."""
        (found,) = self.ask(name, **parameters)
        assert isinstance(found, ErrorRecord), found
        return found

    def someone(self, place: int = 0) -> Mailbox:
        return list(self.world.organisation.present())[place]


def read(outputs: list[Output]) -> list[Obj]:
    found = [clixml.loads(one.xml)[0] for one in outputs if isinstance(one, Item)]
    assert all(isinstance(one, Obj) for one in found)
    return [one for one in found if isinstance(one, Obj)]


def said(outputs: list[Output]) -> list[str]:
    """Errors and warnings as texts."""
    return [
        one.message if isinstance(one, ErrorRecord) else one.text
        for one in outputs
        if isinstance(one, ErrorRecord | Warning)
    ]


def text(obj: Obj, name: str) -> str:
    """A property as PowerShell would print it."""
    value = obj.get(name)
    return str(value.text if isinstance(value, Obj) else value)
