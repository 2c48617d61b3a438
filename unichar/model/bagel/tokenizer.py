"""Tokenizes the texts of a conversation: BAGEL has no chat template and no role names, only begin and end
tokens.

A conversation is its texts and pictures in order. The targets of a text are all ids after its begin token,
the end token included, so the model also learns to stop. Control tokens within a text are tokenized as
ordinary text.
"""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from unichar.errors import UserError
from unichar.model.bagel.packing import Element, SpecialTokens

CONTROL = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>")


class BagelTokenizer:
    """The tokenizer with its four control tokens; missing ones are added, as the published code does."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, vocabulary: int) -> None:
        """
        Raises:
            UserError: The tokenizer has more tokens than the model's vocabulary, so it is another model's.
        """
        known = tokenizer.get_vocab()
        tokenizer.add_tokens([name for name in CONTROL if name not in known], special_tokens=True)
        if len(tokenizer) > vocabulary:
            raise UserError(
                f"the tokenizer has {len(tokenizer)} tokens with {', '.join(CONTROL)}, the model's "
                f"vocabulary (vocab_size in llm_config.json) is {vocabulary}: the tokenizer files are "
                "another model's, download them again"
            )

        known = tokenizer.get_vocab()
        ids = [known[name] for name in CONTROL]
        self.special = SpecialTokens(begin=ids[0], end=ids[1], vision_start=ids[2], vision_end=ids[3])
        self._tokenizer = tokenizer

    def text(self, value: str, *, has_loss: bool = False) -> Element:
        """The element of a text; with `has_loss` its ids are targets."""
        ids = self._tokenizer(value, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return Element(kind="text", ids=(self.special.begin, *ids, self.special.end), has_loss=has_loss)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of generated ids."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True)).strip()
