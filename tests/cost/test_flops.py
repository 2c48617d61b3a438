"""FLOPs from sizes equal what PyTorch counts in real passes of nano, and of BAGEL's shapes on the meta
device."""

import pytest
import torch
from factories_model import BASE, PROMPTS, make_job
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from unichar.cost.flops import (
    Cost,
    adapter_parameters,
    image_forward,
    text_decoding,
    text_forward,
    vision_forward,
)
from unichar.cost.sizes import BAGEL_7B, bagel_sizes, nano_sizes
from unichar.model.bagel.attention import after, within
from unichar.model.bagel.autoencoder import Autoencoder
from unichar.model.bagel.decoder import TextExpert, run_experts
from unichar.model.bagel.generation import GenerationExpert
from unichar.model.bagel.packing import Span
from unichar.model.bagel.vision import ImageEncoder
from unichar.model.lora import LoraSettings, add_adapters, trainable
from unichar.model.nano.backbone import _padded
from unichar.model.nano.loading import load_nano
from unichar.model.tokens import render
from unichar.sft.config import SftConfig
from unichar.sft.train import Trainer


def counted(work) -> float:
    """PyTorch's count; it does not see the fused attention of CPUs, so attention is plain products here."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        work()
    return counter.get_total_flops()


@pytest.fixture(scope="module")
def sizes(model):
    return nano_sizes(model.config)


def test_a_picture_of_nano_costs_what_pytorch_counts(model, sizes):
    context = model.prompt_context(PROMPTS[:2])
    latents, t = torch.randn(8, 8, 16, 16), torch.rand(8)
    cost = image_forward(sizes, pictures=8, prompts=2, context=context.mask.shape[1])
    with torch.no_grad():
        assert counted(lambda: model.velocity(latents, t, context)) == pytest.approx(cost.forward, rel=0.001)
        assert counted(lambda: model.vae.decode(latents)) == pytest.approx(8 * sizes.decode, rel=0.001)
        pixels = torch.zeros(2, 3, 128, 128)
        assert counted(lambda: model.vae.encode(pixels)) == pytest.approx(2 * sizes.encode, rel=0.001)
        assert counted(lambda: model.connector(model.vision(pixels))) == pytest.approx(
            vision_forward(sizes, 2).forward, rel=0.01
        )


def test_a_shared_prompt_is_counted_once(sizes):
    shared = image_forward(sizes, pictures=8, prompts=1, context=50)
    each = image_forward(sizes, pictures=8, prompts=8, context=50)
    assert each.linear - shared.linear == 7 * 50 * 2 * 20 * 192 * 192  # keys' and values' maps of ten layers
    assert each.attention == shared.attention
    assert text_forward(sizes, [50] * 8).forward == pytest.approx(8 * text_forward(sizes, [50]).forward)


def test_a_real_sft_step_costs_what_is_predicted(tmp_path, inputs):
    """A whole step: conversation, prompts, pictures, prior preservation, adapters, backward; prompts are
    padded.
    """
    model = load_nano(BASE)
    config = SftConfig(
        steps=3, conversations=1, pictures=4, prompts=2, prior_pictures=2, prior_pool=4, tracker=""
    )
    add_adapters(
        model, und=LoraSettings(rank=config.und_rank), gen=LoraSettings(rank=config.gen_rank), seed=0
    )
    trainer = Trainer(model, make_job("sft", tmp_path, inputs, config=config))
    sizes = nano_sizes(model.config)
    encoded: list[list[str]] = []
    encode = model.prompt_context
    model.prompt_context = lambda prompts: encoded.append(list(prompts)) or encode(prompts)

    measured = counted(lambda: trainer.step(0))

    (chat,) = [
        render(trainer.conversations[i].segments, model.tokenizer, image_tokens=16) for i in trainer.order[:1]
    ]

    def padded_length(prompt: str) -> int:
        """In tokens, with the begin and the end of the message."""
        return _padded(len(model.tokenizer(prompt, split_special_tokens=True)["input_ids"]) + 2)

    own, prior = ([padded_length(prompt) for prompt in prompts] for prompts in encoded)
    text = text_forward(sizes, [len(chat.ids)], targets=sum(chat.loss), rank=config.und_rank)
    drawn = image_forward(sizes, pictures=4, prompts=2, context=max(own), rank=config.gen_rank)
    drawn += image_forward(sizes, pictures=2, prompts=2, context=max(prior), rank=config.gen_rank)
    predicted = (text + drawn).training(full=False, recompute=False) + text_forward(
        sizes, own + prior
    ).forward
    predicted += vision_forward(sizes, len(chat.images)).forward
    print(f"a step of SFT: predicted / measured = {predicted / measured:.3f}")
    assert predicted == pytest.approx(measured, rel=0.1)


def test_adapters_are_as_many_as_peft_makes(sizes):
    model = load_nano(BASE)
    add_adapters(model, und=LoraSettings(rank=5), gen=LoraSettings(rank=3), seed=0)
    made = {name: sum(p.numel() for p in trainable(getattr(model, name)).values()) for name in ("und", "gen")}
    assert adapter_parameters(sizes, und_rank=5, gen_rank=3) == made


def test_bagel_costs_what_pytorch_counts():
    """All 14.6 billion weights, without one of them in memory."""
    sizes, text = bagel_sizes(512), BAGEL_7B.text
    with torch.device("meta"):
        und, gen, vision = TextExpert(text), GenerationExpert(BAGEL_7B), ImageEncoder(BAGEL_7B)
        vae = Autoencoder(128)
        past = ((torch.empty(1, 100, 4, 128),) * 2,) * text.num_hidden_layers
        whole = slice(0, 100)
        span = Span(queries=whole, keys=(whole,), is_causal=False)
        markers, tokens, t = torch.empty(1, 2, 3584), torch.empty(1, 1024, 64), torch.empty(1)
        positions = torch.empty(1, 1026, dtype=torch.long)
        prompt, prompt_positions = torch.empty(1, 100, 3584), torch.empty(1, 100, dtype=torch.long)
        latents, pixels = torch.empty(1, 16, 64, 64), torch.empty(3, 518, 518)
    with torch.no_grad():

        def draw():
            embedded = [markers, gen.embed(tokens, t, (32, 32))]
            hidden, _ = run_experts([und, gen], embedded, positions, after([(past, 1)]))
            gen.llm2vae(hidden[1])

        def read():
            (hidden,), _ = run_experts([und], [prompt], prompt_positions, within([span]))
            und.lm_head(hidden[:, :7])

        expected = image_forward(sizes, pictures=1, prompts=1, context=100).forward
        assert counted(draw) == pytest.approx(expected, rel=0.001)
        assert counted(read) == pytest.approx(text_forward(sizes, [100], targets=7).forward, rel=0.001)
        assert counted(lambda: vae.decode(latents)) == pytest.approx(sizes.decode, rel=0.001)
        assert counted(lambda: vae.encode(torch.empty(1, 3, 512, 512, device="meta"))) == pytest.approx(
            sizes.encode, rel=0.001
        )
        assert counted(lambda: vision(pixels)) == pytest.approx(vision_forward(sizes, 1).forward, rel=0.001)


def test_activation_checkpointing_costs_a_forward_more():
    cost = Cost(linear=100.0, attention=10.0, adapters=1.0)
    assert cost.forward == 111
    assert cost.training(full=False, recompute=False) == 111 + 100 + 20 + 2
    assert cost.training(full=True, recompute=False) == 111 + 200 + 20 + 2
    assert cost.training(full=False, recompute=True) - cost.training(full=False, recompute=False) == 111


def test_decoding_costs_a_forward_with_logits_at_every_token(sizes):
    decoded = text_decoding(sizes, 100, tokens=50)
    assert decoded.linear == text_forward(sizes, [150], targets=50).linear
    assert decoded.attention < text_forward(sizes, [150]).attention
