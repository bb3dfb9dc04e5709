"""What faults of settings share: properties of Exchange's objects that have other values."""

from collections.abc import Mapping

from mailmig.lab.cultures import ENGLISH
from mailmig.lab.faults.machines import AlreadyChanged, Claiming
from mailmig.lab.front_ends import FrontEnds
from mailmig.lab.places import Places
from mailmig.lab.world import World


class OtherSetting(Claiming):
    """Properties have other values while the fault is on; then again what they had before.

    What somebody set to another value meanwhile stays as it is.
    """

    def __init__(self) -> None:
        super().__init__()
        self._before: list[tuple[str, str, object, object]] = []

    def change(self, world: World, target: str, key: str, values: Mapping[str, object]) -> None:
        """Set properties of the object with this GUID.

        Raises `AlreadyChanged`; then those of earlier objects are as they were.
        """
        try:
            self.claim(world, target, [(key, name) for name in values])
        except AlreadyChanged:
            self._give_back(world)
            raise
        settings = world.organisation.settings
        self._before += [
            (key, name, settings.value(key, name, _AS_FOUNDED), left)
            for name, left in values.items()
        ]
        settings.change(key, values, world.organisation.now)

    def off(self, world: World, target: str) -> None:
        self._give_back(world)
        self.release(world)

    def _give_back(self, world: World) -> None:
        settings = world.organisation.settings
        for key, name, before, left in self._before:
            if settings.value(key, name, _AS_FOUNDED) != left:
                continue
            if before is _AS_FOUNDED:
                settings.forget(key, name)
            else:
                settings.change(key, {name: before}, world.organisation.now)


_AS_FOUNDED = object()


def front_end_object(world: World, file: str, server: str) -> tuple[str, Mapping[str, object]]:
    """GUID and properties of a server's object; `file` is its name in `FrontEnds`."""
    organisation = world.organisation
    places = Places(organisation.domain, organisation.name)
    for text, live in FrontEnds(organisation, places, ENGLISH).files()[file]():
        if text.partition("\\")[0].lower() == server.lower():
            return str(live["Guid"]), live
    raise KeyError(f"{server} has no {file}")
