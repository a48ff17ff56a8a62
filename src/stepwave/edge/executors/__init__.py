"""Steps on an engine that other programs operate: `placing` is the launcher, `contract` says what an engine is."""
