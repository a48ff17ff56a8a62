"""Tables, as aligned text and as Markdown, and the rows that go into them."""

import re
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.measure import Contender, Ratio, Samples

BEGIN = "<!-- measured: begin -->"
END = "<!-- measured: end -->"

MB = 1_000_000


class Table(NamedTuple):
    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Verdict(NamedTuple):
    """A target and what was measured. `spread` tells how far single rounds were from `value`; `answer`: was it met?

    `of_best`: the same from the least time of each, which a busy machine disturbs less; no target hangs on it.
    """

    what: str
    value: str
    spread: str
    of_best: str
    target: str
    answer: str


def times(title: str, contenders: Sequence[Contender], samples: Samples, absent: Sequence[str] = ()) -> Table:
    """What each took. One that is not in `samples` broke; one in `absent` is not on this machine."""
    rows = [_time_row(one, samples) for one in contenders]
    rows += [(name, "not here", "", "", "", "", "") for name in absent]
    return Table(title, ("", "median", "least", "greatest", "CPU", "peak RSS", "remark"), tuple(rows))


def _time_row(one: Contender, samples: Samples) -> tuple[str, ...]:
    taken = samples.get(one.name)
    if not taken:
        return (one.name, "broke", "", "", "", "", one.remark)
    walls = [sample.wall_s for sample in taken]
    return (
        one.name,
        seconds(statistics.median(walls)),
        seconds(min(walls)),
        seconds(max(walls)),
        seconds(statistics.median(sample.cpu_s for sample in taken)),
        f"{max(sample.rss_bytes for sample in taken) / MB:.0f} MB",
        one.remark,
    )


def seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def at_most(what: str, measured: Ratio, limit: float) -> Verdict:
    spread = f"{measured.least:.2f} … {measured.greatest:.2f}"
    answer = "met" if measured.middle <= limit else "MISSED"
    if measured.least <= limit < measured.greatest:
        answer += ", not in every round"
    best = f"{measured.of_best:.2f} x"
    return Verdict(what, f"{measured.middle:.2f} x", spread, best, f"at most {limit:g} x", answer)


def below_mb(what: str, peaks: Sequence[int], limit_mb: int) -> Verdict:
    """The largest of all rounds counts: memory is no matter of luck."""
    largest = max(peaks) / MB
    spread = f"{min(peaks) / MB:.0f} … {largest:.0f}"
    return Verdict(
        what, f"{largest:.1f} MB", spread, "", f"below {limit_mb} MB", "met" if largest < limit_mb else "MISSED"
    )


def below_s(what: str, walls_s: Sequence[float], limit_s: float) -> Verdict:
    """The median counts."""
    median = statistics.median(walls_s)
    spread, best = f"{seconds(min(walls_s))} … {seconds(max(walls_s))}", seconds(min(walls_s))
    target = f"below {limit_s:g} s" if limit_s >= 1 else f"below {limit_s * 1000:g} ms"
    return Verdict(what, seconds(median), spread, best, target, "met" if median < limit_s else "MISSED")


def at_least_mb_s(what: str, size_mb: float, walls_s: Sequence[float], limit_mb_s: int) -> Verdict:
    """How much goes through in a second, in the middle one of all rounds."""
    rates = sorted(size_mb / wall_s for wall_s in walls_s)
    middle = statistics.median(rates)
    return Verdict(
        what,
        f"{middle:.0f} MB/s",
        f"{rates[0]:.0f} … {rates[-1]:.0f}",
        f"{rates[-1]:.0f} MB/s",
        f"at least {limit_mb_s} MB/s",
        "met" if middle >= limit_mb_s else "MISSED",
    )


def verdicts(title: str, found: Sequence[Verdict]) -> Table:
    rows = tuple((v.what, v.value, v.spread, v.of_best, v.target, v.answer) for v in found)
    return Table(title, ("", "measured", "single rounds", "least / least", "target", ""), rows)


# --- printing ----------------------------------------------------------------------------------------


def as_text(table: Table) -> str:
    cells = [table.headings, *table.rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(table.headings))]
    lines = [table.title]
    lines += ["  " + "  ".join(_pad(row, widths, left=(0, len(widths) - 1))).rstrip() for row in cells]
    return "\n".join(lines) + "\n"


def _pad(row: Sequence[str], widths: Sequence[int], left: Sequence[int]) -> list[str]:
    return [
        text.ljust(width) if column in left else text.rjust(width)
        for column, (text, width) in enumerate(zip(row, widths, strict=True))
    ]


def as_markdown(table: Table) -> str:
    last = len(table.headings) - 1
    rule = ["---" if column in (0, last) else "---:" for column in range(last + 1)]
    lines = [f"### {table.title}", ""]
    lines += [f"| {' | '.join(row)} |" for row in (table.headings, rule, *(map(_escape, row) for row in table.rows))]
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    return text.replace("|", "\\|")


def between_marks(page: str, text: str, begin: str = BEGIN, end: str = END) -> str:
    """The page with what stands between the two marks replaced. Raises ValueError when they are not there once each."""
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise ValueError(f"the page needs one line {begin} and one line {end} after it")
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    return re.sub(pattern, lambda _: f"{begin}\n\n{text.strip()}\n\n{end}", page, flags=re.DOTALL)
