"""Short names for texts: BLAKE2b (RFC 7693)."""

try:
    from _blake2 import blake2b  # what hashlib hands on; hashlib itself takes milliseconds to import
except ImportError:
    from hashlib import blake2b


def hex_digest(text: str, size: int) -> str:
    """The BLAKE2b digest of `size` bytes, in hexadecimal digits, two for each byte."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()
