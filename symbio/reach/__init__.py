"""What a run needs of the outside: whether it can be reached and written, and moving data there.

Nothing here knows a stage. `settings` says how patient clients of S3 are, `store` and `remote`
check the tracking store with its artifacts and the DVC remote, `transfer` pulls and pushes.
"""
