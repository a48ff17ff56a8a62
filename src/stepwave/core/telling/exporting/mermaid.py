"""The graph of a run in Mermaid, coloured by what became of the steps."""

from collections.abc import Iterator

from stepwave.core.telling.draw import mermaid_text
from stepwave.core.telling.exporting.reading import Reading
from stepwave.core.telling.story import StepStory
from stepwave.core.text import duration, one_line

MAX_STEPS = 150
MAX_EDGES = 400
"""What Mermaid draws by itself, and a person can read: it refuses more than 500 edges or 50,000 characters of text."""

_looks = {
    "completed": "fill:#dafbe1,stroke:#1a7f37,color:#1f2328",
    "failed": "fill:#ffebe9,stroke:#cf222e,color:#1f2328",
    "tolerated": "fill:#fff8c5,stroke:#9a6700,color:#1f2328",
    "other": "fill:#f6f8fa,stroke:#8c959f,color:#59636e,stroke-dasharray:4 3",
}
_of_state = {"completed": "completed", "failed": "failed", "timeout": "failed", "reused": "completed"}


def is_drawable(reading: Reading) -> bool:
    steps = reading.story.steps
    return reading.story.sketched and len(steps) <= MAX_STEPS and sum(len(s.drawn.needs) for s in steps) <= MAX_EDGES


def as_mermaid(reading: Reading) -> Iterator[str]:
    """Lines of a flowchart, without line ends."""
    steps = reading.story.steps
    node = {step.drawn.id: f"n{number}" for number, step in enumerate(steps)}
    critical = set(reading.story.critical_path)
    yield "flowchart LR"
    for name, look in _looks.items():
        yield f"    classDef {name} {look}"
    yield "    classDef critical stroke-width:3px"
    for step in steps:
        yield f'    {node[step.drawn.id]}["{_label(reading, step)}"]:::{_look(reading, step)}'
    for step in steps:
        for need in (*step.drawn.needs, *([step.drawn.after] if step.drawn.after else [])):
            if need in node:
                arrow = "-.->" if need == step.drawn.after else "-->"
                yield f"    {node[need]} {arrow} {node[step.drawn.id]}"
    if names := [node[id] for id in node if id in critical]:
        yield f"    class {','.join(names)} critical"


def _label(reading: Reading, step: StepStory) -> str:
    state = reading.state(step)
    time = duration(reading.ran_s(step)) if step.attempts else ""
    what = " ".join(filter(None, ("" if state == "completed" else state.replace("_", " "), time)))
    return f"{mermaid_text(one_line(step.drawn.id, 40))}{'<br/>' if what else ''}{what}"


def _look(reading: Reading, step: StepStory) -> str:
    return "tolerated" if step.tolerated else _of_state.get(reading.state(step), "other")
