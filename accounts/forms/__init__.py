"""Forms of the accounts: they validate and nothing else."""
