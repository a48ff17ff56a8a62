"""Which recipe makes a target, and of what: explicit rules, static ones, patterns, and the best known built-in rules.

As with make: what rules say of one target is put together, the last recipe counts, a pattern rule is looked for only
where there is no recipe, and of those that fit the one with the shortest stem is taken.
"""

import re
from typing import NamedTuple

from stepwave.core.importing.make_functions import stem_of
from stepwave.core.importing.make_lines import At
from stepwave.core.importing.make_read import Reader, Rule, RuleLine

MAX_CHAIN = 4
MAX_TRIES = 2_000_000

_c, _cc = (
    "$(CC) $(CFLAGS) $(CPPFLAGS) $(TARGET_ARCH) -c -o $@ $<",
    "$(CXX) $(CXXFLAGS) $(CPPFLAGS) $(TARGET_ARCH) -c -o $@ $<",
)
_link = "$(CC) $(LDFLAGS) $(TARGET_ARCH) $^ $(LOADLIBES) $(LDLIBS) -o $@"
_link_c = "$(CC) $(CFLAGS) $(CPPFLAGS) $(LDFLAGS) $(TARGET_ARCH) $^ $(LOADLIBES) $(LDLIBS) -o $@"
_link_cc = "$(CXX) $(CXXFLAGS) $(CPPFLAGS) $(LDFLAGS) $(TARGET_ARCH) $^ $(LOADLIBES) $(LDLIBS) -o $@"
built_in = (
    ("%.o", "%.c", _c), ("%.o", "%.cc", _cc), ("%.o", "%.cpp", _cc), ("%.o", "%.C", _cc),
    ("%.o", "%.s", "$(AS) $(ASFLAGS) $(TARGET_MACH) -o $@ $<"), ("%", "%.o", _link), ("%", "%.c", _link_c),
    ("%", "%.cc", _link_cc), ("%", "%.cpp", _link_cc), ("%", "%.C", _link_cc),
    ("%", "%.sh", "cat $< >$@ \n chmod a+x $@"),
)  # fmt: skip
"""Those of the default database that are used without a word."""


class Made(NamedTuple):
    """How a target is made. `lines` is None where there is no recipe. `problem`: why nobody but make can know."""

    target: str
    needs: tuple[str, ...]
    order: tuple[str, ...]
    lines: tuple[RuleLine, ...] | None
    stem: str
    siblings: tuple[str, ...]
    at: At
    problem: str = ""
    is_known: bool = True


class Rules:
    """The rules of a Makefile by target."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.explicit: dict[str, list[Rule]] = {}
        self.patterns: list[Rule] = []
        self.special: dict[str, list[str]] = {}
        self._tries = 0
        for rule in reader.rules:
            if _is_special(rule.target):
                self.special.setdefault(rule.target, []).extend(rule.needs)
            elif "%" in rule.target and not rule.stem:
                self.patterns.append(rule)
            else:
                self.explicit.setdefault(rule.target, []).append(rule)
        self._add_suffix_rules()
        self.patterns = _without_cancelled(self.patterns)
        self._add_built_in()
        self.phony = frozenset(self.special.get(".PHONY", ()))
        self.mentioned = {
            name for rules in self.explicit.values() for rule in rules for name in (*rule.needs, *rule.order)
        }
        self.mentioned |= set(self.explicit)

    def goals(self) -> list[str]:
        """Targets that a person may ask for, in order of the file."""
        return [name for name in self.explicit if not name.startswith(".") or "/" in name]

    def _add_suffix_rules(self) -> None:
        """`.c.o:` is the old way to write `%.o: %.c`."""
        for name in [name for name in self.explicit if re.fullmatch(r"\.[A-Za-z0-9+~]+\.[A-Za-z0-9+~]+", name)]:
            rule = self.explicit[name][-1]
            if rule.has_recipe and not rule.needs:
                _, source, made = name.split(".")
                pattern = Rule(f"%.{made}", rule.at)
                pattern.needs, pattern.lines, pattern.has_recipe = (f"%.{source}",), rule.lines, True
                self.patterns.append(pattern)
                del self.explicit[name]

    def _add_built_in(self) -> None:
        for target, source, recipe in built_in:
            rule = Rule(target, At("", 0))
            rule.needs, rule.has_recipe = (source,), True
            rule.lines = [RuleLine(line, rule.at) for line in recipe.split("\n")]
            self.patterns.append(rule)

    # --- one target ---------------------------------------------------------------------------------------------------

    def of(self, target: str) -> Made | None:
        """How it is made; None when no rule speaks of it."""
        rules = self.explicit.get(target, [])
        made = _merged(target, rules) if rules else None
        if (made and made.lines is not None) or target in self.phony or (made and made.problem):
            return made
        found = self._implicit(target, 0)
        if found is None:
            return made
        rule, stem = found
        folder, needs = _placed(rule, target, stem)
        order = tuple(_filled(name, stem, folder) for name in rule.order)
        siblings = tuple(_filled(name, stem, folder) for name in rule.siblings)
        more = made or Made(target, (), (), None, "", (target,), rule.at)
        return Made(
            target,
            (*needs, *more.needs),
            tuple(dict.fromkeys((*order, *more.order))),
            tuple(rule.lines),
            folder + stem,
            tuple(dict.fromkeys((target, *siblings))),
            rule.at if rule.at.line else more.at,
            rule.problem or more.problem,
        )

    def exists(self, name: str) -> bool:
        return self.reader.around.exists(name)

    def _implicit(self, target: str, depth: int) -> tuple[Rule, str] | None:
        fitting = self._fitting(target)
        for rule, stem in fitting:
            _, needs = _placed(rule, target, stem)
            if all(need in self.mentioned or self.exists(need) for need in needs):
                return rule, stem
        if depth < MAX_CHAIN:
            for rule, stem in fitting:
                _, needs = _placed(rule, target, stem)
                if rule.target != "%" and all(self._can_be(need, depth + 1) for need in needs):
                    return rule, stem
        return None

    def _can_be(self, name: str, depth: int) -> bool:
        return name in self.mentioned or self.exists(name) or self._implicit(name, depth) is not None

    def _fitting(self, target: str) -> list[tuple[Rule, str]]:
        """The pattern rules that fit, the shortest stem first; what stands first in the file, where they are equal."""
        self._tries += len(self.patterns)
        if self._tries > MAX_TRIES:
            return []
        found = []
        for rule in self.patterns:
            for pattern in rule.siblings:
                slash = target.rfind("/") + 1 if "/" not in pattern else 0
                stem = stem_of(pattern, target[slash:])
                if stem and rule.has_recipe:
                    found.append((rule, stem))
                    break
        return sorted(found, key=lambda one: len(one[1]))


def _placed(rule: Rule, target: str, stem: str) -> tuple[str, tuple[str, ...]]:
    """The folder that a pattern without `/` leaves aside, and the prerequisites."""
    pattern = next((one for one in rule.siblings if _fits(one, target, stem)), rule.target)
    folder = target[: target.rfind("/") + 1] if "/" not in pattern else ""
    return folder, tuple(_filled(name, stem, folder) for name in rule.needs)


def _fits(pattern: str, target: str, stem: str) -> bool:
    slash = target.rfind("/") + 1 if "/" not in pattern else 0
    return stem_of(pattern, target[slash:]) == stem


def _filled(name: str, stem: str, folder: str) -> str:
    return folder + name.replace("%", stem, 1) if "%" in name else name


def _is_special(name: str) -> bool:
    return re.fullmatch(r"\.[A-Z_]+", name) is not None


def _without_cancelled(patterns: list[Rule]) -> list[Rule]:
    """A pattern rule without a recipe takes the one that it repeats away."""
    kept: dict[tuple[str, tuple[str, ...]], Rule] = {}
    for rule in patterns:
        key = (rule.target, rule.needs)
        kept.pop(key, None)
        kept[key] = rule
    return list(kept.values())


def _merged(target: str, rules: list[Rule]) -> Made:
    with_recipe = [rule for rule in rules if rule.has_recipe]
    main = with_recipe[-1] if with_recipe else rules[0]
    ordered = (main, *(rule for rule in rules if rule is not main))  # `$<` is of the rule with the recipe
    needs = tuple(name for rule in ordered for name in rule.needs)  # `$+` has them as often as they stand there
    known = set(needs)
    order = tuple(dict.fromkeys(name for rule in ordered for name in rule.order if name not in known))
    counted = with_recipe if main.is_double else with_recipe[-1:]
    lines = tuple(line for rule in counted for line in rule.lines) if with_recipe else None
    problem = next((rule.problem for rule in rules if rule.problem), "")
    return Made(target, needs, order, lines, main.stem, main.siblings, main.at, problem)
