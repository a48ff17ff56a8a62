"""What acts: one outside thing per module; no edge imports another."""
