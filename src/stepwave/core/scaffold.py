"""What `stepwave init-config` writes: small workflows that run as they are and teach the format by their comments.

The YAML text is the only source; the JSON form is the same text read as data, so the two cannot drift apart. They need
nothing but a POSIX shell and coreutils.
"""

from typing import Literal, get_args

Kind = Literal["basic", "parallel", "workstream", "ci", "data"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Format = Literal["yaml", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)

SCHEMA = "https://stepwave.dev/schemas/workflow.schema.json"


def scaffold(kind: Kind, format: Format) -> str:
    """The text of a new workflow file, with a newline at its end.

    Raises ValueError for a kind or format that is not in KINDS or FORMATS.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown type {kind!r}: one of {', '.join(KINDS)}")
    if format == "yaml":
        return f"# yaml-language-server: $schema={SCHEMA}\n{_texts[kind]}"
    if format == "json":
        return _as_json(_texts[kind])
    raise ValueError(f"unknown format {format!r}: one of {', '.join(FORMATS)}")


def _as_json(text: str) -> str:
    import json

    import yaml

    return json.dumps({"$schema": SCHEMA, **yaml.safe_load(text)}, indent=2, ensure_ascii=False) + "\n"


_basic = """\
#
# Check this file with `stepwave validate`, look at it with `stepwave graph`, run it with `stepwave run`.

name: My workflow
version: 1.0.0

# Values for the steps. Others for one run: stepwave run FILE --var who=Ada
variables:
  who: world

steps:
  # A step has an id and something to run: here, lines for the shell.
  - id: greet
    name: Say hello
    run: echo "Hello, {{variables.who}}!"

  # Nothing here needs `greet`, so both start at once.
  - id: today
    name: Ask for the date
    run: date

  # This one waits for both, and reads what one of them printed.
  - id: report
    name: Tell what was found
    dependsOn: [greet, today]
    timeout: 30s
    run: echo "today is {{steps.today.output}}"
"""

_parallel = """\
#
# Steps run side by side unless something holds them back: a need, a limit or a pool.

name: Parallel workflow
version: 1.0.0

parallel:
  defaultMaxConcurrency: 4 # steps at once; `auto` asks the machine
  resources:
    cpu: 2 # a pool of two units: at most two steps that ask for one run at once

steps:
  # The first wave.
  - id: prepare-a
    run: sleep 0.2; echo "a is ready"
  - id: prepare-b
    run: sleep 0.1; echo "b is ready"

  # Each build starts as soon as what it needs is there.
  - id: build-a
    dependsOn: [prepare-a]
    parallel:
      resource: cpu
    run: sleep 0.3; echo "a is built"
  - id: build-b
    dependsOn: [prepare-b]
    parallel:
      resource: cpu
    run: sleep 0.3; echo "b is built"
  - id: build-both
    dependsOn: [prepare-a, prepare-b]
    parallel:
      resource: {cpu: 2} # both units: waits until no other build runs
    run: sleep 0.2; echo "a and b are built together"

  # May fail without failing the run.
  - id: measure
    dependsOn: [build-a, build-b]
    continueOnError: true
    parallel:
      enabled: false # runs alone
    run: sleep 0.1; echo "measured undisturbed"

  - id: publish
    dependsOn: [build-both, measure]
    run: echo "published"
"""

_workstream = """\
#
# A workstream, in snake_case: here bare numbers are seconds.

id: my-workstream
name: My workstream
version: 1.0.0

execution:
  parallel: true
  max_workers: 3 # steps at once
  timeout_per_step: 300 # 5 minutes

steps:
  # Three independent steps: an empty depends_on means that a step can start at once.
  - id: step-01-numbers
    description: Write the numbers from 1 to 3
    command: seq
    args: ["3"]
    depends_on: []
  - id: step-02-words
    description: Sort some words
    command: sort
    stdin: |
      pear
      apple
    depends_on: []
  - id: step-03-date
    description: Tell the date
    command: date
    depends_on: []

  # Starts when all three are done; tried once more if it fails.
  - id: step-04-check
    description: Check what they have found
    depends_on: [step-01-numbers, step-02-words, step-03-date]
    max_retries: 1
    retry_delay: 1
    run: test -n "{{steps.step-02-words.output}}"
"""

_ci = """\
#
# Checks of a project: all that can go at once does. Put your own commands in place of the echoes.

name: Checks
version: 1.0.0
timeout: 15m # for the whole run

variables:
  publish: false # stepwave run FILE --var publish=true

onFailure: skip_dependents # one failed check does not keep the others from telling what they found

steps:
  - id: install
    name: Install what is needed
    timeout: 5m
    retry: {attempts: 3, delay: 2s} # networks fail
    run: echo "npm ci, or pip install -e ."

  - id: lint
    name: Lint
    dependsOn: [install]
    run: echo "eslint ., or ruff check"

  - id: types
    name: Types
    dependsOn: [install]
    run: echo "tsc --noEmit, or mypy src"

  - id: test
    name: Tests
    dependsOn: [install]
    timeout: 10m
    env:
      CI: true
    run: echo "npm test, or pytest"

  - id: audit
    name: Audit of dependencies
    dependsOn: [install]
    continueOnError: true # shown when it fails, but fails nothing
    run: echo "npm audit, or pip-audit"

  - id: publish
    name: Publish
    dependsOn: [lint, types, test]
    condition: variables.publish == true # skipped otherwise
    run: echo "npm publish, or twine upload"
"""

_data = """\
#
# A data pipeline: generate, split, work on the parts side by side, merge. It leaves nothing behind.

name: Data pipeline
version: 1.0.0

variables:
  rows: 1000

steps:
  # What a step prints, others can use: {{steps.folder.output}}
  - id: folder
    name: Make a temporary folder
    run: mktemp -d

  - id: generate
    name: Generate rows
    dependsOn: [folder]
    workingDirectory: "{{steps.folder.output}}"
    run: seq "{{variables.rows}}" > all.txt

  - id: split
    name: Split in two
    dependsOn: [generate]
    workingDirectory: "{{steps.folder.output}}"
    run: split -n l/2 all.txt part-

  - id: count-1
    name: Work on the first half
    dependsOn: [split]
    workingDirectory: "{{steps.folder.output}}"
    run: wc -l < part-aa

  - id: count-2
    name: Work on the second half
    dependsOn: [split]
    workingDirectory: "{{steps.folder.output}}"
    run: wc -l < part-ab

  - id: merge
    name: Merge
    dependsOn: [count-1, count-2]
    env:
      FIRST: "{{steps.count-1.output}}"
      SECOND: "{{steps.count-2.output}}"
    run: echo "$FIRST + $SECOND = $((FIRST + SECOND)) rows"

  - id: clean-up
    name: Remove the folder
    dependsOn: [merge]
    condition: always() # after a failure too
    run: rm -r "{{steps.folder.output}}"
"""

_texts: dict[Kind, str] = {
    "basic": _basic,
    "parallel": _parallel,
    "workstream": _workstream,
    "ci": _ci,
    "data": _data,
}
