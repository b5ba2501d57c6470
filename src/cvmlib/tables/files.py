"""Table files on disk: what is wrong with one that cannot be read, and its content hash."""

import codecs
import gzip
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from cvmlib.portfolio_mistakes import nearest

_BLOCK = 1 << 20
_SIGNATURES = {
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "a gzip file",
    b"PK\x03\x04": "a zip file (an Excel workbook is one)",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"SQLite format 3": "an SQLite database",
}


@dataclass(frozen=True)
class Fault:
    """Why a file cannot be used: a short kind, what was found, and the remedy, one sentence each."""

    kind: str
    message: str
    remedy: str


def find_fault(path: Path) -> Fault | None:
    """Say what is wrong with a table file, or None when it can be read to its end.

    Parameters
    ----------
    path : pathlib.Path
        A ``.parquet``, ``.csv`` or ``.csv.gz`` file. Text is read once, in blocks, and the result remembered until the
        file changes.

    Returns
    -------
    Fault or None
        Kinds: ``missing``, ``empty``, ``truncated``, ``encoding``, ``format``.
    """
    if not path.exists():
        return _missing(path)
    if not path.is_file():
        return Fault("missing", f"{path} is a folder, not a file", "give the path of one file.")
    state = path.stat()
    if state.st_size == 0:
        return Fault("empty", f"{path} is empty (0 bytes)", "export the table again.")
    return _scan(path, state.st_mtime_ns, state.st_size)


def _missing(path: Path) -> Fault:
    if not path.parent.is_dir():
        return Fault(
            "missing", f"there is no folder {path.parent}", "correct the source or path in the portfolio file."
        )
    others = sorted(p.name for p in path.parent.iterdir() if p.is_file())
    near = nearest(path.name, others)
    there = f"; the folder holds {', '.join(others[:8])}" if others else "; its folder is empty"
    hint = f"did you mean {near}? Otherwise correct" if near else "correct"
    return Fault("missing", f"there is no file {path}{there}", f"{hint} the path in the portfolio file.")


@lru_cache(maxsize=256)
def _scan(path: Path, mtime_ns: int, size: int) -> Fault | None:
    with path.open("rb") as file:
        head = file.read(16)
    found = next((words for signature, words in _SIGNATURES.items() if head.startswith(signature)), None)
    name = path.name.lower()
    expected = "a Parquet file" if name.endswith(".parquet") else "a gzip file" if name.endswith(".gz") else None
    if found != expected:
        return Fault(
            "format",
            f"{path.name} is {found or 'not ' + str(expected)}, whatever its name says",
            "export the table as Parquet or as UTF-8 CSV and name it accordingly.",
        )
    return _parquet_fault(path, size) if expected == "a Parquet file" else _text_fault(path)


def _parquet_fault(path: Path, size: int) -> Fault | None:
    with path.open("rb") as file:
        file.seek(max(size - 4, 0))
        if size >= 12 and file.read(4) == b"PAR1":
            return None
    return Fault(
        "truncated",
        f"{path.name} ends early: after {size:,} bytes the Parquet footer is missing",
        "the copy or export was cut off; copy or export the file again.",
    )


def open_text(path: Path) -> BinaryIO:
    """Open a CSV file for reading bytes, decompressed when its name ends in ``.gz``."""
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")


def _text_fault(path: Path) -> Fault | None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    done, lines = 0, 1
    try:
        with open_text(path) as file:
            while block := file.read(_BLOCK):
                pending = len(decoder.getstate()[0])
                try:
                    decoder.decode(block)
                except UnicodeDecodeError as error:
                    return _encoding_fault(path, error, done - pending, lines)
                done, lines = done + len(block), lines + block.count(b"\n")
        decoder.decode(b"", final=True)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        return Fault(
            "truncated",
            f"{path.name} ends early: the compressed file breaks off after {done:,} bytes of text ({error})",
            "the copy or export was cut off; copy or export the file again.",
        )
    except UnicodeDecodeError:
        return Fault(
            "truncated",
            f"{path.name} ends early: its last character, in line {lines:,}, is cut in two",
            "the copy or export was cut off; copy or export the file again.",
        )
    return None


def _encoding_fault(path: Path, error: UnicodeDecodeError, offset: int, line: int) -> Fault:
    data = error.object
    line += data.count(b"\n", 0, error.start)
    if offset == 0 and data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return Fault(
            "encoding",
            f"{path.name} is encoded in UTF-16 (it begins with a UTF-16 byte order mark), not in UTF-8",
            "save it with encoding UTF-8.",
        )
    around = data[max(error.start - 12, 0) : error.start + 12].decode("cp1252", errors="replace")
    around = " ".join(around.split())
    return Fault(
        "encoding",
        f"{path.name} is not UTF-8: byte 0x{data[error.start]:02x} at position {offset + error.start:,}, line "
        f"{line:,} (read as Windows-1252 it says “{around}”)",
        "save it with encoding UTF-8, for instance: iconv -f WINDOWS-1252 -t UTF-8 OLD.csv > NEW.csv",
    )


def find_delimiter(path: Path) -> str:
    """Return the character that separates the columns of a CSV file, judged by its header line."""
    with open_text(path) as file:
        header = file.readline(_BLOCK).decode("utf-8-sig", errors="replace")
    return max(",;\t|", key=header.count)


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in _blocks(file):
            digest.update(block)
    return digest.hexdigest()


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block
