"""No single value can stop an import: it is read, or it is missing and named."""

import json
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailmig.model.quota import UNKNOWN
from mailmig.sources import exports
from mailmig.sources.export_rows import Cells, Faults, plain
from mailmig.store.engine import Store
from mailmig.wire import clixml
from mailmig.wire.clixml import Obj
from mailmig.wire.collection import EXPORTS, Each, Export

ODD = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.integers(2**63, 2**64 - 1).map(clixml.UInt64),
        st.floats(),
        st.text(max_size=10),
        st.uuids(),
        st.just(datetime(2026, 11, 21, tzinfo=UTC)),
        st.just(timedelta(1)),
        st.just(Decimal("1.5")),
        st.just(b"x"),
        st.sampled_from(
            ["Unlimited", "2 GB (2,147,483,648 bytes)", "9 EB (18,446,744,073,709,551,615 bytes)",
             "System.Object[]", "{a, b...}", "True", "-1", "_xD83D_", "\ud83d", "5"]
        ),
    ),
    lambda inner: st.one_of(
        st.builds(Obj, st.just(("T",)), st.none() | st.text(max_size=5), value=inner),
        st.builds(Obj, st.just(("T",)), st.none() | st.text(max_size=5),
                  st.dictionaries(st.sampled_from(["Name", "Value", "IsUnlimited", "Major"]), inner)),
        st.lists(inner, max_size=3).map(lambda items: Obj(("L",), value=items)),
    ),
    max_leaves=4,
)  # fmt: skip


def row(export: Export) -> st.SearchStrategy[dict[str, Any]]:
    names = export.properties
    if export.each in (Each.MAILBOX, Each.ARCHIVE):
        names = ("OwnerGuid", *names)
    fixed = {"ExchangeGuid": st.integers(0, 5).map(lambda n: UUID(int=n))}
    return st.fixed_dictionaries({}, optional={name: fixed.get(name, ODD) for name in names})


@settings(max_examples=40, deadline=None)
@given(st.fixed_dictionaries({e.name: st.lists(row(e), max_size=2) for e in EXPORTS}))
def test_whatever_the_values_are_they_are_imported_and_stored(
    files: dict[str, list[dict[str, Any]]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "export"
        folder.mkdir()
        good = Obj(("Selected.X",), extended={"ExchangeGuid": UUID(int=9)})
        for file, rows in files.items():
            objects = [Obj(("Selected.X",), extended=row) for row in rows]
            if file == "mailboxes":
                objects.append(good)
            with (folder / f"{file}.xml").open("wb") as stream:
                clixml.write(stream, objects)
        with Store.open(Path(name) / "state") as store:
            info = store.snapshots.add(exports.read(folder)).info
            snapshot = store.snapshots.load(info.id)
        assert UUID(int=9) in {UUID(mailbox.exchange_guid) for mailbox in snapshot.mailboxes}


def test_odd_names_of_files_and_machines_are_stored_too(export: Any) -> None:
    half = "\ud83d"
    export.manifest(
        computer=half, culture=half, files={"users": {"state": "failed", "error": half}}
    )
    (export.folder / "odd\udcff.txt").write_text("x")
    with Store.open(export.folder.parent / "state") as store:
        info = store.snapshots.add(exports.read(export.folder)).info
    assert info.origin.endswith("(from \N{REPLACEMENT CHARACTER})")
    assert "users failed after 0 objects (\N{REPLACEMENT CHARACTER})" in {g.what for g in info.gaps}


@given(ODD)
def test_any_value_can_be_a_plain_fact(value: Any) -> None:
    json.dumps(plain(value), ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize("name", ["quota", "size", "number_of", "flag", "build", "guid"])
def test_what_cannot_be_read_is_noted_with_its_place(name: str) -> None:
    faults = Faults()
    cells = Cells("users.xml", faults)
    cells.number, cells.row = 7, {"X": "?"}
    missing = {"quota": UNKNOWN, "guid": "", "build": (0, 0, 0, 0)}.get(name)
    assert getattr(cells, name)("X") == missing
    (gap,) = faults.gaps()
    assert gap.what.startswith('users.xml: X cannot be used once (object 7: "?" is not ')
    assert gap.cost == "what cannot be used counts as missing"


def test_more_bytes_than_a_database_can_count_are_no_size() -> None:
    cells = Cells("users.xml", Faults())
    cells.row = {"X": "16 EB (18,446,744,073,709,551,615 bytes)", "Y": 2**64 - 1}
    assert cells.quota("X") is UNKNOWN
    assert cells.size("X") is None
    assert cells.number_of("Y") is None
