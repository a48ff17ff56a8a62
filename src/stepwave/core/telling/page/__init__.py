"""A run, or a plan, as one web page that needs nothing else."""
