"""Conv-LoRA's graph, its choice of experts, and the loss that balances them."""

from __future__ import annotations

import copy
from statistics import NormalDist, mean, variance

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infosam.peft import method_losses
from infosam.peft.convlora import ConvLoRA, balance_loss
from infosam.peft.method_losses import contribute

MAPS = 64


@pytest.fixture
def layer(single_thread: None) -> ConvLoRA:
    """A layer whose weights are no longer zero."""
    torch.manual_seed(0)
    made = ConvLoRA(nn.Linear(12, 36), rank=3, scale=2.0, experts=4, balance_weight=0.5)
    with torch.no_grad():
        for weight in (made.b, made.gate.choice, made.gate.noise):
            weight.normal_()
    return made.eval()


@pytest.fixture
def maps() -> Tensor:
    """(N, H, W, D), of unlike means, so that the gate chooses unlike experts."""
    generator = torch.Generator().manual_seed(1)
    means = torch.randn(MAPS, 1, 1, 12, generator=generator)
    return means + torch.randn(MAPS, 5, 7, 12, generator=generator)


@torch.no_grad()
def test_one_expert_answers_each_map(layer: ConvLoRA, maps: Tensor) -> None:
    seen = set()
    for one, out in zip(maps, layer(maps), strict=True):
        low = torch.einsum("hwd,rd->rhw", one, layer.a)
        number = int((low.mean((1, 2)) @ layer.gate.choice).argmax())
        seen.add(number)
        conv: nn.Conv2d = layer.experts[number].conv  # type: ignore[assignment, union-attr]
        enlarged = F.interpolate(low[None], (5 * (number + 1), 7 * (number + 1)), mode="bicubic")
        said = F.gelu(F.conv2d(enlarged, conv.weight, conv.bias, padding=1))
        mixed = low + F.interpolate(said, (5, 7), mode="bicubic")[0]
        expected = layer.linear(one) + 2.0 * torch.einsum("rhw,or->hwo", mixed, layer.b)
        torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-4)
    assert seen == {0, 1, 2, 3}


@torch.no_grad()
def test_choices_are_drawn_in_training_only(layer: ConvLoRA, maps: Tensor) -> None:
    assert torch.equal(layer(maps), layer(maps))
    layer.train()
    assert not torch.equal(layer(maps), layer(maps))


def test_every_part_learns_and_nothing_stays_on_the_layer(layer: ConvLoRA, maps: Tensor) -> None:
    layer.linear.requires_grad_(False)
    layer.train()
    with method_losses() as own:
        out = layer(maps)
    assert own.keys() == {"balance"}
    (out.square().mean() + own["balance"]).backward()
    for name, parameter in layer.named_parameters():
        assert (parameter.grad is not None and bool(parameter.grad.any())) != name.startswith("linear"), name
    assert copy.deepcopy(layer).gate.choice.equal(layer.gate.choice)


def test_the_balance_loss_is_weighted_and_asked_for_in_training_only(layer: ConvLoRA, maps: Tensor) -> None:
    with method_losses() as own:
        layer(maps)
    assert own == {}
    layer.train()
    losses = []
    for weight in (0.5, 1.0):
        layer.balance_weight = weight
        torch.manual_seed(0)
        with method_losses() as own:
            layer(maps)
        losses.append(own["balance"].item())
    assert losses[1] == pytest.approx(2 * losses[0])


@torch.no_grad()
def test_half_precision(layer: ConvLoRA, maps: Tensor) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16), method_losses() as own:
        low = layer(maps)
        layer.train()
        layer(maps)
    assert own["balance"].dtype == torch.float32
    assert low.dtype == torch.bfloat16
    close = (low.float() - layer.eval()(maps)).abs().flatten(1).amax(1) < 0.5
    assert close.float().mean() > 0.9  # some maps stand between two experts


def draw(count: int, experts: int) -> tuple[Tensor, Tensor, Tensor]:
    """Values, noisy values and spreads of a gate."""
    generator = torch.Generator().manual_seed(2)
    clean, noise = torch.randn(2, count, experts, dtype=torch.float64, generator=generator)
    spread = torch.rand(count, experts, dtype=torch.float64, generator=generator) + 0.2
    return clean, clean + noise * spread, spread


def slow_balance(clean: Tensor, noisy: Tensor, spread: Tensor) -> float:
    """The sum of both squared coefficients of variation, sample by sample and expert by expert."""
    count, experts = clean.shape
    importance, load = [0.0] * experts, [0.0] * experts
    for i in range(count):
        values = noisy[i].tolist()
        importance[values.index(max(values))] += 1
        for k in range(experts):
            rival = max(value for other, value in enumerate(values) if other != k)
            load[k] += NormalDist().cdf((clean[i, k].item() - rival) / spread[i, k].item())
    return sum(variance(values) / (mean(values) ** 2 + 1e-10) for values in (importance, load))


@pytest.mark.parametrize(("count", "experts"), [(1, 8), (5, 3), (50, 8)])
def test_balance_loss(count: int, experts: int) -> None:
    gate = draw(count, experts)
    assert balance_loss(*gate).item() == pytest.approx(slow_balance(*gate), rel=1e-6)


def test_balance_loss_has_the_right_gradient() -> None:
    assert torch.autograd.gradcheck(balance_loss, [part.requires_grad_() for part in draw(6, 4)])


def test_balance_loss_of_even_and_of_lopsided_use() -> None:
    even = 20.0 * torch.eye(4)
    assert balance_loss(even, even, torch.ones(4, 4)).item() == pytest.approx(0, abs=1e-6)
    lopsided = torch.tensor([20.0, 0.0, 0.0, 0.0]).expand(4, 4)
    one_of_four = 4.0  # the squared coefficient of variation of (4, 0, 0, 0)
    assert balance_loss(lopsided, lopsided, torch.ones(4, 4)).item() == pytest.approx(2 * one_of_four)


def test_losses_are_collected_by_the_innermost() -> None:
    contribute("lost", torch.ones(()))
    with method_losses() as outer:
        contribute("balance", torch.tensor(1.0))
        with method_losses() as inner:
            contribute("balance", torch.tensor(4.0))
        contribute("balance", torch.tensor(2.0))
    assert outer == {"balance": torch.tensor(3.0)}
    assert inner == {"balance": torch.tensor(4.0)}
