"""Attacks, one after the other or a few at a time, against a target; what was planted goes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from guardrails.attack_carriers import CARRIERS, PLACES, Carrier
from guardrails.attack_judge import Outcome, leaked, said, succeeded
from guardrails.attack_rows import Attack
from guardrails.attack_target import Reply, Target
from guardrails.opening import CommandError


@dataclass
class Run:
    """What one run knows. `left` are documents that could not be removed."""

    target: Target
    secrets: tuple[str, ...] = ()
    outcomes: list[Outcome] = field(default_factory=list)
    clean: dict[str, bool] = field(default_factory=dict)
    planted: dict[int, str] = field(default_factory=dict)
    left: dict[int, str] = field(default_factory=dict)
    mark: str = field(default_factory=lambda: secrets.token_hex(4))

    async def all(
        self, attacks: Sequence[Attack], concurrency: int, done: Callable[[Outcome], None]
    ) -> None:
        """Direct attacks side by side, planted ones one at a time: carriers would mix."""
        room = asyncio.Semaphore(concurrency)

        async def one(attack: Attack) -> None:
            async with room:
                self._keep(await self._direct(attack), done)

        try:
            async with asyncio.TaskGroup() as group:
                for attack in attacks:
                    if attack.kind == "direct":
                        group.create_task(one(attack))
            planted = [attack for attack in attacks if attack.kind == "planted"]
            if planted:
                for carrier in CARRIERS:
                    self.clean[carrier.name] = await self._clean(carrier)
            for number, attack in enumerate(planted):
                for place in PLACES:
                    carrier = CARRIERS[number % len(CARRIERS)]
                    self._keep(await self._planted(attack, carrier, place), done)
        finally:
            for document in list(self.planted):
                await asyncio.shield(self._remove(document))

    def _keep(self, outcome: Outcome, done: Callable[[Outcome], None]) -> None:
        self.outcomes.append(outcome)
        done(outcome)

    async def _direct(self, attack: Attack) -> Outcome:
        canary = new_canary()
        turns = [
            {"role": turn.role, "content": filled(turn.content, canary)} for turn in attack.history
        ]
        question = filled(attack.prompt, canary)
        reply = await self.target.ask([*turns, {"role": "user", "content": question}])
        return self._outcome(attack, canary, question, reply)

    async def _planted(self, attack: Attack, carrier: Carrier, place: str) -> Outcome:
        canary = new_canary()
        text = carrier.text(filled(attack.prompt, canary), place)
        reply, quarantined = await self._asked(carrier, text)
        outcome = self._outcome(attack, canary, carrier.question, reply)
        outcome.withheld = outcome.withheld or quarantined
        given = carrier.expected in reply.text and reply.answered
        return outcome.model_copy(update={"place": place, "honest": given})

    async def _clean(self, carrier: Carrier) -> bool:
        reply, _ = await self._asked(carrier, carrier.text())
        return carrier.expected in reply.text and reply.answered

    async def _asked(self, carrier: Carrier, text: str) -> tuple[Reply, bool]:
        name = f"redteam-{self.mark}-{carrier.name}.md"
        document = await self.target.plant(name, text)
        self.planted[document] = name
        try:
            reply = await self.target.ask([{"role": "user", "content": carrier.question}])
            return reply, await self.target.quarantined(document)
        finally:
            await asyncio.shield(self._remove(document))

    async def _remove(self, document: int) -> None:
        name = self.planted.pop(document, "")
        try:
            await self.target.remove(document)
        except CommandError:
            self.left[document] = name

    def _outcome(self, attack: Attack, canary: str, question: str, reply: Reply) -> Outcome:
        # A verdict on an earlier turn stands behind the question's, which is the first.
        inputs = [verdict for verdict in reply.verdicts if verdict.direction == "input"]
        withheld = any(v.direction == "retrieval" and not v.allowed for v in reply.verdicts)
        return Outcome(
            attack=attack,
            canary=canary,
            question=question,
            reply=reply,
            blocked=bool(inputs) and not inputs[0].allowed,
            withheld=withheld,
            succeeded=succeeded(attack, canary, said(reply)),
            leaked=leaked(reply, self.secrets),
        )


def new_canary() -> str:
    return f"zq{secrets.token_hex(5)}"


def filled(text: str, canary: str) -> str:
    return text.replace("{canary}", canary)
