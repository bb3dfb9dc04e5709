"""Autodiscover as documents: both halves, for the client that asks and for the lab.

    pox        "plain old XML" for Outlook: settings, redirects, errors, the MAPI/HTTP URLs
    mobile     the same envelope for ActiveSync
    soap       GetUserSettings
    v2         JSON, without authentication

XML goes in and out through `mailmig.wire.documents`; the one error is its `BadDocument`. Facts: the
team's protocol notes, section 5 ("notes 5.1"), and MS-OXDSCLI. Elements are found by their names
without namespace: servers differ there. What the notes do not spell out is [MEM]. Each document is
a frozen dataclass with `encode` and `decode`, and `decode(encode(x)) == x` for texts without blanks
around them. `None` is an element that is absent, "" one that is empty.
"""
