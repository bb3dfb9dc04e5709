"""What the people of a window are told: mails before and after the move, and a list for mail merge.

Mails are drafts with two fields that mail merge fills from people.csv: {{mailbox}}, and which
mailboxes the reader uses and cannot open for a time: {{apart_en}} or {{apart_de}} before the
move, {{still_en}} or {{still_de}} after it, without those that are together by then. The day
of a move is the day on which its window begins. Times are in the zone of the plan. That Outlook asks to be restarted after a move
is [MEM].
"""

from collections import defaultdict
from datetime import datetime
from zoneinfo import ZoneInfo

from mailmig.model.document import Column, Document, Row, Table
from mailmig.model.migration import DAY, Plan, Window
from mailmig.render import delimited
from mailmig.rules.planning.explain_times import UnknownTime
from mailmig.rules.planning.exposure import days_of
from mailmig.rules.planning.problem import rows_of, share_rows

# Kinds of mailboxes that somebody reads as his own.
PEOPLE = frozenset({"", "user", "linked", "legacy"})

NAMED = 10

_DAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
}
_MONTHS = {
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September",
           "October", "November", "December"),
    "de": ("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September",
           "Oktober", "November", "Dezember"),
}  # fmt: skip

_BEFORE_EN = """\
Subject: Your mailbox moves on {day}

Hello,

your mailbox {{{{mailbox}}}} moves to the new mail servers.

  from: {begin}
  to:   {end} ({zone})

- You can work as usual. Nothing is lost, and you need not do anything beforehand.
- When the move is completed, Outlook may ask to be restarted; a phone may need a few minutes
  until it shows new mail again.
- Mailboxes and calendars of others that you use may move on another day. Until then you may
  not be able to open them: {{{{apart_en}}}}

If something does not work afterwards, please tell the help desk.
"""

_AFTER_EN = """\
Subject: Your mailbox has moved

Hello,

your mailbox {{{{mailbox}}}} is now on the new mail servers.

- Please close Outlook once and start it again.
- If your phone shows no new mail, switch its mail account off and on once.
- These mailboxes and calendars of others you may not be able to open for a time:
  {{{{still_en}}}}

If something does not work, please tell the help desk.
"""

_BEFORE_DE = """\
Betreff: Ihr Postfach zieht um: {day}

Guten Tag,

Ihr Postfach {{{{mailbox}}}} zieht auf die neuen Mailserver um.

  von: {begin}
  bis: {end} ({zone})

- Sie können arbeiten wie gewohnt. Es geht nichts verloren, und Sie müssen vorher nichts tun.
- Ist der Umzug fertig, kann Outlook um einen Neustart bitten; ein Telefon braucht vielleicht
  einige Minuten, bis es wieder neue Mails zeigt.
- Postfächer und Kalender anderer, die Sie nutzen, ziehen vielleicht an einem anderen Tag um.
  Bis dahin lassen sie sich vielleicht nicht öffnen: {{{{apart_de}}}}

Wenn danach etwas nicht geht, wenden Sie sich bitte an die Benutzerhilfe.
"""

_AFTER_DE = """\
Betreff: Ihr Postfach ist umgezogen

Guten Tag,

Ihr Postfach {{{{mailbox}}}} liegt jetzt auf den neuen Mailservern.

- Bitte schließen Sie Outlook einmal und starten Sie es neu.
- Zeigt Ihr Telefon keine neuen Mails, schalten Sie dort das Mailkonto einmal aus und ein.
- Diese Postfächer und Kalender anderer lassen sich eine Zeit lang vielleicht nicht öffnen:
  {{{{still_de}}}}

Wenn etwas nicht geht, wenden Sie sich bitte an die Benutzerhilfe.
"""

_MAILS = {
    "before": {"en": _BEFORE_EN, "de": _BEFORE_DE},
    "after": {"en": _AFTER_EN, "de": _AFTER_DE},
}
_NOTHING = {"en": "none", "de": "keine"}


def window_of(plan: Plan, name: str) -> Window:
    """The window of this name in which somebody moves. Raises `UnknownTime`."""
    used = {assignment.window for assignment in plan.assignments}
    windows = {w.id.casefold(): w for w in plan.data.calendar.windows if w.id in used}
    if name.casefold() not in windows:
        known = [window.id for window in windows.values()]
        raise UnknownTime(name, "window in which somebody moves named", known)
    return windows[name.casefold()]


def texts(plan: Plan, name: str) -> dict[str, str]:
    """The files: mails by moment and language, and people.csv. Raises `UnknownTime`."""
    window = window_of(plan, name)
    zone = ZoneInfo(plan.zone)
    files = {}
    for moment, of in _MAILS.items():
        for language, text in of.items():
            files[f"{moment}.{language}.txt"] = text.format(
                day=_day(window.start.astimezone(zone), language),
                begin=_time(window.start.astimezone(zone), language),
                end=_time(window.end.astimezone(zone), language),
                zone=plan.zone,
            )
    return files | {"people.csv": delimited.render(_people(plan, window))}


def _people(plan: Plan, window: Window) -> Document:
    """A line for each person who moves in the window."""
    kinds = {mailbox.identity: mailbox.kind for mailbox in plan.data.mailboxes}
    people = [
        a.mailbox
        for a in plan.assignments
        if a.window == window.id and kinds.get(a.mailbox, "").casefold() in PEOPLE
    ]
    apart = _apart(plan, people)
    columns = (
        Column("mailbox", "Mailbox"),
        Column("apart_en", "Apart"),
        Column("apart_de", "Getrennt"),
        Column("still_en", "Still apart"),
        Column("still_de", "Noch getrennt"),
    )
    rows: list[Row] = []
    for who in people:
        still = [each for each in apart[who] if each[2] > window.end]
        said = (_said(of, language) for of in (apart[who], still) for language in ("en", "de"))
        rows.append((who, *said))
    table = Table("people", "People", columns, rows, detail=True)
    return Document("plan_people", 1, f"People of {window.id}", "", plan.created, (table,))


def _apart(plan: Plan, people: list[str]) -> dict[str, list[tuple[str, datetime, datetime]]]:
    """For each person: whose mailbox it uses, and from when to when one of them has moved alone."""
    data = plan.data
    rows = rows_of(data)
    days = days_of(data, rows, plan.assignments)
    wanted = {rows[who.casefold()]: who for who in people}
    found: dict[str, dict[str, tuple[datetime, datetime]]] = defaultdict(dict)
    start, zone = data.calendar.project_start, ZoneInfo(plan.zone)
    for place, owner, delegate in zip(*share_rows(data, rows), strict=True):
        if delegate in wanted and days[owner] != days[delegate] and data.shares[place].weight:
            low, high = sorted((days[owner], days[delegate]))
            times = (start + low * DAY).astimezone(zone), (start + high * DAY).astimezone(zone)
            found[wanted[delegate]][data.mailboxes[owner].identity] = times
    return {
        who: sorted(((owner, *times) for owner, times in found[who].items()), key=lambda x: x[1:])
        for who in people
    }


def _said(apart: list[tuple[str, datetime, datetime]], language: str) -> str:
    words = {"en": ("from", "to", "and {} more"), "de": ("vom", "bis zum", "und {} weitere")}
    begin, end, more = words[language]
    named = [
        f"{owner} ({begin} {_date(low, language)} {end} {_date(high, language)})"
        for owner, low, high in apart[:NAMED]
    ]
    if len(apart) > NAMED:
        named.append(more.format(len(apart) - NAMED))
    return ", ".join(named) or _NOTHING[language]


def _date(moment: datetime, language: str) -> str:
    dot = "." if language == "de" else ""
    return f"{moment.day}{dot} {_MONTHS[language][moment.month - 1]} {moment.year}"


def _day(moment: datetime, language: str) -> str:
    return f"{_DAYS[language][moment.weekday()]}, {_date(moment, language)}"


def _time(moment: datetime, language: str) -> str:
    return f"{_day(moment, language)}, {moment:%H:%M}{' Uhr' if language == 'de' else ''}"
