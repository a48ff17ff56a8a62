"""Steps as processes of this machine: `launcher` is the runner's end, `supervisor` the end that owns the processes.

`zygote` stands between: it starts the one for the other, and can be made before anything else is imported.
"""
