"""The tables of the one SQLite file, and how it is connected to.

meta        what the store is: schema version, store_id, how far readings have left (``gone``), and
            whether it is a copy that was not put to work yet
grouping    which equipment share a gzip member
blob        one gzip member of line protocol: a tick's readings of one group. Ids are contiguous;
            ``total`` counts the bytes of all blobs ever stored up to and including this one;
            scans and times are those of its tick; ``head`` is the telemetry strand of the chain
event       everything else that happened, contiguous by number, alarm transitions also by seq
link        the record strand of the chain: one per transaction that holds events or a configuration
config      the text of each configuration that ever ran, by its SHA-256
facts       where each alarm stands and how each equipment is used (``usage/{equipment}``), one JSON
            snapshot each; replaced as it changes
cursor      how far each sink has confirmed, per lane
reply       answers to operators' requests, so that a repeated one is answered the same
dead_letter lines that a database refused for good, with its words
quarantine  entries that are not as they were written (``crc``, ``sha256``): they stay where they
            are, and are not used; what (blob, event, facts), which, and how that was seen

A file of an earlier schema is brought up step by step, each step one transaction that also changes
the version: cut off anywhere, a file is of the one version or of the other.

Exactly one connection writes (and checkpoints), in one thread of the daemon: SQLite before 3.51.3
can spoil a file that two connections checkpoint at once. All others are read-only.
"""

import secrets
import sqlite3
import string
from pathlib import Path
from urllib.parse import quote

FILE = "cytowatch.db"
VERSION = 2
SMALL_TABLES = ("meta", "grouping", "event", "link", "config", "facts", "cursor", "reply")

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE grouping (id INTEGER PRIMARY KEY, names TEXT NOT NULL UNIQUE);
CREATE TABLE blob (
    id INTEGER PRIMARY KEY, grouping INTEGER NOT NULL,
    first_scan INTEGER NOT NULL, last_scan INTEGER NOT NULL,
    first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
    lines INTEGER NOT NULL, total INTEGER NOT NULL,
    sha256 BLOB NOT NULL, head BLOB NOT NULL, body BLOB NOT NULL);
CREATE INDEX blob_by_time ON blob (first_at, last_at, grouping);
CREATE TABLE event (
    number INTEGER PRIMARY KEY, seq INTEGER UNIQUE, kind TEXT NOT NULL,
    at INTEGER NOT NULL, boot INTEGER NOT NULL,
    subject TEXT NOT NULL, body TEXT NOT NULL, ms INTEGER NOT NULL UNIQUE, crc INTEGER);
CREATE INDEX event_by_kind ON event (kind);
CREATE INDEX event_by_subject ON event (subject, kind);
CREATE INDEX event_by_time ON event (at);
CREATE TABLE link (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, last_event INTEGER NOT NULL,
    last_blob INTEGER NOT NULL, telemetry BLOB NOT NULL, config TEXT, head BLOB NOT NULL);
CREATE TABLE config (digest TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE facts (
    name TEXT PRIMARY KEY, snapshot TEXT NOT NULL, crc INTEGER) WITHOUT ROWID;
CREATE TABLE cursor (
    sink TEXT, lane TEXT, upto INTEGER NOT NULL, PRIMARY KEY (sink, lane)) WITHOUT ROWID;
CREATE TABLE reply (
    id INTEGER PRIMARY KEY, request_id TEXT NOT NULL UNIQUE, body TEXT NOT NULL);
CREATE TABLE dead_letter (
    id INTEGER PRIMARY KEY, sink TEXT NOT NULL, line BLOB NOT NULL, words TEXT NOT NULL);
CREATE TABLE quarantine (
    what TEXT, name TEXT, words TEXT NOT NULL, PRIMARY KEY (what, name)) WITHOUT ROWID;
"""
STEPS = {
    1: (
        "ALTER TABLE event ADD COLUMN crc INTEGER",
        "ALTER TABLE facts ADD COLUMN crc INTEGER",
        """CREATE TABLE quarantine (
    what TEXT, name TEXT, words TEXT NOT NULL, PRIMARY KEY (what, name)) WITHOUT ROWID""",
    ),
}
"""What makes a file of each version one of the next."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the one connection that writes; every commit on it is one fsync of the log.

    It checkpoints only when told to, so that no commit waits for it.
    """
    connection = sqlite3.connect(path, isolation_level=None, timeout=1.0)
    try:
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "wal_autocheckpoint = 0",
            "journal_size_limit = 67108864",
            "cache_size = -4096",
            "temp_store = MEMORY",
            "secure_delete = FAST",  # What leaves must not cost what it took to come.
            "trusted_schema = OFF",
        ):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()
        raise
    connection.text_factory = _readable
    return connection


def connect_readonly(path: Path) -> sqlite3.Connection:
    """Open a connection that can neither write nor checkpoint; one thread at a time may use it."""
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    connection = sqlite3.connect(
        address, uri=True, isolation_level=None, timeout=1.0, check_same_thread=False
    )
    connection.text_factory = _readable
    return connection


def _readable(text: bytes) -> str:
    """Read a text that a bad disk has changed, too: its checksum tells, and no error hides it."""
    return text.decode("utf-8", "replace")


def new_store_id() -> str:
    """Return a name for a store: eight lower-case letters and digits, by chance."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(8))


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of a new store, in one transaction."""
    meta = [("schema", str(VERSION)), ("store_id", new_store_id())]
    connection.executescript(f"BEGIN IMMEDIATE;{TABLES}")
    connection.executemany("INSERT INTO meta VALUES (?, ?)", meta)
    connection.execute("COMMIT")


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a file of an earlier version up to this one; what is cut off is done at the next."""
    version = int(read_meta(connection, "schema") or VERSION)
    for step in range(version, VERSION):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in STEPS[step]:
                connection.execute(statement)
            connection.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (str(step + 1),))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def mark_copy(connection: sqlite3.Connection) -> None:
    """Note in a copy of a store that it is one."""
    with connection:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('copy', '1')")


def rename_copy(connection: sqlite3.Connection) -> None:
    """Give a copy that is put to work a name of its own; a store that is none stays as it is."""
    if read_meta(connection, "copy") is None:
        return
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE meta SET value = ? WHERE key = 'store_id'", (new_store_id(),))
    connection.execute("DELETE FROM meta WHERE key = 'copy'")
    connection.execute("COMMIT")


def read_meta(connection: sqlite3.Connection, key: str) -> str | None:
    """Return what the store says of itself under ``key``; None where it says nothing."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])
