"""The lines between the sites, and the firewalls on machines: what does not get through.

    lines = world.surroundings.lines
    lines.barred.add(("Rathaus", "Stadthaus"))      # from, to: connections begun there get no answer
    lines.closed.add(("ls-ex1", 25))                # nobody gets in at this port

What is closed refuses; what is barred lets whoever connects wait. Copies of databases have a network
of their own and go on. Ports are standard ones, times seconds of ours.
"""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Lines:
    """How it stands now. `delay_s` is what a packet needs more between two sites, one way."""

    barred: set[tuple[str, str]] = field(default_factory=set)
    closed: set[tuple[str, int]] = field(default_factory=set)
    delay_s: float = 0.0

    def is_closed(self, machine: str, port: int) -> bool:
        """Whether nobody gets in there; the machine by its short name in any case."""
        return (machine.lower(), port) in self.closed
