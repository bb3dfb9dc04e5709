"""Searches: which objects, which of their values, in which portions.

Limits as in Active Directory's default policy: 1,000 objects to an answer or a page, 1,500
values of an attribute at a time, the rest by ranges. A page's cookie is good for one
connection and one continuation.
"""

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import sansldap
from sansldap import LDAPResultCode, PagedResultControl, SearchScope

from mailmig.lab.directory import messages
from mailmig.lab.directory.filters import compiled
from mailmig.lab.directory.forest import AnyEntry
from mailmig.lab.directory.people import Values
from mailmig.lab.directory.sids import SACL_PART
from mailmig.lab.directory.syntaxes import ON_REQUEST, SPELLINGS, folded

if TYPE_CHECKING:
    from mailmig.lab.directory.serving import DomainController

_ALL_PARTS: Final = 15
_BATCH: Final = 100
_DESCRIPTOR: Final = "ntsecuritydescriptor"


class Refused(Exception):
    """A search that is answered with an error only."""

    def __init__(
        self, code: LDAPResultCode, text: str, *, matched: str = "", referrals: Sequence[str] = ()
    ) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.matched = matched
        self.referrals = list(referrals)


@dataclass(slots=True)
class Wanted:
    """Which values of an entry are given: parsed once for a search."""

    everything: bool
    names: list[tuple[str, str]]
    parts: int | None
    largest_range: int
    types_only: bool

    @classmethod
    def of(
        cls, asked: sansldap.SearchRequest, parts: int | None, privileged: bool, largest: int
    ) -> "Wanted":
        named = [name for name in asked.attributes if name not in ("*", "+", "1.1")]
        everything = "*" in asked.attributes or not asked.attributes
        if parts is None:
            parts = _ALL_PARTS
        allowed = None if parts & SACL_PART and not privileged else parts
        names = []
        for name in named:
            base, _, option = name.partition(";")
            names.append((base.lower(), option.lower()))
        return cls(everything, names, allowed, largest, asked.types_only)

    def values(self, entry: AnyEntry) -> Iterator[tuple[str, Sequence[bytes]]]:
        """Names and values of one entry, ranged where they are many."""
        found = [(name, "") for name in entry.names() if name not in ON_REQUEST]
        names = list(dict.fromkeys([*found, *self.names])) if self.everything else self.names
        for name, option in names:
            values = self._of(entry, name)
            if not values:
                continue
            spelt = SPELLINGS.get(name, name)
            for label, some in self._ranged(spelt, values, option):
                yield label, () if self.types_only else some

    def _of(self, entry: AnyEntry, name: str) -> Values:
        if name != _DESCRIPTOR:
            return entry.get(name)
        return [] if self.parts is None else [entry.descriptor(self.parts)]

    def _ranged(
        self, name: str, values: Values, option: str
    ) -> Iterator[tuple[str, Sequence[bytes]]]:
        if not option.startswith("range="):
            if len(values) <= self.largest_range:
                yield name, values
                return
            yield name, ()
            option = "range=0-*"
        low, _, high = option.removeprefix("range=").partition("-")
        if not low.isdigit() or not (high == "*" or high.isdigit()):
            return
        first = int(low)
        if first >= len(values):
            return
        last = len(values) - 1 if high == "*" else min(int(high), len(values) - 1)
        last = min(last, first + self.largest_range - 1)
        end = "*" if last == len(values) - 1 else str(last)
        yield f"{name};range={first}-{end}", values[first : last + 1]


@dataclass(slots=True)
class Answer:
    """Entries to send in batches, then the result."""

    found: list[AnyEntry]
    wanted: Wanted
    references: list[str] = field(default_factory=list)
    code: LDAPResultCode = LDAPResultCode.SUCCESS
    controls: list[sansldap.LDAPControl] = field(default_factory=list)

    def batches(self, message_id: int) -> Iterator[bytes]:
        """The entries as messages, some at a time."""
        entries = iter(self.found)
        while some := list(itertools.islice(entries, _BATCH)):
            yield b"".join(
                messages.entry(message_id, entry.dn, self.wanted.values(entry)) for entry in some
            )
        if self.references:
            yield b"".join(messages.reference(message_id, url) for url in self.references)


class Searches:
    """The searches of one connection, with the pages that are still to come."""

    def __init__(self, controller: "DomainController") -> None:
        self._controller = controller
        self._pages: dict[bytes, tuple[list[AnyEntry], list[str]]] = {}

    def answer(self, asked: sansldap.SearchRequest, *, known: bool, privileged: bool) -> Answer:
        """What a search finds; `known` is whether somebody logged on.

        Raises:
            Refused: the answer is an error.
        """
        controls = {control.control_type: control for control in asked.controls}
        self._check_controls(asked.controls)
        wanted = self._wanted(asked, controls, privileged)
        if not asked.base_object and asked.scope == SearchScope.BASE:
            top = self._controller.root_dse()
            hit = _tested(asked, [top], self._controller)
            return Answer(list(hit), wanted)
        if not known:
            raise Refused(LDAPResultCode.OPERATIONS_ERROR, _NOT_BOUND)
        paged = controls.get(messages.PAGED)
        if isinstance(paged, PagedResultControl):
            return self._page(asked, paged, wanted, messages.DOMAIN_SCOPE in controls)
        found, references = self._hits(asked, messages.DOMAIN_SCOPE in controls)
        most = self._controller.size_limit
        if asked.size_limit:
            most = min(most, asked.size_limit)
        if len(found) > most:
            return Answer(found[:most], wanted, [], LDAPResultCode.SIZE_LIMIT_EXCEEDED)
        return Answer(found, wanted, references)

    def _wanted(
        self,
        asked: sansldap.SearchRequest,
        controls: dict[str, sansldap.LDAPControl],
        privileged: bool,
    ) -> Wanted:
        parts = None
        if messages.SD_FLAGS in controls:
            try:
                parts = messages.sd_flags(controls[messages.SD_FLAGS])
            except ValueError as error:
                raise Refused(LDAPResultCode.PROTOCOL_ERROR, _BAD_CONTROL) from error
        return Wanted.of(asked, parts, privileged, self._controller.value_range)

    def _page(
        self, asked: sansldap.SearchRequest, paged: PagedResultControl, wanted: Wanted, alone: bool
    ) -> Answer:
        if paged.cookie:
            kept = self._pages.pop(bytes(paged.cookie), None)
            if kept is None:
                raise Refused(LDAPResultCode.UNAVAILABLE_CRITICAL_EXTENSION, _BAD_COOKIE)
            found, references = kept
        else:
            found, references = self._hits(asked, alone)
        size = min(paged.size or self._controller.page_limit, self._controller.page_limit)
        page, rest = found[:size], found[size:]
        cookie = b""
        if rest:
            cookie = os.urandom(16)
            self._pages[cookie] = rest, references
        control = PagedResultControl(critical=False, size=0, cookie=cookie)
        return Answer(page, wanted, [] if rest else references, controls=[control])

    def _hits(self, asked: sansldap.SearchRequest, alone: bool) -> tuple[list[AnyEntry], list[str]]:
        """The entries that fit, and where else to look."""
        controller, forest = self._controller, self._controller.forest
        base = folded(asked.base_object)
        context = forest.context_of(base)
        if context is None:
            raise self._elsewhere(asked.base_object, base)
        forest.look()
        top = forest.find(base, controller.delay)
        if top is None:
            raise Refused(LDAPResultCode.NO_SUCH_OBJECT, _missing(context), matched=context)
        if asked.scope == SearchScope.BASE:
            return list(_tested(asked, [top], controller)), []
        below = "," + base
        one_level = asked.scope == SearchScope.ONE_LEVEL
        candidates: Iterable[AnyEntry] = (
            entry
            for entry in forest.entries(context, controller.delay)
            if entry.parent == base
            or (not one_level and (entry.parent.endswith(below) or folded(entry.dn) == base))
        )
        whole = base == folded(forest.base) and not one_level and not alone
        domain = forest.organisation.domain
        references = [
            f"ldap://ForestDnsZones.{domain}/DC=ForestDnsZones,{forest.base}",
            f"ldap://DomainDnsZones.{domain}/DC=DomainDnsZones,{forest.base}",
            f"ldap://{domain}/{forest.configuration}",
        ]
        return list(_tested(asked, candidates, controller)), references if whole else []

    def _elsewhere(self, dn: str, base: str) -> Refused:
        """A name that lies in another domain: a referral, or an error where it names none."""
        domains = [part.partition("=")[2] for part in base.split(",") if part.startswith("dc=")]
        host = ".".join(domains)
        if not host:
            return Refused(LDAPResultCode.INVALID_DN_SYNTAX, _BAD_NAME)
        return Refused(LDAPResultCode.REFERRAL, _referral(host), referrals=[f"ldap://{host}/{dn}"])

    def _check_controls(self, controls: Iterable[sansldap.LDAPControl]) -> None:
        for control in controls:
            if control.critical and control.control_type not in messages.CONTROLS:
                raise Refused(LDAPResultCode.UNAVAILABLE_CRITICAL_EXTENSION, _BAD_CONTROL)


def _tested(
    asked: sansldap.SearchRequest, entries: Iterable[AnyEntry], controller: "DomainController"
) -> Iterator[AnyEntry]:
    forest = controller.forest
    known: dict[tuple[str, str], Values] = {}

    def follow(dn: str, name: str) -> Iterable[bytes]:
        if (dn, name) not in known:
            entry = forest.find(dn, controller.delay)
            known[dn, name] = list(entry.get(name)) if entry is not None else []
        return known[dn, name]

    test = compiled(asked.filter, follow, forest.category)
    return (entry for entry in entries if test(entry))


def _missing(context: str) -> str:
    return (
        "0000208D: NameErr: DSID-0310028B, problem 2001 (NO_OBJECT), data 0, "
        f"best match of:\n\t'{context}'\n"
    )


def _referral(host: str) -> str:
    return f"0000202B: RefErr: DSID-03100835, data 0, 1 access points\n\tref 1: '{host}'\n"


_NOT_BOUND: Final = (
    "000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a successful "
    "bind must be completed on the connection., data 0, v4563"
)
_BAD_COOKIE: Final = (
    "00000057: LdapErr: DSID-0C0907D5, comment: Error processing control, data 0, v4563"
)
_BAD_CONTROL: Final = _BAD_COOKIE
_BAD_NAME: Final = (
    "0000208F: NameErr: DSID-03100231, problem 2006 (BAD_NAME), data 8350, best match of:\n\t''\n"
)
