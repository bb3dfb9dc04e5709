"""All that a check may import: the words of questions, facts and findings.

What stands in `__all__` stays as it is from one release to the next, for the checks of admins.
"""

from mailmig.model.activesync import AskSyncOptions, SyncOptions
from mailmig.model.discovery import DiscoverBySoap, SoapSettings
from mailmig.model.document import NONE, Column, Nothing, Table
from mailmig.model.ews import MailboxRead, ReadMailbox
from mailmig.model.finding import (
    INSIDE,
    OUTSIDE,
    Answer,
    Ask,
    Check,
    Fact,
    Finding,
    NoAnswer,
    Origin,
    Question,
    Severity,
    limit,
)
from mailmig.model.forest import AutodiscoverPoint
from mailmig.model.mail import Delivery, GreetSmtp, SendProbe, SmtpGreeting
from mailmig.model.mapi import Discover, Discovered, Step, Walk, WalkMailbox
from mailmig.model.names import NameAnswer, NameRecord, ResolveName
from mailmig.model.organisation import Server
from mailmig.model.scope import ProbePair, Scope, Vantage
from mailmig.model.web import (
    Certificate,
    FetchPage,
    GreetTls,
    Handshake,
    Page,
    Stage,
    Trouble,
)
from mailmig.rules.ews_ways import Opened as OpenedByEws
from mailmig.rules.ews_ways import discovery_ways
from mailmig.rules.ews_ways import first_opened as opened_first
from mailmig.rules.ews_ways import opened as opened_by_ews
from mailmig.rules.mapi_causes import Case, Cell, cause, causes
from mailmig.rules.mapi_ways import walked
from mailmig.rules.ways_in import AUTODISCOVER, Resolved, WayIn, resolved, ways_in, ways_to
from mailmig.wire.autodiscover import v2 as autodiscover_v2
from mailmig.wire.documents import BadDocument

__all__ = [
    "AUTODISCOVER", "INSIDE", "NONE", "OUTSIDE", "Answer", "Ask", "AskSyncOptions",
    "AutodiscoverPoint", "BadDocument", "Case", "Cell", "Certificate", "Check", "Column",
    "Delivery", "Discover", "DiscoverBySoap", "Discovered", "Fact", "FetchPage", "Finding",
    "GreetSmtp", "GreetTls", "Handshake", "MailboxRead", "NameAnswer", "NameRecord", "NoAnswer",
    "Nothing", "OpenedByEws", "Origin", "Page", "ProbePair", "Question", "ReadMailbox", "ResolveName",
    "Resolved", "Scope", "SendProbe", "Server", "Severity", "SmtpGreeting", "SoapSettings", "Stage",
    "Step", "SyncOptions", "Table", "Trouble", "Vantage", "Walk", "WalkMailbox", "WayIn",
    "autodiscover_v2", "cause", "causes", "discovery_ways", "limit", "opened_by_ews", "opened_first", "resolved",
    "walked", "ways_in", "ways_to",
]  # fmt: skip
