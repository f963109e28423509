"""Follows what engines publish about their caches, and finds the blocks of prompts in it."""

from __future__ import annotations

from asyncio import TaskGroup
from functools import partial

import structlog

from workers import contract
from workers.contained import contained
from workers.pool.flight import Ticket
from workers.pool.index import HOLD_BLOCKS
from workers.pool.placement import Placement
from workers.pool.replica import Replica
from workers.pool.telling import TellsBlocks
from workers.pool.translation import Translation
from workers.prefix.blocks import BLOCK_CHARACTERS, Chain
from workers.showing import raised

log = structlog.get_logger(__name__)

TRANSLATIONS_AT_ONCE = 4
NOTHING: Chain = ()
CHAIN_SECONDS = 10.0  # how long an engine may take to name the blocks of a prompt


class Following:
    """The replicas of a pool whose engines report which blocks they hold."""

    def __init__(self, pool: str, placement: Placement) -> None:
        self._pool = pool
        self._placement = placement
        self._translations: dict[str, Translation] = {}  # by model
        self._translating = 0

    def begin(self, replica: Replica, model: str) -> bool:
        """Index what the engine of ``replica`` publishes, if anything; returns whether that is new."""
        engine = replica.engine
        if not isinstance(engine, TellsBlocks) or engine.blocks is None or replica.index.told is not None:
            return False
        replica.index.follow(engine.blocks, self._translations.setdefault(model, Translation()))
        return True

    def keep(self, replica: Replica, tasks: TaskGroup) -> None:
        """Keep the index of ``replica`` up to date if :meth:`begin` found that its engine publishes."""
        if replica.index.told is not None and isinstance(replica.engine, TellsBlocks):
            tasks.create_task(
                self._followed(replica, replica.engine), name=f"{self._pool} events of {replica.name}"
            )

    def translate(self, ticket: Ticket[Replica], tasks: TaskGroup) -> None:
        """Have a prompt of a new kind tokenised, if servers report what they hold by tokens.

        The call does not wait for that: its siblings benefit, and the next round.
        """
        if not self._translations or self._translating >= TRANSLATIONS_AT_ONCE:
            return
        if len(ticket.chain) < HOLD_BLOCKS:
            return
        for replica in self._placement.serving(ticket.call.role):
            translation = replica.index.translation
            if translation is None or not replica.accepting or translation.knows(ticket.chain):
                continue
            self._translating += 1
            tasks.create_task(self._tokenize(ticket, replica, translation))
            return

    async def _tokenize(self, ticket: Ticket[Replica], replica: Replica, translation: Translation) -> None:
        try:
            if isinstance(replica.engine, TellsBlocks):
                tokens = await contract.optional(
                    partial(replica.engine.chain, ticket.call),
                    f"the blocks of {replica.name}",
                    seconds=CHAIN_SECONDS,
                    otherwise=NOTHING,
                )
                translation.learn(ticket.chain, tokens, ticket.characters / BLOCK_CHARACTERS)
        except Exception:
            log.exception("kv_events_not_translated", pool=self._pool, replica=replica.name)
        finally:
            self._translating -= 1

    async def _followed(self, replica: Replica, engine: TellsBlocks) -> None:
        try:
            await contained(engine.follow, f"the events of {replica.name}")
        except Exception as error:
            # Without events, the index falls back on what the pool itself sent.
            log.warning("kv_events_lost", pool=self._pool, replica=replica.name, error=raised(error))
        replica.index.unfollow()
