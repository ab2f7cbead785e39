"""A real S3 store, as for the tests of reaching it."""

from tests.reach.conftest import (  # noqa: F401
    _no_settings_but_ours,
    bucket,
    no_credentials_of_other_tests,
    proxy,
    store,
)
