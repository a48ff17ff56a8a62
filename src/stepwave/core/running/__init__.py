"""A Workflow becomes a Plan, and a Plan a run: the state machine and what it asks."""
