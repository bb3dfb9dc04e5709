"""Values to rows and back: one pair of functions per table, in the order of its columns.

The way in makes plain tuples, because half a million rows pass here in one import; the way
out takes the rows as SQLAlchemy gives them, quotas already turned into values.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mailmig.model.database import Dag, Database, DatabaseCopy
from mailmig.model.directory import (
    Archive,
    Edge,
    Group,
    Kind,
    Mailbox,
    Right,
    TrusteeKind,
    Usage,
    UsageState,
)
from mailmig.model.organisation import Server
from mailmig.model.quota import Quotas
from mailmig.model.snapshot import Gap
from mailmig.store.schema import quota_to_column as column

Row = tuple[Any, ...]

_KINDS: Final = {kind.value: kind for kind in Kind}
_STATES: Final = {state.value: state for state in UsageState}
_RIGHTS: Final = {right.value: right for right in Right}
_TRUSTEES: Final = {kind.value: kind for kind in TrusteeKind}
_NO_ARCHIVE: Final = (None,) * 10


def from_server(server: Server) -> Row:
    name = (server.name, server.fqdn, server.site)
    return (*name, *server.build, server.edition, server.dag)


def to_server(row: Sequence[Any]) -> Server:
    name, fqdn, site, major, minor, build, revision, edition, dag = row
    return Server(name, fqdn, site, (major, minor, build, revision), edition, dag)


def from_dag(dag: Dag) -> Row:
    return dag.name, _names(dag.servers), dag.witness, dag.activation_mode


def to_dag(row: Sequence[Any]) -> Dag:
    name, servers, witness, mode = row
    return Dag(name, tuple(json.loads(servers)), witness, mode)


def from_database(database: Database) -> Row:
    return (
        database.name,
        database.guid,
        database.server,
        _names(database.servers),
        database.dag,
        *_limits(database.quotas),
        column(database.recoverable),
        database.size_bytes,
        database.white_space_bytes,
        database.circular_logging,
    )


def to_database(row: Sequence[Any]) -> Database:
    name, guid, server, servers, dag, warn, send, receive, *rest = row
    holders = tuple(json.loads(servers))
    return Database(name, guid, server, holders, dag, Quotas(warn, send, receive), *rest)


def from_copy(copy: DatabaseCopy) -> Row:
    return (
        copy.database,
        copy.server,
        copy.status,
        copy.activation_preference,
        copy.copy_queue_logs,
        copy.replay_queue_logs,
        copy.disk_free_bytes,
    )


def to_copy(row: Sequence[Any]) -> DatabaseCopy:
    return DatabaseCopy(*row)


def from_mailbox(mailbox: Mailbox) -> Row:
    return (
        mailbox.exchange_guid,
        mailbox.kind.value,
        mailbox.kind_text,
        mailbox.guid,
        mailbox.address,
        mailbox.display_name,
        mailbox.alias,
        mailbox.account,
        mailbox.user_principal_name,
        mailbox.canonical_name,
        mailbox.distinguished_name,
        mailbox.legacy_dn,
        mailbox.department,
        mailbox.organisational_unit,
        mailbox.database,
        mailbox.server,
        mailbox.site,
        mailbox.version,
        mailbox.use_database_quotas,
        *_limits(mailbox.own),
        column(mailbox.recoverable),
        *_usage(mailbox.usage),
        *_archive(mailbox.archive),
        mailbox.on_hold,
        mailbox.hidden,
        mailbox.root_public_folder,
    )


def to_mailbox(row: Sequence[Any]) -> Mailbox:
    guid, kind, *texts = row[:18]
    use_defaults, warn, send, receive, recoverable = row[18:23]
    quotas = [use_defaults, Quotas(warn, send, receive), recoverable]
    holds = [_to_usage(row[23:29]), _to_archive(row[29:39])]
    values: list[Any] = [guid, _KINDS[kind], *texts, *quotas, *holds, *row[39:]]
    return Mailbox(*values)


def from_edge(edge: Edge) -> Row:
    trustee = edge.trustee, edge.trustee_kind.value
    return edge.owner, edge.right.value, *trustee, edge.delegate


def to_edge(row: Sequence[Any]) -> Edge:
    owner, right, trustee, kind, delegate = row
    return Edge(owner, _RIGHTS[right], trustee, _TRUSTEES[kind], delegate)


def from_group(group: Group) -> Row:
    return group.guid, group.name, _names(group.members)


def to_group(row: Sequence[Any]) -> Group:
    guid, name, members = row
    return Group(guid, name, tuple(json.loads(members)))


def from_gap(gap: Gap) -> Row:
    return gap.what, gap.cost


def to_gap(row: Sequence[Any]) -> Gap:
    return Gap(*row)


def from_fact(kind: str) -> Callable[[Mapping[str, object]], Row]:
    def row(fact: Mapping[str, object]) -> Row:
        return kind, json.dumps(fact, ensure_ascii=False)

    return row


def _names(names: Sequence[str]) -> str:
    return json.dumps(names, ensure_ascii=False)


def _limits(quotas: Quotas) -> Row:
    return column(quotas.warn), column(quotas.send), column(quotas.receive)


def _usage(usage: Usage) -> Row:
    return (
        usage.state.value,
        usage.size_bytes,
        usage.items,
        usage.deleted_bytes,
        usage.deleted_items,
        usage.approximate,
    )


def _to_usage(row: Sequence[Any]) -> Usage:
    state, *numbers = row
    return Usage(_STATES[state], *numbers)


def _archive(archive: Archive | None) -> Row:
    if archive is None:
        return _NO_ARCHIVE
    limits = column(archive.warn), column(archive.quota)
    return archive.guid, archive.database, *limits, *_usage(archive.usage)


def _to_archive(row: Sequence[Any]) -> Archive | None:
    guid, database, warn, quota, *usage = row
    return None if guid is None else Archive(guid, database, warn, quota, _to_usage(usage))
