"""What a Prefect server must know of a project: pools, limits, automations, deployments.

`python -m infra.register` tells the server at PREFECT_API_URL; again: it updates what is there.
"""
