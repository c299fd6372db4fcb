"""A GGUF file on llama.cpp's engine, as the service runs it: scores, tokens and answers."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from finetune.errors import ExportError
from finetune.parity import Step, Trace

RANKED = 64
"""Tokens whose log-probabilities the engine is asked for at each step."""
_QUIET = -1
_TIMEOUT_S = 60.0


class LlamaCpp:
    """One model, with at most one adapter, on the CPU of this process.

    The engine also listens on a loopback port, which cannot be switched off; a random key closes
    it to others.
    """

    def __init__(
        self, model: Path, *, context: int, adapter: Path | None = None, threads: int = 0
    ) -> None:
        import xllamacpp

        key = secrets.token_urlsafe(32)
        params = xllamacpp.CommonParams()
        params.model.path = str(model)
        if adapter is not None:
            params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
        params.n_ctx, params.n_parallel = context, 1
        params.cpuparams.n_threads = threads or len(os.sched_getaffinity(0))
        params.port, params.api_keys, params.verbosity = 0, [key], _QUIET
        params.ui, params.endpoint_slots, params.warmup = False, False, False
        try:
            self._server = xllamacpp.Server(params)
        except RuntimeError as error:
            raise ExportError(
                f"llama.cpp cannot load {(adapter or model).name}, which was just written: {error}"
            ) from error
        self._http = httpx.Client(
            base_url=self._server.listening_address,
            headers={"Authorization": f"Bearer {key}"},
            timeout=_TIMEOUT_S,
            trust_env=False,
        )

        self._harmless = self.tokenize("a")[-1]

    def close(self) -> None:
        self._http.close()
        del self._server

    def steps(self, trace: Trace) -> list[Step]:
        """See `finetune.parity.Scorer`.

        The engine is made to say one harmless token whatever it thinks: it gives no probabilities
        with a token that is half a character. Those of all tokens are taken before that.
        """
        found = []
        for end in range(len(trace.answer)):
            answer = self._server.handle_completions(
                {
                    "prompt": [*trace.prompt, *trace.answer[:end]],
                    "max_tokens": 1,
                    "temperature": 0,
                    "logprobs": RANKED,
                    "logit_bias": [[self._harmless, 1e4]],
                    "cache_prompt": True,
                }
            )
            found.append(_step(answer))
        return found

    def tokenize(self, text: str) -> list[int]:
        """Token ids of a rendered text, special tokens recognised."""
        body = {"content": text, "add_special": False, "parse_special": True}
        return [int(token) for token in self._post("/tokenize", body)["tokens"]]

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        """The prompt that the file's own chat template makes of a conversation."""
        return str(self._post("/apply-template", {"messages": list(messages)})["prompt"])

    def answer(self, messages: Sequence[dict[str, str]], max_new_tokens: int) -> str:
        """The greedy answer to a conversation, by the way the service takes."""
        request = {
            "messages": list(messages),
            "max_tokens": max_new_tokens,
            "temperature": 0,
            "cache_prompt": True,
        }
        answer = self._server.handle_chat_completions(request)
        if error := answer.get("error"):
            raise ExportError(f"llama.cpp refused to answer: {error.get('message', error)}")
        return str(answer["choices"][0]["message"]["content"])

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self._http.post(path, json=body).raise_for_status().json()
        except httpx.HTTPError as error:
            raise ExportError(f"llama.cpp does not answer {path}: {error}") from error
        return found


def _step(answer: dict[str, Any]) -> Step:
    if error := answer.get("error"):
        raise ExportError(f"llama.cpp refused to answer: {error.get('message', error)}")
    ranked = answer["choices"][0]["logprobs"]["content"][0]
    log_probs = {int(one["id"]): float(one["logprob"]) for one in ranked["top_logprobs"]}
    return Step(max(log_probs, key=log_probs.__getitem__), log_probs)
