"""`manage.py archive`: print rows of the archive, or store them again."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from llmmonitor.infra.commands import StoreCommand, time_argument
from metrics import queries
from metrics.api.export import write_csv, write_ndjson
from metrics.archive.chunks import ID
from metrics.archive.files import KINDS
from metrics.archive.reading import BadArchive, Row, read_archive
from metrics.events import Event
from metrics.importing import export_files, files
from metrics.importing.importer import Importer
from metrics.store.commit_result import CommitResult
from metrics.store.unavailable import StoreUnavailable
from metrics.store.writing.transaction import Store

AGAIN = "What is stored stays. Run it again to continue: rows that are stored are not stored again."
FILTERS = {"model": "model_name", "provider": "provider", "service": "service", "request_id": "request_id"}


class Command(StoreCommand):
    """Read the archive of requests and errors."""

    help = "Print the requests or errors in the archive (LLMMONITOR_ARCHIVE_DIR), or store them again."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        query = actions.add_parser("query", help="print rows of the archive, a JSON object a line")
        _add_selection(query)
        query.add_argument("--kind", choices=tuple(KINDS.values()), default="inference", help="default: inference")
        for name in FILTERS:
            option = f"--{name.replace('_', '-')}"
            query.add_argument(option, action="append", default=[], metavar="NAME", help="may be given several times")
        form = query.add_mutually_exclusive_group()
        form.add_argument("--json", action="store_true", help="a JSON object a line, as by default")
        form.add_argument("--csv", action="store_true", help="CSV with a header row")
        restore = actions.add_parser("restore", help="store rows again that this instance has deleted")
        _add_selection(restore)
        restore.add_argument("--dry-run", action="store_true", help="store nothing; report what would be stored")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        """Run the action."""
        directory = options["dir"] or settings.LLMMONITOR.archive_dir
        if directory is None:
            raise CommandError("There is no archive. Set LLMMONITOR_ARCHIVE_DIR, or use --dir DIR.")
        try:
            if action == "query":
                self.query(directory, **options)
            else:
                self.restore(directory, **options)
        except BadArchive as error:
            raise CommandError(str(error)) from None

    def query(
        self, directory: Path, *, kind: str, start: datetime | None, end: datetime | None, **options: Any
    ) -> None:
        """Print the rows that match."""
        rows = _matching(read_archive(directory, kind, start, end), options)
        write = write_csv if options["csv"] else write_ndjson
        for block in write(rows, columns(kind)):
            self.stdout.write(block.decode(), ending="")

    def restore(
        self, directory: Path, *, start: datetime | None, end: datetime | None, dry_run: bool, **options: Any
    ) -> None:
        """Store rows again and report it. Requests first: errors may belong to them."""
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop as with Ctrl-C
        store = Store()

        def commit(events: Sequence[Event], size: int) -> Future[CommitResult]:
            future: Future[CommitResult] = Future()
            future.set_result(store.restore(events))
            return future

        rejected = 0
        for kind in KINDS.values():
            rows = _numbered(read_archive(directory, kind, start, end))
            submit = None if dry_run else commit
            importer = Importer(export_files.source(kind), False, lambda: datetime.now(UTC), submit, is_restore=True)
            try:
                importer.run(rows)
            except KeyboardInterrupt:
                raise CommandError(f"Stopped in {kind}. {AGAIN}", returncode=130) from None
            except StoreUnavailable as error:
                raise CommandError(f"Stopped in {kind}: {error.detail} {AGAIN}") from None
            for line in (f"{kind}:", *importer.report.lines()):
                self.stdout.write(line)
            if importer.problem:
                raise CommandError(f"{importer.problem} {AGAIN}")
            rejected += importer.report.rejected
        if dry_run:
            self.stdout.write("Nothing is stored.")
        if rejected:
            raise CommandError(f"{rejected:,} rows were rejected.")


def _numbered(rows: Iterator[Row]) -> Iterator[files.Row]:
    """Yield rows as those of an imported file. Raises FileProblem."""
    try:
        for number, row in enumerate(rows, 1):
            yield files.Row(number, row, len(orjson.dumps(row)), "row")
    except BadArchive as error:
        raise files.FileProblem(str(error)) from None


def columns(kind: str) -> tuple[str, ...]:
    """Return the columns of a kind of export without the id."""
    now = datetime.now(UTC)
    table = queries.export(kind, queries.Window.last(1, now), queries.Filters(), now=now)
    return tuple(name for name in table.columns if name != ID)


def _matching(rows: Iterator[Row], options: dict[str, Any]) -> Iterator[Row]:
    wanted = {column: frozenset(options[name]) for name, column in FILTERS.items() if options[name]}
    return (row for row in rows if all(row.get(column) in values for column, values in wanted.items()))


def _add_selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="start", type=time_argument, metavar="TIME", help="such as 2026-03-01T12:00:00Z")
    parser.add_argument(
        "--to", dest="end", type=time_argument, metavar="TIME", help="rows of this time are not included"
    )
    parser.add_argument("--dir", type=Path, help="another directory than LLMMONITOR_ARCHIVE_DIR")
