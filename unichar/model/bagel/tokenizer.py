"""Words of a conversation as elements: BAGEL has no chat template and no role names, only a begin and an end around each text.

A conversation is its texts and pictures in order. What is learned of a text is every id after its begin, the end included, so the
model also learns to stop. Words that look like a control token are plain words.
"""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from unichar.model.bagel.packing import Element, Markers

CONTROL = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>")


class BagelTokenizer:
    """The tokenizer with its four control tokens, which are added where they are missing, as the published code does."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, vocabulary: int) -> None:
        """
        Raises:
            ValueError: The tokenizer knows more tokens than the model, so it is another model's.
        """
        known = tokenizer.get_vocab()
        tokenizer.add_tokens([name for name in CONTROL if name not in known], special_tokens=True)
        if len(tokenizer) > vocabulary:
            raise ValueError(
                f"the tokenizer has {len(tokenizer)} tokens with {', '.join(CONTROL)}, the model's vocabulary (vocab_size in "
                f"llm_config.json) is {vocabulary}: the tokenizer files are another model's, download them again"
            )
        known = tokenizer.get_vocab()
        ids = [known[name] for name in CONTROL]
        self.markers = Markers(begin=ids[0], end=ids[1], start_picture=ids[2], end_picture=ids[3])
        self._tokenizer = tokenizer

    def text(self, value: str, *, learned: bool = False) -> Element:
        """A text of a conversation."""
        ids = self._tokenizer(value, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return Element(kind="text", ids=(self.markers.begin, *ids, self.markers.end), learned=learned)

    def read(self, ids: Sequence[int]) -> str:
        """The text of ids that the model wrote."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True)).strip()
