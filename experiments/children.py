"""Processes that a command starts side by side, and that end when it does."""

import signal
import subprocess
from threading import Lock


class Children:
    """Runs commands, also from several threads at once, until it is told to end."""

    def __init__(self) -> None:
        self._lock, self._started, self._ended = Lock(), [], False

    def run(self, command: list[str], **settings) -> int:
        """Run a command and return its status; none is started after :meth:`end`."""
        with self._lock:
            if self._ended:
                return -signal.SIGTERM
            child = subprocess.Popen(command, **settings)
            self._started.append(child)
        return child.wait()

    def end(self) -> None:
        """End all that run."""
        with self._lock:
            self._ended = True
            for child in self._started:
                child.terminate()
