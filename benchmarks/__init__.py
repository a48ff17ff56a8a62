"""What `make bench` runs. It is no part of the installed package: docs/benchmarks.md says how it measures, and why so."""
