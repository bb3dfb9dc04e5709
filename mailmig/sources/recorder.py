"""Puts each question of a sweep once, keeps what was answered, and reads it back from a file.

`Recorder` stands between checks and the world, `Recorded` is the same without a world: what is not
on record has no answer. A file of facts is JSON: the scope, and a list of questions, each with its
answer. Files from several vantages are merged; one question may be on record in one of them only.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar, get_type_hints

import cattrs
from cattrs.preconf.json import make_converter

from mailmig.model.errors import BadFile, MailmigError
from mailmig.model.finding import Answer, Fact, NoAnswer, Origin, Question
from mailmig.model.scope import Scope

FORMAT: Final = "mailmig facts 1"
T = TypeVar("T")

Put = Callable[[Question[Any]], Awaitable[Answer[Any]]]


class TooFarApart(MailmigError):
    """Two files of facts that do not belong together: take them closer to each other."""

    def __init__(self, one: Path, other: Path, apart: timedelta, allowed: timedelta) -> None:
        super().__init__(
            f"{one} and {other} were taken {_minutes(apart)} apart, more than "
            f"{_minutes(allowed)}: take one of them again, or allow more with --apart"
        )
        self.apart = apart


@dataclass(frozen=True, slots=True)
class Limits:
    """How a sweep asks: so many questions at one target, each for so many seconds at most.

    `total` are open at all targets together: more would only wait for this machine's processors.
    """

    parallel: int = 8
    deadline_s: float = 30.0
    total: int = 64


def _now() -> datetime:
    return datetime.now(UTC)


class Recorder:
    """Asks; see the module. Use one instance in one event loop. `put` may raise `MailmigError`."""

    def __init__(
        self, scope: Scope, put: Put, limits: Limits | None = None,
        *, now: Callable[[], datetime] = _now,
    ) -> None:  # fmt: skip
        self.scope = scope
        self.answers: dict[Question[Any], Answer[Any]] = {}
        self._put = put
        self._limits = limits or Limits()
        self._now = now
        self._open: dict[Question[Any], asyncio.Task[Answer[Any]]] = {}
        self._gates: dict[str, asyncio.Semaphore] = {}
        self._total = asyncio.Semaphore(self._limits.total)

    async def __call__(self, question: Question[T]) -> Answer[T]:
        """The answer; a question that is on its way is waited for, not put again."""
        if question in self.answers:
            return self.answers[question]
        task = self._open.get(question)
        if task is None:
            task = self._open[question] = asyncio.create_task(self._asked(question))
        # One check that is given up must not take the answer from the others.
        return await asyncio.shield(task)

    async def each(self, questions: Iterable[Question[T]]) -> tuple[Answer[T], ...]:
        return tuple(await asyncio.gather(*(self(one) for one in questions)))

    async def close(self) -> None:
        """End what is still on its way."""
        for task in self._open.values():
            task.cancel()
        await asyncio.gather(*self._open.values(), return_exceptions=True)

    async def _asked(self, question: Question[Any]) -> Answer[Any]:
        gate = self._gates.setdefault(question.target, asyncio.Semaphore(self._limits.parallel))
        async with gate, self._total:
            try:
                async with asyncio.timeout(self._limits.deadline_s):
                    answer = await self._put(question)
            except TimeoutError:
                answer = self._nothing(question, f"no answer within {self._limits.deadline_s:g} s")
            except MailmigError as error:
                answer = self._nothing(question, str(error))
        self.answers[question] = answer
        del self._open[question]
        return answer

    def _nothing(self, question: Question[Any], reason: str) -> NoAnswer:
        origin = Origin(question.target, question.protocol, question.vantage)
        return NoAnswer(reason, self._now(), origin)


class Recorded:
    """What was answered before; `answers` may come from several files."""

    def __init__(self, scope: Scope, answers: Mapping[Question[Any], Answer[Any]]) -> None:
        self.scope = scope
        self.answers = dict(answers)

    async def __call__(self, question: Question[T]) -> Answer[T]:
        found = self.answers.get(question)
        if found is not None:
            return found
        origin = Origin(question.target, question.protocol, question.vantage)
        at = max((one.seen_at for one in self.answers.values()), default=_now())
        return NoAnswer("it is not among the saved facts", at, origin)

    async def each(self, questions: Iterable[Question[T]]) -> tuple[Answer[T], ...]:
        return tuple([await self(one) for one in questions])


def to_text(scope: Scope, answers: Mapping[Question[Any], Answer[Any]]) -> str:
    """A file of facts."""
    listed = [
        {
            "question": type(question).__name__,
            **_JSON.unstructure(question),
            "seen_at": answer.seen_at.isoformat(),
            "origin": _JSON.unstructure(answer.origin),
        }
        | (
            {"value": _JSON.unstructure(answer.value, unstructure_as=question.answer)}
            if isinstance(answer, Fact)
            else {"reason": answer.reason}
        )
        for question, answer in answers.items()
    ]
    whole = {"format": FORMAT, "scope": _JSON.unstructure(scope), "facts": listed}
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def read(file: Path) -> Recorded:
    """A file of facts.

    Raises:
        BadFile: it cannot be read, is no file of facts, or is of another release.
    """
    try:
        whole = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise BadFile(file, f"it cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadFile(file, f"it is no file of facts: {error}") from error
    if not isinstance(whole, dict) or whole.get("format") != FORMAT:
        raise BadFile(file, f'it is no file of facts of this release ("format": "{FORMAT}")')
    try:
        scope = _JSON.structure(whole["scope"], Scope)
        answers = dict(_one(entry) for entry in whole["facts"])
    except (cattrs.BaseValidationError, KeyError, TypeError, ValueError) as error:
        raise BadFile(file, f"it is damaged: {_first_line(error)}") from error
    return Recorded(scope, answers)


def merged(files: Mapping[Path, Recorded], apart: timedelta) -> Recorded:
    """The facts of several files as those of one sweep; the first one's servers and names hold.

    Raises:
        TooFarApart: they were taken at times that are further apart than `apart`.
    """
    (first, begun), *others = files.items()
    scope, answers = begun.scope, dict(begun.answers)
    for file, more in others:
        gap = abs(_middle(begun) - _middle(more))
        if gap > apart:
            raise TooFarApart(first, file, gap, apart)
        known = {one.name for one in scope.vantages}
        added = tuple(one for one in more.scope.vantages if one.name not in known)
        scope = replace(scope, vantages=(*scope.vantages, *added))
        answers = {**more.answers, **answers}
    return Recorded(scope, answers)


def _one(entry: dict[str, Any]) -> tuple[Question[Any], Answer[Any]]:
    kinds = {kind.__name__: kind for kind in _kinds(Question)}
    kind = kinds[entry["question"]]
    named = {one.name: entry[one.name] for one in fields(kind)}
    hints = get_type_hints(kind)
    question = kind(**{name: _JSON.structure(value, hints[name]) for name, value in named.items()})
    origin = _JSON.structure(entry["origin"], Origin)
    seen_at = datetime.fromisoformat(entry["seen_at"])
    if "reason" in entry:
        return question, NoAnswer(entry["reason"], seen_at, origin)
    return question, Fact(_JSON.structure(entry["value"], kind.answer), seen_at, origin)


def _kinds(base: type[Question[Any]]) -> Iterable[type[Question[Any]]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)


def _middle(facts: Recorded) -> datetime:
    times = [one.seen_at for one in facts.answers.values()]
    return min(times) + (max(times) - min(times)) / 2 if times else _now()


def _minutes(span: timedelta) -> str:
    return f"{round(span.total_seconds() / 60)} min"


def _first_line(error: BaseException) -> str:
    said = cattrs.transform_error(error)[0] if isinstance(error, cattrs.BaseValidationError) else ""
    return said or f"{type(error).__name__}: {error}".splitlines()[0]


_JSON = make_converter()
