import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mailmig.model.errors import BadFile, MailmigError
from mailmig.model.finding import Answer, Fact, NoAnswer, Origin, Question
from mailmig.model.names import NameAnswer, NameRecord, ResolveName
from mailmig.model.organisation import Server
from mailmig.model.scope import Scope, Vantage
from mailmig.model.web import Certificate, FetchPage, GreetTls, Handshake, Page, Stage, Trouble
from mailmig.sources.recorder import Limits, Recorded, Recorder, TooFarApart, merged, read, to_text

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
SCOPE = Scope(
    (Vantage("Süd", True, ("192.0.2.53",)),),
    (Server("EX1", "ex1.town.example", "Süd", (15, 2, 2562, 17), "Standard", "DAG1"),),
    ("mail.town.example",),
)


@dataclass(frozen=True)
class Ring(Question[int]):
    """A question of the tests."""

    answer: ClassVar = int
    protocol: ClassVar = "bell"

    door: str

    @property
    def target(self) -> str:
        return self.door


class House:
    """Answers after a while and remembers who rang, and how many at a time."""

    def __init__(self, *, takes_s: float = 0.01) -> None:
        self.rung: list[str] = []
        self.most: dict[str, int] = {}
        self._now: dict[str, int] = {}
        self._takes_s = takes_s

    async def put(self, question: Question[int]) -> Answer[int]:
        assert isinstance(question, Ring)
        door = question.door
        self.rung.append(door)
        self._now[door] = self._now.get(door, 0) + 1
        self.most[door] = max(self.most.get(door, 0), self._now[door])
        await asyncio.sleep(3600 if door == "deaf" else self._takes_s)
        self._now[door] -= 1
        if door == "empty":
            raise MailmigError("nobody lives there")
        return Fact(7, NOW, Origin(door, "bell", question.vantage))


async def test_a_question_that_many_ask_is_put_once() -> None:
    house = House()
    ask = Recorder(SCOPE, house.put)
    answers = await asyncio.gather(*(ask(Ring("inside", "blue")) for _ in range(20)))
    again = await ask(Ring("inside", "blue"))
    assert house.rung == ["blue"]
    assert {answer.value for answer in (*answers, again) if isinstance(answer, Fact)} == {7}


async def test_only_so_many_questions_are_open_at_one_target() -> None:
    house = House()
    ask = Recorder(SCOPE, house.put, Limits(parallel=2))
    await ask.each(Ring(f"v{number}", door) for number in range(10) for door in ("blue", "red"))
    assert house.most == {"blue": 2, "red": 2}


async def test_what_cannot_be_asked_is_an_answer_with_its_reason() -> None:
    ask = Recorder(SCOPE, House().put, Limits(deadline_s=0.05), now=lambda: NOW)
    empty, deaf, blue = await ask.each(Ring("inside", door) for door in ("empty", "deaf", "blue"))
    assert empty == NoAnswer("nobody lives there", NOW, Origin("empty", "bell", "inside"))
    assert deaf == NoAnswer("no answer within 0.05 s", NOW, Origin("deaf", "bell", "inside"))
    assert isinstance(blue, Fact)


async def test_questions_behind_a_hanging_one_wait_for_its_deadline_at_most() -> None:
    ask = Recorder(SCOPE, House().put, Limits(parallel=1, deadline_s=0.05))
    answers = await asyncio.wait_for(ask.each(Ring(f"v{n}", "deaf") for n in range(3)), 10)
    assert all(isinstance(answer, NoAnswer) for answer in answers)


async def test_a_caller_who_gives_up_does_not_take_the_answer_from_the_others() -> None:
    ask = Recorder(SCOPE, House(takes_s=0.1).put)
    hasty = asyncio.create_task(ask(Ring("inside", "blue")))
    patient = asyncio.create_task(ask(Ring("inside", "blue")))
    await asyncio.sleep(0.02)
    hasty.cancel()
    assert isinstance(await patient, Fact)


async def test_closing_ends_what_is_on_its_way() -> None:
    ask = Recorder(SCOPE, House().put)
    waiting = asyncio.create_task(ask(Ring("inside", "deaf")))
    await asyncio.sleep(0.02)
    await asyncio.wait_for(ask.close(), 5)
    with pytest.raises(asyncio.CancelledError):
        await waiting


CERTIFICATE = Certificate(
    "CN=mail", "CN=Prüfer", ("mail.town.example",), NOW, NOW + timedelta(days=90), "AB12", "RSA 2048",
    "sha256",
)  # fmt: skip
ANSWERS: dict[Question[Any], Answer[Any]] = {
    ResolveName("Süd", "mail.town.example", "A", "dc1"): Fact(
        NameAnswer(
            "mail.town.example", "A", "dc1", "192.0.2.1", 53, "NOERROR", True, NOW,
            (NameRecord("mail.town.example", "A", 300, "192.0.2.11"),), 7, "town.example",
        ),
        NOW, Origin("dc1", "dns", "Süd"),
    ),
    FetchPage("inside", "192.0.2.11", "mail.town.example", "/ews/healthcheck.htm"): Fact(
        Page(200, "OK", (("x-feserver", "EX1"),), "200 OK<br/>grün\n", connect_s=0.1), NOW, Origin("", ""),
    ),
    FetchPage("inside", "192.0.2.12", "mail.town.example", "/ews/healthcheck.htm"): Fact(
        Page(trouble=Trouble(Stage.TCP, "connection refused")), NOW, Origin("", "")
    ),
    GreetTls("outside", "192.0.2.11", "mail.town.example"): Fact(
        Handshake(CERTIFICATE, version="TLSv1.3"), NOW, Origin("", "")
    ),
    GreetTls("outside", "192.0.2.13", "mail.town.example"): NoAnswer("keiner da", NOW, Origin("", "")),
}  # fmt: skip


def test_facts_come_back_from_a_file_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    file.write_text(to_text(SCOPE, ANSWERS), "utf-8")
    found = read(file)
    assert (found.scope, found.answers) == (SCOPE, ANSWERS)


async def test_what_is_not_on_record_has_no_answer() -> None:
    found = Recorded(SCOPE, ANSWERS)
    assert await found(next(iter(ANSWERS))) == next(iter(ANSWERS.values()))
    other = await found(GreetTls("outside", "192.0.2.99", "mail.town.example"))
    assert isinstance(other, NoAnswer)
    assert other.reason == "it is not among the saved facts"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text[: len(text) // 2], "it is no file of facts: "),
        (lambda text: "[]", "it is no file of facts of this release"),
        (lambda text: text.replace("facts 1", "facts 9"), "it is no file of facts of this release"),
        (lambda text: text.replace("ResolveName", "Resolve"), "it is damaged: KeyError: 'Resolve'"),
        (lambda text: text.replace('"ttl_s": 300', '"ttl_s": "x"'), "it is damaged: "),
        (lambda text: text.replace("2026-11-20", "2026-13-20"), "it is damaged: "),
        (lambda text: text.replace('"facts": [', '"fact": ['), "it is damaged: "),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, change: object, says: str) -> None:
    assert callable(change)
    file = tmp_path / "facts.json"
    file.write_text(change(to_text(SCOPE, ANSWERS)), "utf-8")
    with pytest.raises(BadFile, match=rf"facts\.json: {says}"):
        read(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"none\.json: it cannot be read: No such file"):
        read(tmp_path / "none.json")


def _from(vantage: str, at: datetime) -> Recorded:
    question = GreetTls(vantage, "192.0.2.11", "mail.town.example")
    scope = Scope((Vantage(vantage, vantage != "outside"),), (), ("mail.town.example",))
    return Recorded(scope, {question: Fact(Handshake(CERTIFICATE), at, Origin("", ""))})


def test_files_of_two_vantages_become_one_sweep() -> None:
    inside, outside = _from("Süd", NOW), _from("outside", NOW + timedelta(minutes=20))
    found = merged({Path("in"): inside, Path("out"): outside}, timedelta(hours=1))
    assert [one.name for one in found.scope.vantages] == ["Süd", "outside"]
    assert found.answers == {**inside.answers, **outside.answers}


def test_files_that_were_taken_too_far_apart_are_not_judged_together() -> None:
    files = {Path("in"): _from("Süd", NOW), Path("out"): _from("outside", NOW - timedelta(hours=2))}
    with pytest.raises(TooFarApart, match="in and out were taken 120 min apart, more than 60 min"):
        merged(files, timedelta(hours=1))
