"""The accounts of the MLflow server: `admin`, `writer` and `reader`, with the passwords given.

More of them are made by the administrator, with MLflow's own means.
"""

from __future__ import annotations

from collections.abc import Mapping

from infra.tracking.access import WRITERS

ADMIN, WRITER, READER = "admin", "writer", "reader"
PASSWORDS = {
    ADMIN: "MLFLOW_AUTH_ADMIN_PASSWORD",
    WRITER: "SYMBIO_MLFLOW_WRITER_PASSWORD",
    READER: "SYMBIO_MLFLOW_READER_PASSWORD",
}
"""Account -> variable with its password."""

_WORKSPACE = "default"
_MANAGED = ("experiment", "registered_model")
"""Kinds of things that writers may do everything with, whoever made them."""


def configuration(database: str) -> str:
    """MLflow's configuration of logins; the database's URL holds no password.

    Everybody who is logged in may read everything. A password that was right is remembered for
    some minutes: comparing it takes a good part of a second, and a training logs all the time.
    """
    return "\n".join(
        [
            "[mlflow]",
            "default_permission = READ",
            # A % would begin a reference.
            f"database_uri = {database.replace('%', '%%')}",
            f"admin_username = {ADMIN}",
            "authorization_function = infra.tracking.access:authenticate",
            "auth_cache_ttl_seconds = 300",
            "",
        ]
    )


def make_accounts(passwords: Mapping[str, str]) -> None:
    """Make the accounts that are missing, and give each the password that is its own now.

    MLflow must have read its configuration; with the server's own database, before it serves.

    Args:
        passwords: of the three accounts.

    Raises:
        mlflow.exceptions.MlflowException: a password is too short for MLflow.
    """
    from mlflow.server import auth

    auth.bootstrap_admin_user()
    for name, password in passwords.items():
        if not auth.store.has_user(name):
            auth.store.create_user(name, password)
        elif not auth.store.authenticate_user(name, password):
            auth.store.update_user(name, password=password)
    _make_writer()


def _make_writer() -> None:
    """The role, what it may do, and the account that has it."""
    from mlflow.server.auth import store

    roles = {role.name: role for role in store.list_roles([_WORKSPACE])}
    role = roles.get(WRITERS) or store.create_role(WRITERS, _WORKSPACE)
    granted = {one.resource_type for one in store.list_role_permissions(role.id)}
    for kind in _MANAGED:
        if kind not in granted:
            store.add_role_permission(role.id, kind, "*", "MANAGE")
    user = store.get_user(WRITER)
    if role.id not in {one.id for one in store.list_user_roles(user.id)}:
        store.assign_role_to_user(user.id, role.id)
