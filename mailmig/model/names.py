"""What name servers say: answers, who agrees with whom, and the key that may change a name.

Names are lower-case text without the dot at the end. TTLs are seconds, as `int`; a TTL of
0 means "do not keep it", which is neither unknown nor unlimited. An answer belongs to one
server and one moment: two servers that hold the same zone may differ until a change has
reached both, and in zones that Active Directory keeps each server counts serials for itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from mailmig.model.finding import Question
from mailmig.model.secret import Secret

AddressMap = Mapping[tuple[str, int], tuple[str, int]]
"""(name, standard port) -> (address, port): where to connect instead. Empty in production."""

DNS_PORT = 53


@dataclass(frozen=True, slots=True)
class NameRecord:
    """One record of an answer. `value` is text as in a zone file: an address, "10 mx.x.example."."""

    name: str
    type: str
    ttl_s: int
    value: str


@dataclass(frozen=True, slots=True)
class NameAnswer:
    """What one server said about one name and one type.

    `records` stand in the order in which they came: aliases first, then the set itself.
    `rcode` is "NOERROR", or "NXDOMAIN" where the name does not exist. `serial` is the
    zone's at the same server right after this answer; None where the server does not
    hold the zone. `server` is the name we asked for, `address` and `port` where it answered.
    """

    name: str
    type: str
    server: str
    address: str
    port: int
    rcode: str
    authoritative: bool
    seen_at: datetime
    records: tuple[NameRecord, ...] = ()
    serial: int | None = None
    zone: str = ""
    origin: str = "dns"
    vantage: str = ""

    @property
    def found(self) -> tuple[NameRecord, ...]:
        """The records of the asked type, without the aliases that led to them."""
        return tuple(record for record in self.records if record.type == self.type)

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(record.value for record in self.found)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses in the order in which they came; empty for other types."""
        return self.values if self.type in ("A", "AAAA") else ()

    @property
    def canonical(self) -> str:
        """The name that holds the records: another than `name` where there are aliases."""
        found = self.found
        return found[0].name if found else self.name

    @property
    def ttl_s(self) -> int | None:
        """How long a cache may keep the set from now on; None where there is no set."""
        return max((record.ttl_s for record in self.found), default=None)


@dataclass(frozen=True, slots=True)
class Silence:
    """A server that gave no usable answer, and why."""

    server: str
    reason: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """The same question at several servers: their answers, and who gave none."""

    name: str
    type: str
    answers: tuple[NameAnswer, ...]
    silent: tuple[Silence, ...] = ()

    @property
    def agree(self) -> bool:
        """Every server answered, and all with the same set; the order in it does not count."""
        sets = {frozenset(answer.values) for answer in self.answers}
        return not self.silent and len(sets) == 1

    def lacking(self, expected: Iterable[str]) -> tuple[str, ...]:
        """The servers that do not show exactly the expected values, or gave no answer."""
        wanted = frozenset(expected)
        other = [a.server for a in self.answers if frozenset(a.values) != wanted]
        return (*other, *(silence.server for silence in self.silent))


@dataclass(frozen=True, slots=True)
class NameChange:
    """What came of adding or removing one address.

    `sent` is False where nothing had to be done. `expected` is the set that was to be
    reached; `after` is what every server asked said afterwards. Servers that get the
    change by replication show it later: ask again until `lacking` is empty.
    """

    before: NameAnswer
    sent: bool
    expected: frozenset[str]
    after: Agreement

    @property
    def lacking(self) -> tuple[str, ...]:
        return self.after.lacking(self.expected)


@dataclass(frozen=True, slots=True)
class UpdateKey:
    """A TSIG key; `secret` is base64, as in the server's configuration."""

    name: str
    secret: Secret
    algorithm: str = "hmac-sha256"


@dataclass(frozen=True, slots=True)
class DomainController:
    """A domain controller as published in DNS; clients take the lowest `priority` first."""

    name: str
    port: int
    priority: int
    weight: int
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class ResolveName(Question[NameAnswer]):
    """What a name server says about a name; also that there is none (`rcode`, no records)."""

    answer: ClassVar = NameAnswer
    protocol: ClassVar = "dns"

    name: str
    kind: str
    server: str

    @property
    def target(self) -> str:
        return self.server
