"""What recipients' `Get-` cmdlets have in common: -Filter, -SortBy, -Anr, -OrganizationalUnit.

Every property of the object may be filtered by and sorted by: which ones a real server leaves out
is not established here. An identity with `*` means all whose name, alias or display name fits.
Words of errors are from memory [MEM].
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from mailmig.lab.cmdlets import errors
from mailmig.lab.cmdlets.errors import Failed
from mailmig.lab.cmdlets.opath import BadFilter, ValueOf, is_like, parse
from mailmig.lab.cmdlets.simulated import Ask, Given, Row
from mailmig.lab.population import Mailbox
from mailmig.lab.shapes import Make, shape
from mailmig.wire.clixml import Obj, Value

SHARED: Final = ("Filter", "SortBy", "Anr", "OrganizationalUnit")


@dataclass(frozen=True, slots=True)
class Unit:
    """An organisational unit, with all below it."""

    path: tuple[str, ...]

    def holds(self, path: tuple[str, ...]) -> bool:
        return path[: len(self.path)] == self.path


def units(ask: Ask) -> Unit | None:
    """The unit that -OrganizationalUnit names by name, canonical or distinguished name."""
    wanted = ask.bound.get("OrganizationalUnit")
    if wanted in (None, ""):
        return None
    low, places = str(wanted).lower().rstrip("/"), ask.view.places
    if low in (places.domain.lower(), places.base.lower()):
        return Unit(())
    known = {mailbox.path for mailbox in ask.organisation.mailboxes}
    known |= {group.path for group in ask.organisation.principals if group.is_group}
    paths = {path[:length] for path in known for length in range(1, len(path) + 1)}
    found = [
        path
        for path in paths
        if low in (path[-1].lower(), *(text.lower() for text in places.unit(path)))
    ]
    if not found:
        raise ask.not_found(str(wanted))
    if len(found) > 1:
        raise errors.not_unique(ask.server.name, ask.bound.cmdlet, str(wanted))
    return Unit(found[0])


def fits_name(ask: Ask, names: Iterable[str]) -> bool:
    """Whether -Anr means somebody of these names: it begins one of them, or a word in one."""
    wanted = str(ask.bound.get("Anr") or "").lower()
    if not wanted:
        return True
    return any(
        low.startswith(wanted) or any(word.startswith(wanted) for word in low.split())
        for low in (name.lower() for name in names)
    )


def names_of(mailbox: Mailbox) -> tuple[str, ...]:
    """By which names -Anr finds a mailbox."""
    return (
        mailbox.name, mailbox.display_name, mailbox.alias, mailbox.account, mailbox.address,
    )  # fmt: skip


def is_pattern(identity: str) -> bool:
    return "*" in identity


def fits_pattern(identity: str, names: Iterable[str]) -> bool:
    return any(is_like(name, identity) for name in names)


def in_order(ask: Ask, rows: Iterable[Given]) -> Iterator[Given]:
    """The rows that -Filter leaves, by -SortBy; errors and warnings come as they came."""
    text = ask.bound.get("Filter")
    wanted = None
    if text not in (None, ""):
        try:
            wanted = parse(str(text))
        except BadFilter as bad:
            raise _bad_filter(ask, str(text), f"Invalid filter syntax: {bad.why}", bad.at) from None
        names = _names(ask.bound.cmdlet)
        for name in wanted.names:
            if name.lower() not in names:
                why = f'"{name}" is not a recognized filterable property'
                raise _bad_filter(ask, str(text), why, str(text).find(name) + 1)
    left = (
        row for row in rows
        if wanted is None or not isinstance(row, Row) or wanted.fits(_values(ask, row))
    )  # fmt: skip
    sort = str(ask.bound.get("SortBy") or ask.bound.get("Sortby") or "")
    if not sort:
        yield from left
        return
    if sort.lower() not in _names(ask.bound.cmdlet):
        raise ask.failed(
            f"The property '{sort}' can't be used to sort.",
            "Microsoft.Exchange.Configuration.Tasks.ThrowTerminatingErrorException",
            "InvalidArgument",
        )  # fmt: skip
    held = list(left)
    yield from (one for one in held if not isinstance(one, Row))
    rows_only = [one for one in held if isinstance(one, Row)]
    yield from sorted(rows_only, key=lambda row: _sort_key(_values(ask, row)(sort)))


@lru_cache(maxsize=32)
def _names(shape_name: str) -> dict[str, str]:
    """The properties of a shape by their names in lower case."""
    return {name.lower(): name for name, _ in shape(shape_name).properties}


@lru_cache(maxsize=32)
def _makers(shape_name: str) -> dict[str, Make | None]:
    return dict(shape(shape_name).properties)


def _values(ask: Ask, row: Row) -> ValueOf:
    _, live = row.make()

    def value(name: str) -> Value:
        known = _names(row.shape)[name.lower()]
        make = _makers(row.shape)[known]
        return live[known] if make is None else make(ask.view.culture)

    return value


def _sort_key(value: Value) -> tuple[bool, str]:
    text = value.text if isinstance(value, Obj) else value
    return text in (None, ""), str(text).casefold()


def _bad_filter(ask: Ask, text: str, why: str, at: int) -> Failed:
    return errors.refused(
        ask.bound.cmdlet,
        "Cannot bind parameter 'Filter' to the target. Exception setting \"Filter\": "
        f'"{why}. For a description of the filter parameter syntax see the command help. '
        f'"{text}" at position {at}."',
        "ParameterBindingFailed",
    )
