"""One SQL database, used from asyncio through threads of its own.

Writes are short functions of a connection.  A single writer thread runs whatever waits in one transaction, each inside
a savepoint, and commits once for all (group commit): a write is acknowledged when it is on disk, and a burst of writes
costs one flush.  Reads run beside it on reader threads and see the last commit.
"""

from __future__ import annotations

import asyncio
import errno
import queue
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import BinaryExpression, Connection, Engine, FromClause, MetaData, Select, create_engine, event, inspect
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import QueuePool

from wildsage.store import layout
from wildsage.store.looks import Looks
from wildsage.store.reserve import Reserve
from wildsage.store.turn import Turn

T = TypeVar("T")
_READERS = 2
_BATCH = 200

metadata = MetaData()

Write = Callable[[Connection], None]
"""A write that is to be part of somebody else's transaction."""


def together(connection: Connection, writes: Iterable[Write]) -> None:
    """Does them in the transaction under way."""
    for write in writes:
        write(connection)


class _Job:
    """One write that waits for its commit."""

    __slots__ = ("future", "loop", "work")

    def __init__(self, work: Callable[[Connection], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()

    def settle(self, result: Any, error: BaseException | None) -> None:
        def deliver() -> None:
            if self.future.done():
                return
            if error is None:
                self.future.set_result(result)
            else:
                self.future.set_exception(error)

        self.loop.call_soon_threadsafe(deliver)


class _Compiler(SQLiteCompiler):
    """Writes table hints (``INDEXED BY …``), which SQLAlchemy leaves out for SQLite.

    SQLite's LIKE takes upper and lower case of ASCII for the same; SQLAlchemy would fold both sides anew for every row.
    """

    def get_from_hint_text(self, table: FromClause, text: str | None) -> str | None:
        return text

    def visit_ilike_op_binary(self, binary: BinaryExpression[Any], operator: Any, **options: Any) -> str:
        # SQLAlchemy has no types for the methods of its compilers.
        like: str = self.visit_like_op_binary(binary, operator, **options)  # type: ignore[no-untyped-call]
        return like


def _configure_sqlite(engine: Engine) -> None:
    engine.dialect.statement_compiler = _Compiler

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:
        # Transactions are begun by SQLAlchemy below, not guessed by the driver, so that savepoints work.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA busy_timeout=10000")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        # Another process writes too: a transaction that began by reading could not go on to write after it did.
        # Given to the driver as it is, for this is done for every read.
        begin = "BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN"
        connection.connection.cursor().execute(begin)


def _make_tables(connection: Connection) -> None:
    """Makes the tables that are missing, and what indexes the others lack; takes away those that are no longer used.

    So an index whose columns change gets another name.
    """
    metadata.create_all(connection)
    found = inspect(connection).get_multi_indexes()
    for table in metadata.tables.values():
        there = {index["name"] for index in found[None, table.name] if "duplicates_constraint" not in index}
        wanted = {index.name: index for index in table.indexes}
        for name in there - wanted.keys():
            connection.exec_driver_sql(f"DROP INDEX {name}")
        for name in wanted.keys() - there:
            wanted[name].create(connection)
    if connection.exec_driver_sql("PRAGMA user_version").scalar_one() != layout.LAYOUT:
        connection.exec_driver_sql(f"PRAGMA user_version = {layout.LAYOUT}")


class Database:
    """``write`` and ``read`` take a function of a SQLAlchemy connection and return what it returns."""

    def __init__(self, engine: Engine, reserve: Reserve, turn: Turn, looks: Looks) -> None:
        self._engine = engine
        self._looks = looks
        self._writing = engine.execution_options(writes=True)
        self._reserve = reserve
        self._turn = turn
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="store-read")
        self._writer = threading.Thread(target=self._write_loop, name="store-write", daemon=True)
        self._writer.start()

    @classmethod
    async def open(cls, path: Path) -> Database:
        """Opens or creates the SQLite database at ``path`` with the tables of all modules imported so far.

        Raises SettingsError for a file that this Wildsage does not know.
        """
        layout.check(path)
        engine = create_engine(
            f"sqlite:///{path}",
            poolclass=QueuePool,
            pool_size=_READERS + 1,
            max_overflow=0,
            connect_args={"check_same_thread": False},
        )
        _configure_sqlite(engine)
        reserve, looks = Reserve(path.with_name(f"{path.name}-reserve")), Looks(path, engine.dialect)
        database = cls(engine, reserve, Turn(path), looks)
        await database.create_tables()
        return database

    async def create_tables(self) -> None:
        """Makes the tables that are not there yet, of all modules imported so far."""
        await self.write(_make_tables)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Runs ``work`` in a transaction; returns after the commit is on disk. If it raises, nothing of it is kept.

        Raises OSError (ENOSPC) if the disk is full.
        """
        job = _Job(work, asyncio.get_running_loop())
        self._jobs.put(job)
        result: T = await job.future
        return result

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Runs ``work`` on a consistent snapshot."""

        def run() -> T:
            with self._engine.connect() as connection:
                return _run(work, connection)

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def look(self, statement: Select[Any], given: Mapping[str, Any]) -> Any:
        """The first row that ``statement`` finds by an index, or None; a tenth of the cost of ``read`` (``looks``)."""
        return self._looks.first(statement, given)

    async def close(self) -> None:
        """Finishes what was accepted and closes every connection."""
        self._jobs.put(None)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._writer.join)
        self._readers.shutdown()
        self._engine.dispose()
        self._looks.close()
        self._turn.close()

    def _write_loop(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            batch = [job]
            last = False
            while len(batch) < _BATCH and not self._jobs.empty():
                following = self._jobs.get()
                if following is None:
                    last = True
                    break
                batch.append(following)
            self._write_batch(batch)
            if last:
                return

    def _write_batch(self, batch: list[_Job]) -> None:
        outcomes = self._attempt(batch)
        if any(_is_full(error) for _, _, error in outcomes) and self._reserve.give():
            outcomes = self._attempt(batch)
        for job, result, error in outcomes:
            job.settle(result, _no_space() if _is_full(error) else error)
        self._reserve.take()

    def _attempt(self, batch: list[_Job]) -> list[tuple[_Job, Any, BaseException | None]]:
        """What became of each; if one finds the disk full, none is kept."""
        outcomes: list[tuple[_Job, Any, BaseException | None]] = []
        try:
            with self._turn, self._writing.begin() as connection:
                for job in batch:
                    # A savepoint costs as much as a small write, and what is alone needs none.
                    run: Callable[..., Any] = _run if len(batch) == 1 else _alone
                    try:
                        outcomes.append((job, run(job.work, connection), None))
                    except Exception as error:
                        if len(batch) == 1 or _is_given_up(connection, error):
                            raise
                        outcomes.append((job, None, error))
        except Exception as error:
            # The commit itself failed: none of the batch was kept.
            return [(job, None, error) for job in batch]
        return outcomes


def _run(work: Callable[[Connection], T], connection: Connection) -> T:
    """Runs ``work``; if it raises amid rows, their statement is let go.

    A statement that is not read to its end keeps its connection at the snapshot of then, after the transaction too, and
    so for as long as a traceback keeps the statement: it would read what is old, and SQLite would not let it write.
    """
    try:
        return work(connection)
    except BaseException as error:
        chain: BaseException | None = error
        while chain is not None:
            traceback.clear_frames(chain.__traceback__)
            chain = chain.__context__
        raise


def _alone(work: Callable[[Connection], T], connection: Connection) -> T:
    """Runs ``work`` so that nothing of it is kept if it raises, and everything else of the transaction is.

    Straight to the driver: SQLAlchemy compiles the words of each savepoint anew.
    """
    execute = connection.connection.cursor().execute
    execute("SAVEPOINT one")
    try:
        done = _run(work, connection)
    except Exception as error:
        if not _is_given_up(connection, error):
            execute("ROLLBACK TO one")
            execute("RELEASE one")
        raise
    execute("RELEASE one")
    return done


def _is_given_up(connection: Connection, error: Exception) -> bool:
    """Whether nothing of the transaction is kept: SQLite itself ends it on a full disk and where one cannot be used."""
    driver: Any = connection.connection.driver_connection
    return _is_full(error) or not driver.in_transaction


def _is_full(error: BaseException | None) -> bool:
    """SQLITE_FULL."""
    return isinstance(error, OperationalError) and "disk is full" in str(error.orig)


def _no_space() -> OSError:
    return OSError(errno.ENOSPC, "No space left on the disk of the data directory")
