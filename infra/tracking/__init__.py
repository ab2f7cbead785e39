"""The MLflow server with logins: `python -m infra.tracking`, as `mlflow server`."""
