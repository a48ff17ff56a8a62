"""Any Makefile of a simple grammar: the imported workflow, run by stepwave, makes the files that make makes."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.importing import import_workflow
from tests.cli.invoke import clean_environment, stepwave

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
EXAMPLES = int(os.environ.get("STEPWAVE_IMPORT_EXAMPLES", "5"))

HEAD = """\
A = one
B := two $(A)
A += more
C ?= {{x}} $${D-unset} $(B)
define twice
echo $(1) $(1)
echo '{{$(1)}}'
endef
copy = cat $(1) > $(2)
SOURCES = s0.txt s1.txt s2.txt
UPPER := $(SOURCES:.txt=.up)
LISTED := $(sort $(notdir $(addprefix d/,$(filter-out s2%,$(SOURCES)))))
ifeq ($(words $(SOURCES)),3)
E = three
else
E = $(error no)
endif
ifdef NOTHING
A = never
endif

.PHONY: all
.SECONDARY:
"""
TAIL = """
%.up: %.txt
\ttr a-z A-Z < $< > $@
d:
\tmkdir $@
sub/%.low: %.up | d
\t@mkdir -p $(@D)
\ttr A-Z a-z < $(word 1,$^) > $@; echo "$* $(<:.up=.x)" >> $@
"""

recipes = st.sampled_from([
    ["cat $^ > $@"],
    ["@echo '$(C)' > $@", "cat $^ >> $@"],
    ["-false", "cat $< > $@"],
    ["V=1; echo $$V > $@", 'echo "[$$V]" $^ >> $@'],
    ["cd d && pwd | sed 's,.*/,,' > ../$@", "pwd | sed 's,.*/.*,x,' >> $@"],
    ["for i in $^; do cat $$i; done > $@"],
    ["false; cat $+ > $@"],
    ["exit 0", "$(call copy,$<,$@)"],
    ["@$(call twice,$@) > $@", "cat $^ >> $@"],
    ["printf '%s\\n' $(foreach f,$^,$(basename $(f))-$(E)) \\", "  $(UPPER) '$(LISTED)' > $@"],
    ["if test -e $<; then \\", "  cat $< > $@; \\", "fi"],
    ["cat $^ \\", "\t> $@ # a comment"],
    ["echo \"$(if $(filter s0%,$^),with,without) $(subst s,S,$(SOURCES)) $(@F) $$(echo '$(@)')\" > $@"],
    ["echo $(shell echo from a command) \"$(shell echo and another)\" '$(shell echo third)' > $@"],
    ["echo $(words $(wildcard s*.txt)) $(patsubst %.txt,%,$(lastword $(SOURCES))) > $@"],
])  # fmt: skip


@st.composite
def makefiles(draw: st.DrawFn) -> str:
    """Targets t0, t1 …, each of sources, of made files and of those before it."""
    rules, known = [], ["s0.txt", "s1.txt", "s2.txt", "s0.up", "s1.up", "sub/s2.low"]
    for n in range(draw(st.integers(1, 5))):
        needs = draw(st.lists(st.sampled_from(known), min_size=1, max_size=4))
        target = f"{draw(st.sampled_from(['t', 'd/t']))}{n}.out"
        lines = draw(recipes)
        if draw(st.booleans()) and ".txt" in needs[0]:
            rules.append(f"{target}: %.out: {' '.join(needs)} | d")
        else:
            rules.append(f"{target}: {' '.join(needs)} | d")
        rules[-1] += "".join(f"\n\t{line}" for line in lines)
        if draw(st.integers(0, 3)) == 0:
            rules.append(f"{target}: A = own{n}")
        known.append(target)
    goals = [name for name in known if name.endswith(".out")]
    return f"{HEAD}all: {' '.join(goals)}\n" + "\n".join(rules) + "\n" + TAIL


def made_in(folder: Path) -> dict[str, str]:
    """The files that are there, but those of the tools."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".stepwave" not in path.parts)
    return {str(path.relative_to(folder)): path.read_text() for path in files if path.suffix not in (".yaml", "")}


def run_make(folder: Path) -> None:
    done = subprocess.run(
        ["make", "--silent"], cwd=folder, env=clean_environment(folder), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def run_stepwave(folder: Path, makefile: str) -> None:
    made, _ = import_workflow(str(folder / "Makefile"), source=None, wanted=(), values={}, output=None)
    assert made.text is not None, made.findings
    assert "left to make" not in made.text, made.text
    (folder / "w.yaml").write_text(made.text)
    ended = stepwave("run", "w.yaml", "--quiet", "--strict", cwd=folder)
    assert ended.code == 0, ended.err + made.text + makefile


@given(makefiles(), st.sampled_from(["s0.txt", "s1.txt", "s2.txt"]))
@settings(max_examples=EXAMPLES)
def test_it_makes_what_make_makes(tmp_path_factory: pytest.TempPathFactory, makefile: str, changed: str) -> None:
    folders = tmp_path_factory.mktemp("make"), tmp_path_factory.mktemp("stepwave")
    for folder in folders:
        for n in range(3):
            (folder / f"s{n}.txt").write_text(f"source {n}\n")
            os.utime(folder / f"s{n}.txt", (1_000_000_000, 1_000_000_000))
        (folder / "Makefile").write_text(makefile)
    with_make, with_stepwave = folders
    run_make(with_make)
    run_stepwave(with_stepwave, makefile)
    first = made_in(with_make)
    assert made_in(with_stepwave) == first, makefile
    for folder in folders:  # a source is changed, and one of the files has gone
        (folder / changed).write_text("another\n")
        os.utime(folder / changed, (2_000_000_000, 2_000_000_000))
        (folder / sorted(name for name in first if name.endswith(".out"))[0]).unlink()
    run_make(with_make)
    run_stepwave(with_stepwave, makefile)
    assert made_in(with_stepwave) == made_in(with_make), makefile


def test_nothing_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "s0.txt").write_text("x\n")
    (tmp_path / "Makefile").write_text(
        "t: s0.txt\n\tcat $< > $@; echo run >> log\n\nonce:\n\techo once >> $@\nall: t once\n"
    )
    for _ in range(2):
        ended = stepwave("import", "Makefile", "--target", "all", "-o", "w.yaml", "--force", cwd=tmp_path)
        assert ended.code == 0
        assert stepwave("run", "w.yaml", "--quiet", cwd=tmp_path).code == 0
    assert ((tmp_path / "log").read_text(), (tmp_path / "once").read_text()) == ("run\n", "once\n")
