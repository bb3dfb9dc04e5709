from uuid import UUID

import pytest

from mailmig.run.export_rows import KEEP, cut, guid_of, is_about, row, said
from mailmig.wire.clixml import Obj, Value
from mailmig.wire.collection import EXPORTS

SIZE = Obj(("X.Size",), "2 GB (2,147,483,648 bytes)", {"IsUnlimited": False})
KIND = Obj(("X.Kind", "System.Enum"), "UserMailbox", value=1)
ID = Obj(("X.Id",), "town/anna", {"DistinguishedName": "CN=anna,DC=town", "Inner": SIZE})


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (SIZE, SIZE.text),
        (KIND, "UserMailbox"),
        (Obj(("X",)), ""),
        (Obj(("System.Int32",), value=5), 5),
        (None, None),
        (0, 0),
        (Obj(("L",), value=[ID, "b"]), Obj(("L",), value=["town/anna", "b"])),
    ],
)
def test_at_depth_1_nested_objects_become_their_text(value: Value, left: Value) -> None:
    assert row(Obj(("T",), adapted={"A": value}), ("A",), 1)["A"] == left


def test_at_depth_2_only_what_lies_inside_them_does() -> None:
    kept = cut(ID, 1)
    assert isinstance(kept, Obj)
    assert kept["DistinguishedName"] == "CN=anna,DC=town"
    assert kept["Inner"] == SIZE.text


def test_the_owner_stands_in_front_and_a_lacking_property_is_null() -> None:
    made = row(Obj(("Deserialized.Selected.T", "B"), adapted={"User": "x"}), ("user", "No"), 1, "g")
    assert list(made.extended.items()) == [("OwnerGuid", "g"), ("user", "x"), ("No", None)]
    assert made.types[0] == "Selected.T"


def test_each_file_with_a_condition_in_the_table_has_one_here() -> None:
    assert set(KEEP) == {export.name for export in EXPORTS if export.keep}


@pytest.mark.parametrize(
    ("members", "kept"),
    [
        ({"User": "TOWN\\bert"}, True),
        ({"User": "TOWN\\bert", "IsInherited": Obj(("X",), "True")}, False),
        ({"User": "TOWN\\bert", "Deny": True}, False),
        ({"User": Obj(("X",), "nt-autorität\\selbst")}, False),
    ],
)
def test_inherited_denied_and_own_rights_are_dropped(members: dict[str, Value], kept: bool) -> None:
    rights = Obj(("L",), value=[Obj(("X",), "Send-As")])
    item = Obj(("T",), adapted={"IsInherited": False, "Deny": False, **members})
    assert KEEP["full_access"](item) is kept
    assert not KEEP["send_as"](item)
    item.adapted["ExtendedRights"] = rights
    assert KEEP["send_as"](item) is kept


def test_another_object_than_the_one_asked_for_is_noticed() -> None:
    item = Obj(("T",), adapted={"Identity": ID, "DatabaseName": "DB1"})
    assert is_about(item, names=frozenset({"cn=anna,dc=town"}))
    assert is_about(item, names=frozenset({"town/anna"}))
    assert not is_about(item, names=frozenset({"town/bert"}))
    assert is_about(item, "db1") and not is_about(item, "DB2")
    assert is_about(Obj(("T",)), "DB2")


def test_texts_are_those_of_powershell() -> None:
    assert said(None) == "" and said(True) == "True" and said(KIND) == "UserMailbox"
    assert said(Obj(("L",), value=["a", KIND])) == "a UserMailbox"
    assert guid_of(UUID(int=0)) == guid_of("x") == guid_of(None) == ""
    assert guid_of(str(UUID(int=7)).upper()) == str(UUID(int=7))
