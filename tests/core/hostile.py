"""Texts that want to be more than text: what a step may be called, print, or fail with.

Whatever is made of a run is fed with them. None may become markup, a formula, a sequence that a terminal obeys, or a
command of a CI system.
"""

import re
from collections.abc import Iterator

from stepwave.core.events import Outcome, Status, StepDecided, StepTested, Usage
from stepwave.core.model import Stage
from stepwave.core.telling.story import Attempt, Cause, Drawn, PoolStory, StepStory, Story, Wait

MARKUP = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "</title><svg/onload=alert(1)>",
    "\"><b id='x'>",
    "' onmouseover='alert(1)",
    "]]><evil/>",
    "<![CDATA[x",
    "<!-- ",
    "--> </pre></code></details>",
    "<?php ?>",
    "&lt;b&gt;&#60;i&#62;&amp;",
    "&undefined; &#0; &#xfffe;",
    "javascript:alert(1)",
    "url(javascript:alert(1))",
    "expression(alert(1))}</style>",
    "{{ config }} ${{ github.token }} <% x %>",
)
MARKDOWN = (
    "[click](http://evil.example)",
    "![x](http://evil.example/x.png)",
    "```\n</pre>\n# Heading\n```mermaid",
    "`code` *bold* _it_ ~~gone~~",
    "| a | b |\n|---|---|",
    "@everyone #1 www.evil.example http://evil.example someone@evil.example",
    "\n\n- item\n\n1. item\n\n> quote\n\n---\n",
    ":smile: [^1] [[x]] $$x$$ \\(x\\)",
    "<http://evil.example>",
    "    indented",
)
DIAGRAMS = (
    'n0"] --> n1["x',
    '"]; click n0 "javascript:alert(1)"; a["',
    "%%{init: {'securityLevel': 'loose'}}%%",
    "end\nsubgraph x",
    "n0:::evil",
    '" ]; a -> b; node [URL="http://evil.example"] "',
    "#quot;#60;b#62;",
    "\\N\\G\\l",
)
COMMANDS = (
    "::set-output name=a::b",
    "::add-path::/tmp/evil",
    "  ::error file=a,line=1::pwn",
    "\n::set-env name=LD_PRELOAD::/tmp/x.so",
    "\r\n::stop-commands::x",
    "\u2028::error::x",
    "\x85::error::x",
    "::endgroup::",
    "%0A::error::x",
    "##[add-mask]x",
    "x ##[set-env name=A]b",
    "##vso[task.setvariable variable=a]b",
    "##teamcity[buildStatus status='SUCCESS']",
    "\x1b[0Ksection_start:0:x\r\x1b[0Kx",
    "section_end:0:x\r",
)
TERMINAL = (
    "\x1b[2J\x1b[31mred",
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\x9b31m",
    "\x90q\x9c",
    "over\rwritten",
    "back\b\b\b\b",
    "\x07\x00\x7f",
    "\u202egnp.exe",
    "\u2066x\u2069\u200f",
)
FORMULAS = (
    '=HYPERLINK("http://evil.example")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    '"a","b"',
    "\t=1",
    "a,b\r\n=1",
)
BROKEN = (
    "\ud800",
    "\udcff.txt",
    "\ufffe\uffff",
    "",
    " ",
    "\n",
    "a" * 100_000,
    "é\u0301" * 500,
    "\\",
    '"',
    "'",
    "\\u0041",
)
CORPUS = (*MARKUP, *MARKDOWN, *DIAGRAMS, *COMMANDS, *TERMINAL, *FORMULAS, *BROKEN)


def story() -> Story:
    """A failed run in which every text is hostile, and every one of them stands in every place that takes a text."""
    names = [f"{text}{number}" for number, text in enumerate(CORPUS)]  # ids have to differ
    steps = tuple(_step(number, text, names) for number, text in enumerate(CORPUS))
    return _run(CORPUS[0], steps)


def stories() -> Iterator[tuple[str, Story]]:
    """For each text a small run that is full of it."""
    for text in CORPUS:
        steps = tuple(_step(number, text, [f"{text}{n}" for n in range(4)]) for number in range(4))
        yield text, _run(text, steps)


def _run(text: str, steps: tuple[StepStory, ...]) -> Story:
    return Story(
        run="20260131-142503-7f3a9c",
        workflow=text,
        name=text,
        file=f"/w/{text}",
        folder=f"/w/{text}",
        started_at=1_769_869_503.25,
        wall_s=len(steps) * 1.0,
        status=Status.FAILED,
        alive=False,
        exit_code=1,
        reason=text,
        max_concurrency=2,
        steps=steps,
        pools=(PoolStory("", 2, ((0.0, 1), (2.0, 0))), PoolStory(text, 1, ((0.0, 1), (2.0, 0)))),
        critical_path=tuple(step.drawn.id for step in steps[:3]),
        resumed_from=text,
        stepwave="0.1.0",
    )


_stages = (Stage.MAIN, Stage.MAIN, Stage.FINALLY, Stage.ACCEPT)
_outcomes = (Outcome.FAILED, Outcome.TIMEOUT, Outcome.SKIPPED, Outcome.COMPLETED, Outcome.CANCELLED)


def _step(number: int, text: str, names: list[str]) -> StepStory:
    drawn = Drawn(
        id=names[number],
        name=text,
        wave=number,
        needs=(names[number - 1],) if number else (),
        resources=((text, 1),),
        stage=_stages[number % len(_stages)],
        file=f"/w/{text}",
        line=number + 1,
        on_true=(text,),
    )
    attempts = tuple(
        Attempt(
            number=again + 1,
            begin_s=number + 0.5 * again,
            end_s=number + 0.5 * again + 0.4,
            slot=number % 2,
            argv=(text, text),
            cwd=text,
            reason=text,
            exit_code=1,
            usage=Usage(0.1, 0.1, 1 << 20),
            log=f"logs/{number}.{again}.log",
            log_bytes=10,
        )
        for again in (0, 1)
    )
    return StepStory(
        drawn=drawn,
        outcome=_outcomes[number % len(_outcomes)],
        reason=text,
        tolerated=number % 7 == 3,
        ready_s=float(number),
        ended_s=number + 0.9,
        attempts=attempts if number % 5 != 2 else (),
        waits=(
            Wait(0.0, number + 0.0, Cause.POOL, text),
            Wait(max(number - 0.1, 0.0), number + 0.0, Cause.LIMIT, text),
        ),
        tests=(StepTested(names[number], 1, text, False, text, 0.1, text),),
        decision=StepDecided(names[number], True, (text,), text),
        taken_from=text if number % 11 == 6 else None,
        stopping=text,
    )


# --- what must not come out --------------------------------------------------------------------------------

_obeyed = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def controls(text: str) -> list[str]:
    """What a terminal would obey; a carriage return only before a line end is none."""
    return _obeyed.findall(re.sub("\r$", "", text, flags=re.M)) + re.findall("\r(?!\n)", text)


_github_commands = {
    *("add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "notice"),
    *("remove-matcher", "save-state", "set-env", "set-output", "stop-commands", "warning"),
}


def commands(text: str) -> list[str]:
    """The lines that GitHub's runner would obey, by the two rules of its parser, and those of Azure and TeamCity."""
    found = []
    for line in re.split("\r\n|[\n\r\x85\u2028\u2029]", text):
        late = re.search(r"##\[([^\] ]*)|##vso\[|##teamcity\[", line)
        early = re.match(r"\s*::([^ :]*)", line)
        if late or (early and early[1].lower() in _github_commands):
            found.append(line)
    return found
