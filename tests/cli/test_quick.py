"""The short way in reads what typer reads, or nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.cli import quick, running
from stepwave.cli.app import app
from stepwave.cli.running import Asked


def by_typer(words: list[str], monkeypatch: pytest.MonkeyPatch) -> Asked | None:
    """What typer makes of a command line; None when it refuses it."""
    asked: list[Asked] = []

    def note(line: Asked) -> int:
        asked.append(line)
        return 0

    monkeypatch.setattr(running, "run", note)
    try:
        app(words, prog_name="stepwave")
    except SystemExit as end:
        return asked[0] if asked and end.code == 0 else None
    return asked[0] if asked else None


USUAL = [
    ["run", "x.yaml"],
    ["run", "-"],
    ["run", "x.yaml", "-j2", "-q"],
    ["run", "-j", "auto", "--timeout=5m", "x.yaml", "--keep-going", "--var", "a=1", "--var", "b=2"],
    ["run", "x.yaml", "--no-parallel", "--only", "a", "--only", "b", "--skip", "c", "--from", "d"],
    ["run", "x.yaml", "--parallel", "--json", "-o", "-", "--events", "-", "--color", "never", "--strict", "--lenient"],
    ["run", "x.yaml", "--tools", "t.yaml", "--skip-agents"],
    ["run", "x.yaml", "--order", "file"],
    ["run", "x.yaml", "--jobserver", "pipe"],
    ["run", "--jobserver=none", "x.yaml"],
    ["run", "x.yaml", "--min-free-memory", "2GB"],
    ["run", "x.yaml", "--watch", "-q"],
    ["run", "--order=shuffle:7", "x.yaml", "--barrier"],
    ["run", "x.yaml", "-n", "-v", "-k", "--fail-fast", "--continue-on-error", "--name", "n", "--vars", "{}"],
    ["run", "streams", "--id", "n"],
    ["run", "--ws-id=n", "streams"],
    ["run", "x.yaml", "--resume=latest", "--no-ledger"],
    ["run", "--resume", "20260131-142503-7f3a9c", "x.yaml", "--force", "--durable"],
    ["run", "x.yaml", "--junit", "j.xml", "--trace=t.json", "--report", "r.html", "--ci", "github"],
]


@pytest.mark.parametrize("words", USUAL)
def test_what_is_usual_takes_the_short_way(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert quick.read(words) is not None
    assert quick.read(words) == by_typer(words, monkeypatch)


@pytest.mark.parametrize(
    "words",
    [
        [], ["validate", "x"], ["run"], ["run", "-h"], ["run", "x", "--help"], ["run", "x", "y"], ["run", "x", "--"],
        ["run", "x", "--nope"], ["run", "x", "-j"], ["run", "x", "--timeout", "--json"], ["run", "x", "--timeout="],
        ["run", "x", "-qv"], ["run", "x", "--json=1"], ["run", "x", "--json="],
        ["run", "x", "--color", "pink"], ["run", "x", "--ci", "jenkins"], ["run", "x", "-j1", "-j2"],
        ["run", "x", "--jobserver", "tape"],
        ["run", ""], ["run", "x", "--start", "a"], ["run", "x", "--file", "y"],
    ],
)  # fmt: skip
def test_what_is_unusual_is_left_to_typer(words: list[str]) -> None:
    assert quick.read(words) is None


pieces = st.sampled_from(
    [
        "x.yaml", "-", "--", "", "-j", "-j2", "2", "-q", "-qv", "--json", "--json=", "--timeout", "--timeout=",
        "--var", "a=1", "--vars", "--only", "--from", "--from=a", "--skip=", "--name", "--id", "--ws-id=n", "--color",
        "never", "--color=always", "--tools", "--tools=t", "--skip-agents", "--start", "--timeout=3",
        "--min-free-memory", "--min-free-memory=1GB", "--order", "--order=file", "--order=", "shuffle:1",
        "--junit", "--junit=j", "--trace", "--trace=-", "--report", "--report=r", "--ci", "--ci=none", "github",
        "--jobserver", "--jobserver=both", "--jobserver=", "fifo",
        "--resume", "--resume=latest", "--resume=", "latest", "--force", "--watch", "--watch=1",
        "--parallel", "--no-parallel", "--no-json", "-o", "-oout", "-o=out", "-n", "-k", "--strict", "-x", "--help",
    ]
)  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(st.lists(pieces, max_size=7))
def test_the_short_way_never_reads_anything_else_than_typer(rest: list[str]) -> None:
    words = ["run", *rest]
    short = quick.read(words)
    if short is not None:
        with pytest.MonkeyPatch.context() as monkeypatch:
            assert short == by_typer(words, monkeypatch), words
