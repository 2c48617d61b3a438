"""Every phase of the base on another device: the same curve to rounding, a state that any device resumes."""

import copy

import factories_device
import pytest
import torch
from factories_device import on_second_device
from factories_small import SIZES, make_small_base, small_home

from unichar.judges.attribute_classifier import AttributeClassifier
from unichar.model.nano.expert import GenerationExpert
from unichar.model.nano.loading import load_nano
from unichar.model.nano.vae import Vae
from unichar.pretrain import attribute_classifiers, connector, expert, measure, vae
from unichar.pretrain.attribute_classifiers import ClassifierPhase
from unichar.pretrain.connector import ConnectorPhase
from unichar.pretrain.expert import ExpertPhase
from unichar.pretrain.pack import pack
from unichar.pretrain.vae import DecoderPhase, VaePhase
from unichar.pretrain.worlds.batches import ToonPictures
from unichar.training.curves import read_curve
from unichar.training.state import load_tensors

PICTURES = ToonPictures(4, 32)
HELD_OUT = {"toons": torch.zeros(2, 3, 32, 32)}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_small_base(tmp_path_factory.mktemp("base"))


def new(kind, *arguments):
    """A network with the same random weights at every call."""
    torch.manual_seed(0)
    return kind(*arguments)


def small_vae(device):
    return new(Vae, SIZES.vae_widths, SIZES.decoder_blocks).to(device)


def train_vae(base, folder, device):
    phase = VaePhase(steps=2, measure_every=2)
    trained = vae.run(small_vae(device), PICTURES, phase, folder, key="k", held_out=HELD_OUT)
    assert trained.shift.any()


def train_decoder(base, folder, device):
    phase = DecoderPhase(steps=2, measure_every=2)
    vae.train_decoder(small_vae(device), PICTURES, phase, folder, key="k", held_out=HELD_OUT)


def train_classifier(base, folder, device):
    first = small_vae(device).eval().requires_grad_(False)
    phase = ClassifierPhase(title="examiner", steps=2, batch=8)
    attribute_classifiers.run(new(AttributeClassifier), first, phase, folder, key="k")


def train_expert(base, folder, device):
    first = small_vae(device).eval().requires_grad_(False)
    phase = ExpertPhase(steps=2, captions=3, pictures=2)
    with small_home(base):
        expert.run(new(GenerationExpert, SIZES), phase, SIZES, first, folder, key="k")


def train_connector(base, folder, device):
    with small_home(base):
        model = load_nano(base, device=torch.device(device))
    connector.run(model, ConnectorPhase(naming_steps=1, steps=1, toons=2, questions=2), folder, key="k")


@pytest.mark.parametrize("train", [train_vae, train_decoder, train_classifier, train_expert, train_connector])
def test_a_phase_trains_on_the_device_and_resumes_on_the_cpu(train, base, tmp_path):
    train(base, tmp_path / "cpu", "cpu")
    expected = read_curve(tmp_path / "cpu" / "curve.jsonl")[-1]

    @on_second_device
    def check():
        train(base, tmp_path / "there", factories_device.DEVICE)

    check()
    found = read_curve(tmp_path / "there" / "curve.jsonl")[-1]
    assert found.keys() == expected.keys()
    for name in expected.keys() - {"accuracy"}:
        assert found[name] == pytest.approx(expected[name], rel=0.02), name

    # Nothing is left to do, so what the CPU reads is what the device wrote.
    there, _ = load_tensors(tmp_path / "there" / "state.safetensors")
    train(base, tmp_path / "there", "cpu")
    again, _ = load_tensors(tmp_path / "cpu" / "state.safetensors")
    assert there.keys() == again.keys()
    assert all(there[name].dtype == tensor.dtype for name, tensor in again.items())


def test_a_base_is_measured_and_packed_on_the_device(base, tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "COUNT", 2)
    with small_home(base):
        on_cpu = measure._perplexity_ratio(load_nano(base))
    held_out = new(AttributeClassifier).eval()

    @on_second_device
    def check():
        device = factories_device.DEVICE
        with small_home(base):
            model = load_nano(base)
            assert measure._perplexity_ratio(model) == pytest.approx(on_cpu, rel=0.05)

            there = copy.deepcopy(held_out).to(device)
            accuracy = attribute_classifiers.measure(there, count=8, seed=0, device=device)
            assert len(accuracy) > 5 and accuracy == pytest.approx(
                attribute_classifiers.measure(held_out, count=8, seed=0), nan_ok=True
            )
            parts = {"vae": model.vae, "vision": model.vision, "connector": model.connector}
            pack(parts | {"expert": model.gen}, SIZES, {}, tmp_path)
            assert measure.sample_page({**parts, "expert": model.gen}, SIZES).size == (8 * 38, 4 * 38)

    check()
    assert load_tensors(tmp_path / "base.safetensors")[0]["vae.shift"].dtype == torch.bfloat16
