"""Workflows from Python: functions and commands in one graph, on the engine of `stepwave run`.

    >>> from stepwave.workflow import Workflow
    >>> flow = Workflow("sums").step("one", lambda: 1).step("two", lambda one: one + 1, needs=["one"])
    >>> flow.run(record=False).results          # doctest: +SKIP
    {'one': 1, 'two': 2}

`Workflow` is for new code. `BaseWorkflowOrchestrator` and its `WorkflowStep` run functions and answer with a
dictionary; `run_config_based_workflow`, `validate_config_file` and `create_sample_config` are for files.

Ctrl-C, and every other signal that ends a run, is passed on when the run has put everything in order: from Ctrl-C comes
a KeyboardInterrupt, as from any other call.
"""

from stepwave.workflow.builder import Workflow
from stepwave.workflow.config import create_sample_config, run_config_based_workflow, validate_config_file
from stepwave.workflow.orchestrator import BaseWorkflowOrchestrator, WorkflowStep
from stepwave.workflow.running import WorkflowFailed, WorkflowResult

__all__ = [
    "BaseWorkflowOrchestrator",
    "Workflow",
    "WorkflowFailed",
    "WorkflowResult",
    "WorkflowStep",
    "create_sample_config",
    "run_config_based_workflow",
    "validate_config_file",
]
