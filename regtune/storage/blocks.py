"""Files that gzip reads, compressed in blocks, so that they can be read from any place: blocked gzip, as bgzip writes.

A block holds `SIZE` bytes of what was compressed, the last one fewer, and its head says how long it is compressed.
So the blocks are found without decompressing any, and a byte is read by decompressing the block that holds it.
"""

from __future__ import annotations

import gzip
import io
import os
import struct
import zlib
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SIZE = 0xFF00  # what is as long after compression, at worst, still has a length of 16 bits
LEVEL = 3
_HEAD = struct.Struct("<4sIBBH2sHH")
_END = struct.Struct("<II")
_MAGIC, _NAME = b"\x1f\x8b\x08\x04", b"BC"  # gzip with an extra field, and what that is called


def compress(source: BinaryIO, target: BinaryIO) -> None:
    """Compress what is left of a file, an empty block at its end."""
    while content := source.read(SIZE):
        target.write(_block(content))
    target.write(_block(b""))


def _block(content: bytes) -> bytes:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(content) + packer.flush()
    length = _HEAD.size + len(packed) + _END.size
    head = _HEAD.pack(_MAGIC, 0, 0, 255, 6, _NAME, 2, length - 1)
    return head + packed + _END.pack(zlib.crc32(content), len(content))


class Blocks:
    """Where the blocks of a compressed file begin, and how many bytes it has decompressed: `size`.

    Raises BadGzipFile for another file, also one that gzip compressed as one piece.
    """

    def __init__(self, path: Path) -> None:
        self.begins, self.size = array("q"), 0
        with path.open("rb", buffering=0) as file:
            place, whole = 0, os.fstat(file.fileno()).st_size
            while place < whole:
                self.begins.append(place)
                place += _length(os.pread(file.fileno(), _HEAD.size, place))
                (held,) = struct.unpack("<I", os.pread(file.fileno(), 4, place - 4).ljust(4, b"\0"))
                if held > SIZE or (held and self.size % SIZE):  # a byte is found by the number of its block
                    raise gzip.BadGzipFile("a file in blocks of other lengths")
                self.size += held
        if place != whole or not self.begins or held:
            raise gzip.BadGzipFile("a file that was cut off")


def _length(head: bytes) -> int:
    """Return the length of a block by its first bytes."""
    if len(head) == _HEAD.size:
        magic, _, _, _, extra, name, two, last = _HEAD.unpack(head)
        if (magic, extra, name, two) == (_MAGIC, 6, _NAME, 2) and last >= _HEAD.size + _END.size:
            return int(last) + 1
    raise gzip.BadGzipFile("a file that is not in blocks")


class _Decompressed(io.RawIOBase):
    """What a compressed file holds."""

    def __init__(self, path: Path, blocks: Blocks) -> None:
        self._file, self._blocks, self._place = path.open("rb", buffering=0), blocks, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, place: int, whence: int = os.SEEK_SET, /) -> int:
        self._place = place + (0, self._place, self._blocks.size)[whence]
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read at most to the end of a block."""
        number, behind = divmod(self._place, SIZE)
        if self._place >= self._blocks.size:
            return 0
        begin, end = self._blocks.begins[number : number + 2]
        self._file.seek(begin)
        content = gzip.decompress(self._file.read(end - begin))
        mine, view = memoryview(content)[behind:], memoryview(buffer).cast("B")
        count = min(len(mine), len(view))
        view[:count] = mine[:count]
        self._place += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def decompressed(path: Path, blocks: Blocks) -> io.BufferedReader:
    """Open a compressed file to read what it holds."""
    return io.BufferedReader(_Decompressed(path, blocks), SIZE)
