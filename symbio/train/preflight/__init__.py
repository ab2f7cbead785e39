"""Before the first step: what each rank has, and whether it is the same everywhere."""
