"""The PowerShell script that an admin runs to export what an inventory needs.

The calls are made from the table `collection.EXPORTS`; what stands around them (how to run
it, the manifest, progress) is the text `collect.ps1` beside this module. Written for Windows
PowerShell 3 and later, ASCII only, so that no editor and no code page can change it.

Facts that shaped it
- The Exchange Management Shell is remote PowerShell, and a session runs one remote pipeline at
  a time: a Get- cmdlet inside the pipeline of another one fails. So mailboxes and databases
  are remembered first (four short texts each), and asked about afterwards.
- A Get- cmdlet with an empty identity returns everything (migration.md 1.3): nothing empty is
  remembered or handed on.
- Get-MailboxStatistics for a recovery database lists restored copies of mailboxes that exist.
"""

import textwrap
from collections.abc import Iterable, Iterator
from importlib.resources import files

from mailmig.wire.collection import (
    EXPORTS,
    MAILBOX_PROPERTIES,
    MANIFEST_SCHEMA,
    STATISTICS_PROPERTIES,
    Each,
    Export,
)

_WIDTH = 100
_STEP = "    "
_TEMPLATE = "collect.ps1"
_COLUMNS = {"$mailboxColumns": MAILBOX_PROPERTIES, "$statisticsColumns": STATISTICS_PROPERTIES}

# What is remembered while the rows of an export pass by.
_REMEMBER = {
    "servers": '[void]$servers.Add("$($_.AdminDisplayVersion)")',
    "databases": """\
if ("$($_.Name)" -and "$($_.Recovery)" -ne 'True') { [void]$databases.Add("$($_.Name)") }""",
    "mailboxes": """\
if ("$($_.Guid)" -and "$($_.DistinguishedName)") {
    [void]$mailboxes.Add([pscustomobject]@{
        ExchangeGuid = "$($_.ExchangeGuid)"
        Guid = "$($_.Guid)"
        DistinguishedName = "$($_.DistinguishedName)"
        ArchiveGuid = "$($_.ArchiveGuid)" -replace '^00000000-.*$'
    })
}""",
    "statistics": """$listed["$($_.MailboxGuid)"] = $true""",
}

# What follows an export.
_AFTER = {
    "servers": """\
$newest = $servers | Where-Object { $_ -like 'Version 1*' } | Sort-Object | Select-Object -Last 1
if ($connected -and ($newest -split ' [(]')[0] -gt ($connected -split ' [(]')[0]) {
    Write-Host "A newer server exists ($newest): its shell knows more." -ForegroundColor Yellow
}""",
}


def script(version: str, exports: Iterable[Export] = EXPORTS) -> str:
    """The whole script, with "\\n" at the line ends; `version` is named in its head."""
    text = files("mailmig.wire").joinpath(_TEMPLATE).read_text("ascii")
    text = text.replace("{version}", version).replace("{schema}", str(MANIFEST_SCHEMA))
    before, _, after = text.partition("#{rows}\n")
    return "\n".join([before + "\n".join(_columns()), *_rows(exports)]) + after


def call(export: Export, cmdlet: str = "") -> str:
    """The call as the manifest names it: "Get-MailboxStatistics -Database <each database>"."""
    words = [cmdlet or export.cmdlet, *_given(export)]
    if export.each is Each.DATABASE:
        words.append(f"-{export.by} <each database>")
    elif export.each is not Each.ONCE:
        words.append(f"-Identity <each {export.each.value}>")
    return " ".join(words)


def _columns() -> Iterator[str]:
    for name, properties in _COLUMNS.items():
        yield f"{name} = @("
        yield textwrap.indent(_wrapped([f"'{one}'" for one in properties], 4), _STEP)
        yield ")\n"


def _rows(exports: Iterable[Export]) -> Iterator[str]:
    """For each export: what its absence costs, the call, and what follows it."""
    said = ""
    for export in exports:
        if export.cost != said:
            said = export.cost
            yield _comment(f"Without this file: {said}.")
        text = _saved(export, export.cmdlet)
        if export.older:
            text = (
                f"if (Get-Command -Name {export.cmdlet} -ErrorAction SilentlyContinue) {{\n"
                f"{textwrap.indent(text, _STEP)}\n"
                f"}} else {{\n"
                f"{textwrap.indent(_saved(export, export.older), _STEP)}\n"
                "}"
            )
        yield text + "\n"
        if export.name in _AFTER:
            yield _AFTER[export.name] + "\n"


def _comment(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")


def _saved(export: Export, cmdlet: str) -> str:
    return (
        f"Save-Answers -Name '{export.name}' -Depth {export.depth} "
        f"-Call '{call(export, cmdlet)}' -Question {{\n"
        f"{textwrap.indent(_question(export, cmdlet), _STEP)}\n"
        "}"
    )


def _question(export: Export, cmdlet: str) -> str:
    """The pipelines that ask: one, or one for each database, mailbox or archive."""
    words = [cmdlet, *_given(export)]
    if export.each is Each.ONCE:
        return _pipeline(export, " ".join(words))
    if export.each is Each.DATABASE:
        items, item, which = "$databases", "$database", ""
        words.append(f"-{export.by} $database")
    else:
        items, item, which = "$mailboxes", "$mailbox", ""
        words.append(f"-Identity $mailbox.{export.by}")
    if export.each is Each.ARCHIVE:
        which = (
            "\n    Where-Object { $_.ArchiveGuid -and -not $listed.ContainsKey($_.ArchiveGuid) } |"
        )
    return (
        f"Step-Through -Name '{export.name}' -Items {items} |{which}\n"
        "    ForEach-Object {\n"
        f"        {item} = $_\n"
        "        try {\n"
        f"{textwrap.indent(_pipeline(export, ' '.join(words)), ' ' * 12)}\n"
        "        } catch { $_ }\n"
        "    }"
    )


def _pipeline(export: Export, words: str) -> str:
    stages = [words]
    if export.keep:
        stages.append(f"Where-Object {_block(export.keep)}")
    if export.each is Each.ARCHIVE:
        stages.append('Where-Object { "$($_.MailboxGuid)" -eq $mailbox.ArchiveGuid }')
    if export.name in _REMEMBER:
        stages.append(f"ForEach-Object {_block(_REMEMBER[export.name] + chr(10) + '$_')}")
    stages.append(f"Select-Object -Property {_selection(export)}")
    return " |\n".join([stages[0], *(textwrap.indent(stage, _STEP) for stage in stages[1:])])


def _selection(export: Export) -> str:
    owned = export.each in (Each.MAILBOX, Each.ARCHIVE)
    for name, properties in _COLUMNS.items():
        if export.properties == properties and not owned:
            return name
    names = [f"'{name}'" for name in export.properties]
    if owned:
        names.insert(0, "@{ Name = 'OwnerGuid'; Expression = { $mailbox.ExchangeGuid } }")
    return textwrap.indent(_wrapped(names, 24), _STEP).lstrip()


def _given(export: Export) -> list[str]:
    return [
        f"-{name}" if value is None else f"-{name} {value}" for name, value in export.parameters
    ]


def _block(lines: str) -> str:
    if "\n" not in lines:
        return f"{{ {lines} }}"
    return f"{{\n{textwrap.indent(lines, _STEP)}\n}}"


def _wrapped(words: list[str], indent: int) -> str:
    """Words with commas between them, in lines that leave room for an indent."""
    lines = [""]
    for word in (*(f"{word}," for word in words[:-1]), words[-1]):
        if lines[-1] and len(lines[-1]) + len(word) + indent >= _WIDTH:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return "\n".join(lines)
