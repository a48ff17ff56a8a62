"""What a person watches: `board` on a terminal, `lines` anywhere else."""
