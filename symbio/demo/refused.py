"""Requests that are answered with what is wrong about them."""

from __future__ import annotations


class Refused(Exception):
    """An HTTP status of 400 to 599, and one sentence for people."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
