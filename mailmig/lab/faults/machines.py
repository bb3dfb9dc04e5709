"""What faults of machines and names share: finding a machine, changing things, giving them back."""

from abc import abstractmethod
from collections.abc import Hashable, Iterable, Mapping

from mailmig.lab.faults.switchboard import Fault
from mailmig.lab.hypervisors import Guest
from mailmig.lab.machines import Machine
from mailmig.lab.world import World
from mailmig.model.errors import MailmigError


class AlreadyChanged(MailmigError):
    """Another fault has changed the same thing: switch that one off first."""

    def __init__(self, fault: str, target: str, other: str) -> None:
        super().__init__(
            f'fault {fault} cannot be switched for "{target}" while {other} is on for the same '
            "thing: switch that one off first"
        )
        self.fault = fault
        self.other = other


def machine_named(fault: Fault, world: World, target: str) -> Machine:
    """The machine with this full or short name. Raises `BadTarget`."""
    found = world.surroundings.machines.of(target)
    if found is None:
        raise fault.bad(target)
    return found


def guest_named(fault: Fault, world: World, target: str) -> Guest:
    """The virtual machine with this name. Raises `BadTarget`."""
    machine = machine_named(fault, world, target)
    host = world.surroundings.machines.host_of(machine.name)
    found = host.guest(machine.name) if host is not None else None
    if found is None:
        raise fault.bad(target)
    return found


class Claiming(Fault):
    """A fault that changes things which no other fault may change meanwhile."""

    def __init__(self) -> None:
        self._claimed: tuple[Hashable, ...] = ()

    def claim(self, world: World, target: str, things: Iterable[Hashable]) -> None:
        """From now on these are ours. Raises `AlreadyChanged`; then nothing is, of earlier too."""
        claims, wanted = world.surroundings.claims, tuple(things)
        for thing in wanted:
            if thing in claims:
                other = claims[thing]
                self.release(world)
                raise AlreadyChanged(self.id, target, other)
        claims.update(dict.fromkeys(wanted, self.id))
        self._claimed += wanted

    def release(self, world: World) -> None:
        """Others may change them again."""
        for thing in self._claimed:
            del world.surroundings.claims[thing]
        self._claimed = ()


class Worse(Claiming):
    """Something has other attributes while the fault is on."""

    def __init__(self) -> None:
        super().__init__()
        self._changed: object = None
        self._before: Mapping[str, object] = {}

    @abstractmethod
    def what(self, world: World, target: str) -> object:
        """What is changed. Raises `BadTarget`."""

    @abstractmethod
    def worse(self, world: World, target: str) -> Mapping[str, object]:
        """Its attributes while the fault is on. Raises `BadTarget`."""

    def on(self, world: World, target: str) -> None:
        changed, worse = self.what(world, target), self.worse(world, target)
        self.claim(world, target, [(id(changed), name) for name in worse])
        self._changed, self._before = changed, {name: getattr(changed, name) for name in worse}
        for name, value in worse.items():
            setattr(changed, name, value)

    def off(self, world: World, target: str) -> None:
        for name, value in self._before.items():
            setattr(self._changed, name, value)
        self.release(world)


class MachineFault(Worse):
    """A machine is not as it should be."""

    wants = "a machine, as ls-ex1"

    def what(self, world: World, target: str) -> Machine:
        return machine_named(self, world, target)


class GuestFault(Worse):
    """A virtual machine is not as it should be."""

    family = "hyperv"
    wants = "a machine that is virtual, as ls-ex1"

    def what(self, world: World, target: str) -> Guest:
        return guest_named(self, world, target)
