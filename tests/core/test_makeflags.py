"""What make says in MAKEFLAGS, and what is said to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwave.core.makeflags import BOTH, FIFO, PIPE, STYLES, Flags, read_flags, say_flags


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("", Flags()),
        ("k", Flags()),
        (" -j4 --jobserver-auth=3,4", Flags(pipe=(3, 4), jobs=4)),  # make 4.2 and 4.3
        (" -j --jobserver-fds=3,4", Flags(pipe=(3, 4))),  # make 4.1 and before
        ("ks -j4 --jobserver-auth=fifo:/tmp/GMfifo7", Flags(fifo="/tmp/GMfifo7", jobs=4)),  # make 4.4
        (" -j3 --jobserver-auth=3,4 --jobserver-auth=-2,-2", Flags(pipe=(-2, -2), jobs=3)),  # 4.4, without `+`
        ("-j --jobserver-fds=5,6 --jobserver-auth=5,6", Flags(pipe=(5, 6))),  # cargo
        (" -j2 -- --jobserver-auth=fifo:/t/x A=b", Flags(fifo="/t/x", jobs=2)),
        (" -j2 -j5 --jobserver-auth=3,4 --jobserver-auth=fifo:/p", Flags(fifo="/p", jobs=5)),
        ("n", Flags(only_asks=True)),
        ("kn -j4 --jobserver-auth=3,4", Flags(pipe=(3, 4), jobs=4, only_asks=True)),
        ("q -- A=b", Flags(only_asks=True)),
        ("t", Flags(only_asks=True)),
        (" -- A=n", Flags()),
        ("A=n", Flags()),
        ("-n", Flags()),  # no word of letters: make itself writes none with a dash
        (" --no-print-directory -j3", Flags(jobs=3)),
        (" -j3 -- B=-j9", Flags(jobs=3)),
        ("-j 8", Flags(jobs=8)),
        ("--jobs=6", Flags(jobs=6)),
        ("-j0", Flags()),
        (" --jobserver-auth=", Flags()),
        (" --jobserver-auth=fifo:", Flags()),
        (" --jobserver-auth=3,x", Flags()),
        (" --jobserver-auth=99999999999999999999,4", Flags()),
    ],
)
def test_what_make_says(text: str, flags: Flags) -> None:
    assert read_flags(text) == flags


@pytest.mark.parametrize(
    ("before", "style", "after"),
    [
        ("", PIPE, " -j3 --jobserver-auth=98,99"),
        ("", FIFO, " -j3 --jobserver-auth=fifo:/tmp/t"),
        ("", BOTH, " -j3 --jobserver-auth=98,99 -- --jobserver-auth=fifo:/tmp/t"),
        ("-j8", PIPE, " -j3 --jobserver-auth=98,99"),
        ("-j 8 -k", PIPE, " -k -j3 --jobserver-auth=98,99"),
        ("kj8", FIFO, "k -j3 --jobserver-auth=fifo:/tmp/t"),
        (
            "ks -j9 --jobserver-auth=fifo:/gone -- A=b\\ c",
            BOTH,
            "ks -j3 --jobserver-auth=98,99 -- A=b\\ c --jobserver-auth=fifo:/tmp/t",
        ),
        (
            " -j9 --jobserver-auth=98,99 -- --jobserver-auth=fifo:/outer",
            BOTH,
            " -j3 --jobserver-auth=98,99 -- --jobserver-auth=fifo:/tmp/t",
        ),
    ],
)
def test_what_is_said_to_steps(before: str, style: str, after: str) -> None:
    assert say_flags(before, 3, style, "/tmp/t", (98, 99)) == after


words = st.sampled_from(
    [
        "", "k", "n", "j8", "-", "--", "-j", "-j4", "8", "--jobs", "--jobs=2", "--jobserver-auth=3,4", "A=b", "=",
        "--jobserver-auth=fifo:/x", "--jobserver-fds=5,6", "--jobserver-style=pipe", "-k", "--no-print-directory",
    ]
)  # fmt: skip


@given(st.lists(words, max_size=8).map(" ".join), st.sampled_from(STYLES), st.integers(1, 100_000))
def test_whoever_reads_it_finds_this_server_and_no_other(text: str, style: str, jobs: int) -> None:
    said = say_flags(text, jobs, style, "/tmp/t", (98, 99))
    found = read_flags(said)
    assert found.jobs == jobs
    assert (found.fifo, found.pipe) == (("/tmp/t", None) if style != PIPE else (None, (98, 99)))
    options = said.split()
    if "--" in options:
        options = options[: options.index("--")]
    assert [word for word in options if "jobserver" in word] == [
        f"--jobserver-auth={'fifo:/tmp/t' if style == FIFO else '98,99'}"
    ]


@given(st.text(max_size=60))
def test_no_text_is_too_odd(text: str) -> None:
    read_flags(text)
    assert read_flags(say_flags(text, 4, BOTH, "/tmp/t", (98, 99))).jobs == 4
