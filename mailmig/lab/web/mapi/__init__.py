"""MAPI over HTTP of a back end: mailboxes (`/mapi/emsmdb`) and the address book (`/mapi/nspi`).

    service       takes a request, checks its head, frames the answer
    contexts      session contexts of each server, their cookies, their end
    emsmdb        Connect, Execute, Disconnect
    rops          what is done inside an Execute
    properties    what a mailbox and its folders tell
    nspi          Bind, ResolveNames, GetMailboxUrl, ...
    entries       the entries of the address book
    switches      what may be odd about one server

Facts: protocols.md 1. The bytes are those of `mailmig.wire.mapihttp`.
"""
