"""The service under attack, over HTTP: its chat and its documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from guardrails.opening import CommandError


class SeenVerdict(BaseModel):
    """What is read of a verdict."""

    model_config = ConfigDict(extra="ignore")

    direction: str
    allowed: bool
    rail: str = ""
    category: str = ""


class Reply(BaseModel):
    """An answer as the user gets it, and what the rails said on the way."""

    model_config = ConfigDict(extra="forbid")

    text: str
    finish_reason: str
    answered: bool
    """With a citation, or marked as unsupported; all else that vSage says is a fixed reply."""
    asked_model: bool
    """Whether a prompt was built: not after a refusal, nor where no passage answers, nor where
    the server only quotes."""
    verdicts: list[SeenVerdict]


class Target:
    """One running service. Every failure is a CommandError that says what to do."""

    def __init__(self, url: str, model: str, key: str, timeout_s: float) -> None:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._url, self._model = url.rstrip("/"), model
        # Never through a proxy of the environment: it would read the attacks.
        self._client = httpx.AsyncClient(
            base_url=self._url, headers=headers, timeout=timeout_s, trust_env=False
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, messages: Sequence[dict[str, str]]) -> Reply:
        body = {"model": self._model, "messages": list(messages), "temperature": 0}
        data = await self._send("POST", "/v1/chat/completions", json=body)
        try:
            choice, vsage = data["choices"][0], data["vsage"]
            verdicts = [SeenVerdict.model_validate(one) for one in vsage["verdicts"]]
            text = choice["message"]["content"]
            answered = bool(vsage["citations"]) or "[unsupported]" in text
            return Reply(
                text=text,
                finish_reason=choice["finish_reason"],
                answered=answered,
                asked_model="prompt" in vsage["timings"],
                verdicts=verdicts,
            )
        except (KeyError, IndexError, TypeError, ValidationError) as error:
            raise CommandError(
                f"{self._url} answers without vSage's verdicts: point --url at `python -m serve`"
            ) from error

    async def plant(self, name: str, text: str) -> int:
        files = {"file": (name, text.encode(), "text/markdown")}
        data = await self._send("POST", "/v1/documents", files=files)
        return int(data["id"])

    async def remove(self, document: int) -> None:
        await self._send("DELETE", f"/v1/documents/{document}")

    async def quarantined(self, document: int) -> bool:
        """Whether a passage of a document has been withheld since it came in."""
        data = await self._send("GET", "/v1/quarantine")
        return any(passage.get("document_id") == document for passage in data.get("data", []))

    async def _send(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        try:
            answer = await self._client.request(method, path, **body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise CommandError(
                f"{self._url} cannot be reached ({type(error).__name__}): start it with "
                "`make run`, or name a running one with --url"
            ) from error
        if answer.status_code in (401, 403):
            what = "planting documents" if "documents" in path else "the chat"
            raise CommandError(
                f"{self._url} refuses {what} ({answer.status_code}): give a key that may do that "
                "with --key or VSAGE_API_KEY, or leave planted attacks out with --kind direct"
            )
        if answer.is_error:
            raise CommandError(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        try:
            data = answer.json()
        except ValueError as error:
            raise CommandError(f"{self._url}{path} does not answer in JSON") from error
        if not isinstance(data, dict):
            raise CommandError(f"{self._url}{path} answers with something unknown")
        return data
