"""The audit of a fleet in one database: each change once, however many sidecars saw it, and which saw it when."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    create_engine,
    event,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from sidecar.audit.anchor import Anchor
from sidecar.audit.record import Record, RecordCause, record_of
from sidecar.errors import ConfigError, DependencyUnavailable, TaskDeferred, TaskFailed
from sidecar.gil import Yielder, encode_json
from sidecar.trust.sshsig import read_signature

log = logging.getLogger(__name__)

# Records with the same key that are at most this far apart are of one change; otherwise it happened again.
_SAME_NS = 10 * 60 * 10**9
_ATTEMPTS = 10

# The time in Unix nanoseconds, not that of the begin of the transaction, which may have waited for a lock.
_CLOCKS = {
    "postgresql": "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) * 1000",
    "mysql": "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS UNSIGNED) * 1000",
    "mariadb": "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS UNSIGNED) * 1000",
    "sqlite": "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000000",
}

_tables = MetaData()
# SQLite only autoincrements INTEGER.
_ID = BigInteger().with_variant(Integer(), "sqlite")
_LONG = Text().with_variant(Text(2**24), "mysql", "mariadb")

changes = Table(
    "dc_sidecar_changes",
    _tables,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("source", String(400), nullable=False),
    Column("key", String(120), nullable=False),
    Column("occurrence", Integer, nullable=False),
    Column("cause", String(16), nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("revision", String(12), nullable=False),
    Column("record", _LONG, nullable=False),
    UniqueConstraint("source", "key", "occurrence"),
)
sightings = Table(
    "dc_sidecar_sightings",
    _tables,
    Column("change", BigInteger, primary_key=True),
    Column("sidecar", String(100), primary_key=True),
    Column("at_ns", BigInteger, nullable=False),
    UniqueConstraint("sidecar", "at_ns"),
)
claims = Table(
    "dc_sidecar_claims",
    _tables,
    Column("change", BigInteger, primary_key=True),
    Column("reaction", String(80), primary_key=True),
    Column("holder", String(100), nullable=False),
    Column("until_ns", BigInteger, nullable=False),
    Column("done", Integer, nullable=False),
)
# Of a metadata of its own: without anchors nobody needs the permission to create another table.
_anchor_tables = MetaData()
anchors = Table(
    "dc_sidecar_anchors",
    _anchor_tables,
    Column("signer", String(60), primary_key=True),
    Column("hash", String(64), primary_key=True),
    Column("sidecar", String(100), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("anchor", _LONG, nullable=False),
)


class AuditDatabase:
    """The database at a URL, used under the unique name `sidecar`; it connects with the first call."""

    def __init__(self, url: str, *, sidecar: str) -> None:
        self._engine = _engine(url)
        self._sidecar = sidecar
        self._ready = self._anchors_ready = False

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def add(self, record: Record, anchor: Anchor | None = None) -> None:
        """Store the record unless it is there, that this sidecar saw it, and its anchor. Raises TaskFailed."""
        for _ in range(_ATTEMPTS):
            try:
                if anchor is not None:
                    self._create_anchors()
                with self._transaction() as connection:
                    if anchor is not None:
                        self._store_anchor(connection, anchor)
                    if self._change_id(connection, record) is None:
                        self._store(connection, record)
            except IntegrityError:
                # Another sidecar stored it in between: the next attempt finds it.
                continue
            except SQLAlchemyError as error:
                raise TaskFailed(f"the shared audit cannot be written: {_why(error)}") from None
            return
        raise TaskFailed("the shared audit is written by many sidecars at once")

    def newest_first(self, limit: int) -> Iterator[tuple[Record, int]]:
        """Yield the newest changes, and how many sidecars saw each. Raises TaskFailed."""
        seen = select(func.count()).where(sightings.c.change == changes.c.id).scalar_subquery()
        query = select(changes.c.record, seen).order_by(changes.c.id.desc()).limit(limit)
        try:
            with self._transaction() as connection:
                rows = connection.execute(query).all()
        except SQLAlchemyError as error:
            raise TaskFailed(f"the shared audit cannot be read: {_why(error)}") from None
        for text, count in rows:
            yield record_of(json.loads(text)), count

    def newest_seen_ns(self, sidecar: str) -> int | None:
        """Return the time of the newest change that a sidecar stored, by its own clock. Raises TaskFailed."""
        query = select(func.max(sightings.c.at_ns)).where(sightings.c.sidecar == sidecar)
        try:
            with self._transaction() as connection:
                found: int | None = connection.execute(query).scalar()
        except SQLAlchemyError as error:
            raise TaskFailed(f"the shared audit cannot be read: {_why(error)}") from None
        return found

    def anchors(self, signer: str) -> list[str]:
        """Return the anchors that a key signed, by its fingerprint, as JSON, the oldest first. Raises TaskFailed."""
        query = select(anchors.c.anchor).where(anchors.c.signer == signer).order_by(anchors.c.number)
        try:
            self._create_anchors()
            with self._transaction() as connection:
                return list(connection.execute(query).scalars())
        except SQLAlchemyError as error:
            raise TaskFailed(f"the shared audit cannot be read: {_why(error)}") from None

    def claim(self, record: Record, reaction: str, lease_s: float) -> bool:
        """Claim a reaction to a change; return True if this sidecar holds it, False if another one has finished it.

        A claim expires after `lease_s` seconds by the clock of the database. Raises TaskDeferred while another sidecar
        holds it; DependencyUnavailable if the change is not in the database yet, or the database is unavailable.
        """
        try:
            with self._transaction() as connection:
                now = _now_ns(connection)
                mine = {"holder": self._sidecar, "until_ns": now + round(lease_s * 1e9)}
                change = self._change_id(connection, record)
                if change is None:
                    raise DependencyUnavailable("the shared audit does not have the change yet")
                this = and_(claims.c.change == change, claims.c.reaction == reaction)
                free = or_(claims.c.holder == self._sidecar, claims.c.until_ns <= now)
                if connection.execute(update(claims).where(this, claims.c.done == 0, free).values(**mine)).rowcount:
                    return True
                done = connection.execute(select(claims.c.done).where(this)).scalar()
                if done is None:
                    connection.execute(insert(claims).values(change=change, reaction=reaction, done=0, **mine))
                    return True
        except IntegrityError:
            raise TaskDeferred("another sidecar claimed it at the same time") from None
        except SQLAlchemyError as error:
            raise DependencyUnavailable(f"the shared audit is unavailable: {_why(error)}") from None
        if done:
            return False
        raise TaskDeferred("another sidecar is reacting")

    def release(self, record: Record, reaction: str, *, done: bool) -> None:
        """Release a claim, for good if it is `done`. If the database is unavailable the claim expires instead."""
        try:
            with self._transaction() as connection:
                this = and_(claims.c.change == self._change_id(connection, record), claims.c.reaction == reaction)
                held = and_(this, claims.c.holder == self._sidecar)
                connection.execute(update(claims).where(held).values(done=int(done), until_ns=0))
        except SQLAlchemyError as error:
            log.warning("reaction %s: the claim could not be released: %s", reaction, _why(error))

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        if not self._ready:
            _tables.create_all(self._engine)
            self._ready = True
        with self._engine.begin() as connection:
            yield connection

    def _create_anchors(self) -> None:
        if not self._anchors_ready:
            _anchor_tables.create_all(self._engine)
            self._anchors_ready = True

    def _store_anchor(self, connection: Connection, anchor: Anchor) -> None:
        """Store an anchor unless that of the same head is there."""
        signature = read_signature(anchor.signature)
        row = {"signer": signature.fingerprint if signature else "", "hash": anchor.head.digest}
        same = and_(*(anchors.c[name] == value for name, value in row.items()))
        if connection.execute(select(anchors.c.number).where(same)).first() is None:
            row |= {"sidecar": self._sidecar, "anchor": json.dumps(anchor.plain())}
            connection.execute(insert(anchors).values(number=anchor.head.number, **row))

    def _change_id(self, connection: Connection, record: Record) -> int | None:
        """Return the id of the change that this sidecar stored a record as, None if it did not."""
        query = select(sightings.c.change).where(
            sightings.c.sidecar == self._sidecar, sightings.c.at_ns == record.at_ns
        )
        found: int | None = connection.execute(query).scalar()
        return found

    def _store(self, connection: Connection, record: Record) -> None:
        # Counted before it is looked for: a concurrent insertion makes ours fail.
        same = and_(changes.c.source == record.source, changes.c.key == record.key)
        last = connection.execute(select(func.max(changes.c.occurrence)).where(same)).scalar() or 0
        change = self._same_change(connection, record)
        if change is None:
            row = {
                "source": record.source,
                "key": record.key,
                "occurrence": last + 1,
                "cause": record.cause.value,
                "at_ns": record.at_ns,
                "revision": record.revision,
                "record": encode_json(record.plain(), Yielder(), ensure_ascii=True),
            }
            (change,) = connection.execute(insert(changes).values(**row)).inserted_primary_key or (None,)
        connection.execute(insert(sightings).values(change=change, sidecar=self._sidecar, at_ns=record.at_ns))

    def _same_change(self, connection: Connection, record: Record) -> int | None:
        """Return the id of the same change as another sidecar has stored it, None if none has.

        It is the first with the same key, at about the same time, that this sidecar has not seen; or, for a sidecar
        that was cut off, the newest document of all, whenever that was.
        """
        seen = exists().where(sightings.c.change == changes.c.id, sightings.c.sidecar == self._sidecar)
        same = and_(changes.c.source == record.source, changes.c.key == record.key, ~seen)
        near = changes.c.at_ns.between(record.at_ns - _SAME_NS, record.at_ns + _SAME_NS)
        known = same if record.cause is RecordCause.CLOCK else and_(same, near)
        query = select(changes.c.id).where(known).order_by(changes.c.id).limit(1)
        found: int | None = connection.execute(query).scalar()
        if found is None and record.cause is RecordCause.DOCUMENT:
            of_documents = and_(changes.c.source == record.source, changes.c.cause == record.cause.value)
            newest = select(func.max(changes.c.id)).where(of_documents).scalar_subquery()
            found = connection.execute(select(changes.c.id).where(same, changes.c.id == newest)).scalar()
        return found


def _engine(text: str) -> Engine:
    try:
        url = make_url(text)
        if url.drivername in {"postgresql", "postgres"}:
            url = url.set(drivername="postgresql+psycopg")
        engine = create_engine(url, pool_size=2, pool_pre_ping=True, pool_timeout=10, connect_args=_limits(url))
    except (ArgumentError, NoSuchModuleError, TypeError, ValueError) as error:
        raise ConfigError("audit-db: expected a URL such as postgresql://user@host/database") from error
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"audit-db needs the package {error.name!r}: pip install '.[audit-db]' in a checkout"
        ) from error
    if url.get_backend_name() == "sqlite":
        # Two transactions that read before they write would deadlock: writers lock the database from the start.
        event.listen(engine, "connect", _no_begin)
        event.listen(engine, "begin", _begin)
    return engine


def _limits(url: URL) -> dict[str, Any]:
    """Return the connection options that bound each wait."""
    match url.get_backend_name():
        case "postgresql":
            return {"connect_timeout": 5, "options": "-c statement_timeout=10000", "tcp_user_timeout": 10_000}
        case "sqlite":
            return {"timeout": 10}
        case _:
            return {}


def _now_ns(connection: Connection) -> int:
    """Return the time by the clock of the database, Unix nanoseconds: those of the sidecars may differ."""
    query = _CLOCKS.get(connection.dialect.name)
    if query is not None:
        return int(connection.exec_driver_sql(query).scalar_one())
    moment: datetime = connection.execute(select(func.current_timestamp())).scalar_one()
    # Without a zone it is the database's own: equal for all that ask.
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e9)


def _no_begin(connection: Any, _: object) -> None:  # noqa: ANN401 - sqlite3's
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _why(error: SQLAlchemyError) -> str:
    """Return the driver's message in one line; SQLAlchemy's would have the statement too."""
    return " ".join(str(getattr(error, "orig", None) or error).split())[:300]
