"""Requests that may not run side by side with those of another kind take turns."""

from __future__ import annotations

import threading
from collections.abc import Callable


class _Ticket:
    def __init__(self, kind: str | None) -> None:
        self.kind = kind
        self.admitted = False


class Turns:
    """Any number of requests of one kind at a time; those of others wait.

    While nobody of another kind waits, further requests of the present kind join in. When the last
    of them has ended, the turn goes to the kind that has waited longest, with all that wait for it,
    so that no kind can keep another one out for good. Safe among threads; `enter` blocks.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[_Ticket] = []
        self._running = 0
        self._kind: str | None = None

    def enter(self, kind: str | None, gone: Callable[[], bool]) -> bool:
        """Wait for the turn of `kind`; False, and no turn, once `gone` says that nobody waits."""
        ticket = _Ticket(kind)
        with self._changed:
            self._waiting.append(ticket)
            self._admit()
            while not ticket.admitted:
                if gone():
                    self._waiting.remove(ticket)
                    self._admit()
                    return False
                self._changed.wait()
        return True

    def leave(self) -> None:
        """To be called once for each `enter` that returned True."""
        with self._changed:
            self._running -= 1
            self._admit()

    def wake(self) -> None:
        """Have everybody who waits look at `gone` again."""
        with self._changed:
            self._changed.notify_all()

    def _admit(self) -> None:
        """Let in who may run now. The lock is held."""
        if not self._waiting:
            return
        if self._running == 0:
            self._kind = self._waiting[0].kind
        elif any(ticket.kind != self._kind for ticket in self._waiting):
            return
        admitted = [ticket for ticket in self._waiting if ticket.kind == self._kind]
        for ticket in admitted:
            self._waiting.remove(ticket)
            ticket.admitted = True
        self._running += len(admitted)
        self._changed.notify_all()
