"""The planning calendar that belongs to a story: windows, target databases, constraints.

The format is that of the planning input (windows.json, databases.json, constraints.json).
Capacities are shares of what the organisation holds, so they suffice at any size.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from mailmig.lab.organisation import Organisation
from mailmig.lab.population import Mailbox
from mailmig.lab.story import Story
from mailmig.model.directory import NEVER_MOVED, Kind
from mailmig.model.quota import GIB


def write_calendar(organisation: Organisation, story: Story, folder: Path) -> None:
    """Write the three files into a new folder."""
    folder.mkdir()
    load = _Load(organisation, story)
    for name, content in (
        ("windows.json", load.windows()),
        ("databases.json", load.databases()),
        ("constraints.json", load.constraints()),
    ):
        text = json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        (folder / name).write_text(text, "utf-8", newline="\n")


class _Load:
    """How much there is to move, and what each resource must take."""

    def __init__(self, organisation: Organisation, story: Story) -> None:
        self.organisation = organisation
        self.told = story.calendar
        self.departments = story.departments
        movable = [m for m in organisation.present() if m.kind not in NEVER_MOVED]
        sizes = [organisation.move_size(mailbox) for mailbox in movable]
        self.count = len(movable)
        self.bytes = sum(sizes)
        self.largest = max(sizes)

    def _capacity(self, part: float) -> int:
        """What a window takes: its share, and never less than a few of the largest mailboxes."""
        return max(round(self.bytes * part), 3 * self.largest + GIB)

    def _mailboxes(self, part: float) -> int:
        return round(self.count * part * 1.3) + 12

    def windows(self) -> dict[str, Any]:
        return {
            "project_start": _local(self.told["project_start"]),
            "deadline": _local(self.told["deadline"]),
            "mode": "classic",
            "freezes": [
                {"start": _local(f["start"]), "end": _local(f["end"]), "reason": f["reason"]}
                for f in self.told["freeze"]
            ],
            "windows": [
                {
                    "id": w["id"], "start": _local(w["start"]), "end": _local(w["end"]),
                    "hours": _hours(w["start"], w["end"]),
                    "capacity_bytes": self._capacity(w["share"]),
                    "max_mailboxes": self._mailboxes(w["share"]),
                    "pilot": w.get("pilot", False),
                }
                for w in self.told["window"]
            ],
        }  # fmt: skip

    def databases(self) -> dict[str, Any]:
        slack = self.told["slack"]
        targets = [d for d in self.organisation.databases.values() if d.dag]
        servers = [self.organisation.server(name) for name in self.organisation.dag.servers]
        most = max(
            self._capacity(w["share"]) / _hours(w["start"], w["end"]) for w in self.told["window"]
        )
        largest_window = max(self._capacity(w["share"]) for w in self.told["window"])
        sources = [d for d in self.organisation.databases.values() if not d.dag]
        return {
            "databases": [
                {
                    "id": d.name, "server": d.server,
                    "site": self.organisation.server(d.server).site,
                    "capacity_bytes": round(self.bytes * slack / len(targets)) + 2 * self.largest,
                    "log_headroom_bytes": round(largest_window * slack / len(targets))
                    + 2 * self.largest,
                }
                for d in targets
            ],
            "servers": [
                {
                    "id": s.name, "site": s.site, "max_concurrent_moves": 20,
                    "gb_per_hour": round(most * slack / len(servers) / GIB + 1, 3),
                }
                for s in servers
            ],
            "sources": [
                {"id": d.name, "max_share_of_window": 1.0 if len(sources) < 5 else 0.5}
                for d in sources
            ],
            "site_preference": {},
        }  # fmt: skip

    def constraints(self) -> dict[str, Any]:
        """Pilot volunteers, people who want neither the first nor the last window, one audit."""
        told = self.told["window"]
        pilot = next(w["id"] for w in told if w.get("pilot"))
        rest = [w["id"] for w in told if not w.get("pilot")]
        moving = {move.mailbox for move in self.organisation.moves}
        units = {plan.name for plan in self.departments if plan.pilot}
        ready = [
            m for m in self.organisation.present(Kind.USER)
            if m.last_logon is not None and m.title != "Dienstkonto"
        ]  # fmt: skip
        wanted = max(1, round(len(ready) * self.told["pilot_share"]))
        volunteers = [m for m in ready if m.path[-1] in units and m.number not in moving][1:]
        pins = [
            {"identity": m.address, "reason": "pilot volunteer", "window": pilot}
            for m in volunteers[:wanted]
        ]
        taken = {m.number for m in volunteers[:wanted]}
        others = [m for m in ready if m.number not in taken]
        pins += [
            {
                "identity": m.address,
                "reason": "head of office: neither pilot nor last window",
                "not_before": rest[0],
                "not_after": rest[-2],
            }
            for m in _heads(others)[:6]
        ]
        special = [m for m in others if m.title == "Sachbearbeitung"][-3:]
        if len(special) == 3:
            targets = [d.name for d in self.organisation.databases.values() if d.dag]
            pins.append(
                {
                    "identity": special[0].address,
                    "reason": "audit, not before",
                    "not_before": rest[2],
                }
            )
            pins += [
                {"identity": m.address, "reason": "database prescribed", "database": targets[1]}
                for m in special[1:]
            ]
        return {"pins": pins}


def _heads(people: list[Mailbox]) -> list[Mailbox]:
    return [mailbox for mailbox in people if mailbox.title == "Leitung"]


def _hours(start: datetime, end: datetime) -> float:
    hours = (end - start).total_seconds() / 3600
    return int(hours) if hours.is_integer() else hours


def _local(moment: datetime) -> str:
    return moment.isoformat()
