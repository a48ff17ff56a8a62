"""The job server of GNU make: tokens in a pipe or a FIFO, one byte each, that everybody takes and gives back.

`joined` finds the one that make offers, `served` makes one. `Tokens` lends its tokens to the steps of the run, and
`keeper`, a process of its own, has them in its hands, so that they go back whatever becomes of this one.
"""
