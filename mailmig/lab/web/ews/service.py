"""EWS of a back end: reads the envelope, knows who asks, hands on to the operation."""

from collections.abc import Callable, Iterator
from typing import Final
from xml.etree.ElementTree import Element

from mailmig.lab import protocols_of
from mailmig.lab.population import Mailbox
from mailmig.lab.web.ews import attachments, folders, identifiers, items, names, writing
from mailmig.lab.web.ews.envelopes import Asked, Fault, answer, check_version, fault, read
from mailmig.lab.web.ews.stores import Stores
from mailmig.lab.web.messages import HTML, Answer, Call, Request
from mailmig.lab.web.people import People
from mailmig.lab.world import World

_PATH: Final = "exchange.asmx"
# The role that lets an account act as others.
IMPERSONATES: Final = "ApplicationImpersonation"
_OPERATIONS: Final[dict[str, Callable[[Stores, Element], Iterator[str]]]] = {
    "GetFolder": folders.get,
    "FindFolder": folders.find,
    "FindItem": items.find,
    "GetItem": items.get,
    "CreateItem": writing.create,
    "UpdateItem": writing.update,
    "SendItem": writing.send,
    "MoveItem": items.move,
    "CopyItem": items.copy,
    "DeleteItem": items.delete,
    "CreateAttachment": attachments.create,
    "GetAttachment": attachments.get,
    "DeleteAttachment": attachments.delete,
    "ResolveNames": names.resolve,
    "ConvertId": lambda stores, asked: identifiers.convert(asked),
}


class WebServices:
    """EWS of all servers of a world."""

    def __init__(self, world: World, people: People) -> None:
        self._world = world
        self._people = people

    def anonymous(self, request: Request) -> bool:
        return False

    def mailbox(self, call: Call) -> Mailbox | None:
        """The mailbox in `X-AnchorMailbox`, else the caller's own."""
        anchor = call.request.headers.get("x-anchormailbox", "")
        return self._people.addressed(anchor) or call.mailbox

    def answer(self, call: Call) -> Answer:
        if call.request.rest != _PATH:
            return Answer(404, b"", HTML)
        if call.request.method == "GET":  # the page of the service
            return Answer(200, b"<html><body>Exchange Web Services</body></html>", HTML)
        if call.request.method != "POST":
            return Answer(405, headers=(("Allow", "GET, POST"),))
        try:
            asked = read(call.request.body)
            check_version(asked.version, call.server)
            if call.caller and (back_off := self._world.throttled.get(call.caller.name.lower())):
                raise Fault("ErrorServerBusy", BackOffMilliseconds=back_off)
            stores = self._stores(call, asked)
            if stores.caller and not protocols_of.ews(self._world.organisation, stores.caller):
                return Answer(403)  # with nothing in it, as reports of it have it
            operation = _OPERATIONS.get(asked.operation)
            if operation is None:
                raise Fault("ErrorInvalidRequest", f"The lab has no operation {asked.operation}.")
            return answer(asked.operation, list(operation(stores, asked.element)), call.server)
        except Fault as found:
            return fault(found, call.server)

    def _stores(self, call: Call, asked: Asked) -> Stores:
        """Raises `Fault` for who may not act as somebody else."""
        if not asked.impersonated:
            return Stores(self._world, self._people, call, call.mailbox)
        owner = self._people.addressed(asked.impersonated)
        if call.caller is None or IMPERSONATES not in call.caller.roles:
            raise Fault("ErrorImpersonateUserDenied")
        if owner is None:
            raise Fault("ErrorNonExistentMailbox")
        return Stores(self._world, self._people, call, owner)
