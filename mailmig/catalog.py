"""Finds the checks: every module-level `Check` in every file of each source, which is a folder.

The sources are the folder that ships with mailmig, folders that the configuration names, and
packages of other distributions under the entry point `mailmig.checks`. A file that cannot be
loaded stops nothing else: it is listed among the `Broken`.
"""

import importlib.util
import os
import stat
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from mailmig.model.errors import MailmigError, nearest
from mailmig.model.finding import Check

PACKAGE: Final = Path(__file__).parent
GROUP: Final = "mailmig.checks"


class UnsafeFolder(MailmigError):
    """A folder of checks that others may write to: whoever can, runs code as you."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"{folder}: {reason}; checks from there are not loaded")
        self.folder = folder


class NoSuchCheck(MailmigError):
    """A name that is neither a check nor a family."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(
            f"there is no check and no family {name!r}{nearest(name, known)}; "
            "`mailmig check list` names all"
        )
        self.name = name


@dataclass(frozen=True, slots=True)
class Broken:
    """A file that could not be loaded."""

    file: Path
    reason: str
    traceback: str


@dataclass(slots=True)
class Catalog:
    """All checks by id, and what could not be loaded."""

    checks: dict[str, Check[Any]] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)

    def chosen(self, names: Iterable[str]) -> tuple[Check[Any], ...]:
        """Those with these ids or of these families; all without a name.

        Raises:
            NoSuchCheck: one of the names is neither.
        """
        wanted = list(names)
        families = {check.family for check in self.checks.values()}
        for name in wanted:
            if name not in self.checks and name not in families:
                raise NoSuchCheck(name, (*self.checks, *families))
        return tuple(
            check
            for identity, check in sorted(self.checks.items())
            if not wanted or identity in wanted or check.family in wanted
        )


def catalog(folders: Iterable[Path] = ()) -> Catalog:
    """Everything that can be found.

    Raises:
        UnsafeFolder: one of `folders` is not there, or others may write to it.
    """
    found = Catalog()
    sources = [(bundled("checks"), "checks")]
    for number, folder in enumerate(folders):
        _refuse_unsafe(folder)
        sources.append((folder, f"checks_of_admin_{number}"))
    sources.extend(_of_distributions())
    for folder, name in sources:
        for file in sorted(folder.glob("[!_]*.py")):
            _add(found, file, name)
    return found


def bundled(kind: str) -> Path:
    """The folder that ships with mailmig: inside the package in a wheel, beside it in a checkout."""
    inside = PACKAGE / kind
    return inside if inside.is_dir() else PACKAGE.parent / kind


def load(file: Path, source: str = "checks") -> ModuleType:
    """Import one file by its path alone: no name on sys.path can stand in its way."""
    name = f"mailmig.{source}.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up by name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _add(found: Catalog, file: Path, source: str) -> None:
    try:
        module = load(file, source)
        checks = [one for one in vars(module).values() if isinstance(one, Check)]
        twice = [one.id for one in checks if one.id in found.checks]
        if twice:
            raise ValueError(f"the id {twice[0]} is taken by another check")
    except Exception as error:  # noqa: BLE001  whatever an admin's file raises
        reason = f"{type(error).__name__}: {error}"
        found.broken.append(Broken(file, reason, traceback.format_exc()))
        return
    found.checks.update({one.id: one for one in checks})


def _of_distributions() -> Iterator[tuple[Path, str]]:
    """The folders of packages that other distributions name."""
    for number, point in enumerate(sorted(entry_points(group=GROUP), key=lambda one: one.value)):
        spec = importlib.util.find_spec(point.value)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            yield Path(folder), f"checks_of_distribution_{number}"


def _refuse_unsafe(folder: Path) -> None:
    try:
        seen = folder.stat()
    except OSError as error:
        raise UnsafeFolder(folder, f"it cannot be read ({error.strerror})") from error
    if not stat.S_ISDIR(seen.st_mode):
        raise UnsafeFolder(folder, "it is no folder")
    if os.name != "posix":
        return
    for place in (folder, *folder.glob("[!_]*.py")):
        seen = place.stat()
        if seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise UnsafeFolder(place, "others may write to it (chmod go-w)")
        if seen.st_uid not in (0, os.geteuid()):
            raise UnsafeFolder(place, "it belongs to somebody else")
