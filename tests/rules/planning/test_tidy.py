"""Every share counts once, under the names of the mailboxes; the rest is listed."""

from dataclasses import replace

from mailmig.model.migration import Pin, Share
from mailmig.rules.planning.settings import PlanSettings
from mailmig.rules.planning.tidy import configured, tidy
from tests.rules.planning.made import small

SETTINGS = PlanSettings()
M0, M1, M2 = (f"m{n}@corp.example" for n in range(3))


def test_shares_and_pins_are_known_by_the_names_of_the_mailboxes() -> None:
    shares = (Share(M0.upper(), M1, "SendAs", 3.0),)
    made = tidy(replace(small(), shares=shares, pins=(Pin(M2.title(), window="w1"),)), SETTINGS)
    assert made.shares == (Share(M0, M1, "SendAs", 3.0),)
    assert made.pins[0].identity == M2
    assert made.notes == ()


def test_doubled_and_idle_shares_are_dropped_with_a_note() -> None:
    shares = (
        Share(M0, M1, "SendAs", 1.0),
        Share(M0, M1.upper(), "SendAs", 3.0),
        Share(M0, M1, "FullAccess", 5.0),
        Share(M0, M0, "FullAccess", 5.0),
        Share(M0, "ghost", "FullAccess", 5.0),
        Share("ghost", M0, "FullAccess", 5.0),
    )
    made = tidy(replace(small(), shares=shares), SETTINGS)
    assert [(s.right, s.weight) for s in made.shares] == [("SendAs", 3.0), ("FullAccess", 5.0)]
    assert [(note.text, note.items) for note in made.notes] == [
        ("shares dropped, because one end is no mailbox of the data", ("ghost (2 shares)",)),
        ("1 share of a mailbox with itself dropped", ()),
        ("1 right given twice, counted once", ()),
    ]


def test_service_accounts_of_given_data_are_listed_and_keep_their_weights() -> None:
    data = small([1] * 60)
    shares = tuple(
        Share(f"m{n}@corp.example", "m59@corp.example", "FullAccess", 5.0) for n in range(30)
    )
    made = tidy(replace(data, shares=shares), SETTINGS)
    assert {share.weight for share in made.shares} == {5.0}
    assert made.notes[0].items == ("m59@corp.example (30 rights)",)
    assert made.notes[0].text.endswith("with the weights that were given")


def test_a_mailbox_that_everybody_uses_is_listed() -> None:
    names = [m.identity for m in small([1] * 60).mailboxes]
    shares = tuple(Share(names[0], name, "FullAccess", 5.0) for name in names[1:])
    made = tidy(replace(small([1] * 60), shares=shares), SETTINGS)
    assert [(note.text.split(":")[0], note.items) for note in made.notes] == [
        ("used by more than half of all", (f"{names[0]} (59 delegates)",))
    ]
    few = tidy(replace(small([1] * 60), shares=shares[:30]), SETTINGS)
    assert few.notes == ()


def test_putting_in_order_twice_changes_nothing_more() -> None:
    shares = (Share(M0, M0, "SendAs", 1.0), Share(M0, M1, "SendAs", 1.0))
    once = tidy(replace(small(), shares=shares), SETTINGS)
    assert tidy(once, SETTINGS) == once


def test_a_log_factor_beside_the_databases_is_stronger_than_the_settings() -> None:
    data = small()
    assert configured(data, PlanSettings(log_factor=1.3)).target.log_factor == 1.3
    own = replace(data, target=replace(data.target, log_factor=1.1))
    assert configured(own, PlanSettings()).target.log_factor == 1.1
    assert configured(own, PlanSettings(log_factor=1.3)).target.log_factor == 1.1
