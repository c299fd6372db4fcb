"""Opens the catalog's database and brings its schema up to date.

SQLite runs in WAL mode: one process may ingest while others read. A write transaction takes the
write lock at its beginning (`BEGIN IMMEDIATE`), so that two writers wait for each other rather than
fail half-way; readers see the last committed state throughout.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from rag.config import RagConfig
from rag.errors import CatalogError
from rag.tables import facts

_MIGRATIONS = Path(__file__).parent / "migrations"
_WAIT_FOR_LOCK_MS = 60_000


def open_database(config: RagConfig) -> sa.Engine:
    """Engine of an up-to-date catalog, made on first use. Raises CatalogError."""
    if config.database_url and not config.database_url.startswith("sqlite"):
        raise CatalogError(
            "database_url: only SQLite is built in so far; leave it empty for `data_dir`/vsage.db"
        )
    try:
        config.data_dir.mkdir(parents=True, exist_ok=True)
        own = sa.URL.create("sqlite", database=str(config.data_dir / "vsage.db"))
        engine = sa.create_engine(config.database_url or own)
        sa.event.listen(engine, "connect", _prepare_connection)
        sa.event.listen(engine, "begin", _begin)
        _upgrade(engine)
    except sa.exc.ArgumentError as error:
        raise CatalogError(f"database_url: {error}; write sqlite:////folder/file.db") from error
    except (OSError, sa.exc.DBAPIError) as error:
        cause = getattr(error, "orig", None) or error
        raise CatalogError(
            f"the catalog below {config.data_dir} cannot be opened: {cause}; check that the folder "
            "is writable and the disk not full, or name another with data_dir=FOLDER"
        ) from error
    return engine


def _prepare_connection(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's "begin" event below opens transactions
    connection.execute(f"PRAGMA busy_timeout={_WAIT_FOR_LOCK_MS}")
    _switch_to_wal(connection)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")
    # SQLite's own lower() knows no letters but ASCII's.
    connection.create_function("casefold", 1, _casefold, deterministic=True)


def _casefold(text: str | None) -> str | None:
    return None if text is None else text.casefold()


def _switch_to_wal(connection: Any) -> None:
    """Once in a database's life; SQLite does not wait by itself while another process does it."""
    give_up = time.monotonic() + _WAIT_FOR_LOCK_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def _begin(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _upgrade(engine: sa.Engine) -> None:
    settings = alembic.config.Config()
    settings.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(settings)
    head = scripts.get_current_head()
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        if current == head:
            return
    if current is not None and current not in {s.revision for s in scripts.walk_revisions()}:
        raise CatalogError(
            f"the catalog was written by a newer vSage (schema {current}, this one knows {head}): "
            "update vSage, or name another folder with data_dir=FOLDER"
        )
    with engine.connect().execution_options(write=True) as connection, connection.begin():
        # Another process may have been faster while this one waited for the lock.
        if MigrationContext.configure(connection).get_current_revision() == head:
            return
        settings.attributes["connection"] = connection
        alembic.command.upgrade(settings, "head")
        named = sa.select(facts.c.value).where(facts.c.name == "catalog_id")
        if connection.execute(named).first() is None:
            connection.execute(facts.insert().values(name="catalog_id", value=uuid.uuid4().hex))
