"""Who may change something on the MLflow server.

MLflow's own rules let everybody who is logged in make experiments and registered models, whatever
the default permission is, and whoever made one may do everything in it. So a reader could fill the
server. This function, which MLflow asks for every request (`authorization_function` of its
configuration), lets an account change something only if it is an administrator's or has the role
`writer`; MLflow's rules come after it. What only reads is listed: a request that is not known
counts as one that changes something.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Response

WRITERS = "writer"
"""Name of the role whose members may change what is there."""

_READING_METHODS = ("GET", "HEAD", "OPTIONS")
_API = r"(?:/(?:ajax-)?api/\d\.\d/mlflow)"
_READING_POSTS = re.compile(
    rf"(?:{_API}/(?:experiments|runs|logged-models|traces|registered-models|model-versions)/search"
    rf"|{_API}/experiments/search-datasets"
    rf"|{_API}/registered-models/get-latest-versions"
    r"|(?:/(?:ajax-)?api/\d\.\d/mlflow)?/graphql)"
)
"""Searches, whose questions are too long for an address."""


def authenticate() -> Any:
    """The login of the request, if it may do what it asks for; else the answer that refuses it."""
    from flask import Response, request
    from mlflow.server import auth

    login = auth.authenticate_request_basic_auth()
    if isinstance(login, Response):
        return login
    if only_reads(request.method, request.path) or _may_write(str(login.username)):
        return login
    return _refusal(str(login.username))


def only_reads(method: str, path: str) -> bool:
    """Whether a request to MLflow changes nothing."""
    return method in _READING_METHODS or (
        method == "POST" and _READING_POSTS.fullmatch(path) is not None
    )


def _may_write(username: str) -> bool:
    from mlflow.server.auth import store

    user = store.get_user(username)
    return bool(user.is_admin) or any(
        role.name == WRITERS for role in store.list_user_roles(user.id)
    )


def _refusal(username: str) -> Response:
    from flask import jsonify

    told = f"{username} may read here and change nothing; log in as an account that may write"
    response = jsonify({"error_code": "PERMISSION_DENIED", "message": told})
    response.status_code = 403
    return response
