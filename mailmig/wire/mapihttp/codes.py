"""The numbers of MAPI over HTTP and their names. What they mean for an admin is judged elsewhere.

X-ResponseCode: MS-OXCMAPIHTTP 2.2.3.3.3, notes 1.3. gromox counts otherwise (its 1 is "verb",
6 a missing cookie, ...): do not read its answers with this table. Error codes of Connect,
Execute and the ROPs: MS-OXCRPC 3.1.4, MS-OXCSTOR 3.2.5.1, notes 1.6 and 1.8, where the names
that have none there are marked [MEM].
"""

from enum import IntEnum, StrEnum


class Endpoint(StrEnum):
    """Below `/mapi/`: the mailbox store, and the address book (notes 1.1)."""

    MAILBOX = "emsmdb"
    ADDRESS_BOOK = "nspi"


class RequestType(StrEnum):
    """X-RequestType as it is written on the wire (MS-OXCMAPIHTTP 2.2.3.3.1, notes 1.1, 1.2).

    Compared without case: ruler sends `BIND`. The notes say that the wire names of CompareMIds
    and DNToMId differ from the titles of their chapters; the titles (CompareMinIds, DnToMinId
    [MEM]) are accepted too. Those beyond the notes' list are [MEM].
    """

    PING = "PING"
    CONNECT = "Connect"
    EXECUTE = "Execute"
    DISCONNECT = "Disconnect"
    NOTIFICATION_WAIT = "NotificationWait"
    BIND = "Bind"
    UNBIND = "Unbind"
    GET_MATCHES = "GetMatches"
    RESOLVE_NAMES = "ResolveNames"
    GET_PROPS = "GetProps"
    QUERY_ROWS = "QueryRows"
    GET_MAILBOX_URL = "GetMailboxUrl"
    GET_ADDRESS_BOOK_URL = "GetAddressBookUrl"
    DN_TO_MID = "DNToMId"
    COMPARE_MIDS = "CompareMIds"
    GET_PROP_LIST = "GetPropList"
    GET_SPECIAL_TABLE = "GetSpecialTable"
    GET_TEMPLATE_INFO = "GetTemplateInfo"
    MOD_LINK_ATT = "ModLinkAtt"
    MOD_PROPS = "ModProps"
    QUERY_COLUMNS = "QueryColumns"
    RESORT_RESTRICTION = "ResortRestriction"
    SEEK_ENTRIES = "SeekEntries"
    UPDATE_STAT = "UpdateStat"

    @classmethod
    def named(cls, text: str) -> "RequestType | None":
        """The type of that name in any case; `None` when there is none."""
        return _TYPES.get(text.strip().casefold())

    @property
    def endpoints(self) -> frozenset[Endpoint]:
        """Where it may be asked: PING everywhere, the others in one place (notes 1.1)."""
        if self is RequestType.PING:
            return frozenset(Endpoint)
        return frozenset({Endpoint.MAILBOX if self in _OF_MAILBOXES else Endpoint.ADDRESS_BOOK})


_OF_MAILBOXES = (
    RequestType.CONNECT, RequestType.EXECUTE, RequestType.DISCONNECT, RequestType.NOTIFICATION_WAIT,
)  # fmt: skip
_TYPES = {kind.value.casefold(): kind for kind in RequestType} | {
    "compareminids": RequestType.COMPARE_MIDS,
    "dntominid": RequestType.DN_TO_MID,
}


class ResponseCode(IntEnum):
    """X-ResponseCode, in the header or late in the frame."""

    SUCCESS = 0
    UNKNOWN_FAILURE = 1
    INVALID_VERB = 2
    INVALID_PATH = 3
    INVALID_HEADER = 4
    INVALID_REQUEST_TYPE = 5
    INVALID_CONTEXT_COOKIE = 6
    MISSING_HEADER = 7
    ANONYMOUS_NOT_ALLOWED = 8
    TOO_LARGE = 9
    CONTEXT_NOT_FOUND = 10
    NO_PRIVILEGE = 11
    INVALID_BODY = 12
    MISSING_COOKIE = 13
    RESERVED = 14
    INVALID_SEQUENCE = 15
    ENDPOINT_DISABLED = 16
    INVALID_RESPONSE = 17
    ENDPOINT_SHUTTING_DOWN = 18


class ErrorCode(IntEnum):
    """Error codes of bodies and ROPs, by the names that Exchange's own messages use."""

    ecNone = 0
    ecProfileNotConfigured = 0x11C
    ecUnknownUser = 0x3EB
    ecUnknownCodePage = 0x3EF
    ecLoginPerm = 0x3F2
    ecWrongServer = 0x478
    ecServerPaused = 0x47F
    ecRpcFormat = 0x4B6  # the notes: "format"; name [MEM]
    ecNullObject = 0x4B9  # the notes: bad handle; name as in gromox
    ecClientVerDisallowed = 0x4DF  # the notes: client version blocked; name [MEM]
    ecMailboxInTransit = 0x50C
    rpcServerUnavailable = 0x6BA  # 1722, a Windows code
    rpcBadStubData = 0x6F7  # ROP buffer too large; a Windows code, name [MEM]
    ecProtocolDisabled = 0x7D8  # name [MEM]
    ecMailboxDisabled = 0x96C
    ecErrorsReturned = 0x00040380  # of the address book: some properties are missing; [MEM]
    ecError = 0x80004005
    ecNotSupported = 0x80040102  # the notes: wrong object; name [MEM]
    ecNotFound = 0x8004010F
    ecVersionMismatch = 0x80040110
    ecLoginFailure = 0x80040111
    ecRpcFailed = 0x80040115  # the same value as MAPI_E_NETWORK_ERROR
    ecInvalidCodePage = 0x8004011E  # of the address book; [MEM]
    ecTableTooBig = 0x80040403  # of the address book: more entries than were asked for; [MEM]
    ecAccessDenied = 0x80070005
    ecNotEnoughMemory = 0x8007000E  # a value larger than the limit that was asked for; [MEM]
    ecInvalidParameter = 0x80070057


def error_name(code: int) -> str:
    """An error code for people: "ecWrongServer (0x478)", or the number alone."""
    try:
        return f"{ErrorCode(code).name} ({code:#x})"
    except ValueError:
        return f"{code:#x}"


def response_code_name(code: int) -> str:
    """An X-ResponseCode for people: "missing cookie (13)", or the number alone."""
    try:
        return f"{ResponseCode(code).name.replace('_', ' ').lower()} ({code})"
    except ValueError:
        return str(code)
