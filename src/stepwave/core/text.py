"""Words for people: durations as every part of stepwave prints them, and foreign text made harmless."""

import re


def duration(seconds: float) -> str:
    """`450ms`, `12.3s` below a minute, `2m 05s`, `1h 02m`."""
    if seconds < 0.9995:
        return f"{round(max(seconds, 0.0) * 1000)}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    minutes = round(seconds / 60)
    return f"{minutes // 60}h {minutes % 60:02d}m"


def size_of(count: int) -> str:
    """`1 GB`, `1.5 MB`, `1 byte`; powers of 1024, as the file has them."""
    for name, power in (("TB", 4), ("GB", 3), ("MB", 2), ("KB", 1)):
        if count >= 1024**power:
            return f"{round(count / 1024**power, 1):g} {name}"
    return f"{count} byte{'s' * (count != 1)}"


# C0 and C1 controls (escape sequences begin with one), DEL, the marks that turn the direction of text around, the line
# separators of Unicode, and lone surrogates, which no stream takes.
_control = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def harmless(text: str) -> str:
    """The text with every control character shown (`\\x1b`) instead of obeyed; tabs and newlines stay."""
    return _control.sub(lambda m: f"\\x{ord(m[0]):02x}" if ord(m[0]) < 256 else f"\\u{ord(m[0]):04x}", text)


_obeyed_anywhere = re.compile(r"##(?=\w*\[)")


def no_command(line: str) -> str:
    """A line that a CI system would obey, shown instead: `\\x3a:error::`, `\\x23#[group]`, `\\x23#vso[…]`.

    `::` counts at the beginning of a line only, the others wherever they stand in it.
    """
    line = _obeyed_anywhere.sub(r"\\x23#", line) if "##" in line else line
    bare = line.lstrip()
    return f"{line[: len(line) - len(bare)]}\\x3a{bare[1:]}" if bare.startswith("::") else line


def one_line(text: str, limit: int = 200) -> str:
    """Harmless, on one line, at most `limit` characters."""
    flat = no_command(harmless(" ".join(text.split())))
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def words_of(problem: BaseException) -> str:
    """The text of an exception, also of one that cannot tell it."""
    try:
        return str(problem)
    except Exception:
        return f"{type(problem).__name__}, which cannot be put into words"


def plural(count: int, noun: str) -> str:
    """`1 step`, `2 steps`, `2 dependencies`."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("y") else f"{count} {noun}s"


# POSIX names by Linux number; where a system counts differently the number itself is shown beside the name.
_signals = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
    10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 24: "SIGXCPU",
    25: "SIGXFSZ",
}  # fmt: skip


def signal_name(number: int) -> str:
    """`SIGKILL`, or `signal 35` for one without a common name."""
    return _signals.get(number, f"signal {number}")
