"""ResolveNames: who is meant, from the directory."""

from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from mailmig.lab.population import Mailbox
from mailmig.lab.web.ews.envelopes import NAMES, Refused, message, not_too_many, refusal
from mailmig.lab.web.ews.fields import mailbox
from mailmig.lab.web.ews.stores import Stores

# At most so many candidates (Learn, "ResolveNames operation").
MOST: Final = 100


def resolve(stores: Stores, asked: Element) -> Iterator[str]:
    """One message per entry; several candidates come with a warning."""
    full = asked.get("ReturnFullContactData", "false") in ("true", "1")
    for entry in not_too_many(asked.findall("m:UnresolvedEntry", NAMES)):
        found = list(stores.people.candidates(entry.text or ""))
        if not found:
            yield refusal("ResolveNames", Refused("ErrorNameResolutionNoResults"))
            continue
        content = _set(stores, found[:MOST], len(found), full=full)
        if len(found) == 1:
            yield message("ResolveNames", content)
        else:
            several = Refused("ErrorNameResolutionMultipleResults")
            yield refusal("ResolveNames", several, content, "Warning")


def _set(stores: Stores, found: list[Mailbox], total: int, *, full: bool) -> str:
    resolutions = "".join(
        f"<t:Resolution>{mailbox(stores, one.address)}{_contact(one) if full else ''}"
        "</t:Resolution>"
        for one in found
    )
    whole = "true" if total == len(found) else "false"
    return (
        f'<m:ResolutionSet TotalItemsInView="{total}" IncludesLastItemInRange="{whole}">'
        f"{resolutions}</m:ResolutionSet>"
    )


def _contact(one: Mailbox) -> str:
    return (
        f"<t:Contact><t:DisplayName>{escape(one.display_name)}</t:DisplayName>"
        f'<t:EmailAddresses><t:Entry Key="EmailAddress1">SMTP:{escape(one.address)}</t:Entry>'
        f"</t:EmailAddresses><t:Department>{escape(one.department)}</t:Department>"
        f"<t:ContactSource>ActiveDirectory</t:ContactSource></t:Contact>"
    )
