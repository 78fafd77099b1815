"""`manage.py import`: store the rows of a file."""

from __future__ import annotations

import signal
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import orjson
from django.core.management.base import CommandError

from llmmonitor.infra.commands import StoreCommand
from metrics.events import Unreadable
from metrics.importing import export_files, sources
from metrics.importing.files import FileProblem, Row, open_file, read_rows
from metrics.importing.importer import Importer
from metrics.importing.report import Report
from metrics.importing.source import Source
from metrics.ingest.recorder import Recorder, StoreUnavailable

MAX_UNREADABLE = 100  # rows at the beginning of a file
AGAIN = "What is stored stays. Import the file again to continue: rows that are stored are not stored again."


class Command(StoreCommand):
    """Store the rows of a file, each once."""

    help = (
        "Store the rows of a file that GET /export/… wrote, or of another program's export. A row that is stored "
        "already is not stored again. The exit status is 1 if rows were rejected, or the file was not read to its end."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="CSV, JSON or NDJSON, plain or gzip; - for standard input")
        parser.add_argument("--kind", choices=export_files.KINDS, help="what the rows are (default: by their columns)")
        parser.add_argument(
            "--from",
            dest="origin",
            choices=sources.NAMES,
            help="the program that wrote the file (default: by its columns)",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="store nothing; print the first rows as they would be stored"
        )

    def handle(
        self, *args: Any, file: str, kind: str | None, origin: str | None, dry_run: bool, **options: Any
    ) -> None:
        """Import the file and print the report."""
        if kind and origin not in (None, sources.EXPORT):
            raise CommandError(f"--kind is for exports of LLM Monitor, not with --from {origin}")
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop as with Ctrl-C, after the running commit
        recorder = None if dry_run else Recorder()
        importer: Importer | None = None
        try:
            with open_file(file) as stream:
                file_format, rows = read_rows(stream)
                source, rows = self.recognize(rows, kind, origin)
                if source is None:
                    self.stdout.write("The file has no rows.")
                    return
                self.stdout.write(f"{file}: {source.name}, {file_format.upper()}")
                submit = None if recorder is None else recorder.submit
                importer = Importer(source, file_format == "csv", lambda: datetime.now(UTC), submit)
                self.run(importer, rows)
        except FileProblem as problem:
            raise CommandError(f"{file}: {problem}") from None
        except KeyboardInterrupt:
            if importer is not None:  # the report is printed
                raise
            raise CommandError("Stopped before the first row. Nothing is stored.", returncode=130) from None
        finally:
            if recorder is not None:
                recorder.close()
        if importer.problem:
            raise CommandError(f"{file}: {importer.problem} The report is about the rows before.")
        if importer.report.rejected:
            raise CommandError(f"{importer.report.rejected:,} rows were rejected.")

    def recognize(
        self, rows: Iterator[Row], kind: str | None, origin: str | None
    ) -> tuple[Source | None, Iterator[Row]]:
        """Return the source of the rows, by the first that can be read, and all rows. None: there are no rows."""
        read = []
        for row in rows:
            read.append(row)
            if isinstance(row.value, dict):
                return sources.recognize(frozenset(row.value), kind, origin), chain(read, rows)
            if len(read) == MAX_UNREADABLE:
                break
        if read:
            assert isinstance(read[0].value, Unreadable)  # noqa: S101
            raise FileProblem(
                f"has no row that can be read. {read[0].numbered.capitalize()} {read[0].line} {read[0].value.error}."
            )
        return None, rows

    def run(self, importer: Importer, rows: Iterator[Row]) -> None:
        """Import the rows and print the report, also if the import is stopped."""
        try:
            importer.run(rows, self.show_progress)
        except KeyboardInterrupt:
            self.print_report(importer)
            raise CommandError(f"Stopped after {self.place(importer)}. {AGAIN}", returncode=130) from None
        except StoreUnavailable as error:
            self.print_report(importer)
            raise CommandError(f"Stopped after {self.place(importer)}: {error.detail} {AGAIN}") from None
        self.print_report(importer)

    def place(self, importer: Importer) -> str:
        """Return the place of the last row in the report."""
        return f"{importer.report.numbered} {importer.report.last_line:,}"

    def show_progress(self, report: Report) -> None:
        """Print the number of rows, on a terminal only."""
        if self.stdout.isatty():
            self.stdout.write(f"\r{report.read:,} rows", ending="")

    def print_report(self, importer: Importer) -> None:
        """Print the first rows of a dry run, and the report."""
        if self.stdout.isatty():
            self.stdout.write("\r", ending="")
        if importer.is_dry_run:
            self.stdout.write("Nothing is stored. The first rows as they would be stored:")
            for event in importer.first_events:
                values = event.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
                self.stdout.write(orjson.dumps(values).decode())
        for line in importer.lines():
            self.stdout.write(line)
