"""The whole of `configs/chat.yaml`: what `rag` and `guardrails` own, and the server's section."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from guardrails.config import GuardrailsConfig
from rag.config import RagConfig, Section

_HOST = re.compile(r"\*|(\*\.)?[\w-]+(\.[\w-]+)*|\[[0-9A-Fa-f:.]+\]")


class FeedbackConfig(Section):
    """Answers are remembered, so that callers can say afterwards what was wrong with them."""

    enabled: bool = True
    """False remembers no answer and takes no feedback."""
    keep_days: int = Field(30, ge=1, le=3650)
    """An answer without feedback is forgotten after so many days; one with feedback is kept."""
    max_answers: int = Field(10_000, ge=1, le=10_000_000)
    """Answers without feedback that are kept at most, give or take one in a hundred."""
    max_chars: int = Field(20_000, ge=100, le=1_000_000)
    """Longest correction, comment or ideal answer."""


class ServerConfig(Section):
    host: str = "127.0.0.1"
    """Nobody signs in yet: keep it on loopback, or behind a proxy that does the sign-in."""
    port: int = Field(8000, ge=0, le=65535)
    """0 takes a free port."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names that requests may be made to, such as `chat.example` or `*.example`. On loopback
    in addition to its own names, so that no web page can reach the server under a name of its own
    (DNS rebinding); elsewhere every name is taken while this is empty."""
    groups: tuple[str, ...] = ("everyone",)
    """The groups that every caller of this server belongs to."""
    model_name: str = Field("vsage", min_length=1)
    """What `/v1/models` lists and requests name as `model`."""
    embedding_model_name: str = Field("vsage-embedding", min_length=1)
    """The same for `/v1/embeddings`: the embedder that the knowledge base is searched with."""
    max_embedding_inputs: int = Field(2048, ge=1, le=100_000)
    """Most texts in one request to `/v1/embeddings`."""
    max_request_mb: float = Field(2.0, gt=0, le=100)
    """Longest request body, uploads apart (`ingest.max_file_mb` is theirs)."""
    max_question_chars: int = Field(8000, ge=100, le=1_000_000)
    """Longest last message; longer ones are refused rather than cut."""
    max_messages: int = Field(100, ge=1, le=10_000)
    receive_timeout_s: float = Field(30.0, gt=0, le=3600)
    """A client that is silent for that long in the middle of its request is let go."""
    small_talk: Path = Path("configs/small_talk.yaml")
    """Greetings, thanks and the like, with what is said to them; `none` looks everything up."""
    feedback: FeedbackConfig = FeedbackConfig()
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$")

    @field_validator("allowed_hosts")
    @classmethod
    def _names_alone(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(
                    f"'{host}' is no host name: write chat.example, *.example or *, without "
                    "https:// and port; an IPv6 address in brackets"
                )
        return hosts

    @model_validator(mode="after")
    def _names_differ(self) -> ServerConfig:
        if self.model_name == self.embedding_model_name:
            raise ValueError("model_name and embedding_model_name must differ")
        return self


class ServeConfig(RagConfig):
    guardrails: GuardrailsConfig = GuardrailsConfig()
    server: ServerConfig = ServerConfig()
