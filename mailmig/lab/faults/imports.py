"""Faults of PST imports: files that cannot be opened, and files that are damaged inside."""

from mailmig.lab.faults.switchboard import Fault
from mailmig.lab.imports import LOCKED
from mailmig.lab.world import World

CORRUPT = "The PST file is corrupt: too many bad items were found."


class FileTrouble(Fault):
    """Something is wrong with one file; `trouble` is what imports keep of it."""

    family = "import"
    wants = r"the path of a PST file of the story, as \\ls-fs1\home$\anna\Outlook\Archiv2012.pst"
    trouble = ""

    def on(self, world: World, target: str) -> None:
        if world.imports.file(target) is None or target.lower() in world.imports.broken:
            raise self.bad(target)
        world.imports.broken[target.lower()] = self.trouble

    def off(self, world: World, target: str) -> None:
        world.imports.broken.pop(target.lower(), None)


class FileLocked(FileTrouble):
    id = "pst-locked"
    shows = ("import:file-locked",)
    description = "somebody's Outlook holds the PST file: it cannot be opened"
    trouble = LOCKED


class FileDamaged(FileTrouble):
    id = "pst-corrupt"
    shows = ("import:TooManyBadItemsPermanentException",)
    description = "the PST file is damaged: its import fails in the middle with too many bad items"
    trouble = CORRUPT
