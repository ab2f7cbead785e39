"""What Prefect's page of a run shows: tags, progress while it works, a summary at its end.

All of it is for people. A server that is away costs the page, never the run.
"""
