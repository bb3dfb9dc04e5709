"""Servers, DAGs, databases and copies from the rows of an export, or of a live answer.

Which server belongs to which DAG stands in two files; both are read. Recovery databases are
counted and left out: what they hold are copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from mailmig.model.database import Dag, Database, DatabaseCopy
from mailmig.model.organisation import Server
from mailmig.sources import export_rows as values
from mailmig.sources.export_rows import Cells

Rows = Callable[[str], Iterable[Cells]]
"""The rows of a file, by its name in `mailmig.wire.collection`."""


@dataclass(frozen=True, slots=True)
class Machines:
    """What holds the mailboxes. `mailbox_servers` are facts, `recovery` is a number."""

    servers: tuple[Server, ...]
    dags: tuple[Dag, ...]
    databases: tuple[Database, ...]
    copies: tuple[DatabaseCopy, ...]
    mailbox_servers: tuple[dict[str, object], ...]
    recovery: int


def machines(rows: Rows) -> Machines:
    """Read the files that tell of machines, each once."""
    dags = tuple(values.dag(cells) for cells in rows("dags"))
    members = {server.casefold(): dag.name for dag in dags for server in dag.servers}
    facts = []
    for cells in rows("mailbox_servers"):
        facts.append(values.fact(cells))
        dag = cells.name("DatabaseAvailabilityGroup")
        if dag:
            members[cells.text("Name").casefold()] = dag
    bare = [values.server(cells, "") for cells in rows("servers")]
    servers = tuple(replace(s, dag=members.get(s.name.casefold(), "")) for s in bare)
    names = {server.name.casefold(): server.name for server in servers}
    known = [dag.name for dag in dags]
    databases, recovery = [], 0
    for cells in rows("databases"):
        if cells.flag("Recovery"):
            recovery += 1
        else:
            databases.append(values.database(cells, known, names))
    copies = tuple(values.copy(cells, names) for cells in rows("copies"))
    return Machines(servers, dags, tuple(databases), copies, tuple(facts), recovery)
