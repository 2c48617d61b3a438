"""Drawing waits for no GPU and passes attention no mask; test_model.py compares pictures drawn together and
alone.
"""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from factories_bagel import NoTokenizer, make_config, tiny_model
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from unichar.model.bagel.context import Context, join_contexts
from unichar.model.bagel.decoder import TextExpert
from unichar.model.bagel.drawing import chunks, draw_tokens, token_velocity
from unichar.model.bagel.generation import GenerationExpert
from unichar.model.bagel.sampling import Guidance

GRID = (4, 4)


class Transfers(TorchDispatchMode):
    """Records operators that move data between devices or wait for a number."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        devices = {x.device.type for x in (*args, out) if isinstance(x, Tensor)}
        if func is torch.ops.aten._local_scalar_dense.default or len(devices) > 1:
            self.found.append(str(func))
        return out


def context(length: int, device: str) -> Context:
    """Of random numbers."""
    config = make_config().text
    shape = (1, length, config.num_key_value_heads, config.head_size)
    past = tuple((torch.randn(shape, device=device),) * 2 for _ in range(config.num_hidden_layers))
    return Context((past,), torch.full((1,), length, device=device))


def draw(experts: tuple[TextExpert, GenerationExpert], device: str) -> Tensor:
    """Six pictures of three prompts, four at a time, with both guidances."""
    prompts = [context(length, device) for length in (5, 9, 7)]
    special = NoTokenizer().special
    return draw_tokens(
        lambda x, t, given: token_velocity(experts, special, x, t, given, GRID),
        torch.randn(6, 16, 64, device=device),
        join_contexts(prompts),
        without_text=context(0, device),
        without_image=join_contexts(prompts[::-1]),
        guidance=Guidance(text=4.0, image=2.0),
        steps=4,
        shift=3.0,
        batch=4,
    )


@torch.no_grad()
def test_nothing_moves_between_devices_while_drawing(monkeypatch):
    """The meta device stands for a GPU: its tensors have no contents that anyone could wait for."""
    config = make_config()
    with torch.device("meta"):
        experts = TextExpert(config.text), GenerationExpert(config)
    # On a GPU these copy from the CPU; the meta device hides it.
    for name in ("tensor", "as_tensor", "from_numpy"):
        monkeypatch.delattr(torch, name)
    with Transfers() as transfers:
        drawn = draw(experts, "meta")
    assert drawn.device.type == "meta" and drawn.shape == (6, 16, 64)
    assert transfers.found == []


@pytest.mark.parametrize(
    "move",
    [
        lambda x: torch.ones(2).to(x.device),
        lambda x: x + torch.tensor(2.0),
    ],
)
def test_transfers_are_noticed(move):
    with Transfers() as transfers:
        move(torch.ones(3, device="meta"))
    assert transfers.found


@pytest.mark.parametrize(
    "wait", [lambda x: x.cpu(), lambda x: bool(x.isfinite().all()), lambda x: x.tolist()]
)
def test_waiting_is_impossible(wait):
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"), Transfers():
        wait(torch.ones(3, device="meta"))


def test_attention_gets_no_mask_and_no_repeated_heads(monkeypatch):
    """What flash attention asks for; prompts of a microbatch have unequal lengths here."""
    model, config, calls = tiny_model(), make_config().text, []
    attention = F.scaled_dot_product_attention

    def spied(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        calls.append((q.shape[0], k.shape[1], k.shape[2], options))
        return attention(q, k, v, **options)

    monkeypatch.setattr(F, "scaled_dot_product_attention", spied)
    with torch.no_grad():
        rows = join_contexts([context(5, "cpu"), context(9, "cpu")]).per_picture(4)
        experts = model.und, model.gen
        token_velocity(experts, model.tokenizer.special, torch.randn(4, 16, 64), torch.ones(1), rows, GRID)

    assert len(calls) == 2 * config.num_hidden_layers
    for (pictures, heads, keys, options), length in zip(
        calls, [5, 9] * config.num_hidden_layers, strict=True
    ):
        assert (pictures, heads, keys) == (2, config.num_key_value_heads, length + 18)
        assert options == {"attn_mask": None, "is_causal": False, "enable_gqa": True}


def test_chunks_cover_everything_in_order():
    assert list(chunks(5, 2)) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert list(chunks(0, 2)) == [] and list(chunks(2, 9)) == [slice(0, 2)]
