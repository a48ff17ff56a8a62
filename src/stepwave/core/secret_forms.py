"""What a secret may look like in what a step prints: as it is, as base64, URL-encoded, escaped for JSON or a shell.

Base64 (RFC 4648, both alphabets) of a longer text that has the secret in it looks in one of three ways, after how many
bytes stand before it; its first and last character, which also hang on the neighbors, are no part of the form.
"""

from collections.abc import Iterable, Iterator

SHORTEST = 4
"""Characters of the shortest text that is masked: of a shorter one too much would be."""
MAX_LINES = 400


def forms_of(values: Iterable[str]) -> tuple[tuple[bytes, bool], ...]:
    """Every form of every value, and of every line of one that has several; the flag says which are base64."""
    found: dict[bytes, bool] = {}
    for value in values:
        lines = [line.strip() for line in value.splitlines()]
        for text in dict.fromkeys((*lines, value)):
            if len(text) >= SHORTEST:
                found.update(dict.fromkeys(_base64s(text.encode()), True))
                found.update((form.encode(), False) for form in _texts(text))
    return tuple((form, is_base64) for form, is_base64 in found.items() if len(form) >= SHORTEST)


def _texts(text: str) -> Iterator[str]:
    import json
    from urllib.parse import quote

    yield text
    for safe in ("", "/", "!'()*", ";,/?:@&=+$!'()*#"):  # quote, and JavaScript's encodeURIComponent and encodeURI
        encoded = quote(text, safe)
        for form in (encoded, encoded.replace("%20", "+")):
            yield form
            yield _lower(form)
    if text.isprintable() and text.isascii() and not set(text) & set("\"'\\/ $`!&|;<>()*?[]#~=%{}^"):
        return
    for ascii_only in (True, False):
        escaped = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield escaped
        yield escaped.replace("/", "\\/")
    yield repr(text)[1:-1]
    yield text.replace("'", "'\"'\"'")  # shlex.quote
    yield text.replace("'", "'\\''")  # sh -x
    yield "".join(c if c.isalnum() or c in "_-./:,@%+" else f"\\{c}" for c in text)  # printf %q


def _lower(encoded: str) -> str:
    """`%2F` as `%2f`."""
    first, *rest = encoded.split("%")
    return "%".join([first, *(part[:2].lower() + part[2:] for part in rest)])


def _base64s(data: bytes) -> Iterator[bytes]:
    from base64 import b64encode

    found = []
    for before, skipped in ((0, 0), (1, 2), (2, 3)):
        known = (before + len(data)) * 8 // 6
        found.append(b64encode(bytes(before) + data)[skipped:known])
        for end in (b"", b"\n"):  # at the end of what was encoded its last character is known, too
            whole = b64encode(bytes(before) + data + end)[skipped:]
            found += [whole, whole.rstrip(b"=")]
    for form in found:
        yield form
        yield form.translate(_url_alphabet)


_url_alphabet = bytes.maketrans(b"+/", b"-_")
