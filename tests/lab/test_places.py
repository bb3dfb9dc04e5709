"""Spellings of places in the directory that MAPI and other tools carry."""

from hypothesis import given
from hypothesis import strategies as st

from mailmig.lab.people import plain
from mailmig.lab.places import Places

GUID = "5a83bee1-ec37-47c8-a3bd-8c05464a57bc"
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(NAMES, NAMES, st.uuids())
def test_a_legacy_dn_is_ascii_and_leads_back_to_its_guid(
    town: str, name: str, guid: object
) -> None:
    found = Places("ad.town.example", town).legacy(str(guid), name)
    assert found.isascii()
    assert found.rpartition("/cn=")[2].partition("-")[0] == str(guid).replace("-", "")


def test_umlauts_of_a_legacy_dn_are_spelled_out_and_a_slash_is_no_new_part() -> None:
    places = Places("ad.town.example", "Stadt Köln")
    assert places.legacy(GUID, "Jörg Łukasiewicz").endswith(
        "/cn=5a83bee1ec3747c8a3bd8c05464a57bc-Joerg Lukasiewi"
    )
    assert places.legacy(GUID, "Grünflächen / Friedhöfe").endswith("-Gruenflaechen _")
    assert places.legacy_server("LS-EX1").startswith("/o=Stadt Koeln/ou=Exchange Admin")


def test_a_text_that_is_ascii_stays_as_it_is() -> None:
    assert plain("O'Neill, Zoë ") == "O'Neill, Zoe "
    assert plain("Müller-Groß") == "Mueller-Gross"
    assert plain("Ωμέγα") == ""
