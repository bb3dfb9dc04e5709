"""The lab's objects beside real ones, and its fast rows beside its own objects."""

from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

import pytest

from mailmig.lab import afterwards, founding, shapes, story
from mailmig.lab.cultures import ENGLISH, GERMAN, Culture
from mailmig.lab.export import write_export
from mailmig.lab.front_ends import FrontEnds
from mailmig.lab.objects import Live
from mailmig.lab.organisation import Organisation
from mailmig.lab.places import Places
from mailmig.lab.recipients import Recipients
from mailmig.lab.rows import TYPES, Bulk, RowFile, columns
from mailmig.lab.shapes import Session, whole_object
from mailmig.lab.stores import Stores
from mailmig.lab.values import select
from mailmig.wire import clixml
from mailmig.wire.clixml import Obj
from mailmig.wire.collection import BY_NAME, EXPORTS, Export

# The real file, and what is different on purpose.
REAL = {
    "servers": ("GetExchangeServer", set[str]()),
    "mailbox_servers": ("GetMailboxServer", set[str]()),
    # a limit instead of unlimited
    "organization": ("GetOrganizationConfig", {"DefaultPublicFolderProhibitPostQuota"}),
    "accepted_domains": ("GetAcceptedDomain", set[str]()),
    # a name for HELO and no certificate of its own, the other way round there
    "send_connectors": ("GetSendConnector", {"Fqdn", "TlsCertificateName"}),
    "receive_connectors": ("GetReceiveConnector", set[str]()),
    # published to the outside, not so there
    "owa": ("GetOwaVirtualDirectory", {"ExternalUrl"}),
    "ews": ("GetWebServicesVirtualDirectory", {"ExternalUrl"}),
}
SESSION = Session("ex.example", "00000000-0000-4000-8000-000000000000")
BULK = [export for export in EXPORTS if export.cmdlet in TYPES]


@pytest.fixture(scope="module")
def town() -> Organisation:
    """A small town after its migration: it has every sort of row."""
    told = story.read("town")
    found = founding.found(told, 150, 3)
    afterwards.migrate(found, told)
    return found


@pytest.fixture(scope="module")
def whole_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    told = story.read("town")
    folder = tmp_path_factory.mktemp("whole") / "export"
    write_export(founding.found(told, 40), told, folder, whole=True)
    return folder


def shape(value: object) -> object:
    """Kinds, type names and property names of a value, at every depth; no contents."""
    if not isinstance(value, Obj):
        return type(value).__name__
    inner: object = type(value.value).__name__
    if isinstance(value.value, list):
        inner = ["list", *{str(shape(item)) for item in value.value[:1]}]
    return (
        value.types,
        value.text is not None,
        [(name, shape(one)) for name, one in value.adapted.items()],
        [(name, shape(one)) for name, one in value.extended.items()],
        inner,
    )


def first(file: Path) -> Obj:
    found = next(clixml.read(file))
    assert isinstance(found, Obj)
    return found


@pytest.mark.parametrize("name", sorted(REAL))
def test_whole_objects_have_the_shape_of_real_ones(
    name: str, data_folder: Path, whole_folder: Path
) -> None:
    file, different = REAL[name]
    real, ours = first(data_folder / "clixml" / f"{file}.xml"), first(whole_folder / f"{name}.xml")
    assert ours.types == real.types
    assert list(ours.adapted) == list(real.adapted), "the same properties in the same order"
    assert list(ours.extended) == list(real.extended)
    unlike = {
        name for name, value in real.adapted.items()
        if comparable(shape(value)) != comparable(shape(ours.adapted[name]))
    }  # fmt: skip
    assert unlike == different


def comparable(found: object) -> object:
    """A list compares by its type names alone when one of the two is empty."""
    if isinstance(found, tuple) and isinstance(found[4], list):
        return (*found[:4], "list")
    return found


@pytest.mark.parametrize("name", sorted(REAL))
def test_what_lies_in_lists_has_the_shape_of_the_real_ones_too(
    name: str, data_folder: Path, whole_folder: Path
) -> None:
    real = first(data_folder / "clixml" / f"{REAL[name][0]}.xml")
    ours = first(whole_folder / f"{name}.xml")
    for member, value in real.adapted.items():
        own = ours.adapted[member]
        if isinstance(value, Obj) and isinstance(own, Obj) and own.value and value.value:
            assert shape(own) == shape(value), member


@pytest.mark.parametrize("name", sorted(REAL))
def test_the_text_of_a_file_begins_and_indents_as_in_real_ones(
    name: str, data_folder: Path, whole_folder: Path
) -> None:
    real = (data_folder / "clixml" / f"{REAL[name][0]}.xml").read_bytes().splitlines()
    ours = (whole_folder / f"{name}.xml").read_bytes().splitlines()
    assert ours[:4] == real[:4]
    assert ours[-1] == real[-1] == b"</Objs>"
    assert b'      <B N="IsValid">true</B>' in ours and b'      <B N="IsValid">true</B>' in real


@pytest.mark.parametrize("culture", [ENGLISH, GERMAN], ids=lambda culture: culture.name)
@pytest.mark.parametrize("export", BULK, ids=lambda export: export.name)
def test_the_fast_rows_are_what_select_object_leaves_of_whole_objects(
    export: Export, culture: Culture, town: Organisation
) -> None:
    fast, slow = BytesIO(), BytesIO()
    places = Places(town.domain, town.name)
    bulk = Bulk(town, places, culture)
    RowFile(fast, TYPES[export.cmdlet], columns(export)).write(bulk.rows(export))
    recipients = Recipients(Stores(town, places, culture), bulk)
    clixml.write(slow, selected(recipients, export, culture))
    assert fast.getvalue() == slow.getvalue()
    again = list(clixml.read(BytesIO(fast.getvalue())))
    assert again == list(selected(recipients, export, culture))


def selected(recipients: Recipients, export: Export, culture: Culture) -> Iterator[Obj]:
    for text, live in recipients.live(export):
        whole = whole_object(export.cmdlet, culture, SESSION, text, live)
        if export.keep and (whole["IsInherited"] or whole["Deny"]):
            continue
        user = whole.get("User")
        if export.keep and isinstance(user, Obj) and user.text == culture.myself:
            continue
        yield select(whole, columns(export), export.depth)


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.name)
def test_every_property_that_the_script_selects_is_one_that_the_object_has(export: Export) -> None:
    if export.name != "client_access_2013":
        known = {name for name, _ in shapes.shape(export.cmdlet).properties}
        assert set(export.properties) <= known


def test_every_given_property_is_given(town: Organisation) -> None:
    places = Places(town.domain, town.name)
    stores = Stores(town, places, ENGLISH)
    recipients = Recipients(stores, Bulk(town, places, ENGLISH))
    sources: dict[str, Callable[[], Iterator[tuple[str, Live]]]] = {
        **stores.files(),
        **FrontEnds(town, places, ENGLISH).files(),
        **{export.name: partial(recipients.live, export) for export in BULK},
    }
    for name, source in sources.items():
        given = shapes.shape(BY_NAME[name].cmdlet).given()
        for _, live in source():
            assert set(live) - {shapes.OWNER} == given, name


def test_a_mailbox_as_a_whole_has_as_much_as_a_real_one(whole_folder: Path) -> None:
    mailbox = first(whole_folder / "mailboxes.xml")
    assert len(mailbox.adapted) > 200
    count = sum(1 for _ in clixml.read(whole_folder / "mailboxes.xml"))
    each = (whole_folder / "mailboxes.xml").stat().st_size / count
    assert 80_000 < each < 140_000


def test_whole_rights_hold_the_rows_that_the_script_drops(whole_folder: Path) -> None:
    rows = [row for row in clixml.read(whole_folder / "full_access.xml") if isinstance(row, Obj)]
    assert any(row["IsInherited"] for row in rows) and any(row["Deny"] for row in rows)
    users = {str(user.text) for row in rows if isinstance(user := row["User"], Obj)}
    assert r"NT AUTHORITY\SELF" in users
    assert all("OwnerGuid" in row.extended for row in rows)
