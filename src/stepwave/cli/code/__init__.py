"""The commands that read code: `discover`, `find-symbol`, `cache`. With `stepwave/discovery` they can be taken away."""
