"""A workflow of GitHub Actions → a workflow. The steps of a job follow each other, jobs wait for those that they need.

Rule 1: `uses:` is told in a comment, nothing is downloaded. What `run:` says is the text of a step.
Rule 2: a condition without an equivalent is false: a step that publishes something is not run by mistake.
Rule 3: jobs have no machine of their own here: all of it runs in one folder.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from stepwave.core.importing.actions_expressions import Names, Translated, translate
from stepwave.core.importing.actions_texts import Texts, known_env
from stepwave.core.importing.flow import (
    MAX_STEPS,
    Asked,
    Flow,
    Ids,
    Note,
    Step,
    Surroundings,
    Yaml,
    bad_source,
    too_large,
    unknown_target,
)
from stepwave.core.importing.holes import Unsayable, escaped
from stepwave.core.importing.matrices import Matrix, matrix_of
from stepwave.core.importing.nodes import items, mapping, parsed, scalar_text, value_text
from stepwave.core.importing.recipe import NOTHING
from stepwave.core.reading import document as tree
from stepwave.core.text import plural


class Condition(NamedTuple):
    """`text` is an expression, or "" for none. `asks_status`: it decides itself what a failure before means."""

    text: str = ""
    asks_status: bool = False


class Job(NamedTuple):
    """`ends`: what waits for the job waits for these steps. `condition`: without it the job is not run at all."""

    ends: tuple[str, ...]
    condition: Condition


_known_actions = (
    ("actions/checkout", "the folder that is there is taken as it is"),
    ("actions/setup-", "install it beforehand"),
    ("actions/cache", "`inputs:` and `outputs:` keep what has not changed"),
    ("actions/upload-artifact", "the files stay where they are"),
    ("actions/download-artifact", "the files are where they were made"),
)


def import_actions(text: str, asked: Asked, around: Surroundings) -> Flow:
    """Raises `flow.Refused`."""
    root = parsed(text, asked.path)
    jobs = mapping(root, "jobs")
    if jobs is None or not jobs.entries:
        raise bad_source(asked.path, 1, "there are no `jobs` in it")
    maker = _Maker(asked, around, root, jobs)
    for name in asked.wanted or jobs.entries:
        if name not in jobs.entries:
            raise unknown_target("job", name, list(jobs.entries))
        maker.job(name, ())
    others = tuple(name for name in jobs.entries if name not in maker.done)
    taken = f"{plural(len(maker.done), 'job')} with {plural(len(maker.steps), 'step')}"
    steps = tuple(maker.steps) or (Step("nothing", NOTHING),)
    title = value_text(root, "name") or asked.path.rpartition("/")[2].partition(".")[0]
    return Flow(escaped(title.replace("${{", "$ {{")), steps, maker.keys(), (), tuple(maker.notes), taken, others)


class _Maker:
    def __init__(self, asked: Asked, around: Surroundings, root: tree.Mapping, jobs: tree.Mapping) -> None:
        self.asked = asked
        self.around = around
        self.root = root
        self.jobs = jobs
        self.ids = Ids()
        self.steps: list[Step] = []
        self.notes: list[Note] = []
        self.done: dict[str, Job] = {}
        self.results: dict[tuple[str, str], str] = {}
        self.inputs = dict(_inputs(root))

    def keys(self) -> Mapping[str, Yaml]:
        env = {"CI": "true", **self._texts({}, None).env(mapping(self.root, "env"), self.notes)}
        keys: dict[str, Yaml] = {"env": env, "onFailure": "skip_dependents"}
        if self.inputs:
            keys["variables"] = self.inputs
        return keys

    def _texts(self, env: Mapping[str, str], matrix: Matrix | None) -> Texts:
        known = {**known_env(mapping(self.root, "env")), **env}
        secrets: dict[str, None] = {}
        keys = {name: key.is_everywhere for name, key in matrix.keys.items()} if matrix else {}
        names = Names(
            known, keys, frozenset(self.inputs), self.results, self.around.system, self.around.machine,
            secrets.setdefault,
        )  # fmt: skip
        return Texts(names, matrix, secrets)

    # --- jobs ---------------------------------------------------------------------------------------------------------

    def job(self, name: str, within: tuple[str, ...]) -> None:
        if name in self.done:
            return
        node, line = self.jobs.entries[name], self.jobs.keys[name].line
        if name in within or len(within) > 200:
            problem = "needs itself" if name in within else "leads too far"
            raise bad_source(self.asked.path, line, f"job `{name[:80]}` {problem}")
        needs = [
            text
            for item in items(node.get("needs") if isinstance(node, tree.Mapping) else None)
            if (text := scalar_text(item))
        ]
        for need in needs:
            if need not in self.jobs.entries:
                raise bad_source(self.asked.path, line, f"job `{name[:80]}` needs `{need[:80]}`, which is not there")
            self.job(need, (*within, name))
        if not isinstance(node, tree.Mapping):
            raise bad_source(self.asked.path, line, f"job `{name[:80]}` is no mapping")
        before = len(self.steps)
        self.done[name] = self._made(name, node, line, needs)
        own = [step.id for step in self.steps[before:]]
        if own:
            self.results["needs", name] = own[-1]

    def _made(self, name: str, node: tree.Mapping, line: int, needs: list[str]) -> Job:
        notes = list(_notes_of_job(name, node, line))
        matrix = None
        if (strategy := mapping(node, "strategy")) is not None:
            try:
                matrix = matrix_of(strategy)
            except Unsayable as problem:
                notes.append(
                    Note(strategy.keys.get("matrix", strategy.span).line, f"`matrix` of job `{name}`: {problem}")
                )
        after = tuple(dict.fromkeys(end for need in needs for end in self.done[need].ends))
        condition = self._condition_of_job(node, needs, matrix, notes)
        work = _JobSteps(self, name, node, matrix, condition, after, notes)
        ends = work.make()
        self.notes += work.notes
        return Job(ends or after, condition)

    def _condition_of_job(
        self, node: tree.Mapping, needs: list[str], matrix: Matrix | None, notes: list[Note]
    ) -> Condition:
        """Its own; and without status functions in it also those of the jobs that it needs, which skip it, too."""
        own = self.condition(node, self._texts(known_env(mapping(node, "env")), matrix), notes)
        if own.asks_status:
            return own
        texts = [self.done[need].condition.text for need in needs if self.done[need].condition.text]
        return Condition(_all_of([*texts, own.text]))

    def condition(self, node: tree.Mapping, texts: Texts, notes: list[Note]) -> Condition:
        written = node.get("if")
        if not isinstance(written, tree.Scalar) or written.value is None:
            return Condition()
        text = re.sub(
            r"\A\s*\$\{\{(.*)\}\}\s*\Z",
            r"\1",
            written.text if not isinstance(written.value, str) else written.value,
            flags=re.DOTALL,
        )
        try:
            made: Translated = translate(text.strip(), texts.names)
            return Condition(made.text, made.asks_status)
        except Unsayable as problem:
            what = f"`if: {text.strip()[:200]}` has no equivalent ({problem})"
            notes.append(Note(written.span.line, what, "the step is never run as it stands; write its `condition:`"))
            return Condition("false")

    def put(self, step: Step) -> None:
        if len(self.steps) >= MAX_STEPS:
            raise too_large(self.asked.path, f"it would become more than {MAX_STEPS:,} steps")
        self.steps.append(step)


class _JobSteps:
    """The steps of one job, each waiting for the one before it."""

    def __init__(
        self, maker: _Maker, job: str, node: tree.Mapping, matrix: Matrix | None, condition: Condition,
        after: tuple[str, ...], notes: list[Note],
    ) -> None:  # fmt: skip
        self.maker = maker
        self.job = job
        self.node = node
        self.matrix = matrix
        self.condition = condition
        self.notes = notes
        self.env = {**known_env(mapping(node, "env"))}
        self.waits = after
        self.made: list[tuple[str, bool]] = []

    def make(self) -> tuple[str, ...]:
        listed = [item for item in items(self.node.get("steps")) if isinstance(item, tree.Mapping)]
        runs = [item for item in listed if item.get("run") is not None]
        for key in [key for key in self.maker.results if key[0] == "steps"]:
            del self.maker.results[key]
        for number, item in enumerate(listed, 1):
            if item.get("run") is not None:
                self._step(item, number, len(runs) == 1)
            else:
                self._action(item)
        return self._ends()

    def _ends(self) -> tuple[str, ...]:
        """The last step; and where that one runs whatever was before it, also those that say how that went."""
        found: list[str] = []
        for id, asks_status in reversed(self.made):
            found.append(id)
            if not asks_status:
                break
        return tuple(reversed(found))

    def _action(self, item: tree.Mapping) -> None:
        uses = value_text(item, "uses") or "a step without `run:`"
        advice = next(
            (text for start, text in _known_actions if uses.startswith(start)), "write what it does as a step"
        )
        line = tree.beginning(item).line
        self.notes.append(Note(line, f"`uses: {uses[:120]}` is not taken over", advice))

    def _step(self, item: tree.Mapping, number: int, alone: bool) -> None:
        own = value_text(item, "id")
        id = self.maker.ids.make(self.job if alone else f"{self.job}.{own or number}")
        texts = self.maker._texts({**self.env, **known_env(mapping(item, "env"))}, self.matrix)
        notes, self.notes = self.notes, []
        condition = self._condition(item, texts, notes)
        env = {**texts.env(mapping(self.node, "env"), notes), **texts.env(mapping(item, "env"), notes)}
        defaults = [mapping(mapping(one, "defaults"), "run") for one in (self.maker.root, self.node)]
        levels = (item, *reversed(defaults))
        shell = next((text for one in levels if (text := value_text(one, "shell"))), "")
        folder = next((text for one in levels if (text := value_text(one, "working-directory"))), "")
        line = item.keys["run"].line
        work = texts.work(value_text(item, "run") or "", shell, bool(folder), env, line, notes)
        more = {**self._matrix_keys(notes), **self._more(item, notes)}
        folder_text = texts.plain(folder, line, notes) if folder else ""
        if texts.secrets:
            more["secrets"] = list(texts.secrets)
        name = texts.plain(value_text(item, "name") or "", line, [])
        step = Step(
            id,
            work,
            self._ends() or self.waits,
            name,
            folder_text,
            env,
            None,
            (),
            "",
            condition.text,
            more,
            tuple(notes),
        )
        self.maker.put(step)
        self.made.append((id, condition.asks_status))
        if own:
            self.maker.results["steps", own] = id

    def _condition(self, item: tree.Mapping, texts: Texts, notes: list[Note]) -> Condition:
        own = self.maker.condition(item, texts, notes)
        return Condition(_all_of([self.condition.text, own.text]), own.asks_status or self.condition.asks_status)

    def _matrix_keys(self, notes: list[Note]) -> dict[str, Yaml]:
        if self.matrix is None:
            return {}
        keys: dict[str, Yaml] = {"matrix": self.matrix.keys_of_step}
        strategy = mapping(self.node, "strategy")
        if (width := value_text(strategy, "max-parallel")) and width.isdigit() and int(width[:9]) > 0:
            keys["maxConcurrency"] = int(width[:9])
        return keys

    def _more(self, item: tree.Mapping, notes: list[Note]) -> dict[str, Yaml]:
        more: dict[str, Yaml] = {}
        for node, what in ((item, "step"), (self.node, "job")):
            minutes = value_text(node, "timeout-minutes")
            if minutes and re.fullmatch(r"[0-9]{1,5}", minutes) and 0 < int(minutes) <= 525_600:
                more.setdefault("timeout", f"{minutes}m")
            elif minutes:
                notes.append(
                    Note(
                        tree.beginning(node).line, f"`timeout-minutes: {minutes[:60]}` of the {what} has no equivalent"
                    )
                )
            goes_on = value_text(node, "continue-on-error")
            if goes_on == "true":
                more["continueOnError"] = True
            elif goes_on not in (None, "false"):
                notes.append(Note(tree.beginning(node).line, f"`continue-on-error: {goes_on[:80]}` has no equivalent"))
        return more


def _all_of(texts: list[str]) -> str:
    """All conditions, each once."""
    parts = [text for text in dict.fromkeys(texts) if text]
    if "false" in parts:
        return "false"
    return " && ".join(f"({part})" if "||" in part and len(parts) > 1 else part for part in parts)


def _inputs(root: tree.Mapping) -> Iterator[tuple[str, Yaml]]:
    """What a person may hand over, with its default."""
    for trigger in ("workflow_dispatch", "workflow_call"):
        for name, node in (
            mapping(mapping(mapping(root, "on"), trigger), "inputs") or tree.Mapping({}, {}, root.span)
        ).items():
            value = node.get("default") if isinstance(node, tree.Mapping) else None
            simple = value.value if isinstance(value, tree.Scalar) else ""
            if re.fullmatch(r"[A-Za-z_][\w-]*", name):
                yield name, simple if isinstance(simple, bool | int) else escaped(scalar_text(value) or "")


def _notes_of_job(name: str, node: tree.Mapping, line: int) -> Iterator[Note]:
    told = {
        "services": "start them beforehand, or as steps",
        "container": "run in it by hand, or put `docker run` into the steps",
        "outputs": "no other job can read them",
        "uses": "import that file, and `include:` it",
    }
    for key, advice in told.items():
        if node.get(key) is not None:
            yield Note(node.keys[key].line, f"`{key}` of job `{name}` has no equivalent", advice)
    runs_on = node.get("runs-on")
    shown = runs_on.text if isinstance(runs_on, tree.Scalar) else ""
    if shown and not re.match(r"(ubuntu|linux|self-hosted)", shown):
        yield Note(node.keys["runs-on"].line, f"`runs-on: {shown[:80]}`: the steps run on this machine")
    strategy = mapping(node, "strategy")
    if value_text(strategy, "fail-fast") == "false" and len([*items(node.get("steps"))]) > 1:
        what = f"`fail-fast: false` of job `{name}`: a step waits for all combinations of the one before"
        yield Note(strategy.keys["fail-fast"].line if strategy else line, what)
