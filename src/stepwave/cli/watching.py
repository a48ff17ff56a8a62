"""`run --watch`: a run, and another one whenever a file changes that it hangs on.

Rule 1  Every run goes on from the one before it, as `--resume` would: what had succeeded and hangs on nothing that has
        changed stays as it is. So a step without `inputs` runs again when something that it needs has.
Rule 2  A run is never cut short. What changes meanwhile is looked at when it has ended.
Rule 3  Whatever is wrong with the files is told, and waited for. What is wrong with the command line ends it.
"""

import gc
import os
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from stepwave import api, past, watching
from stepwave.cli import running, terminal
from stepwave.cli.resuming import tell_changes
from stepwave.core import adjust
from stepwave.core.diagnostics import COMMAND_LINE, Diagnostic, Place, error
from stepwave.core.telling import rounds
from stepwave.core.telling.rounds import Change
from stepwave.core.text import one_line
from stepwave.edge.watch import CannotWatch, Watcher, is_there

if TYPE_CHECKING:
    from stepwave.cli.running import Asked
    from stepwave.core.plan import Plan
    from stepwave.core.summary import Summary

MAX_IN_A_ROW = 2
"""So often a file may change during a run that was started for just that; then it is the run that changes it."""


class Turn:
    """One run of a watch: from which it goes on, and what became of it. `summary` is None until it has ended, and for
    one that was not started."""

    def __init__(self, after: str | None, quiet: bool) -> None:
        self._after = after
        self._quiet = quiet
        self.summary: Summary | None = None

    def take_up(self, path: str, plan: "Plan") -> past.TakenUp | None:
        """What is left of the run before; None for the first one. May raise LedgerUnusable."""
        if self._after is None:
            return None
        earlier = past.find(path, self._after, os.environ)
        if isinstance(earlier, Diagnostic):  # its record was deleted
            return None
        taken_up = past.take_up(earlier, plan)
        if not self._quiet:
            tell_changes(taken_up)
        return taken_up


class _Seen(NamedTuple):
    """What a run hung on, and how that lay there before it began."""

    sight: watching.Sight
    before: watching.Look
    is_valid: bool


class _Watch:
    """What stays the same from run to run, and what is known of the last one."""

    def __init__(self, asked: "Asked", base: str) -> None:
        self.asked = asked
        self.base = base
        self.style = terminal.talk_style(asked.color)
        self.path = os.path.join(base, asked.file)  # noqa: PTH118
        self._files: tuple[str, ...] = (self.path,)
        self._in_a_row: Counter[str] = Counter()

    def see(self) -> _Seen:
        """Look at everything, before the run reads anything: what is changed from here on is noticed."""
        first = watching.look_at(watching.Sight(self._files))
        loaded = api.load(
            self.asked.file,
            variables=running.variables_of(self.asked),
            name=self.asked.name,
            strict=self.asked.strict,
            tools=self.asked.tools,
        )
        plan = api.plan(loaded.workflow) if loaded.workflow else None
        sight = watching.sight_of(loaded, plan, self._left_out(loaded), self._named(), self.base)
        if plan is None:
            sight = sight._replace(files=tuple(dict.fromkeys((*sight.files, *self._files))))
        self._files = sight.files
        makes = (os.path.join(self.base, path) for path in running.files_of(self.asked))  # noqa: PTH118
        sight = self.with_recorded(sight._replace(makes=(*sight.makes, *makes)))
        look = watching.look(sight)
        return _Seen(sight, look._replace(files={**look.files, **first}), plan is not None)

    def with_recorded(self, sight: watching.Sight) -> watching.Sight:
        """With the files of steps that say only when they run what they read."""
        return watching.with_recorded(sight, past.file_of(self.path), os.environ)

    def _left_out(self, loaded: api.Loaded) -> frozenset[str]:
        if loaded.workflow is None:
            return frozenset()
        return adjust.deselected(loaded.workflow, self.asked.only, self.asked.skip, self.asked.start)

    def _named(self) -> list[str]:
        """The files that the command line names beside the workflow."""
        vars = self.asked.vars or ""
        return [*filter(None, [self.asked.tools, vars[1:] if vars.startswith("@") else None])]

    def during(self, seen: _Seen, now: watching.Look) -> tuple[Change, ...]:
        """What has changed while the run ran, and not by its own doing."""
        made = seen.before.made | now.made
        found = [one for one in watching.changes(seen.before, now) if one.path not in made]
        for path in self._in_a_row.keys() - {one.path for one in found}:
            if self._in_a_row[path] <= MAX_IN_A_ROW:
                del self._in_a_row[path]
        self._in_a_row.update(one.path for one in found)
        if worn := [one.path for one in found if self._in_a_row[one.path] == MAX_IN_A_ROW + 1]:
            terminal.talk(["", rounds.restless([watching.shown(path, self.base) for path in worn], self.style)])
        return tuple(one for one in found if self._in_a_row[one.path] <= MAX_IN_A_ROW)

    def wait(self, sight: watching.Sight, before: watching.Look) -> tuple[tuple[Change, ...], watching.Look]:
        """Until something is different. May raise CannotWatch."""
        while True:
            now = watching.look(sight)
            folders = watching.folders(sight, now)
            with suppress(FileNotFoundError), Watcher(folders, os.environ) as watcher:  # gone just now: look again
                while True:
                    now = watching.look(sight)
                    if watching.changes(before, now):
                        watcher.settle()
                        now = watching.look(sight)
                        if found := watching.changes(before, now):
                            for change in found:
                                del self._in_a_row[change.path]
                            return found, now
                    if watching.folders(sight, now) != folders:
                        break
                    watcher.wait(watching.names(now))

    def announce(self, seen: _Seen, found: Sequence[Change], now: watching.Look) -> None:
        """Which files changed, and what runs for them."""
        readers = {
            one.path: seen.before.readers.get(one.path, frozenset()) | now.readers.get(one.path, frozenset())
            for one in found
        }
        direct, after = rounds.affected(readers, seen.sight.dependents, seen.sight.left_out, found)
        shown = [one._replace(path=watching.shown(one.path, self.base)) for one in found]
        terminal.talk(["", rounds.headline(shown, direct, after, self.style), ""])

    def tell_waiting(self, seen: _Seen, now: watching.Look) -> None:
        if self.asked.quiet:
            return
        lost = (f"{one_line(step, 80)} reads more files than can be watched: nobody looks." for step in now.too_many)
        silent = seen.is_valid and not seen.sight.reads and not seen.sight.unseen
        inputs = len(now.files.keys() - now.own)
        terminal.talk(["", *lost, rounds.watching(len(now.own), inputs if seen.is_valid else None, silent=silent)])


def watch(asked: "Asked") -> int:
    """The exit code: that of an interrupted run. Ctrl-C between two runs ends the process as it does elsewhere."""
    findings = [*running.faults(asked), *_refused(asked)]
    if findings:
        terminal.tell_findings(findings, {}, asked.color)
        return 2
    _let_interrupts_end_us()
    try:
        base = os.getcwd()  # noqa: PTH109
        return _watch(_Watch(asked._replace(file=api.locate(asked.file)), base))
    except CannotWatch as problem:
        terminal.talk([f"stepwave: the files cannot be watched: {problem}"])
        return 3


def _watch(state: _Watch) -> int:
    after: str | None = None
    asked, first = state.asked, True
    while True:
        with suppress(OSError):  # the folder may have been deleted, and made again
            os.chdir(state.base)
        seen = state.see()
        turn = Turn(after, asked.quiet)
        code = running.run(asked, turn=turn)
        if turn.summary is None:
            if first and (seen.is_valid or not os.path.lexists(state.path)):
                return code
        elif turn.summary.last_signal is not None:
            return 128 + turn.summary.last_signal
        else:
            after = turn.summary.run
        # How it was to begin does not count for those that follow.
        first, asked = False, state.asked._replace(force=False, resume=None)
        _tidy()
        now = watching.look(seen.sight)
        found = state.during(seen, now)
        if not found:
            sight = state.with_recorded(seen.sight)
            now = watching.look(sight)
            state.tell_waiting(seen, now)
            found, now = state.wait(sight, now)
        state.announce(seen, found, now)


def _let_interrupts_end_us() -> None:
    """A run hears Ctrl-C even where whoever started it had it ignored, and so it is between two runs."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _tidy() -> None:
    """What a run has left in memory, where `running` told the collector never to look."""
    gc.unfreeze()
    gc.collect()


def _refused(asked: "Asked") -> list[Diagnostic]:
    """What makes no sense with `--watch`."""
    here = Place(COMMAND_LINE)
    found = []
    reasons = (
        (asked.dry_run, "--dry-run", "a plan does not change by being run again"),
        (asked.json, "--json", "there would be a document for every run; `--events -` is a stream"),
        (asked.no_ledger, "--no-ledger", "what is up to date is known from the record of the last run"),
    )
    for given, option, help in reasons:
        if given:
            found.append(error("conflicting-options", f"`--watch` and `{option}` exclude each other", here, help))
    for name in ("output", "junit", "trace", "report"):
        if getattr(asked, name) == "-":
            sentence = f"`--watch` and `--{name} -` exclude each other"
            found.append(error("conflicting-options", sentence, here, "name a file: every run writes it anew"))
    if asked.file == "-":
        found.append(error("conflicting-options", "`--watch` needs a file; standard input can be read once", here))
    if not found and not is_there():
        help = "pip install 'stepwave[watch]'"
        found.append(error("bad-option", "`--watch` needs the package watchfiles, which is not installed", here, help))
    return found
