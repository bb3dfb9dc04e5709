"""mailboxes.csv, shares.csv and the assignment: round trips, exact identities, refusals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailmig.model.errors import BadFile
from mailmig.model.migration import Assignment, PlanMailbox, Share, State
from mailmig.wire.planning.tables import (
    parse_assignment,
    parse_mailboxes,
    parse_shares,
    write_assignment,
    write_mailboxes,
    write_shares,
)

HEADER = "identity,size_bytes,item_count,kind,department,site,source_database\n"
ROW = "anna@corp.example,5,1,user,Bauamt,s0,SRC\n"

# Whatever a directory may hold; line breaks and blanks at the ends are refused in identities.
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
NAME = TEXT.map(lambda text: f"x{text}x") | st.sampled_from(
    [
        "=cmd()|x",
        "+1",
        "@SUM(A1)",
        '"quoted",name',
        "Müller; Jörg",
        "tab\tinside".replace("\t", " "),
    ]
)

MAILBOX = st.builds(
    PlanMailbox,
    identity=NAME,
    size_bytes=st.integers(0, 2**50),
    item_count=st.integers(0, 10**9),
    kind=TEXT,
    department=TEXT,
    site=TEXT,
    source_database=TEXT,
    guid=TEXT,
    state=st.sampled_from(State),
)
SHARE = st.builds(
    Share, NAME, NAME, TEXT.filter(bool), st.floats(0, 1e9, allow_nan=False), via_group=TEXT
)


def weigh(right: str) -> float | None:
    return {"SendAs": 3.0}.get(right)


@given(st.lists(MAILBOX, max_size=6, unique_by=lambda mailbox: mailbox.identity.casefold()))
def test_mailboxes_come_back_as_they_were(mailboxes: list[PlanMailbox]) -> None:
    assert parse_mailboxes(write_mailboxes(mailboxes)) == tuple(mailboxes)


@given(st.lists(SHARE, max_size=6))
def test_shares_come_back_as_they_were(shares: list[Share]) -> None:
    assert parse_shares(write_shares(shares), weigh) == tuple(shares)


@given(st.lists(st.builds(Assignment, NAME, TEXT, TEXT), max_size=6))
def test_assignments_come_back_exactly(assignments: list[Assignment]) -> None:
    assert parse_assignment(write_assignment(assignments)) == tuple(assignments)


def test_nothing_is_put_before_an_identity_that_looks_like_a_formula() -> None:
    text = write_assignment((Assignment("=cmd()|x", "w1", "TDB1"),))
    assert text == "mailbox,window,database\n=cmd()|x,w1,TDB1\n"


def test_columns_that_say_nothing_are_left_out() -> None:
    assert write_mailboxes([PlanMailbox("a", 1)]).splitlines()[0] == HEADER.strip()
    assert write_shares([Share("a", "b", "SendAs", 1.0)]).splitlines()[0] == (
        "owner,delegate,right,weight"
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_usual_spellings_of_csv_are_read(delimiter: str, mark: str, end: str) -> None:
    text = mark + (HEADER + "\n" + ROW).replace(",", delimiter).replace("\n", end)
    assert parse_mailboxes(text)[0] == PlanMailbox(
        "anna@corp.example", 5, 1, "user", "Bauamt", "s0", "SRC"
    )


def test_a_weight_that_is_not_written_is_the_usual_one() -> None:
    text = "owner,delegate,right,weight\na,b,SendAs,\na,b,SendAs,0\n"
    assert [share.weight for share in parse_shares(text, weigh)] == [3.0, 0.0]


BAD_MAILBOXES = [
    ("", 'mailboxes.csv, line 1: the column "identity" is missing'),
    (HEADER.replace("department", "departmnt"), ('mailboxes.csv, line 1: the column'
     ' "departmnt" is not known (did you mean "department"?)')),
    (HEADER.replace("size_bytes", "size"), ('mailboxes.csv, line 1: the column "size" is not known;'
     ' still missing: size_bytes')),
    (HEADER.replace("site,", "site,phone,"), ('mailboxes.csv, line 1: the column "phone" is not'
     " known")),
    (HEADER.replace("site,", ""), 'mailboxes.csv, line 1: the column "site" is missing'),
    (HEADER.replace("site,", "site,site,"), ('mailboxes.csv, line 1: the column "site" is there'
     " twice")),
    (HEADER + "a,1,1,user,d\n", "mailboxes.csv, line 2: 5 fields, but the header has 7"),
    (HEADER + ROW.replace("anna@corp.example", ""), "mailboxes.csv, line 2: the identity is empty"),
    (HEADER + ROW + ROW.replace("anna", "ANNA"), ("mailboxes.csv, line 3: the identity"
     " ANNA@corp.example is there already, as anna@corp.example (upper and lower case make no"
     " difference)")),
    (HEADER + ROW.replace(",5,", ",-5,"),
     "mailboxes.csv, line 2: size_bytes must not be below zero, but is -5"),
    (HEADER + ROW.replace(",5,", ",5 GB,"),
     "mailboxes.csv, line 2: size_bytes must be a whole number, not '5 GB'"),
    (HEADER + ROW.replace(",5,", ",1_000,"),
     "mailboxes.csv, line 2: size_bytes must be a whole number, not '1_000'"),
    (HEADER + ROW.replace(",5,", ",٥,"),
     "mailboxes.csv, line 2: size_bytes must be a whole number, not '٥'"),
    (HEADER + ROW.replace(",5,", f",{2**60},"), (f"mailboxes.csv, line 2: anna@corp.example has"
     f" {2**60} bytes: no mailbox is so large")),
    (HEADER + ROW.replace(",5,", f",{'9' * 5000},"),
     f"mailboxes.csv, line 2: size_bytes must be a whole number, not '{'9' * 40}'"),
    (HEADER + ROW.replace("anna", " anna"), ("mailboxes.csv, line 2: the identity"
     " ' anna@corp.example' begins or ends with a blank, or has a line break")),
    (HEADER + ROW.replace("anna@corp.example", '"an\nna"'), ("mailboxes.csv, line 3: the identity"
     " 'an\\nna' begins or ends with a blank, or has a line break")),
    (HEADER + 'a,"b', "mailboxes.csv, line 2: is no CSV: unexpected end of data"),
    (HEADER.strip() + ",state\n" + ROW.strip() + ",away\n",
     "mailboxes.csv, line 2: state must be one of pending, moved, not 'away'"),
]  # fmt: skip


@pytest.mark.parametrize("case", BAD_MAILBOXES, ids=lambda case: case[1][14:60])
def test_bad_mailboxes_are_refused_with_line_and_reason(case: tuple[str, str]) -> None:
    text, sentence = case
    with pytest.raises(BadFile) as refused:
        parse_mailboxes(text)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("a,b,,1", "shares.csv, line 2: the right is empty"),
        ("a,b,Inbox,", "shares.csv, line 2: no weight is given, and Inbox has no usual one"),
        ("a,b,SendAs,-1", "shares.csv, line 2: the weight must be zero or more, not -1"),
        ("a,b,SendAs,nan", "shares.csv, line 2: the weight must be zero or more, not nan"),
        ("a,b,SendAs,inf", "shares.csv, line 2: the weight must be zero or more, not inf"),
        ("a,b,SendAs,1e308", "shares.csv, line 2: the weight must be at most 1e+09, not 1e308"),
        ("a,b,SendAs,five", "shares.csv, line 2: the weight must be a number, not 'five'"),
    ],
)
def test_bad_shares_are_refused_with_line_and_reason(line: str, sentence: str) -> None:
    with pytest.raises(BadFile) as refused:
        parse_shares(f"owner,delegate,right,weight\n{line}\n", weigh)
    assert str(refused.value) == sentence


@given(st.text())
def test_any_text_is_read_or_refused_and_never_breaks_the_reader(text: str) -> None:
    for whole in (text, HEADER + text):
        try:
            parse_mailboxes(whole)
            parse_assignment(whole)
        except BadFile as refused:
            assert str(refused)
