"""A polite HTTP client for sources: paced, patient with overload, bounded in time and size.

Every failure becomes a SourceError whose text reads on after a document's name and says what to do.
"""

from __future__ import annotations

import email.utils
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import httpx

from rag.errors import SourceError
from rag.sources.config import HttpSection

USER_AGENT = "vSage/0.1 (knowledge base sync)"
_OVERLOADED = frozenset({429, 500, 502, 503, 504})
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 60.0
_MB = 1024 * 1024
_REDIRECTS = 5
_LASTING = (
    httpx.TooManyRedirects,
    httpx.UnsupportedProtocol,
    httpx.DecodingError,
    httpx.InvalidURL,
    UnicodeError,  # a host name that is none, a header that cannot be sent
)
"""Failures that another try would meet again."""
_FAILURES = (httpx.TransportError, *_LASTING)

_ADVICE = {
    401: "the server asks for other credentials (401): check the source's user and token",
    403: "the server forbids it (403): give the source's account read access",
    404: "does not exist at the server (404)",
    410: "was removed from the server (410)",
    429: "the server asks for fewer requests (429): lower requests_per_second",
}


class HttpStatusError(SourceError):
    """The server answered with something else than success; `status` says with what."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `url` is where redirects ended."""

    status: int
    url: str
    headers: httpx.Headers
    content: bytes

    def json(self) -> Any:
        """The decoded body. Raises SourceError where it is not JSON, half a page included."""
        import json

        try:
            return json.loads(self.content)
        except ValueError as error:
            what = self.headers.get("content-type", "no type")
            raise SourceError(
                f"{self.url} answered with {what} that is not whole JSON: check the source's "
                "address; a sign-in page answers so too"
            ) from error


class PoliteClient:
    """One server's client; may be used by several threads, which share its pace."""

    def __init__(
        self,
        config: HttpSection,
        *,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        follow_redirects: bool = True,
    ) -> None:
        """`follow_redirects` False: the caller looks at each `location` and `accept`s its status,
        which a client must do that reads addresses other people wrote."""
        self._config = config
        self._sleep = sleep
        self._pace = threading.Lock()
        self._next = 0.0
        self._pause = 1 / config.requests_per_second
        self._client = httpx.Client(
            headers={"User-Agent": USER_AGENT, **(headers or {})},
            auth=auth,
            timeout=config.timeout_s,
            follow_redirects=follow_redirects,
            max_redirects=_REDIRECTS,
            verify=_tls(config),
        )

    def __enter__(self) -> PoliteClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def slow_down(self, pause_s: float) -> None:
        """From now on at least so many seconds between two requests, whatever was configured."""
        with self._pace:
            longer = max(pause_s, self._pause)
            self._next += longer - self._pause
            self._pause = longer

    def get(
        self,
        url: str,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        accept: frozenset[int] = frozenset(),
        wanted: Callable[[httpx.Headers], bool] = lambda headers: True,
    ) -> Answer:
        """The answer of status 200-299, 304, or one of `accept`. Raises SourceError.

        Where its headers are not `wanted` the body stays unread, and the content empty.
        """
        for attempt in range(1, self._config.tries + 1):
            last = attempt == self._config.tries
            try:
                answer = self._once(url, params, headers, wanted)
            except _FAILURES as error:
                if last or isinstance(error, _LASTING):
                    raise SourceError(_unreachable(url, error, attempt)) from error
                self._sleep(_back_off(attempt))
                continue
            if answer.status < 300 or answer.status == 304 or answer.status in accept:
                return answer
            if answer.status not in _OVERLOADED or last:
                raise HttpStatusError(answer.status, _refused(answer, attempt))
            self._sleep(_asked_to_wait(answer.headers) or _back_off(attempt))
        raise AssertionError("the last try returns or raises")

    def _once(
        self,
        url: str,
        params: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
        wanted: Callable[[httpx.Headers], bool],
    ) -> Answer:
        self._wait_for_turn()
        most = self._config.max_file_mb * _MB
        deadline = time.monotonic() + 20 * self._config.timeout_s
        with self._client.stream("GET", url, params=params, headers=headers) as response:
            parts, size = [], 0
            for part in response.iter_bytes() if wanted(response.headers) else ():
                parts.append(part)
                size += len(part)
                if size > most:
                    raise SourceError(
                        f"is over the limit of {self._config.max_file_mb} MB: raise the source's "
                        "max_file_mb"
                    )
                if time.monotonic() > deadline:
                    raise SourceError(f"{url} takes too long: raise the source's timeout_s")
            return Answer(
                response.status_code, str(response.url), response.headers, b"".join(parts)
            )

    def _wait_for_turn(self) -> None:
        with self._pace:
            now = time.monotonic()
            wait, self._next = self._next - now, max(now, self._next)
            self._next += self._pause
        if wait > 0:
            self._sleep(wait)


def _tls(config: HttpSection) -> ssl.SSLContext | bool:
    if not config.verify_tls:
        return False
    if not config.ca_file:
        return True
    try:
        return ssl.create_default_context(cafile=config.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SourceError(f"ca_file {config.ca_file} cannot be read: {error}") from error


def _back_off(attempt: int) -> float:
    return float(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (attempt - 1)))


def _asked_to_wait(headers: httpx.Headers) -> float | None:
    """Seconds of `Retry-After`, in either of its two forms, within reason."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(_LONGEST_WAIT_S, float(value[:6]))
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    wait = (moment - datetime.now(UTC)).total_seconds()
    return min(_LONGEST_WAIT_S, max(0.0, wait))


def _unreachable(url: str, error: Exception, tries: int) -> str:
    what = str(error) or type(error).__name__
    times = f" after {tries} tries" if tries > 1 else ""
    return f"{url} does not answer{times} ({what}): check the address, the network and TLS settings"


def _refused(answer: Answer, tries: int) -> str:
    if answer.status in _ADVICE:
        return _ADVICE[answer.status]
    times = f" {tries} times" if tries > 1 else ""
    return f"the server failed with {answer.status}{times}: try again later"
