"""The platform on one machine: PostgreSQL, an S3 store, MLflow, Prefect and a worker as processes.

`stack` starts and stops all of it, `service` one process of it; `postgres`, `s3`, `mlflow`,
`prefect` and `worker` know their own programs. `python -m infra.local` is the command line.
"""
