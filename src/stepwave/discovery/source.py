"""From the bytes of a file to text and to a tree, whatever the bytes are.

A file that cannot be read or does not parse is a value, `Unread`; it never ends a question about other files.
"""

import ast
import os
import warnings

from stepwave.discovery.walk import Unread

LIMIT_BYTES = 4 << 20
"""Above this a file is not read: a tree takes some seventy times the memory of its text."""


def read(root: str, path: str) -> bytes | Unread:
    """The bytes of a file below a root."""
    try:
        fd = os.open(f"{root}/{path}" if root else path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(fd)
            if status.st_mode & 0o170000 != 0o100000:
                return Unread(path, 1, 1, "not a regular file")
            if status.st_size > LIMIT_BYTES:
                size = f"{status.st_size / (1 << 20):.1f} MB"
                return Unread(path, 1, 1, f"not read: {size}, the limit is {LIMIT_BYTES >> 20} MB")
            return os.read(fd, status.st_size + 1)
        finally:
            os.close(fd)
    except OSError as problem:
        return Unread(path, 1, 1, (problem.strerror or "cannot be read").lower())


def parse(path: str, data: bytes | str) -> ast.Module | Unread:
    """The tree of a file, or of a text. Encodings (PEP 263), byte order marks, line ends: the parser sees to them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in a string is its author's affair
            return ast.parse(data, path.encode("utf-8", "replace").decode("utf-8"))
    except SyntaxError as problem:
        line, column = problem.lineno or 1, problem.offset or 1
        return Unread(path, max(line, 1), max(column, 1), f"does not parse: {problem.msg}")
    except (RecursionError, MemoryError):
        return Unread(path, 1, 1, "does not parse: too deeply nested")
    except ValueError as problem:  # a null byte; an encoding that is none
        return Unread(path, 1, 1, f"does not parse: {problem}")


def decoded(data: bytes) -> str:
    """The text that the parser sees. For data that parses; else whatever can be made of it."""
    if data[:3] == b"\xef\xbb\xbf":
        data = data[3:]
    try:
        head = b"\n".join(data[:400].split(b"\n", 2)[:2])
        if b"coding" not in head:
            return data.decode("utf-8")
        return data.decode(_declared(data))
    except (UnicodeDecodeError, LookupError, SyntaxError):
        return data.decode("utf-8", "replace")


def _declared(data: bytes) -> str:
    import io
    import tokenize

    return tokenize.detect_encoding(io.BytesIO(data).readline)[0]


def lines_of(text: str) -> list[str]:
    """The lines as the parser counts them: a form feed or a separator of Unicode ends none."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.split("\n")


def column_of(lines: list[str], line: int, offset: int) -> int:
    """The column, from 1 and in characters, of an offset of `ast`, which counts the bytes of UTF-8."""
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    if text.isascii():
        return offset + 1
    return len(text.encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "replace")) + 1
