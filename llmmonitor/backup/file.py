"""The file of a backup: a zip with a compressed member for each table and `manifest.json`.

A member has a line for each row, of at most LINE_BYTES: a JSON array of the columns that the manifest lists. The
manifest has the number of rows, the bytes and the SHA-256 of each member. The comment of the zip has the SHA-256 of
the file up to it, so that every byte is covered, also those of the zip's own headers, which no checksum of the format
covers.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llmmonitor.backup.errors import BadFile, Refused
from llmmonitor.infra.files import name_file, sync_directory

FORMAT = 1
PRODUCT = "LLM Monitor"
MANIFEST = "manifest.json"
MANIFEST_BYTES = 4 * 2**20  # some 60 tables with their columns need 10 kB
COMMENT = b"LLM Monitor backup, sha256 of the bytes before this digest: "
DIGEST_CHARACTERS = 64
# Level 6 takes twice the time of level 3 for a file that is 7 % smaller.
COMPRESSION_LEVEL = 3
BLOCK_BYTES = 2**20
# Of a row. Posts, texts and metadata have limits, so that the longest row is far below 1 MiB.
LINE_BYTES = 64 * 2**20
# What bytes raise that are no zip, no rows or no manifest, though their checksums are right.
DAMAGE = (
    ArithmeticError, AttributeError, EOFError, LookupError, RuntimeError, TypeError, ValueError, struct.error,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class Strict(BaseModel):
    """A part of the manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Member(Strict):
    """A file of the zip. columns: the names of the values of each line; empty for the secrets."""

    columns: tuple[str, ...] = ()
    rows: int
    bytes: int
    sha256: str


class Manifest(Strict):
    """What the file contains. members: by their names in the zip. salt: of the key of the secrets, in hex."""

    product: str
    format: int
    version: str
    database: str
    written_at: datetime
    migrations: tuple[tuple[str, str], ...]
    salt: Annotated[str, Field(pattern="^([0-9a-f]{2})+$")] | None
    members: dict[str, Member]


class Writer:
    """Writes a backup to a new file, which has its name only when it is complete and on the disk.

    Raises Refused if the file exists, unless `overwrite`, or if its name is that of a device, a link or a directory;
    OSError, which names the directory, if it cannot be written.
    """

    def __init__(self, path: Path, *, at: datetime, overwrite: bool = False) -> None:
        self._path = path
        self._overwrite = overwrite
        self._time = at.timetuple()[:6]
        self._partial = path.with_name(partial_name(path.name))
        self.members: dict[str, Member] = {}

    def __enter__(self) -> Self:
        self._refuse_to_overwrite()
        if not self._path.parent.is_dir():
            raise Refused(f"{self._path.parent} is not a directory. Create it, or choose another one.")
        try:
            file = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._name_directory(error)
            raise
        self._file = open(file, "w+b")  # closed in __exit__
        self._zip = zipfile.ZipFile(
            self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION_LEVEL, strict_timestamps=False
        )
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Remove what is not complete."""
        if isinstance(error, OSError):
            self._name_directory(error)
        with contextlib.suppress(Exception):  # of a full disk: the error that is on its way has the reason
            self._zip.close()
        with contextlib.suppress(OSError):
            self._file.close()
        self._partial.unlink(missing_ok=True)

    def add(self, name: str, blocks: Iterable[list[bytes]], columns: Iterable[str] = ()) -> Member:
        """Write a member from blocks of lines without their ends."""
        digest = hashlib.sha256()
        rows = size = 0
        with self._open(name) as stream:
            for lines in blocks:
                data = b"\n".join([*lines, b""])
                digest.update(data)
                stream.write(data)
                rows += len(lines)
                size += len(data)
        member = Member(columns=tuple(columns), rows=rows, bytes=size, sha256=digest.hexdigest())
        self.members[name] = member
        return member

    def finish(self, manifest: Manifest) -> int:
        """Write the manifest and the digest, and give the file its name. Return its size in bytes."""
        with self._open(MANIFEST) as stream:
            stream.write(manifest.model_dump_json(indent=1).encode())
        self._zip.comment = COMMENT + b"0" * DIGEST_CHARACTERS
        self._zip.close()
        digest = _digest(self._file)
        self._file.seek(-DIGEST_CHARACTERS, os.SEEK_END)
        self._file.write(digest)
        self._file.flush()
        os.fsync(self._file.fileno())
        size = self._file.tell()
        self._name()
        sync_directory(self._path.parent)
        return size

    def _name(self) -> None:
        """Give the file its name. Raises Refused if another file has got it meanwhile, unless `overwrite`."""
        if self._overwrite:
            self._refuse_to_overwrite()
            os.replace(self._partial, self._path)
            return
        try:
            name_file(self._partial, self._path)
        except FileExistsError:
            raise self._refusal() from None

    def _open(self, name: str) -> IO[bytes]:
        entry = zipfile.ZipInfo(name, self._time)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry._compresslevel = COMPRESSION_LEVEL  # type: ignore[attr-defined]  # public from Python 3.13 on
        entry.external_attr = 0o600 << 16
        return self._zip.open(entry, "w", force_zip64=True)

    def _name_directory(self, error: OSError) -> None:
        """Make the error name the directory: that of a full disk names no file, others a name that nobody gave."""
        error.filename = str(self._path.parent.absolute())

    def _refuse_to_overwrite(self) -> None:
        if os.path.lexists(self._path) and not (self._overwrite and self._is_regular_file()):
            raise self._refusal()

    def _is_regular_file(self) -> bool:
        return stat.S_ISREG(self._path.lstat().st_mode)

    def _refusal(self) -> Refused:
        if not self._is_regular_file():
            return Refused(f"{self._path} is not a regular file. Choose another name.")
        return Refused(f"{self._path} exists. Choose another name, or use --force to replace it.")


class Reader:
    """Reads a backup that is complete and undamaged. Raises BadFile if it is not, OSError if it cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        if self._path.exists() and not self._path.is_file():
            raise BadFile(f"{self._path} is not a regular file.")
        self._file = self._path.open("rb")
        try:
            self._check_digest()
            with self.damage_in(MANIFEST):
                self._zip = zipfile.ZipFile(self._file)
                if any(entry.header_offset < 0 for entry in self._zip.infolist()):
                    raise zipfile.BadZipFile("a member begins before the file")
                self.manifest = self._read_manifest()
            self._check_members()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._zip.close()
        self._file.close()

    def lines(self, name: str) -> Iterator[bytes]:
        """Yield the lines of a member without their ends."""
        with self._zip.open(name) as stream:
            for line in io.BufferedReader(stream, BLOCK_BYTES):  # type: ignore[type-var]  # ZipExtFile is a raw stream
                yield line[:-1]

    @contextlib.contextmanager
    def damage_in(self, name: str) -> Iterator[None]:
        """Raise BadFile if the content of a member cannot be used in the block."""
        try:
            yield
        except DAMAGE as error:
            raise BadFile(f"{self._path} is damaged in {name} ({_first_line(error)}).") from error

    def _check_digest(self) -> None:
        size = self._file.seek(0, os.SEEK_END)
        end = len(COMMENT) + DIGEST_CHARACTERS
        self._file.seek(max(0, size - end))
        comment = self._file.read()
        if len(comment) < end or not comment.startswith(COMMENT):
            raise BadFile(f"{self._path} is not a backup of {PRODUCT}, or its end is missing.")
        if _digest(self._file) != comment[-DIGEST_CHARACTERS:]:
            raise BadFile(f"{self._path} is damaged: its content does not match its checksum. Use another backup.")

    def _read_manifest(self) -> Manifest:
        if self._zip.getinfo(MANIFEST).file_size > MANIFEST_BYTES:
            raise BadFile(f"{self._path}: its {MANIFEST} is larger than {MANIFEST_BYTES:,} bytes.")
        text = self._zip.read(MANIFEST)
        found = _Header.model_validate_json(text)
        if (found.product, found.format) != (PRODUCT, FORMAT):
            raise BadFile(
                f"{self._path} was written by {found.product} {found.version} in format {found.format}. "
                f"This version reads format {FORMAT}."
            )
        return Manifest.model_validate_json(text)

    def _check_members(self) -> None:
        if {*self._zip.namelist()} != {*self.manifest.members, MANIFEST}:
            raise BadFile(f"{self._path} is damaged: it has other members than its {MANIFEST} lists.")
        for name, member in self.manifest.members.items():
            with self.damage_in(name):
                is_equal = self._measure(name) == (member.rows, member.bytes, member.sha256)
            if not is_equal:
                raise BadFile(f"{self._path} is damaged: {name} does not match its {MANIFEST}.")

    def _measure(self, name: str) -> tuple[int, int, str]:
        """Return the rows, the bytes and the SHA-256 of a member. Raises an error of DAMAGE."""
        if self._zip.getinfo(name).compress_type != zipfile.ZIP_DEFLATED:
            raise ValueError("it is compressed in another way")
        digest = hashlib.sha256()
        size = rows = line = 0  # line: the bytes of the last line so far
        with self._zip.open(name) as stream:
            while data := stream.read(BLOCK_BYTES):
                digest.update(data)
                size += len(data)
                rows += data.count(b"\n")
                line += data.find(b"\n") + 1 or len(data)
                if line > LINE_BYTES:
                    raise ValueError(f"a line is longer than {LINE_BYTES / 2**20:,.0f} MiB")
                if b"\n" in data:
                    line = len(data) - data.rfind(b"\n") - 1
        if line:
            raise ValueError("its last line has no end")
        return rows, size, digest.hexdigest()


class _Header(BaseModel):
    """The part of a manifest that every format has."""

    product: str
    format: int
    version: str


def partial_name(name: str) -> str:
    """Return the name of a file that is not complete yet."""
    return f".{name}.{secrets.token_hex(4)}.partial"


def _digest(file: Any) -> bytes:
    """Return the SHA-256 of all but the last 64 bytes, in hex."""
    left = file.seek(0, os.SEEK_END) - DIGEST_CHARACTERS
    file.seek(0)
    digest = hashlib.sha256()
    while left > 0 and (data := file.read(min(left, BLOCK_BYTES))):
        digest.update(data)
        left -= len(data)
    return digest.hexdigest().encode()


def _first_line(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
