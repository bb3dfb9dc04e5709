"""The attributes that the lab's directory knows, how they are spelt, and how they are compared.

An attribute that is not listed here is unknown to the schema: a filter that names it is
neither true nor false (MS-ADTS 3.1.1.3.1.3), and nobody gets a value of it.
"""

from enum import Enum
from functools import lru_cache
from typing import Final


class Syntax(Enum):
    """How the values of an attribute are compared."""

    TEXT = "text"  # without case
    DN = "distinguished name"
    NUMBER = "number"
    TRUTH = "truth"
    BYTES = "bytes"
    SID = "sid"  # bytes that may be asked for as S-1-5-...
    TIME = "time"
    DESCRIPTOR = "security descriptor"


_OF_SYNTAX: Final = {
    Syntax.TEXT: (
        "cn name ou dc displayName givenName sn title department company mail mailNickname "
        "physicalDeliveryOfficeName sAMAccountName userPrincipalName proxyAddresses objectClass "
        "legacyExchangeDN msExchHomeServerName msExchArchiveName msExchMailboxMoveBatchName "
        "msExchUserHoldPolicies serialNumber networkAddress dNSHostName nETBIOSName dnsRoot "
        "keywords serviceBindingInformation serviceClassName serviceDNSName description "
        "msExchFileShareWitness msExchFileShareWitnessDirectory servicePrincipalName "
        "msExchELCMailboxPolicy location"
    ),
    Syntax.DN: (
        "distinguishedName objectCategory member memberOf homeMDB publicDelegates "
        "publicDelegatesBL msExchDelegateListLink msExchDelegateListBL msExchArchiveDatabaseLink "
        "msExchMailboxMoveSourceMDBLink msExchMailboxMoveTargetMDBLink msExchOwningServer "
        "msExchMailboxMoveSourceArchiveMDBLink msExchMailboxMoveTargetArchiveMDBLink "
        "msExchMasterServerOrAvailabilityGroup msExchServerSite msExchMDBAvailabilityGroupLink "
        "msExchHostServerLink nCName serverReference hasMasterNCs msDS-HasDomainNCs siteObject "
        "homeMDBBL"
    ),
    Syntax.NUMBER: (
        "userAccountControl primaryGroupID groupType msExchRecipientTypeDetails mDBStorageQuota "
        "mDBOverQuotaLimit mDBOverHardQuotaLimit msExchArchiveQuota msExchArchiveWarnQuota "
        "msExchArchiveStatus msExchDumpsterQuota msExchDumpsterWarningQuota "
        "msExchELCMailboxFlags msExchMailboxMoveStatus msExchMailboxMoveFlags versionNumber "
        "msExchCurrentServerRoles msExchDatacenterActivationMode msExchActivationPreference "
        "systemFlags options objectVersion msExchRecipientDisplayType "
        "rangeUpper"
    ),
    Syntax.TRUTH: "mDBUseDefaults msExchHideFromAddressLists",
    Syntax.BYTES: "objectGUID msExchMailboxGuid msExchArchiveGUID",
    Syntax.SID: "objectSid msExchMasterAccountSid tokenGroups",
    Syntax.TIME: "whenCreated whenChanged msExchWhenMailboxCreated",
    Syntax.DESCRIPTOR: "nTSecurityDescriptor msExchMailboxSecurityDescriptor",
}

SYNTAXES: Final = {
    name.lower(): syntax for syntax, names in _OF_SYNTAX.items() for name in names.split()
}
# What the root tells about the controller: these are no attributes of any object.
_OF_ROOT: Final = (
    "currentTime subschemaSubentry dsServiceName namingContexts defaultNamingContext "
    "schemaNamingContext configurationNamingContext rootDomainNamingContext supportedControl "
    "supportedLDAPVersion supportedLDAPPolicies supportedSASLMechanisms supportedExtension "
    "supportedCapabilities ldapServiceName serverName isSynchronized isGlobalCatalogReady "
    "domainFunctionality forestFunctionality domainControllerFunctionality"
)
SPELLINGS: Final = {
    name.lower(): name for names in (*_OF_SYNTAX.values(), _OF_ROOT) for name in names.split()
}
# Given only to those who name them: "*" does not include them (MS-ADTS 3.1.1.3.1.3.5, 3.1.1.4.5).
ON_REQUEST: Final = frozenset({"ntsecuritydescriptor", "tokengroups"})


@lru_cache(maxsize=65536)
def folded(dn: str) -> str:
    r"""A distinguished name for comparing: no case, no blanks around commas, one way to escape."""
    if "\\" not in dn and ", " not in dn and " ," not in dn and "= " not in dn:
        return dn.lower()
    return ",".join(f"{kind}={_escaped(value)}" for kind, value in rdns(dn)).lower()


def rdns(dn: str) -> list[tuple[str, str]]:
    """Type and plain value of each part of a distinguished name; RFC 4514 without "+"."""
    found = []
    for part in _split(dn):
        kind, _, value = part.partition("=")
        found.append((kind.strip(), _plain(value)))
    return found


def parent(dn: str) -> str:
    """The name of the object above, "" at the top."""
    return ",".join(part.strip() for part in _split(dn)[1:])


def _split(dn: str) -> list[str]:
    parts, start, i = [], 0, 0
    while i < len(dn):
        if dn[i] == "\\":
            i += 1
        elif dn[i] == ",":
            parts.append(dn[start:i])
            start = i + 1
        i += 1
    return [*parts, dn[start:]]


def _plain(value: str) -> str:
    """The value behind its escapes: `\\2C` and `\\,` are both a comma."""
    value = value.strip() if not value.endswith("\\ ") else value.lstrip()
    raw, i = bytearray(), 0
    while i < len(value):
        if value[i] != "\\" or i + 1 == len(value):
            raw += value[i].encode()
            i += 1
        elif all(c in "0123456789abcdefABCDEF" for c in value[i + 1 : i + 3]) and i + 3 <= len(
            value
        ):
            raw.append(int(value[i + 1 : i + 3], 16))
            i += 3
        else:
            raw += value[i + 1].encode()
            i += 2
    return raw.decode("utf-8", "replace")


def _escaped(value: str) -> str:
    return "".join(f"\\{c}" if c in ',+"\\<>;=' else c for c in value)
