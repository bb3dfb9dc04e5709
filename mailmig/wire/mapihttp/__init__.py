"""MAPI over HTTP as bytes: both halves of the protocol, for the client that asks and the lab.

    octets       how numbers and texts are laid out, and the one error: `BadMapi`
    codes        request types, X-ResponseCode, error codes of logons and folders
    head         the headers of a request and of a response, and the published URL
    cookies      what belongs to one session context
    frame        PROCESSING, PENDING, DONE, late headers, body
    mailbox      bodies of Connect, Execute, Disconnect
    rop_buffer   what an Execute body carries: header, ROPs, handles
    rops         the remote operations themselves
    properties   property tags, values, rows
    restrictions what GetMatches filters by
    address_book bodies of Bind, Unbind, ResolveNames, GetMatches, GetMailboxUrl, ...
    entries      bodies of GetProps, QueryRows, DNToMId, CompareMIds

All integers are little-endian. Each message is a frozen dataclass with `encode` and `decode`,
and `decode(encode(x)) == x`. Codes stay plain `int` in the messages: a server may send numbers
that nobody listed; `codes` knows the names. Written from the team's protocol notes, whose
sections are named as "notes 1.6"; MS-OX* are Microsoft's open specifications. Layouts that the
notes do not spell out are marked [MEM].
"""
