"""`mailmig check`: runs checks, lists them, and says what each proves."""

import inspect
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailmig.cli.frame import deliver, session
from mailmig.model.errors import MailmigError

if TYPE_CHECKING:
    from mailmig.catalog import Catalog
    from mailmig.model.finding import Check, Finding, Sweep
    from mailmig.run.check_settings import CheckSettings

GOOD, FOUND = 0, 1
_LIST, _EXPLAIN = "list", "explain"
_FORMS = ("text", "json", "html", "nagios", "prtg", "prometheus")
_NAGIOS_UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class Choice:
    """Which part of the organisation is looked at, and from where."""

    vantages: tuple[str, ...] = ()
    site: str = ""
    server: str = ""


@click.command(short_help="Check both sites and every way in.")
@click.argument("names", nargs=-1, metavar="[FAMILY|ID]... | list | explain ID")
@click.option(
    "--vantage", "vantages", multiple=True, metavar="V",
    help='Ask from there only: a site, or "outside" (may be repeated).',
)  # fmt: skip
@click.option("--site", default="", metavar="S", help="Only the servers of this site.")
@click.option("--server", default="", metavar="X", help="Only this server.")
@click.option(
    "--watch", "watch_s", type=click.FloatRange(min=1), metavar="S",
    help="Repeat every S seconds and show what changed, until Ctrl-C.",
)  # fmt: skip
@click.option(
    "--severity", type=click.Choice(["notice", "warning", "critical"]), metavar="W",
    help="Show only what is at least as bad: notice, warning or critical; unknown is always shown.",
)  # fmt: skip
@click.option(
    "--save", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Keep all facts, to be judged again with --from.",
)  # fmt: skip
@click.option(
    "--from", "saved", multiple=True, metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Judge saved facts and ask nobody; of several vantages may be repeated.",
)  # fmt: skip
@click.option(
    "--apart", "apart_min", type=click.FloatRange(min=0), default=60.0, show_default=True,
    metavar="MIN", help="How far apart saved facts of several files may be taken.",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice([*_FORMS]), default="text", show_default=True,
    help="How it is written.",
)  # fmt: skip
@click.option(
    "--out", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write it instead of the terminal.",
)  # fmt: skip
def cmd(
    names: tuple[str, ...], vantages: tuple[str, ...], site: str, server: str, watch_s: float | None,
    severity: str | None, save: Path | None, saved: tuple[Path, ...], apart_min: float, form: str,
    out: Path | None,
) -> None:  # fmt: skip
    """Check both sites and every way in, from each vantage.

    Without a name all checks run. `check list` names them, `check explain ID` says what one proves,
    where that stands, its thresholds and what to do. The exit code is 1 if something was found.
    """
    import asyncio

    from mailmig.catalog import catalog
    from mailmig.run.check_settings import limited

    settings = _settings()
    found = catalog(settings.folders)
    found.checks = {one.id: one for one in limited(found.checks.values(), settings.limits)}
    if names[:1] == (_LIST,):
        deliver(_listed(found), out)
        return
    if names[:1] == (_EXPLAIN,):
        checks = found.chosen(names[1:])
        deliver("\n\n".join(_explained(check) for check in checks), out)
        return
    if watch_s is not None and (saved or out or form != "text"):
        raise click.UsageError(
            "--watch repeats on the terminal: leave --from, --out and --format away"
        )
    try:
        checks = found.chosen(names)
        if saved:
            ended = asyncio.run(_judged_again(found, checks, settings, saved, apart_min))
        else:
            choice = Choice(vantages, site, server)
            ended = asyncio.run(_swept(found, checks, settings, choice, save))
            if watch_s is not None:
                asyncio.run(_watched(found, checks, settings, choice, watch_s, ended))
    except MailmigError as error:
        if form != "nagios":
            raise
        deliver(f"MAILMIG UNKNOWN - {error}", out)
        sys.exit(_NAGIOS_UNKNOWN)
    deliver(_written(ended, form, severity), out)
    if form == "nagios":
        from mailmig.render.monitors import code

        sys.exit(code(ended))
    sys.exit(GOOD if ended.worst.value in ("ok", "notice") else FOUND)


def _written(ended: "Sweep", form: str, severity: str | None) -> str:
    """The result in the format that was asked for; monitoring systems get all that counts."""
    from mailmig.render import monitors

    for_machines = {
        "nagios": monitors.nagios, "prtg": monitors.prtg, "prometheus": monitors.prometheus
    }  # fmt: skip
    if form in for_machines:
        return for_machines[form](ended)
    findings = _shown(ended, severity)
    if form == "text":
        return _text(ended, findings)
    if form == "json":
        return _json(ended, findings)
    from mailmig.render.html import render
    from mailmig.reports.checks import compose

    return render(compose(ended, findings))


def _settings() -> "CheckSettings":
    from mailmig.run.check_settings import CheckSettings

    return session().config.section("check", CheckSettings)


async def _swept(
    found: "Catalog", checks: "tuple[Check[Any], ...]", settings: "CheckSettings",
    choice: Choice, save: Path | None = None,
) -> "Sweep":  # fmt: skip
    from dataclasses import replace

    from mailmig.cli.frame import write_whole
    from mailmig.model.addresses import AddressSettings
    from mailmig.run.asking import Asking
    from mailmig.run.probing import ProbeSettings, credentials, pairs
    from mailmig.run.scoping import limited_to, scope
    from mailmig.run.sweep import sweep
    from mailmig.sources.directory_settings import DirectorySettings
    from mailmig.sources.names import NamesSettings
    from mailmig.sources.recorder import Limits, Recorder, to_text
    from mailmig.sources.web import WebSettings

    config = session().config
    names = config.section("names", NamesSettings)
    directory = None
    if "directory" in config.tables:
        directory = config.section("directory", DirectorySettings)
    addresses = config.section("addresses", AddressSettings).map
    gate = session().gate
    probes = config.section("probe", ProbeSettings)
    asking = Asking(
        names, config.section("web", WebSettings), addresses, credentials(probes), gate,
        probes.sender, probes.delivery_s,
    )  # fmt: skip
    covered = await scope(settings, names.servers, directory, addresses, gate, choice.vantages)
    covered = replace(covered, probes=tuple(pairs(probes)))
    ask = Recorder(covered, asking.put, Limits(settings.parallel, settings.deadline_s))
    try:
        if choice.site or choice.server:
            ask.scope = covered = await limited_to(covered, ask, choice.site, choice.server)
        ended = await sweep(checks, ask, found.broken, settings.suppressions())
    finally:
        await ask.close()
    if save is not None:
        write_whole(save, to_text(covered, ask.answers).encode())
        click.echo(f"written: {save}", err=True)
    return ended


async def _watched(
    found: "Catalog", checks: "tuple[Check[Any], ...]", settings: "CheckSettings", choice: Choice,
    every_s: float, before: "Sweep",
) -> None:  # fmt: skip
    """Shows the first sweep whole, and then what is new, what is another, and what is gone."""
    import asyncio

    click.echo(_text(before, before.findings))
    while True:
        await asyncio.sleep(every_s)
        after = await _swept(found, checks, settings, choice)
        for line in _changes(before, after):
            click.echo(f"{after.ended:%H:%M:%S} UTC  {line}")
        before = after


def _changes(before: "Sweep", after: "Sweep") -> Iterator[str]:
    """One line per finding that another sweep sees otherwise."""
    old, new = ({_key(one): one for one in sweep.findings} for sweep in (before, after))
    for key, one in new.items():
        was = old.get(key)
        if was is None or (was.severity, was.summary) != (one.severity, one.summary):
            then = f"{was.severity.value} -> " if was else ""
            place = f", from {one.vantage}" if one.vantage else ""
            yield f"{then}{one.severity.value}: {one.check}, {one.subject}{place}: {one.summary}"
    for key, was in old.items():
        if key not in new:
            yield f"{was.severity.value} -> gone: {was.check}, {was.subject}"


def _key(one: "Finding") -> tuple[str, str, str]:
    return one.check, one.subject, one.vantage


async def _judged_again(
    found: "Catalog", checks: "tuple[Check[Any], ...]", settings: "CheckSettings",
    saved: tuple[Path, ...], apart_min: float,
) -> "Sweep":  # fmt: skip
    from mailmig.run.sweep import sweep
    from mailmig.sources.recorder import merged, read

    facts = merged({file: read(file) for file in saved}, timedelta(minutes=apart_min))
    return await sweep(checks, facts, found.broken, settings.suppressions())


def _shown(ended: "Sweep", severity: str | None) -> "tuple[Finding, ...]":
    from mailmig.model.finding import Severity

    if severity is None:
        return ended.findings
    least = Severity(severity)
    return tuple(
        one
        for one in ended.findings
        if one.severity.rank >= least.rank or one.severity is Severity.UNKNOWN
    )


def _text(ended: "Sweep", findings: "tuple[Finding, ...]") -> str:
    from tabulate import tabulate

    colours = {"critical": "red", "warning": "yellow", "unknown": "magenta", "notice": "cyan"}
    plain = not sys.stdout.isatty()
    rows = []
    for one in findings:
        word = one.severity.value
        shown = word if plain or word not in colours else click.style(word, fg=colours[word])
        summary = f"{one.summary} (suppressed: {one.suppressed})" if one.suppressed else one.summary
        rows.append((shown, one.check, one.vantage, one.subject, summary))
    table = tabulate(rows, ("severity", "check", "from", "what", "finding"), disable_numparse=True)
    return "\n".join((table, "", _counts(ended)))


def _counts(ended: "Sweep") -> str:
    from mailmig.model.finding import Severity

    counted = [one.severity for one in ended.counted]
    parts = [
        f"{counted.count(severity)} {severity.value}"
        for severity in sorted(Severity, key=lambda one: -one.rank)
        if counted.count(severity)
    ]
    took = (ended.ended - ended.began).total_seconds()
    return f"{len(ended.checks)} checks in {took:.1f} s: {', '.join(parts) or 'nothing to check'}"


def _json(ended: "Sweep", findings: "tuple[Finding, ...]") -> str:
    return json.dumps(
        {
            "began": ended.began.isoformat(), "ended": ended.ended.isoformat(),
            "worst": ended.worst.value, "checks": ended.checks,
            "findings": [_finding(one) for one in findings],
        },
        ensure_ascii=False, indent=1,
    )  # fmt: skip


def _finding(one: "Finding") -> dict[str, Any]:
    return {
        "check": one.check, "subject": one.subject, "vantage": one.vantage,
        "severity": one.severity.value, "summary": one.summary,
        "evidence": [{"what": what, "value": value} for what, value in one.evidence],
        "skipped": one.skipped, "maintenance": one.maintenance, "suppressed": one.suppressed,
    }  # fmt: skip


def _listed(found: "Catalog") -> str:
    from tabulate import tabulate

    rows = [(check.id, check.question) for check in found.chosen(())]
    table = tabulate(rows, ("check", "question"), disable_numparse=True)
    broken = [f"{one.file} cannot be loaded: {one.reason}" for one in found.broken]
    return "\n".join((table, *broken))


def _explained(check: "Check[Any]") -> str:
    return "\n".join(_lines(check))


def _lines(check: "Check[Any]") -> Iterator[str]:
    from mailmig.model.finding import limits_of

    yield f"{check.id}: {check.question}"
    yield ""
    yield inspect.getdoc(check.judge) or "Nothing is written about it."
    if check.rows:
        yield ""
        yield "Causes, in the order in which they are tried:"
        for key, sentence in check.rows:
            yield f"  {key}: {sentence}"
    limits = list(limits_of(check))
    if limits:
        yield ""
        yield "Thresholds:"
        for name, value, unit, help in limits:
            yield f"  {name} = {value} {unit}".rstrip() + f"  ({help})"
