"""Names of models: the bare one, `bare:adapter` for each adapter in service, and the embedder's."""

from __future__ import annotations

from serve.errors import RequestError
from serve.schema_models import AdaptersOut, LeftOutOut
from serve.wiring import Parts

_NONE = "none"
_PROMOTED = "promoted"


def model_names(parts: Parts) -> list[str]:
    """All that `/v1/models` lists, the bare model first."""
    server = parts.config.server
    adapters = [f"{server.model_name}:{name}" for name in parts.adapters().served]
    return [server.model_name, *adapters, server.embedding_model_name]


def chosen_adapter(parts: Parts, model: str) -> str | None:
    """The adapter that a chat request's `model` asks for; None is the bare model.

    Raises RequestError, 404, where this server has no such model.
    """
    bare = parts.config.server.model_name
    if model == bare:
        return default_adapter(parts)
    served = parts.adapters().served
    adapter = model.removeprefix(f"{bare}:")
    if adapter != model and adapter in served:
        return adapter
    there = ", ".join(f"'{name}'" for name in (bare, *(f"{bare}:{one}" for one in served)))
    raise RequestError(
        404,
        f"there is no model '{model}'; this server has {there}",
        "model_not_found",
        "model",
    )


def default_adapter(parts: Parts) -> str | None:
    """The adapter behind the bare name, as `generator.default_adapter` says; None is none."""
    wanted, offer = parts.config.generator.default_adapter, parts.adapters()
    if wanted == _NONE:
        return None
    if wanted == _PROMOTED:
        return offer.first
    return wanted if wanted in offer.served else None


def adapters_out(parts: Parts) -> AdaptersOut:
    left_out = parts.adapters().left_out.items()
    return AdaptersOut(
        default=default_adapter(parts),
        left_out=[LeftOutOut(name=name, reason=reason) for name, reason in left_out],
    )
