"""Factories for `python:`."""

from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context


def spawned(slots: int = 2) -> Executor:
    """Processes that start from nothing: a test run has threads, and none may be forked beside them."""
    return ProcessPoolExecutor(slots, get_context("spawn"))


def loky(slots: int = 2) -> Executor:
    from loky import get_reusable_executor

    executor: Executor = get_reusable_executor(slots, timeout=60)
    return executor


def nothing() -> int:
    return 1
