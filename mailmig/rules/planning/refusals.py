"""Why something cannot be planned: one class per thing an admin would do about it."""

from collections.abc import Iterable, Sequence

from mailmig.model.errors import MailmigError
from mailmig.model.migration import Pin
from mailmig.rules.planning.wording import mailboxes_text, size_text

# So many windows that are not used are named.
DROPPED = 5


class Infeasible(MailmigError):
    """No plan: the sentence names the resource that binds and how much of it is missing."""


class ShortOf(Infeasible):
    """Sums do not fit: add windows, servers or room, or move less.

    `who` cannot be taken by `taker`, because of `limit`. `needed` and `available` are bytes,
    or mailboxes where `counted` is set. `dropped` are (window, reason): what is not counted.
    """

    def __init__(
        self,
        who: str,
        taker: str,
        limit: str,
        needed: int,
        available: int,
        counted: bool = False,
        dropped: Sequence[tuple[str, str]] = (),
    ) -> None:
        text = mailboxes_text if counted else size_text
        gone = "; ".join(f"{window} {reason}" for window, reason in dropped[:DROPPED])
        more = f" and {len(dropped) - DROPPED} more" if len(dropped) > DROPPED else ""
        aside = f" (not counted: {gone}{more})" if gone else ""
        super().__init__(
            f"no plan is possible: {who} {'are' if counted else 'have'} {text(needed)}, but"
            f" {taker} can take only {text(available)} ({limit}):"
            f" {text(needed - available)} too many{aside}"
        )
        self.who = who
        self.taker = taker
        self.limit = limit
        self.needed = needed
        self.available = available

    @property
    def missing(self) -> int:
        return self.needed - self.available


class TooLarge(Infeasible):
    """One mailbox fits nowhere: make room for it, or make it smaller."""

    def __init__(self, mailbox: str, size: int, resource: str, largest: int) -> None:
        super().__init__(
            f"no plan is possible: {mailbox} has {size_text(size)}, but {resource}"
            f" {size_text(largest)}: {size_text(size - largest)} too many"
        )
        self.mailbox = mailbox
        self.resource = resource
        self.missing = size - largest


class NoUsableWindow(Infeasible):
    """Every window is cancelled, frozen or too late: look at windows.json."""

    def __init__(self, dropped: Iterable[tuple[str, str]]) -> None:
        self.dropped = tuple(dropped)
        said = "; ".join(f"{window} {reason}" for window, reason in self.dropped)
        super().__init__(f"no plan is possible: no window is left ({said})")


class BadPin(Infeasible):
    """One pin cannot be kept: look at constraints.json."""

    def __init__(self, pin: Pin, reason: str) -> None:
        super().__init__(f"the pin of {pin.identity}, {pin.text}, cannot be kept: {reason}")
        self.pin = pin
        self.reason = reason


class PinsContradict(Infeasible):
    """Two pins of one mailbox exclude each other: decide for one of them."""

    def __init__(self, pins: Sequence[Pin]) -> None:
        self.pins = tuple(pins)
        said = " and ".join(pin.text for pin in pins)
        super().__init__(f"the pins of {pins[0].identity} contradict each other: {said}")


class SameIdentity(Infeasible):
    """Two mailboxes differ in nothing but upper and lower case: name each of them once."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(
            f"two mailboxes have the same identity: {first} and {second}"
            " (upper and lower case make no difference)"
        )
        self.first = first
        self.second = second


class NoTargetDatabase(Infeasible):
    """There is nowhere to go: look at databases.json."""

    def __init__(self) -> None:
        super().__init__("no plan is possible: databases.json names no target database")


class NoRoom(Infeasible):
    """All sums fit, and still one mailbox finds no place.

    `proven` tells whether every possibility was tried. `missing` is what lacks at the place
    that comes nearest, in bytes, or in mailboxes where `counted` is set.
    """

    def __init__(
        self,
        mailbox: str,
        size: int,
        place: str,
        limit: str,
        missing: int,
        counted: bool,
        proven: bool,
    ) -> None:
        lacks = mailboxes_text(missing) if counted else size_text(missing)
        found = "no plan exists" if proven else "no plan was found"
        super().__init__(
            f"{found}: {mailbox} ({size_text(size)}) is left over; nearest is {place},"
            f" where {limit} lacks {lacks}"
        )
        self.mailbox = mailbox
        self.place = place
        self.limit = limit
        self.missing = missing
        self.proven = proven
