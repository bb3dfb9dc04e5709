"""The Exchange configuration as objects: what every object has, and the ids of its neighbours.

The objects themselves are in `mailmig.lab.stores` (organisation, servers, DAG, databases)
and `mailmig.lab.front_ends` (domains, addresses, connectors). They give the properties that
say something about this organisation; `mailmig.lab.shapes` knows all the others that such
an object has, and their order.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

from mailmig.lab import values as v
from mailmig.lab.cultures import Culture
from mailmig.lab.organisation import Organisation, guid
from mailmig.lab.places import ADMIN_GROUP, Places, server_names
from mailmig.wire.clixml import Obj, Value

Live = Mapping[str, Value]
Subject = TypeVar("Subject")
# How each property is made; a text is another property that this one is the same as.
Makers = Mapping[str, Callable[[Subject], Value] | str]


class Made(Mapping[str, Value], Generic[Subject]):
    """Given properties of one subject, each made when somebody wants it, and then the same."""

    __slots__ = ("_made", "_makers", "_subject")

    def __init__(self, makers: Makers[Subject], subject: Subject) -> None:
        self._makers = makers
        self._subject = subject
        self._made: dict[str, Value] = {}

    def __getitem__(self, name: str) -> Value:
        if name not in self._made:
            make = self._makers[name]
            self._made[name] = self[make] if isinstance(make, str) else make(self._subject)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


class Configuration:
    """What all objects below the Exchange configuration have in common."""

    def __init__(self, organisation: Organisation, places: Places, culture: Culture) -> None:
        self.organisation = organisation
        self.places = places
        self.culture = culture

    def common(
        self,
        names: tuple[str, ...],
        schema: str,
        *classes: str,
        text: str | None = None,
        known: str = "",
    ) -> Live:
        """What each object has: names, ids, times.

        `names` lead from the object outwards, `text` is what its id prints (its name, else),
        `known` is its GUID where it does not follow from the names.
        """
        object_guid = known or guid(self.organisation.seed, *names)
        identity = v.configuration_id(self.places, names, object_guid, text)
        changed = self.organisation.now - timedelta(days=41, seconds=sum(map(ord, names[0])) * 97)
        return {
            "Identity": identity,
            "Id": identity,
            "Name": names[0],
            "Guid": UUID(object_guid),
            "DistinguishedName": self.places.configuration(names),
            "ObjectCategory": v.schema_id(self.places, schema, guid("schema", schema)),
            "ObjectClass": v.strings(("top", *classes)),
            **self.dates(changed, changed - timedelta(days=902)),
            "OrganizationId": v.organization_id(),
            "OriginatingServer": f"ls-dc1.{self.places.domain}",
        }

    @staticmethod
    def dates(changed: datetime, created: datetime) -> Live:
        """The four times of a directory object: local with offset, and the same in UTC."""
        return {
            "WhenChanged": changed,
            "WhenCreated": created,
            "WhenChangedUTC": changed.astimezone(UTC),
            "WhenCreatedUTC": created.astimezone(UTC),
        }

    @property
    def cut_over(self) -> bool:
        """Whether the target answers: then clients find it under the service names."""
        return self.organisation.answering != self.organisation.source

    def server_names(self, server: str, *inner: str) -> tuple[str, ...]:
        """The way from an object of a server (or the server itself) outwards."""
        return server_names(server, *inner)

    def server_id(self, server: str, *, with_guid: bool = False) -> Obj:
        """The id of a server; most properties carry it without its GUID."""
        names = self.server_names(server)
        known = guid(self.organisation.seed, *names) if with_guid else None
        return v.configuration_id(self.places, names, known)

    def dag_names(self) -> tuple[str, ...]:
        """The way from the DAG outwards."""
        return (
            self.organisation.dag.name, "Database Availability Groups", ADMIN_GROUP,
            "Administrative Groups",
        )  # fmt: skip

    def dag_id(self) -> Obj:
        """The id of the DAG."""
        return v.configuration_id(self.places, self.dag_names(), self.organisation.dag.guid)

    def database_id(self, database: str) -> Obj:
        """The id of a database; it prints the name."""
        known = self.organisation.databases[database].guid
        return v.configuration_id(self.places, self.database_names(database), known)

    def database_names(self, database: str) -> tuple[str, ...]:
        """The way from a database outwards."""
        return (database, "Databases", ADMIN_GROUP, "Administrative Groups")
