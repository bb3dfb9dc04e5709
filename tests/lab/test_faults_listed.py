"""All faults: named once, told in docs/lab-faults.md, switched on and off in any order.

The page holds the list of rows of the health checks as well: a row has a fault, or is one of a few
that have none.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mailmig.lab.faults import switchboard
from mailmig.lab.faults.machines import AlreadyChanged
from mailmig.lab.faults.switchboard import BadTarget, Fault, SameId, Switchboard, WrongWay, kinds
from mailmig.lab.web.whole import add_staff
from mailmig.lab.world import World
from mailmig.model.directory import Kind
from tests.lab.asking import Shell, town

PAGE = Path(__file__).parents[2] / "docs" / "lab-faults.md"
MOST_WITHOUT = 5
# What makes something visible that is no row of the health checks.
OTHER = re.compile(r"(move|import|hyperv):[A-Za-z0-9_-]+")
LINES = {
    f"| `{kind.id}` | {kind.wants or '-'} | {kind.description} | {', '.join(kind.shows) or '-'} |"
    for kind in kinds().values()
}


def rows() -> Iterator[tuple[str, str, str]]:
    """(family, column, row) of the page's table of rows."""
    text = PAGE.read_text("utf-8").partition("## Every row of the checks")[2]
    for line in re.findall(r"^\| [a-z_]+ \|.*\|$", text, re.MULTILINE):
        family, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        for column, cell in zip(("fault", "none"), cells, strict=True):
            for row in re.findall(r"`([a-z0-9_<>]+)`", cell):
                yield family, column, row


def shown() -> set[str]:
    return {row for kind in kinds().values() for row in kind.shows}


def test_every_fault_stands_in_the_page_as_it_is() -> None:
    found = set(re.findall(r"^\| `.*\|$", PAGE.read_text("utf-8"), re.MULTILINE))
    assert found == LINES, "to be added:\n" + "\n".join(sorted(LINES - found))


def test_every_row_has_a_fault_or_a_reason_why_not() -> None:
    told = list(rows())
    assert len({row for _, _, row in told}) == len(told) > 100
    known = shown()
    for family, column, row in told:
        assert (row in known) is (column == "fault"), f"{row} of {family} is no {column}"
    without = [row for _, column, row in told if column == "none"]
    text = PAGE.read_text("utf-8")
    assert len(without) <= MOST_WITHOUT
    assert all(f"- `{row}`: " in text for row in without)


def test_a_fault_shows_rows_that_there_are() -> None:
    told = {row for _, _, row in rows()}
    for kind in kinds().values():
        strange = [row for row in kind.shows if row not in told and not OTHER.fullmatch(row)]
        assert not strange, f"{kind.id} shows {strange}"


def test_every_fault_says_what_it_is() -> None:
    for name, kind in kinds().items():
        assert kind.id == name and re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
        assert kind.family and kind.description and "|" not in kind.description + kind.wants
        assert kind.shows or kind.family == "session", name


def test_two_faults_of_one_name_are_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    from mailmig.lab.faults import dag

    class Twin(Fault):
        id = "pam-lost"

    monkeypatch.setattr(dag, "Twin", Twin, raising=False)
    with pytest.raises(SameId, match="pam-lost"):
        switchboard.kinds.__wrapped__()


def targets(world: World) -> Iterator[str]:
    """What a fault may be switched for in the town."""
    state = world.organisation
    yield ""
    yield from (one.name for one in state.servers)
    yield from state.databases
    yield from (copy.identity for copy in state.copies)
    yield from (machine.place.name for machine in world.surroundings.machines)
    yield from ("Rathaus", "Stadthaus", "mail.lindenstadt.example", "anna:Get-ADPermission")
    yield from (one.fqdn for one in state.servers)
    yield from (one.path for one in state.pst_files[:1])
    yield from (one.alias for one in list(state.present())[:5])
    yield from (state.mailboxes[move.mailbox].alias for move in state.moves)
    for server in state.servers:
        for more in (
            "OwaProxy", "High", "MSExchangeTransport", "MSExchangeMailboxAssistants", "OWA.Proxy",
            "MSExchangeMapiFrontEndAppPool", "MSExchangeServicesAppPool",
            "mapi", "ews", rf"Default Frontend {server.name}", r"Store\DatabaseMountedMonitor", *state.databases,
        ):  # fmt: skip
            yield rf"{server.name}\{more}"
        yield rf"mail.lindenstadt.example\{server.name}"
        yield f"{server.name}:25"
    yield from ("mapi", r"Rathaus\Stadthaus")
    for owner, delegate in list(state.full_access)[:40]:
        if delegate >= 0:
            yield rf"{state.mailboxes[owner].alias}\{state.mailboxes[delegate].alias}"


def busy_town() -> World:
    """A town in which somebody is being moved."""
    world = town(20)
    add_staff(world, world.accounts)
    world.organisation.move(next(world.organisation.present(Kind.USER)), "SE-DB01")
    return world


def switched_on(board: Switchboard, world: World, name: str) -> str:
    """Switches it on for the first target that will do."""
    for target in targets(world):
        if bool(target) is bool(kinds()[name].wants):
            try:
                board.on(name, target)
            except (BadTarget, AlreadyChanged):
                continue
            return target
    pytest.fail(f"no target here for {name}: add one to `targets`")


@pytest.mark.parametrize("name", kinds())
def test_a_fault_goes_on_and_off_and_on_again(name: str) -> None:
    world = busy_town()
    board = Switchboard(world)
    target = switched_on(board, world, name)
    assert [(one.id, one.target) for one in board] == [(name, target)]
    with pytest.raises(WrongWay, match="already on"):
        board.on(name, target.upper())
    board.off(name, target)
    assert list(board) == []
    with pytest.raises(WrongWay, match="not on"):
        board.off(name, target)
    with suppress(BadTarget):  # what the fault took may be gone for good: a move request
        board.on(name, target)
    board.all_off()
    assert list(board) == []


@pytest.mark.parametrize("name", [name for name, kind in kinds().items() if kind.wants])
def test_a_wrong_target_is_refused_with_what_is_wanted(name: str) -> None:
    board = Switchboard(town(20))
    with pytest.raises(BadTarget, match="name "):
        board.on(name, "nothing of ours")
    assert list(board) == []


def test_all_faults_at_once_leave_a_lab_that_answers_and_go_again() -> None:
    world = busy_town()
    board, shell = Switchboard(world), Shell(world, "LS-EX16")
    on = 0
    for name in kinds():
        try:
            switched_on(board, world, name)
        except pytest.fail.Exception:
            continue
        on += 1
    assert on > 100
    assert shell.ask("Get-DatabaseAvailabilityGroup", Status=None)
    board.all_off()
    assert list(board) == []
    assert len(shell.objects("Get-MailboxDatabaseCopyStatus", Identity=None)) == 12
