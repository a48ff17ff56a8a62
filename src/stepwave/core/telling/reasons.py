"""`Because` in words: sentences with figures for people, and a document for programs."""

from collections.abc import Iterator, Sequence
from typing import Any

from stepwave.core.events import BY_BRANCH, BY_CONDITION, NO_EXECUTOR, NOT_SELECTED, Outcome
from stepwave.core.model import JOBSERVER, Stage
from stepwave.core.telling.because import Because, Charge
from stepwave.core.telling.story import ALONE, MEMORY, RATE, WAVE, Cause, StepStory, Story
from stepwave.core.telling.style import Style
from stepwave.core.telling.wording import STAGE_NAMES
from stepwave.core.text import duration, plural

MOST_NAMED = 5
"""Steps in one sentence."""


class Telling:
    """One step of one run, for a person."""

    def __init__(self, story: Story, found: Because, style: Style) -> None:
        self._story = story
        self._found = found
        self._step = found.step
        self._steps = {step.drawn.id: step for step in story.steps}
        self._style = style

    def lines(self) -> Iterator[str]:
        """A sentence, and below it one for each thing that held the step up, or let it go."""
        yield f"{self._word(self._step.drawn.id)} {self._head()}"
        for line in (*self._origin(), *self._waited(), *self._released(), *self._attempts(), *self._path()):
            yield f"  {line}"

    def _word(self, text: str) -> str:
        return self._style.word(text, 80)

    def _names(self, steps: Sequence[StepStory]) -> str:
        more = f" and {len(steps) - MOST_NAMED} more" if len(steps) > MOST_NAMED else ""
        return ", ".join(self._word(step.drawn.id) for step in steps[:MOST_NAMED]) + more

    # --- how it stands ------------------------------------------------------------------------------

    def _head(self) -> str:
        step, found = self._step, self._found
        if step.taken_from is not None:
            return f"was not run: its success in run {self._word(step.taken_from)} stands for it"
        if step.outcome is Outcome.SKIPPED:
            return f"was skipped: {self._why_skipped()}"
        if step.outcome is not None and step.attempts:
            waited = f"waited for {duration(found.waited_s)}" if found.charges else "waited for nothing"
            return f"{self._ended(step)}; it ran for {duration(found.ran_s)} and {waited}"
        if step.outcome is not None:
            return f"{self._ended(step)}; it had waited for {duration(found.waited_s)} and never ran"
        return self._now(step) if self._story.alive else self._at_the_death(step)

    def _ended(self, step: StepStory) -> str:
        """`failed: exit code 3`, `completed`, `timed out after 2 attempts`."""
        assert step.outcome is not None
        word = _ends.get(step.outcome, step.outcome.value)
        tries = f" after {plural(len(step.attempts), 'attempt')}" if len(step.attempts) > 1 else ""
        tolerated = ", which is tolerated" if step.tolerated else ""
        quiet = step.reason is None or step.outcome is Outcome.COMPLETED
        return f"{word}{tries}{tolerated}" + ("" if quiet else f": {self._style.word(step.reason or '')}")

    def _why_skipped(self) -> str:
        reason = self._step.reason or ""
        if reason in _skips:
            return _skips[reason]
        if reason == BY_BRANCH:
            return self._branch()
        if self._found.roots:
            return self._blocked(self._found.roots)
        return self._style.word(reason) or "nobody knows why"

    def _branch(self) -> str:
        deciding = [one for one in self._found.chosen_by if one.decision]
        if not deciding:
            return "it lies on a branch that was not taken"
        told = [
            f"{self._word(one.drawn.id)} was {str(one.decision and one.decision.result).lower()}" for one in deciding
        ]
        return f"it was not chosen: {', '.join(told[:MOST_NAMED])}"

    def _blocked(self, roots: Sequence[StepStory]) -> str:
        root = roots[0]
        name, ended = self._word(root.drawn.id), self._ended(root)
        more = f" (and {plural(len(roots) - 1, 'other step')} did not succeed)" if len(roots) > 1 else ""
        if root.drawn.id in self._step.drawn.needs:
            return f"it needs {name}, which {ended}{more}"
        needs, told, ids = (self._step.reason or "").partition("Dependencies failed: ")
        if told and not needs:
            return f"it needs {self._style.word(ids)}, which could not run because {name} {ended}{more}"
        return f"{name} {ended}{more}, and nothing was to start after that"

    # --- a run without an end -------------------------------------------------------------------------

    def _at_the_death(self, step: StepStory) -> str:
        if not step.attempts:
            return f"had not started when the run died; it had waited for {duration(self._found.waited_s)}"
        if step.attempts[-1].end_s is None:
            return "was running when the run died"
        return f"waited for its attempt {len(step.attempts) + 1} when the run died"

    def _now(self, step: StepStory) -> str:
        tries = f", attempt {len(step.attempts)}" if len(step.attempts) > 1 else ""
        if self._found.state == "stopping":
            since = duration(self._story.wall_s - step.attempts[-1].begin_s)
            return f"is told to stop ({self._style.word(step.stopping or '')}), and has been running for {since}{tries}"
        if self._found.state == "queued":
            return f"is ready and waits for {self._lacking()}"
        if self._found.state == "waiting":
            return f"waits{self._awaited()}"
        return f"{_doing(step, self._story)}{tries}"

    def _lacking(self) -> str:
        if not self._step.waits:
            return "its turn"
        cause, name = self._step.waits[-1].cause, self._step.waits[-1].name
        return self._thing(next(one for one in self._found.charges if (one.cause, one.name) == (cause, name)))

    def _awaited(self) -> str:
        """The last of the chain of what waits for what: that is what holds everything up."""
        chain = self._found.chain
        if not chain:
            return ""
        last = chain[-1]
        between = f" (and {plural(len(chain) - 1, 'step')} between them)" if len(chain) > 1 else ""
        return f" for {self._word(last.drawn.id)}{between}, which {_doing(last, self._story)}"

    # --- what held it up, and what let it go ----------------------------------------------------------------

    def _origin(self) -> Iterator[str]:
        """Why it is there at all."""
        step, found = self._step, self._found
        chosen = [one for one in found.chosen_by if one.decision and step.drawn.id in one.decision.chosen]
        if chosen and step.outcome is not Outcome.SKIPPED:
            yield f"it was chosen by {self._names(chosen)}"
        if step.attempts and step.drawn.needs:
            yield f"what it needs had ended: {self._needs()}"
        if step.drawn.after:
            verb = "undoes" if step.drawn.stage is Stage.ROLLBACK else "is a part of"
            yield f"it {verb} {self._word(step.drawn.after)}"
        elif step.drawn.stage is not Stage.MAIN:
            yield f"it is in another part of the run: {STAGE_NAMES[step.drawn.stage]}"
        if found.parts:
            last = self._word(found.parts[-1].drawn.id)
            yield f"it became {plural(len(found.parts), 'part')}, the last of which is {last}"

    def _needs(self) -> str:
        needs = [self._steps[need] for need in self._step.drawn.needs if need in self._steps]
        told = [f"{self._word(need.drawn.id)} {_end(need)}" for need in needs[:MOST_NAMED]]
        more = f" and {len(needs) - MOST_NAMED} more" if len(needs) > MOST_NAMED else ""
        return ", ".join(told) + more

    def _waited(self) -> Iterator[str]:
        now = self._story.alive and self._found.state in ("waiting", "queued", "retrying")
        for n, charge in enumerate(self._found.charges):
            verb = "it has been waiting" if now and n == len(self._found.charges) - 1 else "it waited"
            yield f"{verb} {duration(charge.seconds)} for {self._thing(charge)}{self._holders(charge)}"

    def _released(self) -> Iterator[str]:
        """What let it start, where that is more than the end of what it needs."""
        if not self._step.attempts:
            return
        began_s = self._step.attempts[0].begin_s
        last = next((wait for wait in reversed(self._step.waits) if wait.end_s <= began_s), None)
        by = self._found.released_by
        if last is None and self._step.created_s == self._story.steps[0].created_s:
            yield "it started as soon as the run did"
        elif last is not None and last.cause is not Cause.NEED and last.name != RATE and by is not None:
            yield f"it could start when {self._word(by)} made room"

    def _thing(self, charge: Charge) -> str:
        match charge.cause:
            case Cause.NEED if charge.name:
                return f"{self._word(charge.name)}, {self._relation(charge.name)}"
            case Cause.NEED:
                return "what it needs, which was not recorded"
            case Cause.POOL:
                return self._units(charge.name)
            case Cause.SLOT:
                return f"a slot ({_widths(self._story)} may run at a time)"
        return _limits.get(charge.name, "the delay between two attempts" if charge.cause is Cause.RETRY else _unknown)

    def _relation(self, name: str) -> str:
        needs = self._step.drawn.needs
        if name not in needs:
            return "as it comes after all of that"
        if len(needs) == 1:
            return "which it needs"
        ended = {id for id, step in self._steps.items() if step.ended_s is not None}
        return f"{'the last to end' if ended.issuperset(needs) else 'one'} of the {len(needs)} that it needs"

    def _units(self, pool: str) -> str:
        if pool == JOBSERVER and pool not in dict(self._step.drawn.resources):
            return "a slot of the job server"
        asked = dict(self._step.drawn.resources).get(pool, 0)
        has = [f", which has {one.limit}" for one in self._story.pools if one.name == pool]
        return f"{plural(asked, 'unit')} of pool {self._word(pool)}{''.join(has)}"

    def _holders(self, charge: Charge) -> str:
        is_shared = charge.name in self._story.awaited and charge.name != JOBSERVER
        if charge.cause is Cause.POOL and not charge.holders and is_shared:
            return "; held by other runs on this machine"
        if not charge.holders or charge.name == RATE or (charge.cause is Cause.LIMIT and not charge.name):
            return ""
        told = ", ".join(f"{self._word(id)} ({duration(seconds)})" for id, seconds in charge.holders)
        return f"; {'held by' if charge.cause is Cause.POOL else 'while there ran'} {told}"

    def _attempts(self) -> Iterator[str]:
        for attempt in self._step.attempts[:-1]:
            reason = self._style.word(attempt.reason or "it failed")
            yield f"attempt {attempt.number} took {duration((attempt.end_s or 0.0) - attempt.begin_s)}: {reason}"

    def _path(self) -> Iterator[str]:
        if self._found.is_critical:
            path = self._story.critical_path
            place = path.index(self._step.drawn.id) + 1
            yield f"it is step {place} of {len(path)} on the critical path of the run ({duration(self._story.wall_s)})"


_ends = {
    Outcome.TIMEOUT: "timed out",
    Outcome.CANCELLED: "was cancelled",
    Outcome.ROLLED_BACK: "completed and was undone",
}
_skips = {
    BY_CONDITION: "its condition was false",
    NOT_SELECTED: "the run was asked to leave it out",
    NO_EXECUTOR: "nothing here can carry out its agent, and the run was asked to skip such steps",
    "circuit_open": "its circuit breaker had opened, as too many attempts had failed",
}
_limits = {
    RATE: "the rate limit, the least time between two starts",
    ALONE: "its turn beside a step that runs alone",
    WAVE: "others of its wave, as maxConcurrency says",
    MEMORY: "memory, of which the machine had too little left",
}
_unknown = "a pool or a limit, which was not recorded"


def _widths(story: Story) -> str:
    widths = [width for _, width in story.widths] or [story.max_concurrency]
    return str(widths[0]) if len(set(widths)) == 1 else f"{min(widths)} to {max(widths)}"


def _end(need: StepStory) -> str:
    if need.taken_from is not None:
        return "(reused)"
    return f"({need.outcome.value if need.outcome else 'not yet'}{', tolerated' if need.tolerated else ''})"


def _doing(step: StepStory, story: Story) -> str:
    last = step.attempts[-1] if step.attempts else None
    if last is not None and last.end_s is None:
        return f"has been running for {duration(story.wall_s - last.begin_s)}"
    if last is not None:
        return f"waits for its attempt {len(step.attempts) + 1}"
    return "is ready and waits for its turn" if step.ready_s is not None else "waits, too"


# --- as a document -----------------------------------------------------------------------------------


def document(story: Story, found: Because, sentences: Sequence[str]) -> dict[str, Any]:
    """Times in seconds after the start of the run."""
    step = found.step
    return {
        "runId": story.run,
        "step": step.drawn.id,
        "state": found.state,
        "reason": step.reason,
        "sentences": [sentence.strip() for sentence in sentences],
        "takenFrom": step.taken_from,
        "waitedS": _seconds(found.waited_s),
        "ranS": _seconds(found.ran_s),
        "readyS": _seconds(step.ready_s),
        "endedS": _seconds(step.ended_s),
        "charges": [_charge(charge) for charge in found.charges],
        "waits": [
            {"beginS": _seconds(w.begin_s), "endS": _seconds(w.end_s), "cause": w.cause.value, "name": w.name}
            for w in step.waits
        ],
        "attempts": [
            {
                "number": attempt.number,
                "beginS": _seconds(attempt.begin_s),
                "endS": _seconds(attempt.end_s),
                "exitCode": attempt.exit_code,
                "signal": attempt.signal,
                "reason": attempt.reason,
            }
            for attempt in step.attempts
        ],
        "releasedBy": found.released_by,
        "chosenBy": [one.drawn.id for one in found.chosen_by],
        "blockedBy": [root.drawn.id for root in found.roots],
        "waitsFor": [one.drawn.id for one in found.chain],
        "onCriticalPath": found.is_critical,
    }


def _charge(charge: Charge) -> dict[str, Any]:
    return {
        "cause": charge.cause.value,
        "name": charge.name,
        "seconds": _seconds(charge.seconds),
        "holders": [{"step": id, "seconds": _seconds(seconds)} for id, seconds in charge.holders],
    }


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
