"""Keeps the engine in step with the adapter registry.

An engine cannot load a further adapter, so when one is promoted that is not loaded, a second engine
is opened with the new set, new requests go to it, and the first is closed when its last request has
ended. Until then both are in memory (the weights of a mapped file only once). The new set holds
what was in service just before, too: a request whose adapter is taken out while its passages are
looked up is still answered with it, and a roll-back finds its adapter loaded.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from rag.adapters import (
    CURRENT,
    Adapter,
    Offer,
    Reading,
    Registry,
    log_changes,
    offer_of,
)
from rag.config import GeneratorConfig
from rag.engine_llama_cpp import Engine
from rag.engine_switch import EngineSwitch
from rag.errors import AdapterError, GenerationError
from rag.watch import Watch

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
"""How soon a promotion is noticed."""


class AdapterEngines:
    """Opens the first engine. Raises GenerationError where even the bare model cannot be loaded."""

    def __init__(self, config: GeneratorConfig, registry: Registry) -> None:
        self._config = config
        self._registry = registry
        self.offer = Offer()
        reading = self._read() or Reading()
        adapters, left_out = reading.adapters, {**self.offer.left_out, **reading.left_out}
        try:
            engine = Engine(config, adapters)
        except GenerationError as error:
            if not adapters:
                raise
            engine = Engine(config)
            left_out |= {adapter.name: str(error) for adapter in adapters}
            adapters = ()
        self.engines = EngineSwitch(engine)
        self._publish(reading, adapters, left_out)
        self._watch = Watch("adapters", self.look, _LOOK_EVERY_S)

    def look(self) -> None:
        """Follow what has changed in the registry; close engines that have had their day."""
        reading = self._read()
        if reading is not None:
            self._follow(reading)
        self.engines.sweep()

    def close(self) -> None:
        """Waits for a look that is under way."""
        self._watch.stop()
        self.engines.close()

    def _read(self) -> Reading | None:
        try:
            return self._registry.read()
        except AdapterError as error:  # what is in service stays in service
            log.warning("the adapter registry cannot be read: %s", error)
            self.offer = replace(self.offer, left_out={CURRENT: str(error)})
            return None

    def _follow(self, reading: Reading) -> None:
        loaded = self.engines.current.adapters
        new = [adapter for adapter in reading.adapters if adapter not in loaded]
        if not new:
            self._publish(reading, reading.adapters, reading.left_out)
            return
        try:
            wanted = [*reading.adapters, *self._leaving(reading)]
            self.engines.replace(Engine(self._config, wanted, warm_up=False))
        except GenerationError as error:
            left_out = reading.left_out | {adapter.name: str(error) for adapter in new}
            self._publish(reading, [one for one in reading.adapters if one in loaded], left_out)
        else:
            self._publish(reading, reading.adapters, reading.left_out)

    def _leaving(self, reading: Reading) -> list[Adapter]:
        """In service until now, and requests may be on their way to them."""
        staying = {adapter.name for adapter in reading.adapters}
        return [
            adapter
            for adapter in self.engines.current.adapters
            if adapter.name in self.offer.served
            and adapter.name not in staying
            and self._registry.unchanged(adapter)
        ]

    def _publish(
        self, reading: Reading, adapters: Sequence[Adapter], left_out: dict[str, str]
    ) -> None:
        served = [adapter.name for adapter in adapters]
        offer = offer_of(reading.promoted, served, left_out)
        log_changes(self.offer, offer)
        self.offer = offer
