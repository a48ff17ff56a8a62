"""What `make bench` runs; no part of the installed package. docs/benchmarks.md says how it measures, and why so."""
