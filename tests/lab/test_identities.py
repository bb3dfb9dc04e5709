"""Who is meant by an identity, while others ask and people join."""

from collections.abc import Iterator
from typing import Any

import pytest

from mailmig.lab.cmdlets.identities import Register
from mailmig.lab.founding import found
from mailmig.lab.places import Places
from mailmig.lab.story import read


def test_who_asks_while_the_register_is_made_anew_doubles_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Threads of cmdlets and the loop of the web servers may both be there first."""
    town = found(read("town"), 20)
    register = Register(town, Places(town.domain, town.name))
    anna = town.mailboxes[-1]
    plain = Register._all
    among: list[int] = []

    def interrupted(self: Register) -> Iterator[Any]:
        for place, one in enumerate(plain(self)):
            if place == 3 and not among:
                among.append(place)
                assert self.mailboxes(anna.guid) == [anna]
            yield one

    monkeypatch.setattr(Register, "_all", interrupted)
    assert register.mailboxes(anna.guid) == [anna]
    assert register.mailboxes(anna.exchange_guid) == [anna]
    assert among == [3]
