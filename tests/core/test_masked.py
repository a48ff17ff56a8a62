"""Every text of an event but its names goes through the masks; so does whatever a memory is told."""

from collections.abc import Mapping
from typing import Any, get_args

import pytest

from stepwave.core import events
from stepwave.core.diagnostics import Place, error
from stepwave.core.events import Event, Launch, NewStep, Outcome, StepFinished, StepsAdded, StepStarted, Usage
from stepwave.core.masked import Masks
from stepwave.core.model import Limits, Stage, Stdin, Step
from stepwave.core.running.discreet import Discreet
from stepwave.core.running.memory import Prior

SECRET = "s3cret-Value"
NAMES = {
    "step", "workflow", "waves", "pools", "steps", "chosen", "test", "breaker", "log", "stage", "id", "after", "needs",
    "resources", "taken_from",
}  # fmt: skip
masks = Masks({"TOKEN": SECRET})


VALUES: dict[str, Any] = {
    "Outcome": Outcome.FAILED,
    "Status": events.Status.FAILED,
    "Stage": Stage.MAIN,
    "Usage": Usage(1.0, 2.0, 3),
    "NewStep": (NewStep("a", f"name {SECRET}", "a", 1),),
    "Mapping[str, str": {"A": f"x {SECRET}", "B": None},
    "Mapping[str, int": {SECRET: 1},
    "tuple[tuple": ((SECRET,),),
    "tuple": (SECRET, f"{SECRET}!"),
    "str": f"<{SECRET}>",
}


def filled(kind: Any) -> Any:
    """An event of this kind with the secret in every text that it has."""
    said = {name: str(annotation) for name, annotation in kind.__annotations__.items()}
    return kind(**{name: next((VALUES[w] for w in VALUES if w in text), 1) for name, text in said.items()})


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.__name__)
def test_every_text_of_every_event_is_masked_but_for_names(kind: Any) -> None:
    event = filled(kind)
    shown = masks.event(event)
    assert type(shown) is kind
    for name, value in zip(kind._fields, shown, strict=True):
        if name in NAMES and kind is not StepsAdded:
            assert value == getattr(event, name), name
        else:
            assert SECRET not in repr(value), name
            assert isinstance(value, Mapping) == isinstance(getattr(event, name), Mapping)


def test_nothing_else_of_an_event_changes() -> None:
    event = StepFinished("a", Outcome.FAILED, 2, 3, None, f"no {SECRET} here", True, 1.5, usage=Usage(1, 2, 3))
    assert masks.event(event) == event._replace(reason="no *** here")
    added = StepsAdded((NewStep("a[1]", f"for {SECRET}", "a", 1),))
    assert masks.event(added) == StepsAdded((NewStep("a[1]", "for ***", "a", 1),))
    started = StepStarted("a", 1, ("sh", f"-{SECRET}"), "/", {"A": SECRET, "B": None}, "logs/a.log", True)
    assert masks.event(started) == started._replace(argv=("sh", "-***"), env={"A": "***", "B": None})
    plain = events.RunStopping("interrupted")
    assert masks.event(plain) == plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nothing", "nothing"),
        (f"{SECRET}{SECRET}", "******"),
        ("é\ud800" + SECRET, "é\ud800***"),
        ("it says `s3cret-V…`", "it says `***…`"),
        ("cut at s3c… is not known", "cut at s3c… is not known"),
        ("… s3cret…", "… ***…"),
    ],
)
def test_texts(text: str, shown: str) -> None:
    assert masks.text(text) == shown


def test_findings() -> None:
    finding = error("missing-secret", f"it said {SECRET}", Place("a"), f"not {SECRET}")
    assert masks.finding(finding)[2:] == ("it said ***", Place("a"), "not ***")
    assert masks.finding(finding._replace(help=None)).help is None


class Remembers:
    def __init__(self) -> None:
        self.told: list[object] = []

    def recall(self, step: Step, launch: Launch, *, untouched: bool, wants_output: bool) -> Prior | None:
        self.told.append((step.id, launch, untouched, wants_output))
        return Prior("r1")

    def starts(self, step: Step, launch: Launch) -> None:
        self.told.append(launch)

    def knows(self, step: Step) -> bool:
        return step.id == "a"

    def ends(self, step: Step, finished: StepFinished) -> str | None:
        self.told.append(finished)
        return "kept"


def test_a_memory_is_told_of_no_secret_not_even_of_one_that_is_too_short_to_be_masked() -> None:
    inner = Remembers()
    memory = Discreet(inner, Masks({"TOKEN": SECRET, "PIN": "123"}))
    step = Step("a", Place("f"))
    env = {"TOKEN": SECRET, "PIN": "123", "GONE": None}
    files = (f"/{SECRET}",)
    launch = Launch("a", 1, ("echo", SECRET), "/", env, Stdin(text=SECRET), Limits(), "l", inputs=files)
    assert memory.recall(step, launch, untouched=True, wants_output=False) == Prior("r1")
    memory.starts(step, launch)
    assert memory.ends(step, StepFinished("a", Outcome.FAILED, reason=SECRET)) == "kept"
    assert memory.knows(step)
    shown = launch._replace(
        argv=("echo", "***"), env={"TOKEN": "***", "PIN": "***", "GONE": None}, stdin=Stdin(text="***")
    )
    failed = StepFinished("a", Outcome.FAILED, reason="***")
    assert inner.told == [("a", shown, True, False), shown, failed]
