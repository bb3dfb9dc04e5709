"""What people are told: both languages, the plan's zone, a line for each person."""

import csv
import io
from dataclasses import replace

import pytest

from mailmig.model.migration import PlanMailbox, Share
from mailmig.reports.planning.announcing import NAMED, texts, window_of
from mailmig.rules.planning.explain_times import UnknownTime
from tests.rules.planning.made import assigned, small, window

DATA = small(
    windows=(window("w1", 1), window("w2", 3), window("w3", 5)),
    mailboxes=(
        PlanMailbox("jörg@köln", 10),
        PlanMailbox("ben@köln", 10),
        PlanMailbox("info@köln", 10, kind="shared"),
        PlanMailbox("raum@köln", 10, kind="room"),
    ),
    shares=(
        Share("info@köln", "jörg@köln", "FullAccess", 5.0),
        Share("info@köln", "jörg@köln", "SendAs", 3.0),
        Share("ben@köln", "jörg@köln", "CalendarReviewer", 1.0),
    ),
)
PLAN = replace(
    assigned(DATA, w1="jörg@köln raum@köln ben@köln", w2="info@köln"), zone="Europe/Berlin"
)


def people(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_each_person_of_the_window_has_a_line_that_says_what_is_apart() -> None:
    assert people(texts(PLAN, "W1")["people.csv"]) == [
        {
            "mailbox": "jörg@köln",
            "apart_en": "info@köln (from 12 January 2027 to 14 January 2027)",
            "apart_de": "info@köln (vom 12. Januar 2027 bis zum 14. Januar 2027)",
            "still_en": "info@köln (from 12 January 2027 to 14 January 2027)",
            "still_de": "info@köln (vom 12. Januar 2027 bis zum 14. Januar 2027)",
        },
        {"mailbox": "ben@köln", "apart_en": "none", "apart_de": "keine", "still_en": "none",
         "still_de": "keine"},
    ]  # fmt: skip


def test_after_the_move_nobody_is_told_of_what_is_together_by_then() -> None:
    """ben moves on the 14th, after info and before the room, both of which he uses."""
    shares = tuple(Share(owner, "ben@köln", "SendAs", 3.0) for owner in ("info@köln", "raum@köln"))
    plan = assigned(
        replace(DATA, shares=shares), w1="info@köln jörg@köln", w2="ben@köln", w3="raum@köln"
    )
    line = people(texts(plan, "w2")["people.csv"])[0]
    assert line["apart_en"].startswith("info@köln (") and "raum@köln (" in line["apart_en"]
    assert line["still_en"] == "raum@köln (from 14 January 2027 to 16 January 2027)"
    assert line["still_de"] == "raum@köln (vom 14. Januar 2027 bis zum 16. Januar 2027)"


def test_a_move_is_on_the_day_on_which_its_window_begins() -> None:
    """A window from the evening to the next morning is called by its evening."""
    assert texts(PLAN, "w1")["before.en.txt"].startswith(
        "Subject: Your mailbox moves on Monday, 11 January 2027\n"
    )


def test_mails_name_the_times_in_the_zone_of_the_plan_and_leave_the_fields_for_mail_merge() -> None:
    files = texts(PLAN, "w1")
    assert set(files) == {
        "before.en.txt", "before.de.txt", "after.en.txt", "after.de.txt", "people.csv",
    }  # fmt: skip
    english, german = files["before.en.txt"], files["before.de.txt"]
    assert "from: Monday, 11 January 2027, 17:00" in english and "(Europe/Berlin)" in english
    assert "bis: Dienstag, 12. Januar 2027, 01:00 Uhr (Europe/Berlin)" in german
    for name, mail in files.items():
        if name.endswith(".txt"):
            moment, language, _ = name.split(".")
            field = {"before": "apart", "after": "still"}[moment]
            assert "{{mailbox}}" in mail and f"{{{{{field}_{language}}}}}" in mail
            assert max(map(len, mail.splitlines())) <= 100


def test_very_many_shares_are_counted_after_the_first() -> None:
    others = tuple(PlanMailbox(f"s{n}@köln", 1, kind="shared") for n in range(NAMED + 2))
    shares = tuple(Share(m.identity, "ben@köln", "SendAs", 3.0) for m in others)
    data = replace(DATA, mailboxes=(*DATA.mailboxes, *others), shares=shares)
    names = " ".join(m.identity for m in others)
    plan = assigned(data, w1="ben@köln jörg@köln raum@köln info@köln", w2=names)
    line = people(texts(plan, "w1")["people.csv"])[1]
    assert line["apart_en"].endswith(", and 2 more") and line["apart_de"].endswith("und 2 weitere")


def test_a_window_in_which_nobody_moves_is_told_with_those_that_do() -> None:
    assert window_of(PLAN, "w2").id == "w2"
    with pytest.raises(UnknownTime, match=r"somebody moves named 'w3'"):
        texts(PLAN, "w3")
