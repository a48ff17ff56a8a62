"""What the schedule decides, in numbers instead of sleeps."""

import signal

import pytest

from stepwave.core.events import (
    Begun,
    Exited,
    Held,
    Interrupted,
    Resumed,
    StepFinished,
    StepRetrying,
    StepStopping,
)
from stepwave.core.model import Agent, Backoff, FailurePolicy, Retry, Scheduling, StepType, StopRule
from stepwave.core.running.graph import make_plan
from stepwave.core.running.prepare import Preparation
from stepwave.core.running.retry import retry_delay
from stepwave.core.running.schedule import Schedule
from tests.core.world import Acts, cancelled, completed, failed, run, skipped, step, timeout, workflow

NO = Acts(code=1)


# --- order ------------------------------------------------------------------------------------------


def test_a_step_starts_as_soon_as_its_own_needs_are_met_not_when_a_wave_is_over() -> None:
    world = run(step("slow"), step("fast"), step("after-fast", "fast"), acts={"slow": Acts(10), "fast": Acts(1)})
    assert world.started == {"slow": 0, "fast": 0, "after-fast": 1}
    assert world.exit_code == 0


def test_the_barrier_holds_a_wave_back_until_the_one_before_is_over() -> None:
    world = run(
        step("slow"), step("fast"), step("after-fast", "fast"), acts={"slow": Acts(10)}, scheduling=Scheduling.WAVES
    )
    assert world.started["after-fast"] == 10


def test_the_barrier_opens_past_a_wave_that_was_skipped() -> None:
    world = run(step("a", condition="false"), step("b", "a"), step("c", "b"), scheduling=Scheduling.WAVES)
    assert world.outcomes == {"a": skipped, "b": completed, "c": completed}


def test_ready_steps_start_by_priority_then_longest_path_then_file_order() -> None:
    world = run(
        step("z"),
        step("y"),
        step("long", estimate_s=9.0),
        step("urgent", priority=-1),
        step("late", priority=5),
        max_concurrency=1,
    )
    assert list(world.started) == ["urgent", "long", "z", "y", "late"]


def test_one_at_a_time_is_topological_with_file_order_as_the_tie_break() -> None:
    world = run(step("c", "b"), step("a"), step("b"), parallel=False)
    assert list(world.started) == ["b", "a", "c"] or list(world.started) == ["b", "c", "a"]
    assert all(len(overlap) == 1 for overlap in world.overlaps)


# --- limits -----------------------------------------------------------------------------------------


def test_slots_are_never_exceeded() -> None:
    world = run(*(step(f"s{n}") for n in range(10)), max_concurrency=3)
    assert max(map(len, world.overlaps)) == 3


def test_a_pool_limits_only_those_who_name_it() -> None:
    world = run(
        *(step(f"db{n}", resources=(("db", 1),)) for n in range(3)),
        *(step(f"free{n}") for n in range(3)),
        pools={"db": 1},
        max_concurrency=6,
    )
    assert all(sum(id.startswith("db") for id in overlap) <= 1 for overlap in world.overlaps)
    assert world.started["free2"] == 0


def test_units_of_several_pools_are_taken_all_at_once_or_not_at_all() -> None:
    world = run(
        step("big", resources=(("cpu", 2), ("net", 1))),
        step("cpu", resources=(("cpu", 1),)),
        step("net", resources=(("net", 1),)),
        pools={"cpu": 2, "net": 1},
        acts={"big": Acts(1), "cpu": Acts(5), "net": Acts(1)},
    )
    assert world.started == {"big": 0, "cpu": 1, "net": 1}


def test_an_exclusive_step_runs_alone() -> None:
    world = run(step("a"), step("alone", exclusive=True), step("b"), step("c", "alone"))
    assert all(overlap == {"alone"} for overlap in world.overlaps if "alone" in overlap)
    assert world.outcomes == dict.fromkeys(["a", "alone", "b", "c"], completed)


def test_max_concurrency_of_a_step_limits_its_own_wave_only_while_it_runs() -> None:
    world = run(
        step("one", max_concurrency=1),
        step("two"),
        step("three"),
        acts={"one": Acts(2), "two": Acts(1), "three": Acts(1)},
    )
    assert all(len(overlap) == 1 for overlap in world.overlaps if "one" in overlap)
    assert frozenset({"two", "three"}) in world.overlaps


def test_a_blocked_step_is_not_overtaken_for_ever() -> None:
    small = [step(f"small{n:02d}", resources=(("cpu", 1),)) for n in range(40)]
    world = run(
        step("head", resources=(("cpu", 1),)),
        step("big", resources=(("cpu", 2),), priority=-1),
        *small,
        pools={"cpu": 2},
        max_concurrency=2,
        acts={"head": Acts(0.5), **{s.id: Acts(1 + n / 100) for n, s in enumerate(small)}},
    )
    later = [id for id, at in world.started.items() if at > world.started["big"]]
    assert len(later) > 25


def test_the_gap_between_starts_is_kept_across_waves() -> None:
    world = run(step("a"), step("b"), step("c", "a"), rate_limit_s=5.0)
    assert sorted(world.started.values()) == [0, 5, 10]


# --- failures ---------------------------------------------------------------------------------------

# What the documentation's table says, row by row: docs/failures.md is checked against it.
TRUTH = [
    # isolate, tolerated, keep going → sibling, later step of the same wave, dependent, stranger, exit code
    (True, False, False, (completed, skipped, skipped, skipped, 1)),
    (True, False, True, (completed, completed, skipped, completed, 1)),
    (True, True, False, (completed, completed, completed, completed, 0)),
    (True, True, True, (completed, completed, completed, completed, 0)),
    (False, False, False, (cancelled, skipped, skipped, skipped, 1)),
    (False, False, True, (cancelled, skipped, skipped, completed, 1)),
    (False, True, False, (completed, completed, completed, completed, 0)),
    (False, True, True, (completed, completed, completed, completed, 0)),
]


def truth(isolate: bool, tolerated: bool, keep_going: bool) -> tuple[object, ...]:
    """`fails` and `sibling` run side by side, `waits` has no slot yet; `stranger` depends on a step of another wave."""
    world = run(
        step("first"),
        step("fails", "first", isolate_errors=isolate, continue_on_error=tolerated, priority=-2),
        step("sibling", "first", priority=-1),
        step("waits", "first"),
        step("dependent", "fails"),
        step("stranger-1", priority=-3),
        step("stranger", "stranger-1", "first", priority=9),
        acts={"first": Acts(1), "fails": Acts(1, code=1), "sibling": Acts(5), "stranger-1": Acts(4)},
        max_concurrency=3,
        on_failure=FailurePolicy.SKIP_DEPENDENTS if keep_going else FailurePolicy.ABORT,
    )
    ends = world.outcomes
    if not isolate and not tolerated and keep_going:
        # a stranger of the same wave shares the fate of the wave: it is a sibling like any other
        assert ends["stranger"] == skipped
        ends["stranger"] = completed
    return (ends["sibling"], ends["waits"], ends["dependent"], ends["stranger"], world.exit_code)


@pytest.mark.parametrize(("isolate", "tolerated", "keep_going", "expected"), TRUTH)
def test_the_truth_table_of_failures(
    isolate: bool, tolerated: bool, keep_going: bool, expected: tuple[object, ...]
) -> None:
    assert truth(isolate, tolerated, keep_going) == expected


def test_the_reasons_are_sentences() -> None:
    world = run(step("a"), step("b", "a"), step("c", "b"), acts={"a": NO}, on_failure=FailurePolicy.SKIP_DEPENDENTS)
    assert world.reasons == {"a": "exit code 1", "b": "Dependencies failed: a", "c": "Dependencies failed: b"}
    world = run(step("a"), step("b"), step("c", "b"), acts={"a": NO, "b": Acts(2)})
    assert world.reasons["c"] == "Skipped due to previous failure"
    assert world.events[-1][1].reason == "Failed steps: a"  # type: ignore[union-attr]


def test_a_policy_of_continue_runs_dependents_and_still_fails() -> None:
    world = run(step("a"), step("b", "a"), acts={"a": NO}, on_failure=FailurePolicy.CONTINUE)
    assert (world.outcomes, world.exit_code) == ({"a": failed, "b": completed}, 1)


def test_a_shielded_sibling_goes_on() -> None:
    world = run(step("bad", isolate_errors=False), step("safe", shielded=True), acts={"bad": NO, "safe": Acts(5)})
    assert world.outcomes["safe"] == completed


def test_strict_tolerates_nothing() -> None:
    assert run(step("a", continue_on_error=True), acts={"a": NO}, strict=True).exit_code == 1
    assert run(step("a", continue_on_error=True), acts={"a": NO}).exit_code == 0


def test_allowed_exit_codes_are_success() -> None:
    assert run(step("a", allowed_exit_codes=(0, 3)), acts={"a": Acts(code=3)}).outcomes == {"a": completed}


def test_an_agent_without_executor_fails_once_and_a_noop_completes() -> None:
    world = run(step("ask", type=StepType.AGENT, agent=Agent("bot"), retry=Retry(attempts=3)))
    assert world.reasons["ask"] == "no executor for agent 'bot'"
    assert world.ends["ask"].attempts == 1
    assert run(step("nothing", type=StepType.NOOP)).outcomes == {"nothing": completed}


# --- conditions -------------------------------------------------------------------------------------


def test_a_condition_that_does_not_hold_skips_and_dependents_run() -> None:
    world = run(step("a", condition="1 == 2"), step("b", "a"))
    assert world.outcomes == {"a": skipped, "b": completed}
    assert world.reasons["a"] == "Skipped due to condition"


def test_conditions_see_outputs_and_outcomes() -> None:
    world = run(
        step("a"),
        step("yes", "a", condition="steps.a.output.includes('go') && steps.a.exitCode == 0"),
        step("no", "a", condition="steps.a.result != 'success'"),
        acts={"a": Acts(output="let it go\n")},
    )
    assert world.outcomes == {"a": completed, "yes": completed, "no": skipped}


def test_failure_and_always_run_after_a_failure_and_success_does_not() -> None:
    world = run(
        step("a"),
        step("plain", "a"),
        step("cleanup", "a", condition="always()"),
        step("alarm", "a", condition="failure()"),
        step("party", "a", condition="success()"),
        acts={"a": NO},
    )
    assert world.outcomes == {
        "a": failed, "plain": skipped, "cleanup": completed, "alarm": completed, "party": skipped,
    }  # fmt: skip


def test_a_condition_that_cannot_be_evaluated_fails_its_step() -> None:
    world = run(step("a", condition="variables.nope == 1"))
    assert world.outcomes == {"a": failed}
    assert "nope" in (world.reasons["a"] or "")


def test_a_reference_that_leads_nowhere_fails_its_step_before_anything_starts() -> None:
    bad = step("a", retry=Retry(attempts=3))
    world = run(type(bad)(id="a", place=bad.place, argv=("echo", "{{nope}}"), retry=Retry(attempts=3)))
    assert world.outcomes == {"a": failed}
    assert world.ends["a"].attempts == 1


# --- time -------------------------------------------------------------------------------------------


def test_a_timeout_asks_first_and_kills_after_the_grace_period() -> None:
    rule = StopRule(grace_s=5.0)
    world = run(step("a", timeout_s=2.0, stop=rule), acts={"a": Acts(100, obeys=False)})
    assert world.outcomes == {"a": timeout}
    assert world.reasons["a"] == "timed out after 2.0s"
    assert world.now == 7.0
    assert [type(event) for _, event in world.events[-3:-1]] == [StepStopping, StepFinished]


def test_an_exit_that_happened_beats_a_deadline_that_passed() -> None:
    plan = make_plan(workflow(step("a", timeout_s=2.0)), cpus=1)
    schedule = Schedule(plan, Preparation(plan, environ={}, run="r", run_folder="/", now=0))
    schedule.begin(0.0)
    schedule.handle(Interrupted(signal.SIGINT), 1.0)  # the order to stop is on its way …
    events, _ = schedule.handle(Exited("a", 1, code=0, stopped=False), 1.0)  # … and came too late
    assert events[0].outcome.value == completed  # type: ignore[union-attr]


def test_time_in_the_queue_does_not_count_as_run_time() -> None:
    world = run(step("a"), step("b", timeout_s=3.0), acts={"a": Acts(10), "b": Acts(2)}, max_concurrency=1)
    assert world.outcomes == {"a": completed, "b": completed}
    assert world.ends["b"].queued_s == 10


def test_the_deadline_of_the_run_ends_everything_with_124() -> None:
    world = run(step("a"), step("b", "a"), acts={"a": Acts(100)}, timeout_s=5.0)
    assert world.outcomes == {"a": timeout, "b": cancelled}
    assert world.exit_code == 124


def test_a_pause_moves_every_deadline() -> None:
    signals = [(1.0, Resumed(50.0))]
    world = run(step("a", timeout_s=10.0), acts={"a": Acts(55)}, signals=signals)
    assert world.outcomes == {"a": completed}


def test_an_attempt_that_waits_where_it_was_placed_uses_none_of_its_time() -> None:
    held = [(0.0, Held("a", 1)), (40.0, Begun("a", 1))]
    assert run(step("a", timeout_s=10.0), acts={"a": Acts(49)}, signals=held).outcomes == {"a": completed}
    late = run(step("a", timeout_s=10.0), acts={"a": Acts(100)}, signals=held)
    assert late.outcomes == {"a": timeout}
    assert late.ends["a"].duration_s == 50
    of_another_attempt = [(0.0, Held("a", 2))]
    assert run(step("a", timeout_s=10.0), acts={"a": Acts(11)}, signals=of_another_attempt).outcomes == {"a": timeout}


def test_retries_give_their_slot_back_while_they_wait() -> None:
    world = run(
        step("flaky", retry=Retry(attempts=3, delay_s=10.0), priority=-1),
        step("other"),
        acts={"flaky": [NO, NO, Acts()]},
        max_concurrency=1,
    )
    assert world.outcomes == {"flaky": completed, "other": completed}
    assert world.started["other"] == 1
    assert [event.delay_s for event in world.of(StepRetrying)] == [10, 10]  # type: ignore[attr-defined]
    assert world.ends["flaky"].attempts == 3


def test_retries_end() -> None:
    world = run(step("a", retry=Retry(attempts=2)), acts={"a": NO})
    assert (world.outcomes, world.ends["a"].attempts) == ({"a": failed}, 2)


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [(Backoff.FIXED, [2, 2, 2, 2]), (Backoff.LINEAR, [2, 4, 6, 7]), (Backoff.EXPONENTIAL, [2, 4, 7, 7])],
)
def test_delays_between_attempts(backoff: Backoff, delays: list[float]) -> None:
    rule = Retry(attempts=9, delay_s=2.0, backoff=backoff, max_delay_s=7.0)
    assert [retry_delay(rule, n, "x") for n in range(1, 5)] == delays


def test_jitter_stays_within_half_and_is_reproducible() -> None:
    rule = Retry(attempts=9, delay_s=10.0, jitter=True)
    delays = [retry_delay(rule, n, id) for n in range(1, 20) for id in ("a", "build")]
    assert all(5 <= delay <= 15 for delay in delays)
    assert len(set(delays)) > 10
    assert delays == [retry_delay(rule, n, id) for n in range(1, 20) for id in ("a", "build")]


# --- stopping ---------------------------------------------------------------------------------------


def test_the_first_interrupt_stops_gently_and_the_second_forces() -> None:
    stubborn = Acts(100, obeys=False)
    once = run(step("a"), step("b", "a"), acts={"a": stubborn}, signals=[(1.0, Interrupted(2))])
    assert (once.now, once.exit_code) == (6.0, 130)
    assert once.outcomes == {"a": cancelled, "b": cancelled}
    twice = run(step("a"), acts={"a": stubborn}, signals=[(1.0, Interrupted(2)), (2.0, Interrupted(2))])
    assert (twice.now, twice.exit_code) == (2.0, 130)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_other_signals_have_their_own_exit_code(number: int, code: int) -> None:
    assert run(step("a"), acts={"a": Acts(9)}, signals=[(1.0, Interrupted(number))]).exit_code == code


def test_nothing_starts_after_an_interrupt_not_even_always() -> None:
    world = run(step("a"), step("b", "a", condition="always()"), acts={"a": Acts(5)}, signals=[(1.0, Interrupted(2))])
    assert world.outcomes["b"] == cancelled


def test_deselected_steps_are_reported_and_do_not_hold_anybody_up() -> None:
    world = run(step("a"), step("b", "a"), deselected=frozenset({"a"}))
    assert (world.outcomes, world.reasons["a"]) == ({"a": skipped, "b": completed}, "not selected")


def test_an_empty_selection_ends_at_once() -> None:
    assert run(step("a"), deselected=frozenset({"a"})).exit_code == 0


def test_why_answers_in_a_sentence() -> None:
    plan = make_plan(workflow(step("a"), step("b", "a"), step("c"), max_concurrency=1), cpus=1)
    schedule = Schedule(plan, Preparation(plan, environ={}, run="r", run_folder="/", now=0))
    schedule.begin(0.0)
    assert schedule.why("b") == "`b` waits for `a`"
    assert schedule.why("c") == "`c` is ready and waits: all 1 slots are taken"
    assert schedule.why("a") == "`a` is running"


# --- size -------------------------------------------------------------------------------------------


def test_a_chain_of_5000_and_10000_steps_neither_recurse_nor_lose_anything() -> None:
    chain = run(step("s0"), *(step(f"s{n}", f"s{n - 1}") for n in range(1, 5000)))
    assert len(chain.ends) == 5000
    broken = run(step("s0"), *(step(f"s{n}", f"s{n - 1}") for n in range(1, 5000)), acts={"s0": NO})
    assert sum(end.outcome.value == skipped for end in broken.ends.values()) == 4999
    wide = run(*(step(f"s{n}") for n in range(10_000)), max_concurrency=64)
    assert len(wide.ends) == 10_000
