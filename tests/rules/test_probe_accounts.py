"""Names, pairs and cmdlets of probe accounts."""

import re

from hypothesis import given
from hypothesis import strategies as st

from mailmig.model.database import Database
from mailmig.model.organisation import Server
from mailmig.rules.probe_accounts import DatabaseProbes, grant, openings, probe_tables, probes

OLD = Server("EX16", build=(15, 1, 2507, 6))
NEW = Server("EX1", build=(15, 2, 2562, 17))
NAMES = st.lists(
    st.text(min_size=1, max_size=64), unique_by=lambda name: name.lower(), max_size=12
)  # fmt: skip


def town(*names: str, server: str = "EX1") -> list[Database]:
    return [Database(name, server=server) for name in names]


def made(*databases: Database) -> tuple[DatabaseProbes, ...]:
    return probes(databases, (OLD, NEW), "town.example", "ad.town.example")


def accounts(pairs: tuple[DatabaseProbes, ...]) -> list[str]:
    return [one.account for pair in pairs for one in (pair.delegate, pair.shared)]


def test_a_plain_name_is_kept() -> None:
    (pair,) = made(*town("SE-DB01"))
    assert accounts((pair,)) == ["probe-se-db01", "probe-se-db01-s"]
    assert pair.version == "SE"
    assert pair.delegate.address == "probe-se-db01@town.example"
    assert pair.delegate.logon_name == "probe-se-db01@ad.town.example"


def test_other_names_get_a_digest_of_their_own() -> None:
    found = accounts(made(*town("Bürger", "Burger", "DB 1", "DB-1", "DB1", "X-s", "X", "Ä" * 64)))
    assert len(set(found)) == 16
    assert any(re.fullmatch(r"probe-b-rge-[0-9a-f]{6}", one) for one in found)
    assert "probe-x-s" in found and found.count("probe-x-s") == 1


@given(NAMES)
def test_accounts_are_short_plain_and_different(names: list[str]) -> None:
    found = accounts(made(*town(*names)))
    assert len(set(found)) == 2 * len(names)
    for one in found:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", one) and len(one) <= 20


@given(NAMES)
def test_a_name_does_not_depend_on_the_others(names: list[str]) -> None:
    together = {pair.database: pair for pair in made(*town(*names))}
    assert all(made(*town(name)) == (together[name],) for name in names)


@given(st.integers(0, 7), st.integers(0, 7))
def test_each_delegate_opens_its_own_and_one_of_each_other_version(old: int, new: int) -> None:
    pairs = made(
        *town(*(f"A{one}" for one in range(old)), server="ex16"),
        *town(*(f"B{one}" for one in range(new))),
    )
    versions = {pair.shared: pair.version for pair in pairs}
    own = {pair.delegate: pair for pair in pairs}
    found = list(openings(pairs))
    assert [delegate for delegate, _ in found] == sorted(
        own, key=lambda one: (own[one].version, one.database)
    )  # fmt: skip
    for delegate, opened in found:
        assert opened[0] == own[delegate].shared
        assert len({versions[one] for one in opened}) == len(opened) == bool(old) + bool(new)
    across = {one for _, opened in found for one in opened[1:]}
    assert len(across) == (min(old, new) * 2 if old and new else 0)


def test_cmdlets_carry_no_password_and_hide_what_they_make() -> None:
    (pair,) = made(*town("SE-DB01"))
    for one in (pair.delegate, pair.shared):
        assert one.creation.get("Password") is None
        assert one.finish.get("HiddenFromAddressListsEnabled") is True
    assert pair.shared.creation.get("Shared") is True
    assert pair.delegate.creation.get("Shared") is None
    assert str(grant("d@ad.town.example", "s@town.example")) == (
        "Add-MailboxPermission -Identity 's@town.example' -User 'd@ad.town.example' "
        "-AccessRights 'FullAccess' -InheritanceType 'All' -AutoMapping:$true"
    )


def test_the_settings_name_each_delegate_three_times() -> None:
    tables = probe_tables(made(*town("DB1")), lambda account: f"x/{account}")
    assert {name: rows[0] for name, rows in tables.items()} == {
        "probe.accounts": ("probe-db1@town.example", "probe-db1@ad.town.example"),
        "probe.passwords": ("probe-db1@town.example", {"file": "x/probe-db1"}),
        "probe.shared": ("probe-db1@town.example", ["probe-db1-s@town.example"]),
    }
