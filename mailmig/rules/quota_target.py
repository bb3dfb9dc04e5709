"""Where people move to, and what quota each of those databases promises at least."""

from dataclasses import dataclass

from mailmig.model.errors import MailmigError
from mailmig.model.quota import UNKNOWN, Limit, Quota, Quotas
from mailmig.model.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Target:
    """The databases that people move to, and the limits that each of them promises at least.

    `quotas` are those of the database with the smallest headline quota; `differing` names
    every database with its headline when they are not all the same, else it is empty.
    """

    dags: tuple[str, ...]
    databases: tuple[str, ...]
    quotas: Quotas
    differing: tuple[tuple[str, Quota], ...] = ()


class NoTarget(MailmigError):
    """No database of a DAG: import a snapshot taken after the DAG was built, or compare two."""

    def __init__(self, snapshot: str) -> None:
        super().__init__(
            f"snapshot {snapshot} has no database that belongs to a DAG, so nobody knows the "
            "defaults of the target: import one taken after the DAG was built, or compare two "
            "snapshots with --before and --after"
        )
        self.snapshot = snapshot


def find_target(snapshot: Snapshot) -> Target:
    """The databases that belong to a DAG, and the least that they promise."""
    databases = sorted((d for d in snapshot.databases if d.dag), key=lambda d: d.name.casefold())
    if not databases:
        raise NoTarget(snapshot.info.id)
    quotas = [database.quotas.in_whole_kib() for database in databases]
    names = tuple(database.name for database in databases)
    differing = tuple((n, q.headline) for n, q in zip(names, quotas, strict=True))
    return Target(
        tuple(sorted({database.dag for database in databases})),
        names,
        min(quotas, key=_promise),
        differing if len(set(quotas)) > 1 else (),
    )


def _promise(quotas: Quotas) -> tuple[tuple[int, int], ...]:
    """Sorts the smallest promise first: unknown, then by bytes, then unlimited."""
    return tuple(map(_rank, (quotas.headline, quotas.send, quotas.receive, quotas.warn)))


def _rank(quota: Quota) -> tuple[int, int]:
    if isinstance(quota, Limit):
        return (0, 0) if quota is UNKNOWN else (2, 0)
    return (1, quota)
