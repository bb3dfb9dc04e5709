"""The global address list as the address-book endpoint sees it: mailboxes that are not hidden.

Groups and contacts are not in it. Its order is that of display names, umlauts as their letters. A
minimal id is a mailbox's number and a constant: the same in every session, which no client minds.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from mailmig.lab.people import plain
from mailmig.lab.population import Mailbox
from mailmig.lab.rows import ORDINARY
from mailmig.lab.web.people import People
from mailmig.wire.mapihttp import restrictions
from mailmig.wire.mapihttp.codes import ErrorCode
from mailmig.wire.mapihttp.properties import (
    ACCOUNT,
    ADDRESS_TYPE,
    ANR,
    COMPANY,
    DEPARTMENT,
    DISPLAY_NAME,
    DISPLAY_TYPE,
    EMAIL_ADDRESS,
    ENTRY_ID,
    HOME_DATABASE,
    OBJECT_TYPE,
    OFFICE,
    SMTP_ADDRESS,
    TITLE,
    PropertyError,
    PropertyType,
    Row,
    Tags,
    Value,
)

# What a client gets that names no columns.
DEFAULT: Final[Tags] = (DISPLAY_NAME, EMAIL_ADDRESS, SMTP_ADDRESS)
# Where one stands behind the last entry (MS-OXNSPI, MID_END_OF_TABLE) [MEM].
END: Final = 2
_FIRST_MID: Final = 0x100
_MAIL_USER, _MAILBOX = 6, 0
# An entry id that holds for ever: four zeros, the provider, version 1, the type, the DN [MEM].
_PERMANENT: Final = bytes(4) + bytes.fromhex("dca740c8c042101ab4b908002b2fe182") + b"\1\0\0\0"


class Entries:
    """The entries and what they say."""

    def __init__(self, people: People) -> None:
        self._people = people
        company, legacy = people.organisation.name, people.legacy
        self._makers: dict[int, Callable[[Mailbox], Value]] = {
            DISPLAY_NAME: lambda one: one.display_name,
            EMAIL_ADDRESS: legacy,
            SMTP_ADDRESS: lambda one: one.address,
            ADDRESS_TYPE: lambda one: "EX",
            ACCOUNT: lambda one: one.alias,
            COMPANY: lambda one: company,
            TITLE: lambda one: one.title,
            DEPARTMENT: lambda one: one.department,
            OFFICE: lambda one: one.office,
            OBJECT_TYPE: lambda one: _MAIL_USER,
            DISPLAY_TYPE: lambda one: _MAILBOX,
            ENTRY_ID: lambda one: _PERMANENT + bytes(4) + legacy(one).encode() + b"\0",
            HOME_DATABASE: self._home,
        }

    @property
    def tags(self) -> Tags:
        """All properties that entries may have."""
        return tuple(self._makers)

    def listed(self) -> list[Mailbox]:
        """All entries in order."""
        return sorted(filter(_is_listed, self._people.organisation.present()), key=_order)

    def with_mid(self, mid: int) -> Mailbox | None:
        """The entry with this minimal id."""
        everybody, number = self._people.organisation.mailboxes, mid - _FIRST_MID
        if not 0 <= number < len(everybody) or not _is_listed(everybody[number]):
            return None
        return everybody[number]

    def with_name(self, name: str) -> list[Mailbox]:
        """Who may be meant; a name after "=" must be the whole one."""
        exact, text = name.startswith("="), name.removeprefix("=").strip()
        own = self._people.with_legacy(text)
        found = [own] if own is not None else list(self._people.candidates(text))
        if exact and len(found) > 1:
            found = [one for one in found if text.lower() in _names(one)]
        return [one for one in found if _is_listed(one)]

    def matching(self, restriction: restrictions.Restriction) -> Iterator[Mailbox]:
        """The entries that a filter leaves, in order."""
        return filter(self._test(restriction), self.listed())

    def row(self, mailbox: Mailbox, tags: Tags) -> Row:
        """What an entry says; an error code stands for what it lacks."""
        return tuple(
            PropertyError(ErrorCode.ecNotFound) if value is None else value
            for value in (self._value(mailbox, tag) for tag in tags)
        )

    def _value(self, mailbox: Mailbox, tag: int) -> Value | None:
        """None where there is none; a text in 8 bits loses what is not ASCII."""
        narrow = tag & 0xFFFF == PropertyType.STRING8
        make = self._makers.get(tag + 1 if narrow else tag)
        value = None if make is None else make(mailbox)
        if narrow and isinstance(value, str):
            value = value.encode("ascii", "replace").decode()
        return None if value == "" else value

    def _home(self, mailbox: Mailbox) -> str:
        server = self._people.places.legacy_server(self._people.mailbox_id(mailbox))
        return f"{server}/cn=Microsoft Private MDB"

    def _test(self, restriction: restrictions.Restriction) -> Callable[[Mailbox], bool]:
        match restriction:
            case restrictions.And(parts):
                tests = [self._test(part) for part in parts]
                return lambda one: all(test(one) for test in tests)
            case restrictions.Or(parts):
                tests = [self._test(part) for part in parts]
                return lambda one: any(test(one) for test in tests)
            case restrictions.Not(part):
                test = self._test(part)
                return lambda one: not test(one)
            case restrictions.Exists(tag):
                return lambda one: self._value(one, tag) is not None
            case restrictions.Content() | restrictions.Compare():
                if restriction.tag == ANR:
                    numbers = {one.number for one in self.with_name(str(restriction.value))}
                    return lambda one: one.number in numbers
                return partial(self._compared, restriction)
            case _:  # bits, sizes, two properties: nothing of that kind is in an entry
                return lambda one: False

    def _compared(
        self, asked: restrictions.Content | restrictions.Compare, mailbox: Mailbox
    ) -> bool:
        value, wanted = self._value(mailbox, asked.tag), asked.value
        if isinstance(value, str) and isinstance(wanted, str):
            value, wanted = value.lower(), wanted.lower()
        if isinstance(asked, restrictions.Content):
            if not isinstance(value, str) or not isinstance(wanted, str):
                return False
            return _CONTAINS.get(asked.fuzzy_low, str.__eq__)(value, wanted)
        compare = _RELATIONS.get(asked.relation)
        if compare is None or not isinstance(value, type(wanted)):
            return False
        return compare(value, wanted)


def mid(mailbox: Mailbox) -> int:
    """The minimal id of an entry."""
    return _FIRST_MID + mailbox.number


def _is_listed(mailbox: Mailbox) -> bool:
    return not mailbox.gone and not mailbox.hidden and mailbox.kind in ORDINARY


def _order(mailbox: Mailbox) -> tuple[str, int]:
    return plain(mailbox.display_name).lower(), mailbox.number


def _names(one: Mailbox) -> set[str]:
    return {name.lower() for name in (one.display_name, one.name, one.alias, one.account)}


_CONTAINS: Final[Mapping[int, Callable[[str, str], bool]]] = {
    1: lambda value, wanted: wanted in value, 2: str.startswith,
}  # fmt: skip
_RELATIONS: Final[Mapping[int, Callable[[object, object], bool]]] = {
    restrictions.Relation.EQUAL: lambda value, wanted: value == wanted,
    restrictions.Relation.NOT_EQUAL: lambda value, wanted: value != wanted,
    restrictions.Relation.LESS: lambda value, wanted: str(value) < str(wanted),
    restrictions.Relation.LESS_OR_EQUAL: lambda value, wanted: str(value) <= str(wanted),
    restrictions.Relation.GREATER: lambda value, wanted: str(value) > str(wanted),
    restrictions.Relation.GREATER_OR_EQUAL: lambda value, wanted: str(value) >= str(wanted),
}
