"""What may be odd about MAPI over HTTP on one server: `world.conditions("LS-EX1").mapi`.

Faults set them, the server reads them at each request; all off is a healthy server.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class MapiSwitches:
    """Oddities and faults of one server's MAPI over HTTP. Times are seconds of ours.

    They are those of the server that has the mailbox:
        content_length: answers come in one piece with Content-Length instead of chunks.
        late_code: the second X-ResponseCode, behind DONE, of each Execute that began well.
        delay_s: how long it works on an Execute before it says DONE.
        pending_period_ms: X-PendingPeriod, and how often PENDING comes meanwhile; None: by version.
    """

    content_length: bool = False
    late_code: int | None = None
    delay_s: float = 0.0
    pending_period_ms: int | None = None
