"""Ctrl-C while modules are imported: it waits until they are.

Native libraries call Python while they are loaded; a KeyboardInterrupt that comes out of such a
call meets code that may not throw, and the process aborts with the library's words. An import takes
a second or two at most.
"""

from __future__ import annotations

import atexit
import signal
from types import FrameType

_IMPORTLIB = "<frozen importlib"
_AGAIN_S = 0.05


def spare_imports() -> None:
    """Take over SIGINT of this process, main thread only, where Python's own handler has it."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _on_signal)
        atexit.register(_at_exit)


def _at_exit() -> None:
    """Nothing comes later: an alarm that finds no handler any more would kill the process."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0)


def _on_signal(number: int, frame: FrameType | None) -> None:
    if not _is_importing(frame):
        raise KeyboardInterrupt
    signal.signal(signal.SIGALRM, _on_signal)
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORTLIB):
            return True
        frame = frame.f_back
    return False
