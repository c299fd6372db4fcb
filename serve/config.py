"""The whole of `configs/chat.yaml`: what `rag` and `guardrails` own, and the server's section."""

from __future__ import annotations

from pydantic import Field

from guardrails.config import GuardrailsConfig
from rag.config import RagConfig, Section


class ServerConfig(Section):
    host: str = "127.0.0.1"
    """Nobody signs in yet: keep it on loopback, or behind a proxy that does the sign-in."""
    port: int = Field(8000, ge=0, le=65535)
    """0 takes a free port."""
    groups: tuple[str, ...] = ("everyone",)
    """The groups that every caller of this server belongs to."""
    model_name: str = Field("vsage", min_length=1)
    """What `/v1/models` lists and requests name as `model`."""
    max_request_mb: float = Field(2.0, gt=0, le=100)
    """Longest request body, uploads apart (`ingest.max_file_mb` is theirs)."""
    max_question_chars: int = Field(8000, ge=100, le=1_000_000)
    """Longest last message; longer ones are refused rather than cut."""
    max_messages: int = Field(100, ge=1, le=10_000)
    receive_timeout_s: float = Field(30.0, gt=0, le=3600)
    """A client that is silent for that long in the middle of its request is let go."""
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$")


class ServeConfig(RagConfig):
    guardrails: GuardrailsConfig = GuardrailsConfig()
    server: ServerConfig = ServerConfig()
