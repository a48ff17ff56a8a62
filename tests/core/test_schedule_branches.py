"""Condition steps, and the steps that are known only while the run goes on."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwave.core.events import StepDecided, StepsAdded
from stepwave.core.model import Branch, FailurePolicy, Function, Rule, Step, StepType
from stepwave.core.telling.record import event_document
from tests.core.world import HERE, Acts, World, cancelled, completed, failed, run, skipped, step

NO = Acts(code=1)


def choose(id: str, *needs: str, rule: object = True, **fields: object) -> Step:
    """A condition step: `rule` is its answer, or the text of an expression."""
    on_true, on_false = fields.pop("yes", ()), fields.pop("no", ())
    lenient = fields.pop("lenient", False)
    branch = Branch(Rule("expression", left=str(rule).lower() if rule in (True, False) else rule), on_true, on_false)  # type: ignore[arg-type]
    return step(id, *needs, type=StepType.CONDITION, branch=branch._replace(lenient=lenient), **fields)


def decisions(world: World) -> dict[str, bool]:
    return {event.step: event.result for event in world.of(StepDecided)}  # type: ignore[attr-defined]


# --- branches -----------------------------------------------------------------------------------------


def test_only_what_the_condition_chose_goes_on() -> None:
    for answer, chosen, other in ((True, "yes", "no"), (False, "no", "yes")):
        world = run(choose("ask", rule=answer, yes=("yes",), no=("no",)), step("yes", "ask"), step("no", "ask"))
        assert world.outcomes == {"ask": completed, chosen: completed, other: skipped}
        assert world.reasons[other] == "branch"
        assert decisions(world) == {"ask": answer}
        assert world.exit_code == 0


def test_what_it_names_never_starts_before_its_answer() -> None:
    world = run(step("slow"), choose("ask", "slow", yes=("deploy",)), step("deploy", "ask"), acts={"slow": Acts(9)})
    assert world.started["deploy"] == 9


def test_a_step_of_several_conditions_waits_for_all_and_runs_if_any_chose_it() -> None:
    def outcome(first: bool, second: bool) -> tuple[str, float | None]:
        world = run(
            choose("a", rule=first, yes=("shared",)),
            step("slow"),
            choose("b", "slow", rule=second, yes=("shared",)),
            step("shared", "a", "b"),
            acts={"slow": Acts(5)},
        )
        return world.outcomes["shared"], world.started.get("shared")

    assert outcome(True, True) == outcome(True, False) == outcome(False, True) == (completed, 5)
    assert outcome(False, False) == (skipped, None)


def test_a_join_runs_if_one_of_its_needs_has_completed_and_a_chain_behind_a_branch_does_not() -> None:
    world = run(
        choose("ask", yes=("left",), no=("right",)),
        step("left", "ask"),
        step("right", "ask"),
        step("after-right", "right"),
        step("join", "left", "after-right"),
    )
    assert world.outcomes["after-right"] == skipped and world.reasons["after-right"] == "branch"
    assert world.outcomes["join"] == completed


def test_always_runs_behind_a_branch_but_not_on_one() -> None:
    world = run(
        choose("ask", rule=False, yes=("deploy",)),
        step("deploy", "ask", condition="always()"),
        step("tidy", "deploy", condition="always()"),
    )
    assert world.outcomes == {"ask": completed, "deploy": skipped, "tidy": completed}


def test_a_condition_that_was_itself_cut_off_or_skipped_chooses_nothing() -> None:
    for skip in ({"condition": "false"}, {}):
        world = run(
            choose("first", rule=bool(skip), yes=("second",)),
            choose("second", "first", yes=("target",), **skip),
            step("target", "second"),
        )
        assert world.outcomes["target"] == skipped, skip
        assert world.reasons["target"] == "branch"
        assert world.exit_code == 0


def test_a_condition_that_failed_skips_what_it_names() -> None:
    world = run(choose("ask", rule="steps.gone.output == 1", yes=("a",), no=("b",)), step("a", "ask"), step("b", "ask"))
    assert world.outcomes == {"ask": failed, "a": skipped, "b": skipped}
    assert (world.reasons["ask"] or "").startswith("Condition execution failed: `steps.gone.output` has no value")
    going_on = run(choose("ask", rule="nothing", yes=("a",), on_failure=FailurePolicy.CONTINUE), step("a", "ask"))
    assert going_on.outcomes["a"] == skipped, "an answer that never came has chosen nothing"


def test_a_lenient_condition_that_cannot_be_evaluated_is_false_and_says_why() -> None:
    world = run(choose("ask", rule="nothing", yes=("a",), no=("b",), lenient=True), step("a", "ask"), step("b", "ask"))
    assert world.outcomes == {"ask": completed, "a": skipped, "b": completed}
    (told,) = world.of(StepDecided)
    assert told == StepDecided("ask", False, ("b",), "`nothing` has no value")


def test_the_answer_is_a_variable_and_a_fact() -> None:
    world = run(
        choose("is-main", yes=("a",)),
        step("a", "is-main", condition="condition_is-main_result && steps.is-main.conditionResult"),
        step("b", "a", condition="condition_is-main_triggered_steps[0] == 'a'"),
        step("c", "b", argv=("echo", "{{steps.is-main.triggeredSteps}}")),
    )
    assert set(world.outcomes.values()) == {completed}
    (launch,) = [launch for launch in world.launches if launch.step == "c"]
    assert launch.argv == ("echo", '["a"]')
    first = next(launch for launch in world.launches if launch.step == "a")
    assert first.env["WORKFLOW_VAR_CONDITION_IS_MAIN_RESULT"] == "true"


def test_a_condition_may_ask_whether_something_failed() -> None:
    for acts, chosen in (({"build": NO}, "mend"), ({}, "ship")):
        ask = choose("ask", "build", rule="failure()", yes=("mend",), no=("ship",))
        world = run(
            step("build"), ask, step("mend", "ask"), step("ship", "ask"), acts=acts,
            on_failure=FailurePolicy.SKIP_DEPENDENTS,
        )  # fmt: skip
        assert world.outcomes[chosen] == completed and len(world.started) == 3


def test_a_condition_that_is_not_selected_holds_nobody_up() -> None:
    world = run(choose("ask", rule=False, yes=("a",)), step("a", "ask"), deselected=frozenset({"ask"}))
    assert world.outcomes["a"] == completed


def test_a_failure_before_the_condition_skips_everything_behind_it() -> None:
    world = run(
        step("build"), choose("ask", "build", yes=("a",)), step("a", "ask"), acts={"build": NO},
        on_failure=FailurePolicy.SKIP_DEPENDENTS,
    )  # fmt: skip
    assert world.reasons["a"] == "Dependencies failed: ask"


# --- forEach --------------------------------------------------------------------------------------------


def echo(id: str, *needs: str, **fields: object) -> Step:
    return step(id, *needs, argv=("echo", "{{item}}"), **fields)


def fan(*needs: str, **fields: object) -> Step:
    fields = {"for_each": "{{steps.list.output}}", **fields}
    return echo("fan", *(needs or ("list",)), type=StepType.FAN_OUT, **fields)


def test_a_list_that_a_step_brings_becomes_one_step_for_each_item() -> None:
    world = run(step("list"), fan(), step("after", "fan"), acts={"list": Acts(output='["a", "b"]')})
    assert world.outcomes == {
        "list": completed, "fan": completed, "fan[a]": completed, "fan[b]": completed, "after": completed
    }  # fmt: skip
    assert [launch.argv for launch in world.launches if launch.step.startswith("fan")] == [("echo", "a"), ("echo", "b")]
    assert world.started["after"] == 2
    (added,) = world.of(StepsAdded)
    assert [(new.id, new.after, new.wave) for new in added.steps] == [("fan[a]", "fan", 1), ("fan[b]", "fan", 1)]  # type: ignore[attr-defined]


def test_what_the_parts_brought_is_a_list_under_the_name_of_the_step() -> None:
    world = run(
        step("list"),
        fan(),
        step("sum", "fan", argv=("echo", "{{join(steps.fan.output, '+')}}")),
        acts={"list": Acts(output="[1, 2]"), "fan[1]": Acts(5, output="one"), "fan[2]": Acts(output="two")},
    )
    assert world.launches[-1].argv == ("echo", "one+two")


def test_an_empty_list_is_no_work_and_something_else_is_a_failure() -> None:
    assert run(step("list"), fan(), acts={"list": Acts(output="[]")}).outcomes["fan"] == completed
    world = run(step("list"), fan(), acts={"list": Acts(output="three words here")})
    assert world.outcomes["fan"] == failed
    assert "`forEach` needs a list, but {{steps.list.output}} is text" in (world.reasons["fan"] or "")


def test_the_parts_share_slots_and_pools() -> None:
    world = run(step("list"), fan(resources=(("db", 1),)), acts={"list": Acts(output="[1,2,3,4]")}, pools={"db": 2})
    assert max(len(overlap) for overlap in world.overlaps) == 2


def test_a_part_that_fails_fails_the_step_and_the_others_go_on() -> None:
    keep = {"on_failure": FailurePolicy.SKIP_DEPENDENTS}
    world = run(step("list"), fan(), step("after", "fan"), acts={"list": Acts(output="[1,2,3]"), "fan[2]": NO}, **keep)
    assert (world.outcomes["fan[1]"], world.outcomes["fan[2]"], world.outcomes["fan[3]"]) == (
        completed, failed, completed
    )  # fmt: skip
    assert world.outcomes["fan"] == failed
    assert world.reasons["fan"] == "1 of its 3 parts did not complete"
    assert world.reasons["after"] == "Dependencies failed: fan"
    assert world.events[-1][1].reason == "Failed steps: fan[2]"  # type: ignore[union-attr]
    tolerant = run(
        step("list"), fan(continue_on_error=True), step("after", "fan"),
        acts={"list": Acts(output="[1,2]"), "fan[2]": NO},
    )  # fmt: skip
    assert tolerant.outcomes["after"] == completed and tolerant.exit_code == 0


def test_an_abort_reaches_the_parts_that_wait() -> None:
    world = run(step("list"), fan(), acts={"list": Acts(output="[1,2,3]"), "fan[1]": NO}, max_concurrency=1)
    assert world.outcomes["fan[2]"] == world.outcomes["fan[3]"] == skipped
    assert world.outcomes["fan"] == failed


def test_an_interrupt_reaches_the_parts_that_run() -> None:
    from stepwave.core.events import Interrupted

    world = run(
        step("list"), fan(), acts={"list": Acts(output="[1,2]"), "fan[1]": Acts(9), "fan[2]": Acts(9)},
        signals=[(3.0, Interrupted(2))],
    )  # fmt: skip
    assert world.outcomes == {"list": completed, "fan[1]": cancelled, "fan[2]": cancelled, "fan": cancelled}


def test_too_many_items_are_refused() -> None:
    world = run(step("list"), fan(), acts={"list": Acts(output=str(list(range(10_001))))})
    assert "more than 10,000" in (world.reasons["fan"] or "")


def test_retries_timeouts_and_conditions_hold_for_each_part() -> None:
    world = run(
        step("list"), fan(timeout_s=2.0), acts={"list": Acts(output="[1,2]"), "fan[1]": Acts(5)},
        on_failure=FailurePolicy.CONTINUE,
    )  # fmt: skip
    assert world.reasons["fan[1]"] == "timed out after 2.0s"
    assert run(step("list"), fan(condition="false"), acts={"list": Acts(output="[1]")}).outcomes["fan"] == skipped


# --- families that are known before --------------------------------------------------------------------


def test_the_members_of_a_matrix_are_known_by_the_name_in_the_file_together() -> None:
    members = [echo(f"build[{os}]", family="build", bindings={"matrix": {"os": os}, "item": os}) for os in ("a", "b")]
    after = Step(id="after", place=HERE, needs=tuple(m.id for m in members), argv=("echo", "{{steps.build.output}}"))
    world = run(*members, after, acts={"build[a]": Acts(3, output="1"), "build[b]": Acts(output="x")})
    assert world.launches[-1].argv == ("echo", '[1,"x"]')


@pytest.mark.parametrize("params", [{"n": "{{item}}", "all": ["{{variables.xs}}"]}])
def test_what_a_function_is_given_keeps_its_type(params: dict[str, object]) -> None:
    one = Step(
        id="call", place=HERE, argv=("python",), bindings={"item": 3},
        function=Function("m:f", HERE, params),  # type: ignore[arg-type]
    )  # fmt: skip
    world = run(one, variables={"xs": [1, {"a": None}]})
    stdin = world.launches[0].stdin
    assert stdin is not None and stdin.text == '{"n": 3, "all": [[1, {"a": null}]]}'


def test_every_new_event_can_be_written_down() -> None:
    import json

    from stepwave.core.events import Entry

    world = run(choose("ask", yes=("fan",)), step("list", "ask"), fan("list", "ask"), acts={"list": Acts(output="[1]")})
    for n, (at, event) in enumerate(world.events, 1):
        json.dumps(event_document(Entry(n, 0.0, at, "r", event)))


# --- whatever the branches are ---------------------------------------------------------------------------


@st.composite
def mazes(draw: st.DrawFn) -> tuple[list[Step], dict[str, bool]]:
    """Steps that all complete, conditions among them, and the answers of these."""
    answers = {f"s{n}": draw(st.booleans()) for n in range(draw(st.integers(2, 10))) if draw(st.integers(0, 2)) == 0}
    count = draw(st.integers(len(answers), len(answers) + 8)) + 2
    sides: dict[str, tuple[list[str], list[str]]] = {id: ([], []) for id in answers}
    needs: dict[str, set[str]] = {}
    for n in range(count):
        before = [f"s{m}" for m in range(n)]
        needs[f"s{n}"] = set(draw(st.lists(st.sampled_from(before), max_size=2)) if before else [])
        for id in set(before) & answers.keys():
            if draw(st.integers(0, 3)) == 0:
                sides[id][draw(st.booleans())].append(f"s{n}")
                needs[f"s{n}"].add(id)
    steps = []
    for id, own in needs.items():
        if id in answers:
            no, yes = sides[id]
            steps.append(choose(id, *sorted(own), rule=answers[id], yes=tuple(yes), no=tuple(no)))
        else:
            steps.append(step(id, *sorted(own)))
    return steps, answers


@settings(max_examples=300, deadline=None)
@given(mazes())
def test_exactly_what_lies_on_a_branch_that_was_taken_runs(maze: tuple[list[Step], dict[str, bool]]) -> None:
    """Against the rules as docs/workflow-file.md has them, one step after the other."""
    steps, answers = maze
    runs: dict[str, bool] = {}
    for one in steps:
        asked = [c for c in steps if c.branch is not None and one.id in (*c.branch.on_true, *c.branch.on_false)]
        chosen = [
            c for c in asked if runs[c.id] and one.id in (c.branch.on_true if answers[c.id] else c.branch.on_false)
        ]  # type: ignore[union-attr]
        runs[one.id] = bool(chosen) if asked else not one.needs or any(runs[need] for need in one.needs)
    world = run(*steps)
    assert world.outcomes == {id: completed if on else skipped for id, on in runs.items()}
    assert {world.reasons[id] for id, on in runs.items() if not on} <= {"branch"}
    assert world.exit_code == 0
