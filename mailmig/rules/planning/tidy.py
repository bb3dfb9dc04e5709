"""Putting the data in order before it is planned: every share counts once, or is listed.

Dropped, and listed in notes: shares of a mailbox with itself, shares with an end that is no
mailbox of the data, the same right given twice. Service accounts are listed; their weights
are set where shares are made from an inventory.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from mailmig.model.migration import Note, PlanData, Share
from mailmig.rules.planning.problem import rows_of
from mailmig.rules.planning.settings import PlanSettings
from mailmig.rules.planning.wording import count_text, listed

# A mailbox with so many delegates, as a part of all mailboxes, is everybody's.
CROWD = 0.5


def configured(data: PlanData, settings: PlanSettings) -> PlanData:
    """The data with what the settings say about directions and logs.

    A log factor that stands beside the databases is about them and stays.
    """
    target = data.target
    if target.log_factor == 1.0:
        target = replace(target, log_factor=settings.log_factor)
    return replace(
        data,
        new_delegate=settings.new_delegate,
        new_owner=settings.new_owner,
        department_share=settings.department_share,
        target=target,
    )


def tidy(data: PlanData, settings: PlanSettings) -> PlanData:
    """The data with shares and pins that name mailboxes as the mailboxes name themselves.

    Raises `SameIdentity` when two mailboxes differ in nothing but case.
    """
    rows = rows_of(data)
    names = {key: data.mailboxes[row].identity for key, row in rows.items()}
    kept: dict[tuple[str, str, str], Share] = {}
    unknown: Counter[str] = Counter()
    selves = twice = 0
    for share in data.shares:
        owner, delegate = names.get(share.owner.casefold()), names.get(share.delegate.casefold())
        if owner is None or delegate is None:
            unknown.update(
                name
                for name, known in ((share.owner, owner), (share.delegate, delegate))
                if known is None
            )
            continue
        if owner == delegate:
            selves += 1
            continue
        key = owner, delegate, share.right
        other = kept.get(key)
        twice += other is not None
        if other is None or share.weight > other.weight:
            kept[key] = _named(share, owner, delegate)
    shares = tuple(kept.values())
    notes = (
        *_share_notes(unknown, selves, twice),
        *_service_notes(data, shares, settings),
        *_crowd_notes(data, shares, settings),
    )
    pins = tuple(
        replace(pin, identity=names.get(pin.identity.casefold(), pin.identity)) for pin in data.pins
    )
    fresh = tuple(note for note in notes if note not in data.notes)
    return replace(data, shares=shares, pins=pins, notes=(*data.notes, *fresh))


def service_accounts(
    pairs: Iterable[tuple[str, str]], mailboxes: int, settings: PlanSettings
) -> dict[str, int]:
    """Delegates with rights on so many mailboxes that they can be no person, with that number.

    `pairs` are (owner, delegate), each pair once.
    """
    numbers = Counter(delegate for _, delegate in pairs)
    return {
        delegate: number
        for delegate, number in numbers.most_common()
        if number > settings.service_most
        or (number >= settings.service_least and number > settings.service_share * mailboxes)
    }


def service_note(accounts: dict[str, int], weights: str = "low weight") -> Note:
    named = [f"{name} ({count_text(number, 'right')})" for name, number in accounts.items()]
    return listed(f"service accounts: rights on very many mailboxes, {weights}", named)


def _crowd_notes(
    data: PlanData, shares: tuple[Share, ...], settings: PlanSettings
) -> Iterator[Note]:
    """Mailboxes that nearly everybody uses: whenever they move, somebody is cut."""
    pairs = {(share.owner, share.delegate) for share in shares}
    numbers = Counter(owner for owner, _ in pairs)
    least = max(settings.service_least, CROWD * len(data.mailboxes))
    named = [
        f"{owner} ({count_text(number, 'delegate')})"
        for owner, number in numbers.most_common()
        if number > least
    ]
    if named:
        yield listed("used by more than half of all: whenever they move, somebody is cut", named)


def _named(share: Share, owner: str, delegate: str) -> Share:
    if share.owner == owner and share.delegate == delegate:
        return share
    return replace(share, owner=owner, delegate=delegate)


def _share_notes(unknown: Counter[str], selves: int, twice: int) -> Iterator[Note]:
    if unknown:
        named = [f"{name} ({count_text(number, 'share')})" for name, number in unknown.items()]
        yield listed("shares dropped, because one end is no mailbox of the data", named)
    if selves:
        yield Note(f"{count_text(selves, 'share')} of a mailbox with itself dropped")
    if twice:
        yield Note(f"{count_text(twice, 'right')} given twice, counted once")


def _service_notes(
    data: PlanData, shares: tuple[Share, ...], settings: PlanSettings
) -> Iterator[Note]:
    pairs = {(share.owner, share.delegate) for share in shares}
    accounts = service_accounts(pairs, len(data.mailboxes), settings)
    if accounts:
        most = max(share.weight for share in shares if share.delegate in accounts)
        low = most <= settings.service_weight
        yield service_note(accounts, "low weight" if low else "with the weights that were given")
