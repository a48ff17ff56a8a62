"""Masking as the bytes come: no form of a secret gets through however it is cut, and nothing else is changed."""

import base64
import json
import os
import re
import shlex
import sys
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stepwave.core.masking import MASK, Forms, Stream, masked
from stepwave.core.model import Limits
from stepwave.core.secret_forms import SHORTEST, forms_of
from stepwave.edge.local.asking import ask
from stepwave.edge.local.ear import Ear
from stepwave.edge.local.launcher import LocalLauncher
from stepwave.edge.local.sink import Sink
from stepwave.edge.local.zygote import Zygote
from tests.edge.test_local import LONG, Bench

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="process trees are followed through /proc")

SECRET = "tok_7fQ2/aZ9+xW-4"
FORMS = Forms(forms_of([SECRET]))


def streamed(forms: Forms, chunks: Iterable[bytes]) -> bytes:
    stream = Stream(forms)
    return b"".join([*map(stream.take, chunks), stream.finish()])


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


# --- the rules again, byte by byte and as plainly as can be ------------------------------------------------


def ends(data: bytes, at: int, form: bytes, is_base64: bool) -> int | None:
    """Where the form ends that begins at `at`."""
    folds = len(form) >= 8 and not {10, 13} & set(form)
    for seen, byte in enumerate(form):
        wrap = re.match(rb"\r?\n", data[at:])
        if wrap and seen and folds:
            full = is_base64 and re.search(rb"[A-Za-z0-9+/_-]{16}\Z", data[:at])
            if seen >= 4 or full:
                at += wrap.end()
        if data[at : at + 1] != bytes([byte]):
            return None
        at += 1
    return at


def plainly(forms: Sequence[tuple[bytes, bool]], data: bytes) -> bytes:
    spans = []
    for at in range(len(data)):
        for form, is_base64 in forms:
            end = ends(data, at, form, is_base64)
            if end is not None:
                spans.append((at, end))
    out, over = b"", 0
    for start, end in sorted(spans):
        if start >= over:
            out += data[over:start] + MASK
        over = max(over, end)
    return out + data[over:]


secrets = st.lists(
    st.text(st.sampled_from("abAB01+/ %'\"\\é"), min_size=SHORTEST, max_size=14)
    | st.builds("\n".join, st.lists(st.text("ab0", min_size=2, max_size=9), min_size=2, max_size=3)),
    min_size=1,
    max_size=3,
)


@st.composite
def outputs(draw: st.DrawFn) -> tuple[list[tuple[bytes, bool]], bytes]:
    """Forms, and text that is full of them, of parts of them, and of line breaks in the midst of them."""
    forms = list(forms_of(draw(secrets)))
    parts = []
    for _ in range(draw(st.integers(1, 5))):
        form, _ = draw(st.sampled_from(forms))
        for at in sorted(draw(st.lists(st.integers(0, len(form)), max_size=2)), reverse=True):
            form = form[:at] + draw(st.sampled_from([b"\n", b"\r\n", b"", b"\n\n"])) + form[at:]
        parts.append(form[draw(st.integers(0, 2)) :] if draw(st.booleans()) else form)
        parts.append(draw(st.sampled_from([b"", b"\n", b"a", b"AAAABBBBAAAABBBB0", b" ", b"\r", b"\xff"])))
    return forms, b"".join(parts)


@settings(max_examples=150, deadline=None)
@given(outputs(), st.lists(st.integers(0, 400), max_size=12))
def test_any_text_with_any_forms_cut_anywhere(given: tuple[list[tuple[bytes, bool]], bytes], places: list[int]) -> None:
    forms, data = given
    book = Forms(forms)
    expected = plainly(forms, data)
    assert streamed(book, cut(data, places)) == expected
    assert masked(book, data) == expected
    for form, _ in forms:
        assert form not in expected


@settings(deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=6))
def test_what_is_no_secret_comes_out_byte_for_byte(data: bytes, places: list[int]) -> None:
    assume(not FORMS.may_hold(data))
    assert streamed(FORMS, cut(data, places)) == data


@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(0, 2))
def test_base64_of_anything_around_it_at_every_alignment(before: bytes, after: bytes, shift: int) -> None:
    whole = before + bytes(shift) + SECRET.encode() + after
    for encode in (base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes):
        shown = streamed(FORMS, [encode(whole)])
        assert MASK in shown
        left = shown.split(MASK)[0].replace(b"\n", b"")
        assert len(left) <= (len(before) + shift) * 8 // 6 + 1


def every_way(secret: str) -> dict[str, bytes]:
    raw = secret.encode()
    return {
        "raw": raw,
        "base64": base64.b64encode(raw),
        "base64 with a newline": base64.b64encode(raw + b"\n"),
        "without padding": base64.b64encode(raw).rstrip(b"="),
        "URL-safe": base64.urlsafe_b64encode(raw),
        "quote": urllib.parse.quote(secret).encode(),
        "quote all": urllib.parse.quote(secret, safe="").encode(),
        "lower": re.sub("%..", lambda m: m[0].lower(), urllib.parse.quote(secret, safe="")).encode(),
        "quote_plus": urllib.parse.quote_plus(secret).encode(),
        "JSON": json.dumps(secret).encode(),
        "JSON of others": json.dumps(secret).replace("/", "\\/").encode(),
        "shell": shlex.quote(secret).encode(),
        "sh -x": ("'" + secret.replace("'", "'\\''") + "'").encode(),
        "repr": repr(secret).encode(),
        "folded": b"\n".join(raw[at : at + 5] for at in range(0, len(raw), 5)),
    }


@pytest.mark.parametrize(
    "secret", [SECRET, "p@ss 'w\"rd\\ ü!", "aaaaaaaaaaaa", "1234567890", "https://u:p@host/?q=1&r=2"]
)
def test_every_form_in_one_piece_and_byte_by_byte(secret: str) -> None:
    forms = Forms(forms_of([secret]))
    for way, data in every_way(secret).items():
        for chunks in ([data], [bytes([byte]) for byte in data]):
            shown = streamed(forms, [b"<", *chunks, b">"])
            assert shown.replace(b"'", b"").replace(b'"', b"") == b"<***>", way


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_base64_wrapped_wherever_the_secret_stands_in_it(newline: bytes) -> None:
    for before in range(40, 70):
        data = base64.encodebytes(b"x" * before + SECRET.encode()).replace(b"\n", newline)
        shown = streamed(FORMS, [data])
        assert shown.endswith(MASK + newline)
        assert len(shown.replace(newline, b"")) <= before * 8 // 6 + 1 + len(MASK)
        assert streamed(FORMS, [bytes([byte]) for byte in data]) == shown


def test_a_secret_of_several_lines_is_masked_line_by_line() -> None:
    key = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA7\nabc\nqzX9c3VwZXJzZWNyZXQ\n-----END KEY-----\n"
    forms = Forms(forms_of([key]))
    assert streamed(forms, [key.encode()]) == MASK
    assert streamed(forms, [b"  " + key.replace("\n", "\n  ").encode()]) == b"  ***\n  ***\n  abc\n  ***\n  ***\n  "
    assert streamed(forms, [b"one line: qzX9c3VwZXJzZWNyZXQ!"]) == b"one line: ***!"
    assert streamed(forms, [base64.b64encode(b"qzX9c3VwZXJzZWNyZXQ")]) == MASK
    assert streamed(forms, [json.dumps(key).encode()]) == b'"***"'
    assert b"MIIE" not in streamed(forms, [base64.encodebytes(b"config: " + key.encode())])


def test_what_overlaps_is_masked_as_a_whole() -> None:
    forms = Forms(forms_of(["abcdefgh", "efghijkl"]))
    for chunks in ([b"<abcdefghijkl>"], [b"<abcdefgh", b"ijkl>"], [b"<abcdef", b"ghij", b"kl>"]):
        assert streamed(forms, chunks) == b"<***>"
    assert streamed(forms, [b"abcdefghefghijkl"]) == b"******"


def test_what_cannot_be_a_beginning_is_handed_on_at_once() -> None:
    stream = Stream(FORMS)
    assert stream.take(b"Password: ") == b"Password: "
    assert stream.take(b"and more\n") == b"and more\n"
    assert stream.take(b"what\n") == b"what\n", "a form is not broken behind its first byte"
    assert stream.take(b"tok_7") == b""
    assert stream.take(b"!") == b"tok_7!"
    assert stream.take(b"<tok_7fQ2") == b"<"
    assert stream.finish() == b"tok_7fQ2"


def test_at_most_a_form_is_held_back() -> None:
    longest = max(len(form) for form, _ in forms_of([SECRET]))
    stream, given, got = Stream(FORMS), 0, 0
    for n in range(3000):
        chunk = SECRET[: 1 + n % len(SECRET)].encode()
        given += len(chunk)
        got += len(stream.take(chunk).replace(MASK, SECRET.encode()))
        assert 0 <= given - got < longest


def test_counting_is_no_secret() -> None:
    numbers = "".join(f"{n}\n" for n in range(1, 1000)).encode()
    assert streamed(Forms(forms_of(["12345678", "1234"])), [numbers]) == numbers


def test_what_is_shorter_than_four_characters_is_not_looked_for() -> None:
    assert forms_of(["abc", "", "a\nb"]) == tuple(forms_of(["a\nb"]))
    assert all(len(form) >= SHORTEST for form, _ in forms_of(["a\nb", "abcd", "é"]))
    assert masked(Forms(forms_of([])), b"anything") == b"anything"


def test_long_runs_of_beginnings_take_bounded_time() -> None:
    """Every byte may begin a form, and none does; as quadratic work this would take hours."""
    forms = Forms(forms_of(["a" * 5000 + "b"]))
    data = b"a" * 200_000
    assert streamed(forms, cut(data, range(0, 200_000, 65_536))) == data


# --- in a supervisor -----------------------------------------------------------------------------------------------


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    bench.launcher.close()
    bench.launcher = LocalLauncher(bench.inbox, tmp_path, Zygote(os.environ), forms_of([SECRET, "second-secret"]))
    yield bench
    bench.launcher.close()


def test_log_and_answer_are_masked(bench: Bench) -> None:
    script = f"echo '{SECRET}'; echo 'a {SECRET}' >&2; printf second-secret"
    end = bench.shell(script, keep_output=True, keep_tail=True)
    assert (end.stdout, end.stderr) == ("***\n***", "a ***\n")
    assert "second" not in end.tail + bench.log(end)
    assert end.tail.count("***") == 3
    assert end.log_bytes == len(bench.log(end))
    assert end.stdout_bytes == len("***\n***")


def test_the_streams_are_masked_each_on_its_own(bench: Bench) -> None:
    """Half a secret on each is no secret, and what is held back of one does not wait for the other."""
    end = bench.shell(f"printf '%s' '{SECRET[:6]}'; printf '%s' '{SECRET[6:]}' >&2", keep_output=True)
    assert (end.stdout, end.stderr) == (SECRET[:6], SECRET[6:])
    assert bench.log(end) in (SECRET, SECRET[6:] + SECRET[:6])


def test_what_may_be_printed_is_counted_as_it_is_written(bench: Bench) -> None:
    end = bench.shell(f"for n in 1 2 3; do echo '{SECRET}'; done", limits=Limits(output_bytes=24))
    assert (end.dropped_bytes, bench.log(end)) == (0, "***\n***\n***\n")
    end = bench.shell(f"for n in 1 2 3 4 5; do echo '{SECRET}'; done", limits=Limits(output_bytes=16))
    assert end.log_bytes == 20
    assert end.dropped_bytes in (4, 8)  # as the bytes happen to come


def test_printing_what_is_held_back_is_no_silence() -> None:
    ear = Ear(keep_tail=False, idle_s=1.0)
    sink = Sink((), True, ear, Stream(FORMS))
    assert not ear.is_silent(0.0)
    os.write(sink.writer, SECRET[:8].encode())
    assert sink.move() == 8
    assert not ear.is_silent(0.9)
    assert not ear.is_silent(1.5), "it has printed something since"
    assert ear.is_silent(1.9)
    sink.drain()
    assert (bytes(sink.kept), sink.size) == (SECRET[:8].encode(), 8)
    sink.close()


def test_a_slot_serves_many_steps_and_keeps_nothing_of_one_for_the_next(bench: Bench) -> None:
    first = bench.shell(f"printf '%s' '{SECRET[:9]}'")
    second = bench.shell(f"printf '%s' '{SECRET[9:]}'")
    assert bench.log(first) + bench.log(second) == SECRET


# --- one command whose output is wanted ----------------------------------------------------------------------------


@pytest.fixture
def zygote() -> Iterator[Zygote]:
    with Zygote(os.environ) as zygote:
        yield zygote


def test_what_a_command_prints_comes_back_and_is_in_no_file(tmp_path: Path, zygote: Zygote) -> None:
    asked = ask(zygote, ("sh", "-c", "pwd; echo hush >&2; cat"), str(tmp_path), LONG)
    assert asked == (f"{tmp_path}\n".encode(), b"hush\n", None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("exit 7", "failed with exit code 7"),
        ("kill -TERM $$", "was ended by signal 15"),
        ("head -c 65537 /dev/zero", "printed more than 64 KiB"),
    ],
)
def test_what_is_no_answer(tmp_path: Path, zygote: Zygote, script: str, problem: str) -> None:
    assert ask(zygote, ("sh", "-c", script), str(tmp_path), LONG)[2] == problem
    assert ask(zygote, ("no-such-program",), str(tmp_path), LONG)[2] == (
        "could not be run: command not found: `no-such-program`"
    )


def test_a_command_that_takes_too_long_is_gone_with_all_that_it_started(tmp_path: Path, zygote: Zygote) -> None:
    os.mkfifo(tmp_path / "there")
    script = "exec 9> there; trap '' TERM; setsid sleep 1000 & wait"
    with os.fdopen(os.open(tmp_path / "there", os.O_RDONLY | os.O_NONBLOCK), "rb") as held:
        assert ask(zygote, ("sh", "-c", script), str(tmp_path), 0.5) == (b"", b"", "took longer than 0.5s")
        os.set_blocking(held.fileno(), True)
        assert held.read() == b"", "the last process that held it is dead"
