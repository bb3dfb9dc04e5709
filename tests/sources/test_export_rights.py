"""Rights: whose names become people, groups, orphans or somebody unknown, and what is dropped."""

from typing import Any

import pytest

from mailmig.model.directory import Edge, Right, TrusteeKind

SEND_AS = {"AccessRights": None, "ExtendedRights": ["Send-As"]}


def edges(poured: Any) -> list[Edge]:
    return list(poured.parts["edges"])


def counted(poured: Any) -> dict[str, int]:
    found: dict[str, int] = poured.kinds["import"][0]["rights"]
    return found


@pytest.mark.parametrize(
    "name",
    [
        "TOWN\\u2",
        "town\\U2",
        "u2@town.example",
        "user2@town.example",
        "town.example/Staff/user 2",
        "CN=user 2,OU=Staff,DC=town,DC=example",
        "/o=Town/cn=user2",
        "user2",
        "User 2",
    ],
)
def test_a_person_is_found_by_any_of_his_names(name: str, export: Any) -> None:
    export.write("full_access", [export.right(1, name)])
    assert edges(export.pour()) == [
        Edge(
            export.guid(1), Right.FULL_ACCESS, name, TrusteeKind.MAILBOX, export.guid(2)
        )
    ]  # fmt: skip


def test_a_name_with_an_escaped_slash_is_a_path_and_no_account(export: Any) -> None:
    name = "town.example/Parks \\/ Cemeteries/user 2"
    export.write("mailboxes", [export.mailbox(1, GrantSendOnBehalfTo=[name]),
                               export.mailbox(2, Identity=name)])  # fmt: skip
    (edge,) = edges(export.pour())
    assert (edge.right, edge.delegate) == (Right.SEND_ON_BEHALF, export.guid(2))


def test_send_as_and_send_on_behalf_are_rights_of_their_own(export: Any) -> None:
    export.write("mailboxes", [
        export.mailbox(1, GrantSendOnBehalfTo=["town.example/Staff/user 2"]), export.mailbox(2),
    ]).write("send_as", [export.right(1, "TOWN\\u2", **SEND_AS)])  # fmt: skip
    assert [edge.right for edge in edges(export.pour())] == [Right.SEND_AS, Right.SEND_ON_BEHALF]


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({"IsInherited": True}, {"inherited": 1}),
        ({"Deny": "True"}, {"denied": 1}),
        ({"AccessRights": ["ReadPermission"]}, {"other rights": 1}),
        ({"User": "NT AUTHORITY\\SELF"}, {"of the owner himself": 1}),
        ({"User": "NT-AUTORITÄT\\SELBST"}, {"of the owner himself": 1}),
        ({"User": "TOWN\\u1"}, {"of the owner himself": 1}),
        ({"OwnerGuid": "00000000-0000-4000-8000-000000000099"},
         {"owner not in the inventory": 1}),
    ],
)  # fmt: skip
def test_what_is_no_right_of_somebody_else_is_dropped_and_counted(
    fields: dict[str, object], counts: dict[str, int], export: Any
) -> None:
    export.write("full_access", [export.right(1, "TOWN\\u2") | fields])
    poured = export.pour()
    assert edges(poured) == []
    assert counted(poured) == counts


def test_the_manifest_names_self_in_any_language(export: Any) -> None:
    export.write("full_access", [export.right(1, "AUTORIDAD X\\YO"), export.right(1, "TOWN\\u2")])
    export.manifest(self="AUTORIDAD X\\YO")
    assert [edge.trustee for edge in edges(export.pour())] == ["TOWN\\u2"]


def test_several_rights_in_one_row_are_looked_through(export: Any) -> None:
    export.write("full_access", [
        export.right(1, "TOWN\\u2", AccessRights=["ReadPermission", "FullAccess"]),
        export.right(2, "TOWN\\u1", AccessRights="{FullAccess, ReadPermission}"),
    ])  # fmt: skip
    assert len(edges(export.pour())) == 2


def test_a_sid_is_an_orphan_and_an_account_without_mailbox_somebody_else(export: Any) -> None:
    export.write("full_access", [
        export.right(1, "S-1-5-21-1004336348-1177238915-682003330-512"),
        export.right(1, "TOWN\\nobody"),
    ])  # fmt: skip
    poured = export.pour()
    assert [(edge.trustee_kind, edge.delegate) for edge in edges(poured)] == [
        (TrusteeKind.ORPHAN, ""),
        (TrusteeKind.OTHER, ""),
    ]
    assert counted(poured) == {"kept": 2, "orphaned": 1, "no mailbox behind the name": 1}


def test_two_people_with_one_account_name_are_told_apart_by_the_domain(export: Any) -> None:
    south = {"SamAccountName": "u2", "DistinguishedName": "CN=x,DC=south,DC=example"}
    export.write("mailboxes", [export.mailbox(1), export.mailbox(2), export.mailbox(3, **south)])
    export.write("full_access", [
        export.right(1, "TOWN\\u2"), export.right(1, "SOUTH\\u2"), export.right(1, "LEGACY\\u2"),
    ])  # fmt: skip
    poured = export.pour()
    assert [(edge.trustee, edge.trustee_kind, edge.delegate) for edge in edges(poured)] == [
        ("TOWN\\u2", TrusteeKind.MAILBOX, export.guid(2)),
        ("SOUTH\\u2", TrusteeKind.MAILBOX, export.guid(3)),
        ("LEGACY\\u2", TrusteeKind.OTHER, ""),
    ]
    assert "1 rights are held by a name that several mailboxes or groups have" in poured.costs


def test_an_account_of_another_forest_belongs_to_its_linked_mailbox_only(export: Any) -> None:
    export.write("mailboxes", [
        export.mailbox(1), export.mailbox(2),
        export.mailbox(3, LinkedMasterAccount="FOREST\\u2", SamAccountName="x3"),
    ]).write("full_access", [
        export.right(1, "FOREST\\u2"), export.right(1, "FOREST\\u1"), export.right(1, "TOWN\\u2"),
    ])  # fmt: skip
    assert [edge.delegate for edge in edges(export.pour())] == [export.guid(3), "", export.guid(2)]


def group(number: int, name: str, members: list[str], **fields: object) -> dict[str, object]:
    return {
        "Guid": f"00000000-0000-4000-9000-{number:012x}", "Name": name, "SamAccountName": name,
        "Identity": f"town.example/Groups/{name}",
        "DistinguishedName": f"CN={name},OU=Groups,DC=town,DC=example", "Members": members,
    } | fields  # fmt: skip


def test_nested_groups_and_groups_that_hold_each_other_are_resolved_to_people(export: Any) -> None:
    export.write("groups", [
        group(1, "all", ["town.example/Groups/north", "CN=user 1,OU=Staff,DC=town,DC=example"]),
        group(2, "north", ["town.example/Groups/all", "town.example/Staff/user 2",
                           "town.example/Staff/a contact"]),
        group(3, "unused", ["town.example/Staff/user 1"]),
    ]).write("full_access", [export.right(1, "TOWN\\all"), export.right(2, "TOWN\\all")])  # fmt: skip
    poured = export.pour()
    all_guid = "00000000-0000-4000-9000-000000000001"
    assert {(edge.trustee_kind, edge.delegate) for edge in edges(poured)} == {
        (TrusteeKind.GROUP, all_guid)
    }
    (kept,) = poured.parts["groups"]
    assert (kept.guid, kept.name) == (all_guid, "all")
    assert sorted(kept.members) == [export.guid(1), export.guid(2)]


def test_a_group_without_guid_is_left_out_and_named(export: Any) -> None:
    export.write("groups", [group(1, "all", [], Guid=None)])
    assert (
        "groups.xml: Guid cannot be used once (object 1: it has none, so this group is left out)"
        in (export.pour().costs)
    )


def test_equal_rights_come_once(export: Any) -> None:
    export.write("full_access", [export.right(1, "TOWN\\u2"), export.right(1, "TOWN\\u2")])
    assert len(edges(export.pour())) == 1


def test_whole_objects_name_the_owner_by_his_path(export: Any) -> None:
    row = export.right(1, "TOWN\\u2") | {"Identity": "town.example/Staff/user 1"}
    del row["OwnerGuid"]
    export.write("full_access", [row])
    (edge,) = edges(export.pour())
    assert edge.owner == export.guid(1)


def test_a_list_that_the_export_lost_is_told(export: Any) -> None:
    lost = export.right(1, "TOWN\\u2", AccessRights="System.Object[]")
    export.write("full_access", [lost])
    poured = export.pour()
    assert edges(poured) == []
    assert any(what.startswith("full_access.xml: AccessRights cannot be used once (object 1: ")
               for what in poured.costs)  # fmt: skip
