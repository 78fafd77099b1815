"""The file of a backup: every byte is covered, and nothing that is not complete has its name."""

from __future__ import annotations

import json
import os
import resource
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from llmmonitor.backup.errors import BadFile, Refused
from llmmonitor.backup.file import COMMENT, DIGEST_CHARACTERS, FORMAT, PRODUCT, Manifest, Reader, Writer

AT = datetime(2026, 11, 30, 12, 30, tzinfo=UTC)
LINES = [b'[1,"a"]', b'[2,"b"]', b'[3,"\xc3\xbc"]']


def manifest_of(writer: Writer, number: int = FORMAT) -> Manifest:
    return Manifest(
        product=PRODUCT, format=number, version="0.1.0", database="sqlite", written_at=AT,
        migrations=(("metrics", "0001_initial"),), salt=None, members=writer.members,
    )  # fmt: skip


def write(path: Path, *, number: int = FORMAT, overwrite: bool = False) -> Path:
    with Writer(path, at=AT, overwrite=overwrite) as writer:
        writer.add("tables/a.jsonl", [LINES[:2], LINES[2:]], ["id", "name"])
        writer.add("tables/empty.jsonl", [])
        writer.finish(manifest_of(writer, number))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "monitor.zip")


def problem_of(path: Path) -> str:
    """Return why the file is refused."""
    with pytest.raises(BadFile) as caught, Reader(path):
        pass
    return str(caught.value)


class AFile:
    def test_returns_what_was_written(self, file: Path) -> None:
        with Reader(file) as reader:
            assert list(reader.lines("tables/a.jsonl")) == LINES
            assert list(reader.lines("tables/empty.jsonl")) == []
            member = reader.manifest.members["tables/a.jsonl"]
            assert (member.columns, member.rows, member.bytes) == (("id", "name"), 3, 25)

    def test_is_a_zip_that_ordinary_tools_read(self, file: Path) -> None:
        with zipfile.ZipFile(file) as archive:
            assert archive.testzip() is None
            assert archive.read("tables/a.jsonl") == b"".join(line + b"\n" for line in LINES)
            manifest = json.loads(archive.read("manifest.json"))
        assert manifest["members"]["tables/a.jsonl"]["rows"] == 3
        assert manifest["written_at"] == "2026-11-30T12:30:00Z"

    def test_can_be_read_by_its_owner_alone(self, file: Path) -> None:
        assert file.stat().st_mode & 0o777 == 0o600

    def test_is_refused_with_any_byte_flipped(self, file: Path) -> None:
        """All positions: data, local headers, the manifest, the central directory and the comment."""
        data = file.read_bytes()
        for position in range(len(data)):
            for bit in (0x01, 0x20):
                file.write_bytes(data[:position] + bytes([data[position] ^ bit]) + data[position + 1 :])
                with pytest.raises(BadFile), Reader(file):
                    pytest.fail(f"accepted with byte {position} flipped")

    def test_is_refused_if_its_end_is_missing(self, file: Path) -> None:
        data = file.read_bytes()
        for length in range(len(data)):
            file.write_bytes(data[:length])
            assert "is not a backup of LLM Monitor, or its end is missing" in problem_of(file)

    def test_is_refused_with_bytes_behind_it(self, file: Path) -> None:
        file.write_bytes(file.read_bytes() + b"\n")
        assert "is not a backup" in problem_of(file)


def sign(data: bytes) -> bytes:
    """Return the file with the digest of its bytes."""
    return data[:-DIGEST_CHARACTERS] + sha256(data[:-DIGEST_CHARACTERS]).hexdigest().encode()


class AForgedFile:
    """A file whose digest is right."""

    def test_with_any_byte_flipped_is_read_or_refused(self, file: Path) -> None:
        data = file.read_bytes()
        refused = 0
        for position in range(len(data) - len(COMMENT) - DIGEST_CHARACTERS):
            for bit in (0x01, 0x20):
                file.write_bytes(sign(data[:position] + bytes([data[position] ^ bit]) + data[position + 1 :]))
                try:
                    with Reader(file):
                        pass
                except BadFile:
                    refused += 1
        assert refused > len(data) / 2

    def test_with_a_line_that_is_too_long_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def forge(*lines: bytes) -> Path:
            with Writer(path := tmp_path / f"{len(lines)}.zip", at=AT) as writer:
                writer.add("tables/a.jsonl", [[b"[1]", line] for line in lines])
                writer.finish(manifest_of(writer))
            return path

        monkeypatch.setattr("llmmonitor.backup.file.LINE_BYTES", 3 * 2**20)
        with Reader(forge(*[b"2" * (3 * 2**20 - 1)] * 3)):
            pass
        problem = problem_of(forge(b"2", b"2" * 3 * 2**20))
        assert "is damaged in tables/a.jsonl (a line is longer than 3 MiB)." in problem

    @pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_that_is_compressed_in_another_way_is_refused(self, method: int, file: Path, tmp_path: Path) -> None:
        with zipfile.ZipFile(file) as original, zipfile.ZipFile(tmp_path / "other.zip", "w", method) as other:
            for name in original.namelist():
                other.writestr(name, original.read(name))
            other.comment = original.comment
        (tmp_path / "other.zip").write_bytes(sign((tmp_path / "other.zip").read_bytes()))
        assert "is damaged in tables/a.jsonl (it is compressed in another way)." in problem_of(tmp_path / "other.zip")

    @pytest.mark.parametrize("salt", ["no hex", "abc", ""])
    def test_with_a_salt_that_is_not_hex_is_refused(self, salt: str, tmp_path: Path) -> None:
        with Writer(tmp_path / "salt.zip", at=AT) as writer:
            writer.finish(manifest_of(writer).model_copy(update={"salt": salt}))
        assert "is damaged in manifest.json (salt: " in problem_of(tmp_path / "salt.zip")


class AForeignFile:
    def test_is_refused(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
            archive.writestr("manifest.json", "{}")
        assert "photos.zip is not a backup of LLM Monitor" in problem_of(tmp_path / "photos.zip")

    def test_that_is_no_regular_file_is_refused(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.zip")
        for path in (tmp_path, tmp_path / "pipe.zip"):
            assert problem_of(path) == f"{path} is not a regular file."

    def test_of_a_later_format_is_refused_with_its_version(self, tmp_path: Path) -> None:
        file = write(tmp_path / "later.zip", number=FORMAT + 1)
        assert "was written by LLM Monitor 0.1.0 in format 2. This version reads format 1." in problem_of(file)

    def test_whose_manifest_lists_other_rows_is_refused(self, tmp_path: Path) -> None:
        with Writer(tmp_path / "wrong.zip", at=AT) as writer:
            member = writer.add("tables/a.jsonl", [LINES])
            writer.members["tables/a.jsonl"] = member.model_copy(update={"rows": 4})
            writer.finish(manifest_of(writer))
        assert "tables/a.jsonl does not match its manifest.json" in problem_of(tmp_path / "wrong.zip")

    def test_with_a_further_member_is_refused(self, tmp_path: Path) -> None:
        with Writer(tmp_path / "more.zip", at=AT) as writer:
            writer.add("tables/a.jsonl", [LINES])
            del writer.members["tables/a.jsonl"]
            writer.finish(manifest_of(writer))
        assert "other members" in problem_of(tmp_path / "more.zip")


class AnExistingFile:
    def test_is_not_overwritten(self, file: Path) -> None:
        before = file.read_bytes()
        with pytest.raises(Refused, match=r"exists\. Choose another name, or use --force"):
            write(file)
        assert file.read_bytes() == before

    def test_is_not_overwritten_if_it_appears_meanwhile(self, tmp_path: Path) -> None:
        path = tmp_path / "monitor.zip"
        with Writer(path, at=AT) as writer:
            path.write_text("of another program")
            with pytest.raises(Refused):
                writer.finish(manifest_of(writer))
        assert path.read_text() == "of another program"
        assert list(tmp_path.iterdir()) == [path]

    def test_is_replaced_on_request(self, file: Path) -> None:
        file.write_text("old")
        with Reader(write(file, overwrite=True)) as reader:
            assert reader.manifest.version == "0.1.0"


def make_link_without_target(path: Path) -> None:
    path.symlink_to(path.with_name("none"))


def make_link_to_a_file(path: Path) -> None:
    target = path.with_name("target.zip")
    target.write_text("old")
    path.symlink_to(target)


class APathOfSomethingElse:
    """As a device: its node would be replaced by the file."""

    @pytest.mark.parametrize("overwrite", [False, True])
    @pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, make_link_without_target, make_link_to_a_file])
    def test_is_refused(self, make: Callable[[Path], None], overwrite: bool, tmp_path: Path) -> None:
        path = tmp_path / "monitor.zip"
        make(path)
        before = path.lstat()
        with pytest.raises(Refused, match=r"monitor\.zip is not a regular file\. Choose another name\."):
            write(path, overwrite=overwrite)
        assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)

    def test_is_refused_if_it_appears_meanwhile(self, tmp_path: Path) -> None:
        path = tmp_path / "monitor.zip"
        with Writer(path, at=AT, overwrite=True) as writer:
            os.mkfifo(path)
            with pytest.raises(Refused, match="is not a regular file"):
                writer.finish(manifest_of(writer))
        assert path.is_fifo()


class ADirectoryThatIsMissing:
    @pytest.mark.parametrize("parent", ["none", "file"])
    def test_is_named(self, parent: str, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(Refused, match=f"{tmp_path / parent} is not a directory. Create it, or choose another one."):
            write(tmp_path / parent / "monitor.zip")


class AFullDisk:
    """A limit of the size of files fails a write in the same way."""

    @pytest.fixture
    def largest(self) -> Iterator[int]:
        """The largest file that this process can write."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest := 2**20, hard))
        yield largest
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    def test_is_named_by_the_directory_of_the_file(self, largest: int, tmp_path: Path) -> None:
        with (
            pytest.raises(OSError, match="File too large") as caught,
            Writer(tmp_path / "monitor.zip", at=AT) as writer,
        ):
            writer.add("tables/a.jsonl", ([os.urandom(2**16)] for _ in range(2 * largest // 2**16)))
        assert caught.value.filename == str(tmp_path)
        assert list(tmp_path.iterdir()) == []


class AWriterThatFails:
    def test_leaves_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(RuntimeError), Writer(tmp_path / "monitor.zip", at=AT) as writer:
            writer.add("tables/a.jsonl", [LINES])
            raise RuntimeError
        assert list(tmp_path.iterdir()) == []
