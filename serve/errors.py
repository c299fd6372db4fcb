"""What `serve` raises on purpose.

ServeError          a message for the terminal: the server cannot start, a command not be done
RequestError        a message for the caller, with its HTTP status and OpenAI's error code
"""


class ServeError(Exception):
    """The server cannot start, or a command not be done. The message says what to do."""


class RequestError(Exception):
    """A request cannot be served as it was made."""

    def __init__(
        self, status: int, message: str, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
