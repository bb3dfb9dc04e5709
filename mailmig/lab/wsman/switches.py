"""What may be odd about a WS-Management service, as plain attributes that hold from the next answer.

Faults set them, servers read them; all off is a healthy server.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Switches:
    """Oddities and faults of one service. Times are real seconds."""

    compress: bool = False  # gzip as IIS does, unless the client asks for identity
    stray_blank: bool = False  # the blank in IIS's MIME boundary
    delay_s: float = 0.0  # before each answer
    hang: bool = False  # no answer at all until it is switched off
    hang_midway: bool = False  # half of each answer, and no more until it is switched off
    truncate_at: int | None = None  # cut the connection after so many bytes of each answer's body
    page: bool = False  # a proxy's page instead of each answer, before anybody logs on
    status: int | None = None  # an empty answer with this status, before anybody logs on
    forget_shells: bool = False  # every shell has expired when it is used for the next time
    no_new_shells: bool = False  # everybody has as many shells as he may have
    no_select: bool = False  # Select-Object is not among the session's commands
