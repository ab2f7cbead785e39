"""`python -m infra.tracking`: `mlflow server` with logins; takes what that takes.

    SYMBIO_MLFLOW_ACCOUNTS=sqlite:///accounts.db python -m infra.tracking --port 5000

Variables: SYMBIO_MLFLOW_ACCOUNTS (URL of the accounts' database, without a password),
MLFLOW_AUTH_ADMIN_PASSWORD, SYMBIO_MLFLOW_WRITER_PASSWORD, SYMBIO_MLFLOW_READER_PASSWORD (twelve
characters or more each) and MLFLOW_FLASK_SERVER_SECRET_KEY (signs MLflow's forms). A password that
is changed there is the account's from the next start on.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from infra.tracking.accounts import PASSWORDS, configuration, make_accounts
from symbio.errors import SymbioError

_ACCOUNTS, _SIGNING = "SYMBIO_MLFLOW_ACCOUNTS", "MLFLOW_FLASK_SERVER_SECRET_KEY"
_SHORTEST = 12


def main(arguments: list[str]) -> None:
    """Make the accounts, then serve until a signal."""
    passwords = _given()
    folder = Path(tempfile.mkdtemp(prefix="symbio-mlflow-"))
    (folder / "accounts.ini").write_text(configuration(os.environ[_ACCOUNTS]), encoding="utf-8")
    home = str(Path(__file__).resolve().parents[2])
    os.environ |= {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "accounts.ini"),
        # A route that MLflow has no rule for is closed.
        "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",
        # The server's own processes look for `infra.tracking.access`.
        "PYTHONPATH": os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")])),
    }
    make_accounts(passwords)
    for name, variable in PASSWORDS.items():
        if name != "admin":
            del os.environ[variable]
    from mlflow.cli import cli

    cli(["server", "--app-name", "basic-auth", *arguments], prog_name="mlflow")


def _given() -> dict[str, str]:
    """The passwords, from the environment."""
    missing = [one for one in (_ACCOUNTS, _SIGNING, *PASSWORDS.values()) if not os.environ.get(one)]
    if missing:
        raise SymbioError(f"set {', '.join(missing)}: the MLflow server does not start without")
    passwords = {name: os.environ[variable] for name, variable in PASSWORDS.items()}
    for name, password in passwords.items():
        if len(password) < _SHORTEST:
            raise SymbioError(
                f"{PASSWORDS[name]}: has {len(password)} characters, MLflow wants {_SHORTEST}"
            )
    return passwords


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SymbioError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
