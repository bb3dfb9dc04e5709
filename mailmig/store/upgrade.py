"""Bring state.db to today's shape. The only module that loads Alembic, which takes half a second."""

from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def upgrade(connection: Connection, scripts: Path | None = None, to: str = "head") -> None:
    """Run the missing migrations inside the caller's transaction: all of them or none."""
    config = Config()
    where = scripts or Path(str(files("mailmig.store.migrations")))
    config.set_main_option("script_location", str(where).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
