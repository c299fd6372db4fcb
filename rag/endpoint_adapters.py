"""The adapters of an OpenAI-compatible endpoint that serves several, such as vLLM.

vLLM lists its LoRA adapters at `/models` beside the base, with the base's name as their `parent`,
and takes an adapter's name as the name of a model. Loading them is the endpoint's own business:
`--lora-modules`, or its `/v1/load_lora_adapter`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import openai

from rag.adapters import CURRENT, Offer, log_changes, offer_of, read_promoted
from rag.config import GeneratorConfig
from rag.errors import AdapterError
from rag.watch import Watch

_LOOK_EVERY_S = 5.0
_LONGEST_LOOK_S = 5.0
_ENDPOINT = "endpoint"


class EndpointAdapters:
    """What the endpoint has, as far as the registry promotes it; all of it without a registry."""

    def __init__(self, config: GeneratorConfig) -> None:
        self._config = config
        self.offer = Offer()
        self._client = openai.OpenAI(
            base_url=config.base_url,
            api_key=config.api_key or "none",
            timeout=min(config.timeout_s, _LONGEST_LOOK_S),
            max_retries=0,
        )
        self.look()
        self._watch = Watch("adapters", self.look, _LOOK_EVERY_S)

    def look(self) -> None:
        """Ask the endpoint and read the registry; where one cannot be read, what was, stays."""
        try:
            there = self._config.endpoint_adapters or self._listed()
            promoted = read_promoted(self._config.adapters)
        except AdapterError as error:
            self._publish(replace(self.offer, left_out={CURRENT: str(error)}))
        except openai.OpenAIError as error:
            reason = f"cannot be asked for its adapters: {type(error).__name__}"
            self._publish(replace(self.offer, left_out={_ENDPOINT: reason}))
        else:
            wanted = there if promoted is None else promoted
            missing = {
                name: "the endpoint has no adapter of that name"
                for name in wanted
                if name not in there
            }
            served = [name for name in wanted if name in there]
            self._publish(offer_of(promoted or (), served, missing))

    def close(self) -> None:
        """Waits for a look that is under way."""
        self._watch.stop()
        self._client.close()

    def _listed(self) -> Sequence[str]:
        """Raises OpenAIError."""
        return [
            model.id
            for model in self._client.models.list()
            if (model.model_extra or {}).get("parent") == self._config.model
        ]

    def _publish(self, offer: Offer) -> None:
        log_changes(self.offer, offer)
        self.offer = offer
