"""Steps as processes of this machine: `launcher` is the runner's end, `supervisor` the end that owns the processes."""

from stepwave.edge.local.launcher import LocalLauncher

__all__ = ["LocalLauncher"]
