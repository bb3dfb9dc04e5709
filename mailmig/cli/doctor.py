"""`mailmig doctor`: what can be reached, and what the account can and cannot do there."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailmig.cli.frame import deliver, session

if TYPE_CHECKING:
    from mailmig.run.doctor import Diagnosis, Setup
    from mailmig.run.doctor_needs import Ability
    from mailmig.run.doctor_probes import ProbeLook
    from mailmig.run.probing import ProbeSettings

GOOD, FOUND, NOTHING_WORKS = 0, 1, 3
_WORDS = {None: "-", True: "yes", False: "NO"}


@click.command(short_help="Try every channel; say what the account can and cannot do.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="How it is written.",
)  # fmt: skip
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(min=0.1), default=20.0, show_default=True,
    metavar="S", help="Seconds that each question may take.",
)  # fmt: skip
@click.option(
    "--needs", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="What commands need and which role brings it, in place of mailmig's own table.",
)  # fmt: skip
def cmd(form: str, timeout_s: float, needs: Path | None) -> None:
    """Try every channel to every server; say what the account can and cannot do, and what to ask for.

    The servers are those of the configuration and those that the directory names. One domain
    controller is logged on to first and alone: after a refusal nobody else is shown a password.
    The accounts of [probe] log on, too, and open their own mailbox and the shared ones. Nothing is
    changed anywhere. The exit code is 1 if something was found, 3 if nothing works.
    """
    import asyncio

    from mailmig.run.doctor import examine
    from mailmig.run.doctor_needs import Verdict, abilities, read
    from mailmig.run.probing import ProbeSettings

    table = read(needs)
    settings = session().config.section("probe", ProbeSettings)
    diagnosis = asyncio.run(examine(_setup(timeout_s)))
    probes = asyncio.run(_probes(settings, timeout_s))
    able = abilities(diagnosis, table)
    written = _text if form == "text" else _json
    deliver(written(diagnosis, able, probes), None)
    if all(one.verdict is Verdict.NO for one in able):
        sys.exit(NOTHING_WORKS)
    good = all(one.verdict is Verdict.YES for one in able)
    well = all(one.is_good for one in diagnosis.looks) and all(one.is_good for one in probes)
    sys.exit(GOOD if good and well else FOUND)


async def _probes(settings: "ProbeSettings", timeout_s: float) -> "tuple[ProbeLook, ...]":
    """What came of the accounts of [probe]."""
    from dataclasses import replace

    from mailmig.model.addresses import AddressSettings
    from mailmig.run.asking import Asking
    from mailmig.run.doctor_probes import examine_probes
    from mailmig.run.probing import credentials
    from mailmig.sources.names import NamesSettings
    from mailmig.sources.web import WebSettings

    if not settings.accounts:
        return ()
    config = session().config
    names, web = config.section("names", NamesSettings), config.section("web", WebSettings)
    addresses = config.section("addresses", AddressSettings).map
    # A server that hangs is given up in time for the next address to be asked.
    web = replace(web, timeout_s=min(timeout_s / 2, web.timeout_s))
    asking = Asking(names, web, addresses, credentials(settings), session().gate)
    return await examine_probes(settings, asking, names.servers, timeout_s)


def _setup(timeout_s: float) -> "Setup":
    """What the configuration says; a table that is not there is a channel that is not tried."""
    from mailmig.model.addresses import AddressSettings
    from mailmig.run.doctor import Setup
    from mailmig.sources.directory import DirectorySettings
    from mailmig.sources.exchange import ExchangeSettings
    from mailmig.sources.names import NamesSettings
    from mailmig.sources.windows import WindowsSettings

    config = session().config
    given = config.tables
    return Setup(
        config.section("names", NamesSettings),
        config.section("directory", DirectorySettings) if "directory" in given else None,
        config.section("exchange", ExchangeSettings) if "exchange" in given else None,
        config.section("windows", WindowsSettings) if "windows" in given else None,
        config.section("addresses", AddressSettings).map,
        session().gate,
        timeout_s,
    )


def _text(
    diagnosis: "Diagnosis", able: "tuple[Ability, ...]", probes: "tuple[ProbeLook, ...]"
) -> str:
    from tabulate import tabulate

    rows = [
        [look.server, look.channel.value, look.port, _WORDS[look.reached], _WORDS[look.trusted],
         _WORDS[look.logged_on]]
        for look in diagnosis.looks
    ]  # fmt: skip
    headers = ["server", "channel", "port", "answers", "certificate", "lets us in"]
    parts = [tabulate(rows, headers=headers, disable_numparse=True)]
    wrong = [f"  {said}" for said in _wrong(diagnosis)]
    if wrong:
        parts.append("\n".join(["What is wrong:", *wrong]))
    can = [[one.command, one.verdict.value] for one in able]
    parts.append(tabulate(can, headers=["command", "can be carried out"], disable_numparse=True))
    told = tuple(_wrong(diagnosis))
    parts += ["\n".join(_lacking(one, told)) for one in able if one.why]
    if probes:
        lines = [(one.mailbox, one.delegate, "yes" if one.is_good else "NO") for one in probes]
        headers = ["probe mailbox", "opened by", "opens"]
        parts.append(tabulate(lines, headers=headers, disable_numparse=True))
        parts += ["\n".join(_amiss(one)) for one in probes if not one.is_good]
    return "\n\n".join(parts)


def _amiss(one: "ProbeLook") -> Iterator[str]:
    yield f"{one.mailbox}, opened by {one.delegate}:"
    yield f"  {one.trouble}"
    if one.mend:
        yield f"  {one.mend}"


def _wrong(diagnosis: "Diagnosis") -> Iterator[str]:
    """Each sentence once."""
    said = [str(look.trouble) for look in diagnosis.looks if look.trouble is not None]
    untried = [look.untried for look in diagnosis.looks if look.untried]
    yield from dict.fromkeys((*said, *untried))


def _lacking(one: "Ability", told: tuple[str, ...]) -> Iterator[str]:
    """What a command lacks; of a sentence that stands above already the beginning."""
    yield f"{one.command}:"
    for text in one.why:
        fact, _, advice = text.partition("; ")
        above = advice and any(text.endswith(f": {said}") for said in told)
        yield f"  {fact} (see above)" if above else f"  {text}"
    yield from (f"  ask for {text}" for text in one.ask_for)


def _json(
    diagnosis: "Diagnosis", able: "tuple[Ability, ...]", probes: "tuple[ProbeLook, ...]"
) -> str:
    looks: list[dict[str, Any]] = [
        {
            "server": look.server, "channel": look.channel.value, "port": look.port,
            "answers": look.reached, "certificate": look.trusted, "lets_us_in": look.logged_on,
            "error": type(look.trouble).__name__ if look.trouble else None,
            "text": str(look.trouble) if look.trouble else look.untried or None,
        }
        for look in diagnosis.looks
    ]  # fmt: skip
    commands = [
        {"command": one.command, "can": one.verdict.value, "why": list(one.why),
         "ask_for": list(one.ask_for)}
        for one in able
    ]  # fmt: skip
    tried = [
        {"mailbox": one.mailbox, "delegate": one.delegate, "opens": one.is_good,
         "text": one.trouble or None, "mend": one.mend or None}
        for one in probes
    ]  # fmt: skip
    whole = {
        "schema": "mailmig.doctor/1", "servers": looks, "commands": commands, "probes": tried
    }  # fmt: skip
    return json.dumps(whole, ensure_ascii=False, indent=1)
