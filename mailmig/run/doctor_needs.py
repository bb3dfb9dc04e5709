"""What each command of mailmig needs, and what the account of a diagnosis can and cannot do.

The table is data (`needs.toml`, or a file of the admin's own in its place): which role brings which
cmdlets is from memory, and every organisation may have roles of its own.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from mailmig.model.errors import BadFile, nearest
from mailmig.run.doctor import Channel, Diagnosis, Look
from mailmig.run.doctor_cmdlets import Answer
from mailmig.wire.collection import BY_NAME, EXPORTS, Export

_RIGHTS: Final = ("configuration", "mailboxes", "rights")
_VERSIONS: Final = frozenset(version for export in EXPORTS for version in export.versions)
_KEYS: Final = {
    "command": ("name", "directory", "exports", "without", "essential"),
    "grant": ("ask", "cmdlets", "source"),
}


class Verdict(Enum):
    """Whether a command can be carried out."""

    YES = "yes"
    IN_PART = "in part"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Need:
    """What one command asks for: kinds of facts over LDAP, exports over remote PowerShell."""

    command: str
    directory: tuple[str, ...]
    exports: tuple[Export, ...]
    essential: frozenset[str]


@dataclass(frozen=True, slots=True)
class Needs:
    """All commands; `grants` are (what to ask for, patterns of cmdlets), the least first.

    `ask` says what to ask for where it is no cmdlet: by kind of facts, "remoting".
    """

    commands: tuple[Need, ...]
    grants: tuple[tuple[str, tuple[str, ...]], ...]
    ask: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ability:
    """What a command can do as things are: why not all of it, and what to ask for."""

    command: str
    verdict: Verdict
    why: tuple[str, ...] = ()
    ask_for: tuple[str, ...] = ()


def read(file: Path | None = None) -> Needs:
    """The table of mailmig, or another one.

    Raises:
        BadFile: it cannot be read, or says what does not exist.
    """
    source = files("mailmig.run").joinpath("needs.toml") if file is None else file
    try:
        table = tomllib.loads(source.read_text("utf-8"))
    except OSError as error:
        raise BadFile(source, f"it cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadFile(source, f"it is no TOML: {error}") from error
    try:
        return Needs(
            tuple(_need(source, one) for one in _rows(source, table, "command")),
            tuple(
                (str(one["ask"]), tuple(map(str, one["cmdlets"])))
                for one in _rows(source, table, "grant")
            ),
            {str(key): str(text) for key, text in table.get("ask", {}).items()},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise BadFile(source, f"it does not have the shape of needs.toml ({error})") from error


def abilities(diagnosis: Diagnosis, needs: Needs) -> tuple[Ability, ...]:
    """What each command can do, by what was seen."""
    return tuple(_ability(diagnosis, needs, need) for need in needs.commands)


def _rows(source: object, table: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    for row in table.get(kind, []):
        for key in row:
            if key not in _KEYS[kind]:
                hint = nearest(key, _KEYS[kind])
                raise BadFile(source, f"there is no key {key!r}{hint}", f"[[{kind}]]")
        yield row


def _need(source: object, row: dict[str, Any]) -> Need:
    named, without = row.get("exports", []), row.get("without", [])
    where = f"[[command]] {row['name']}"
    essential = row.get("essential", [])
    for name in (*named, *without, *essential):
        if name != "*" and name not in BY_NAME:
            raise BadFile(source, f"there is no export {name!r}{nearest(name, BY_NAME)}", where)
    for kind in row.get("directory", []):
        if kind not in _RIGHTS:
            raise BadFile(source, f"{kind!r} is none of {', '.join(_RIGHTS)}", where)
    chosen = tuple(
        export for export in EXPORTS
        if ("*" in named or export.name in named) and export.name not in without
    )  # fmt: skip
    kinds = tuple(row.get("directory", []))
    names = {export.name for export in chosen} if "*" in essential else essential
    return Need(str(row["name"]), kinds, chosen, frozenset(names))


def _ability(diagnosis: Diagnosis, needs: Needs, need: Need) -> Ability:
    told = [
        *(_over_ldap(diagnosis, needs, need) if need.directory else ()),
        *(_over_powershell(diagnosis, needs, need) if need.exports else ()),
    ]
    verdicts = [verdict for verdict, _, _ in told]
    worst = next(
        (one for one in (Verdict.NO, Verdict.UNKNOWN, Verdict.IN_PART) if one in verdicts),
        Verdict.YES,
    )
    return Ability(
        need.command, worst, tuple(dict.fromkeys(lacks for _, lacks, _ in told)),
        tuple(dict.fromkeys(ask for _, _, ask in told if ask)),
    )  # fmt: skip


Told = Iterator[tuple[Verdict, str, str]]


def _over_ldap(diagnosis: Diagnosis, needs: Needs, need: Need) -> Told:
    looks = diagnosis.of(Channel.DIRECTORY)
    look = next((one for one in looks if one.rights), None)
    if look is None:
        yield Verdict.NO, _no_way(Channel.DIRECTORY, looks), ""
        return
    for kind in need.directory:
        if kind not in look.rights:
            yield Verdict.UNKNOWN, f"not known for {kind}: {look.trouble}", ""
        elif look.rights[kind]:
            verdict = Verdict.IN_PART if kind == "rights" else Verdict.NO
            yield verdict, f"lacks {kind}: {look.rights[kind]}", needs.ask.get(kind, "")


def _over_powershell(diagnosis: Diagnosis, needs: Needs, need: Need) -> Told:
    looks = [
        one for one in diagnosis.of(Channel.EXCHANGE)
        if one.server.lower() == diagnosis.asked.lower()
    ]  # fmt: skip
    look = next((one for one in looks if one.answers), None)
    if look is None:
        let_in = any(one.logged_on for one in looks)
        ask = needs.ask.get("remoting", "") if let_in else ""
        yield Verdict.NO, _no_way(Channel.EXCHANGE, looks), ask
        yield from _elsewhere(diagnosis)
        return
    lacking: dict[str, list[Export]] = {}
    unknown: dict[Verdict, list[Answer]] = {}
    for export in need.exports:
        answer = look.answers.get(export.name)
        if look.version in _VERSIONS and look.version not in export.versions:
            continue  # no role could bring it there
        if answer is None or answer.unknown:
            verdict = Verdict.UNKNOWN if export.name in need.essential else Verdict.IN_PART
            unknown.setdefault(verdict, []).append(answer or Answer(export.cmdlet))
        elif answer.lacks:
            lacking.setdefault(answer.lacks, []).append(export)
    for verdict, answers in unknown.items():
        yield verdict, _not_known(answers), ""
    ask = _grant(needs, [text.partition(" ")[0] for text in lacking])
    for text, exports in lacking.items():
        essential = any(export.name in need.essential for export in exports)
        verdict = Verdict.NO if essential else Verdict.IN_PART
        yield verdict, f"lacks {text}: {_costs(exports)}", ask


def _elsewhere(diagnosis: Diagnosis) -> Told:
    """Who may be asked in place of the server that commands ask."""
    others = [
        f"{look.server} ({look.version})" if look.version else look.server
        for look in diagnosis.of(Channel.EXCHANGE)
        if look.answers
    ]
    if others:
        text = (
            f"{', '.join(others)} would answer: name a server of the newest version with --server"
        )
        yield Verdict.NO, text, ""


def _not_known(answers: list[Answer]) -> str:
    """Which cmdlets gave no usable answer, and why the first did not."""
    cmdlets = ", ".join(dict.fromkeys(answer.cmdlet for answer in answers))
    return f"not known for {cmdlets}: {answers[0].unknown or 'not asked'}"


def _costs(exports: list[Export]) -> str:
    """What is missing without them, the first in words."""
    more = f" (and {len(exports) - 1} more files)" if len(exports) > 1 else ""
    return exports[0].cost + more


def _grant(needs: Needs, cmdlets: list[str]) -> str:
    """The least that brings all of them."""
    for ask, patterns in needs.grants:
        low = [pattern.lower() for pattern in patterns]
        if all(any(fnmatchcase(one.lower(), pattern) for pattern in low) for one in cmdlets):
            return ask
    return f"a role with {', '.join(sorted(set(cmdlets)))}"


def _no_way(channel: Channel, looks: tuple[Look, ...] | list[Look]) -> str:
    """Why nobody can be asked over a channel."""
    reasons = [str(one.trouble or one.untried) for one in looks if one.trouble or one.untried]
    return f"no {channel.value}: {reasons[0] if reasons else 'it is not configured'}"
