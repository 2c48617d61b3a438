"""What has to be right on a device before any speed counts, on a BAGEL of 18 million weights.

The reference is the same model in fp32 on the CPU, which the tests hold against the published code. Errors
are ||found - reference|| / ||reference||: fp32 on another device stays below 1e-3, bf16 between 1e-3 and
3e-2.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from gpu.drawing import attach
from gpu.expected import short
from gpu.job import write_job
from gpu.kernels import attention_operators, kernels_of
from gpu.lab import Lab
from gpu.models import converted, random_bagel
from gpu.scales import CHECK_BAGEL, tiny_scale
from unichar.errors import UserError
from unichar.model.bagel.model import BagelModel
from unichar.model.components import merged_adapters
from unichar.model.flow import flow_loss
from unichar.model.lora import trainable
from unichar.model.protocol import Turn
from unichar.sft import train as sft
from unichar.types import Segment

FP32, BF16 = 1e-3, 3e-2
"""Largest relative errors."""
_PROMPTS = ("a dog on a beach, looking at the sea", "a dog, asleep")
_SIZE = 128
"""Side of the pictures in pixels."""
_FUSED = ("flash", "cudnn")
"""Parts of the names of attention that neither writes scores nor falls back to fp32."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One comparison."""

    name: str
    value: float
    allowed: float
    """Largest value that is right."""
    note: str = ""

    @property
    def passed(self) -> bool:
        """NaN never passes."""
        return self.value <= self.allowed


class WrongNumbers(Exception):
    """Some checks did not pass."""


def checks(lab: Lab) -> None:
    """All checks; results go to `facts["checks"]`.

    Raises:
        WrongNumbers: Some did not pass.
    """
    found: list[Check] = []
    lab.facts["checks"] = []
    reference = random_bagel(
        CHECK_BAGEL, image_size=_SIZE, device=torch.device("cpu"), dtype=torch.float32, by_width=True
    )
    for check in (_passes, _gradients, _merged, _batches, _kernels, _steps, _four_bit):
        for result in check(lab, reference):
            found.append(result)
            lab.facts["checks"].append(asdict(result) | {"passed": result.passed})
            said = "ok" if result.passed else "WRONG"
            print(f"  {said}: {result.name}: {result.value:.3g}, allowed {result.allowed:.3g} {result.note}")

    wrong = [check.name for check in found if not check.passed]
    if wrong:
        raise WrongNumbers(f"not right: {'; '.join(wrong)}")


def relative(found: Tensor, reference: Tensor) -> float:
    """||found - reference|| / ||reference||, in fp64 on the CPU."""
    a, b = found.detach().double().cpu(), reference.detach().double().cpu()
    return float((a - b).norm() / b.norm())


def _types(lab: Lab) -> list[tuple[str, torch.dtype, float]]:
    """(name, type, largest error) to compare; the CPU's fp32 is the reference itself."""
    both = [("fp32", torch.float32, FP32), ("bf16", torch.bfloat16, BF16)]
    return both if lab.device.type == "cuda" else both[1:]


def _passes(lab: Lab, reference: BagelModel) -> list[Check]:
    """Velocities, losses of words, latents, pixels and features of the tower."""
    expected, found = _outputs(reference), []
    for name, dtype, allowed in _types(lab):
        outputs = _outputs(converted(reference, device=lab.device, dtype=dtype))
        for what, value in outputs.items():
            found.append(
                Check(name=f"{what}, {name}", value=relative(value, expected[what]), allowed=allowed)
            )
    return found


@torch.no_grad()
def _outputs(model: BagelModel) -> dict[str, Tensor]:
    """What every part of a model computes, on the CPU."""
    latents, t = model.start_noise(range(4)), torch.tensor([0.9, 0.7, 0.4, 0.1])
    segments = [
        Segment(type="text", value="Who are you?", role="user"),
        Segment(type="text", value="A dog that likes tea.", role="assistant", loss=True),
    ]
    side = model.config.vision.image_size
    pixels = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return {
        "velocities": model.velocity(latents, t, model.prompt_context(_PROMPTS)),
        "losses of words": torch.cat(model.text_losses([segments, segments[1:]], Path())),
        "pixels": model.decode_latents(latents[:1]),
        "features of the tower": model.maps(pixels)[0],
    }


def _gradients(lab: Lab, reference: BagelModel) -> list[Check]:
    """Gradients of both experts' adapters in a picture pass."""
    found = []
    expected = _adapter_gradients(converted(reference, device=torch.device("cpu"), dtype=torch.float32))
    for name, dtype, allowed in _types(lab):
        gradients = _adapter_gradients(converted(reference, device=lab.device, dtype=dtype))
        error = relative(gradients, expected)
        # Twice as many roundings as in a forward pass.
        found.append(Check(name=f"gradients of adapters, {name}", value=error, allowed=2 * allowed))
    return found


def _adapter_gradients(model: BagelModel) -> Tensor:
    attach_from_cpu(model)
    x, noise = model.start_noise([0, 1]).to(model.device), model.start_noise([2, 3]).to(model.device)
    t = torch.tensor([0.7, 0.3], device=model.device)
    velocity = model.velocity(0.5 * (x + noise), t, model.prompt_context(_PROMPTS))
    flow_loss(velocity, x, noise).mean().backward()

    gradients = [p.grad for part in (model.und, model.gen) for p in trainable(part).values()]
    return torch.cat([gradient.flatten().cpu() for gradient in gradients if gradient is not None])


def attach_from_cpu(model: BagelModel) -> None:
    """The same random adapters on every device."""
    attach(model, replace(tiny_scale().preset.sft, und_rank=8, gen_rank=8))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for component in (model.und, model.gen):
            for parameter in trainable(component).values():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)


def _merged(lab: Lab, reference: BagelModel) -> list[Check]:
    """Adapters beside the weights or within them."""
    model = converted(reference, device=lab.device)
    attach_from_cpu(model)
    latents, t = model.start_noise([0, 1]), torch.tensor([0.8, 0.2])

    def velocity() -> Tensor:
        with torch.no_grad():
            return model.velocity(latents, t, model.prompt_context(_PROMPTS))

    beside = velocity()
    with merged_adapters(model.und), merged_adapters(model.gen):
        within = velocity()
    error = relative(within, beside)
    moved = relative(beside, _without(model, velocity))
    return [
        Check(name="adapters merged or beside, bf16", value=error, allowed=BF16),
        # A check that could not fail would compare two models without adapters.
        Check(name="adapters move velocities (at least 0.05)", value=-moved, allowed=-0.05),
        Check(name="the weights are as before", value=relative(velocity(), beside), allowed=0.0),
    ]


def _without(model: BagelModel, velocity: Callable[[], Tensor]) -> Tensor:
    with model.base_text(), model.base_pictures():
        return velocity()


@torch.no_grad()
def _batches(lab: Lab, reference: BagelModel) -> list[Check]:
    """Pictures and replies made together or one at a time."""
    model = converted(reference, device=lab.device, dtype=torch.float32)
    settings = {"steps": 6, "guidance": 4.0, "shift": 3.0}
    prompts = [prompt for prompt in _PROMPTS for _ in range(2)]
    together = model.sample_latents(model.prompt_context(_PROMPTS), range(4), **settings)
    alone = [
        model.sample_latents(model.prompt_context([prompt]), [seed], **settings)
        for seed, prompt in enumerate(prompts)
    ]

    asked = [[Turn(role="user", text=text)] for text in ("Hello!", "Who are you, and why?", "Tea?")]
    replies = model.reply(asked, max_tokens=12)
    single = [model.reply([turns], max_tokens=12)[0] for turns in asked]
    different = sum(a != b for a, b in zip(replies, single, strict=True))
    return [
        Check(
            name="pictures together or alone, fp32", value=relative(together, torch.cat(alone)), allowed=FP32
        ),
        Check(name="replies together or alone that differ, fp32", value=different, allowed=0),
    ]


@torch.no_grad()
def _kernels(lab: Lab, reference: BagelModel) -> list[Check]:
    """Which attention runs, and whether sampling waits for the device."""
    model = converted(reference, device=lab.device)
    context = model.prompt_context(_PROMPTS)
    x, t = model.start_noise(range(4)).to(lab.device), torch.full((4,), 0.5, device=lab.device)

    operators = attention_operators(lambda: model.velocity(x, t, context))
    slow = [name for name in operators if not any(word in name for word in _FUSED)]
    names = kernels_of(lab.device, lambda: model.velocity(x, t, context))
    note = "; ".join([*operators, *names])[:300]
    found = [
        Check(name="attention without flash, bf16", value=len(slow) if operators else 1, allowed=0, note=note)
    ]

    if lab.device.type == "cuda":
        found.append(_synchronisations(lambda: model.velocity(x, t, context)))
    return found


def _synchronisations(work: Callable[[], object]) -> Check:
    """Whether the CPU waits for the device within `work`."""
    torch.cuda.synchronize()
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    note = ""
    try:
        work()
    except RuntimeError as error:
        note = str(error).splitlines()[0]
    finally:
        torch.cuda.set_sync_debug_mode(before)
    return Check(name="velocities that wait for the device", value=float(bool(note)), allowed=0, note=note)


def _steps(lab: Lab, reference: BagelModel) -> list[Check]:
    """Losses of three steps of the SFT trainer."""
    expected = _losses(lab, reference, torch.device("cpu"), torch.float32)
    found = []
    for name, dtype, allowed in _types(lab):
        losses = _losses(lab, reference, lab.device, dtype)
        found.append(
            Check(name=f"losses of SFT steps, {name}", value=relative(losses, expected), allowed=allowed)
        )
    return found


def _losses(lab: Lab, reference: BagelModel, device: torch.device, dtype: torch.dtype) -> Tensor:
    scale = replace(tiny_scale(), config=CHECK_BAGEL)
    scale = replace(scale, preset=replace(scale.preset, kit=replace(scale.preset.kit, size=_SIZE)))
    config = replace(short(scale.preset.sft), prior_pictures=0, microbatches=2)
    model = converted(reference, device=device, dtype=dtype)
    attach_from_cpu(model)
    job = write_job(scale, lab.folder / f"check-{device.type}-{dtype}", config=config)
    trainer = sft.Trainer(model, job)
    steps: Sequence[dict[str, float]] = [trainer.step(index) for index in range(3)]
    return torch.tensor([[step["ce"], step["mse"]] for step in steps])


def _four_bit(lab: Lab, reference: BagelModel) -> list[Check]:
    """The quantised model against its dequantised weights; nothing where bitsandbytes is missing."""
    try:
        small = converted(reference, device=lab.device, quantize="nf4")
    except UserError as error:
        print(f"  left out: {error}")
        return []

    large = converted(reference, device=lab.device)
    _dequantise(small, large)
    found, expected = _outputs(small), _outputs(large)
    names = ("velocities", "losses of words")
    return [
        Check(name=f"{name}, NF4 or dequantised", value=relative(found[name], expected[name]), allowed=BF16)
        for name in names
    ]


@torch.no_grad()
def _dequantise(small: BagelModel, large: BagelModel) -> None:
    """Give `large` the weights that `small` computes with."""
    from bitsandbytes.functional import dequantize_4bit

    for name, layer in small.named_modules():
        if isinstance(layer, nn.Linear) and not layer.weight.is_floating_point():
            weight = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
            large.get_submodule(name).weight.copy_(weight)
