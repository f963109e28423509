"""From the blocks of characters that a pool knows to the blocks of tokens that servers report."""

from __future__ import annotations

from collections import OrderedDict

from workers.prefix.blocks import Chain
from workers.prefix.tokens import TokenBlocks


class Translation:
    """Maps blocks of characters to blocks of tokens, for prompts that were tokenised.

    A prompt is tokenised once; its siblings then find their common beginning by its characters. Blocks of
    tokens do not end where blocks of characters do, so a block of characters stands for the last block of
    tokens that would end before it if all tokens were equally long; those before the first stand for the
    first.
    """

    def __init__(self, capacity: int = 65_536) -> None:
        self._capacity = capacity
        self._tokens: OrderedDict[int, int] = OrderedDict()

    def learn(self, chain: Chain, tokens: Chain, blocks: float) -> None:
        """A prompt of ``blocks`` blocks of characters, with ``chain``, has the token blocks ``tokens``."""
        if not tokens:
            return
        for index in reversed(range(len(chain))):
            last = min(len(tokens), int((index + 1) * len(tokens) / max(blocks, 1.0))) - 1
            self._tokens[chain[index]] = tokens[max(0, last)]
            self._tokens.move_to_end(chain[index])
        while len(self._tokens) > self._capacity:
            self._tokens.popitem(last=False)

    def knows(self, chain: Chain) -> bool:
        """Whether at least the first half of ``chain`` can be translated."""
        return chain[len(chain) // 2] in self._tokens

    def covered(self, chain: Chain, blocks: TokenBlocks) -> int:
        """How many leading blocks of characters the server holds."""
        low, high = 0, len(chain)
        while low < high:
            middle = (low + high) // 2
            if (token := self._tokens.get(chain[middle])) is not None and token in blocks:
                low = middle + 1
            else:
                high = middle
        return low
