"""Properties of the whole network, over every switch and several encoders."""

from __future__ import annotations

import itertools

import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from symbio.errors import SymbioError
from symbio.model.exchanges.registry import EXCHANGES
from symbio.model.network import build_network

from .builders import SIZE, images, model_params, small_network

ENCODERS = [
    "test_maxvit", "test_coatnet", "test_resnet", "resnet18", "test_convnext",
    "test_efficientnet", "test_vit", "test_mambaout", "hrnet_w18_small",
]  # fmt: skip


def loss_of(prediction):
    loss = prediction.depth.log().pow(2).mean()
    return loss if prediction.logits is None else loss + prediction.logits.pow(2).mean()


def assert_learns(network, size=SIZE, batch=2):
    """Right shapes, no NaN, depth in range, a finite gradient for every parameter."""
    prediction = network(images(batch, 3, *size))
    assert prediction.depth.shape == (batch, *size)
    assert prediction.depth.dtype == torch.float32
    assert prediction.depth.isfinite().all()
    assert prediction.depth.min() >= 0.0
    assert prediction.depth.max() <= 10.0
    if prediction.logits is not None:
        assert prediction.logits.shape == (batch, 11, *size)
        assert prediction.logits.isfinite().all()
    loss_of(prediction).backward()
    bad = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.isfinite().all()
    ]
    assert not bad, f"no finite gradient: {bad}"


@pytest.mark.parametrize(
    ("exchange", "directions"), itertools.product(EXCHANGES, ["both", "sgt", "dgt"])
)
def test_every_exchange_and_direction_learns(exchange, directions):
    assert_learns(small_network(exchange=exchange, directions=directions))


@pytest.mark.parametrize("depth_output", ["sigmoid", "log"])
@pytest.mark.parametrize("semantics", [True, False])
def test_every_head_learns(depth_output, semantics):
    network = small_network(depth_output=depth_output, semantics=semantics)
    assert_learns(network)
    names = {name.split(".")[0] for name, _ in network.named_parameters()}
    assert ("head_semantic" in names) == ("symbiosis" in names) == semantics


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_learns(encoder):
    assert_learns(small_network(encoder=encoder))


@pytest.mark.slow
def test_swin_learns():
    assert_learns(small_network(encoder="swin_tiny_patch4_window7_224"))


@pytest.mark.parametrize("encoder", ["test_maxvit", "test_resnet", "test_convnext"])
@pytest.mark.parametrize("size", [(33, 47), (65, 97), (120, 160), (64, 64), (88, 119)], ids=str)
def test_any_size_is_taken(encoder, size):
    assert_learns(small_network(encoder=encoder), size)


@pytest.mark.parametrize("size", [(120, 160), (88, 304), (45, 63)], ids=str)
def test_maxvit_is_built_for_the_padded_size(size):
    network = small_network(size=size)
    padded = tuple(-(-side // 32) * 32 for side in size)
    assert network.encoder.fixed_size == padded
    assert_learns(network, size, batch=1 if size[0] > 45 else 2)


@torch.no_grad()
def test_a_bound_encoder_resizes_other_sizes_and_resizes_the_outputs_back():
    network = small_network(encoder="test_maxvit").eval()
    # A picture without detail is the same at every size.
    shade = torch.tensor([0.3, -0.2, 0.9]).reshape(1, 3, 1, 1)
    built, other = network(shade.expand(1, 3, *SIZE)), network(shade.expand(1, 3, 60, 200))
    expected = F.interpolate(built.logits, (60, 200), mode="bilinear")
    torch.testing.assert_close(other.logits, expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("size", [SIZE, (57, 90)], ids=str)
def test_coarse_logits_are_the_same_logits(size):
    network = small_network().eval()
    image = images(2, 3, *size)
    full, coarse = network(image), network(image, coarse_logits=True)
    assert torch.equal(full.depth, coarse.depth)
    assert torch.equal(network.upsample_logits(coarse.logits, size), full.logits)
    assert torch.equal(network.classes(coarse.logits, size), full.logits.argmax(1).to(torch.uint8))
    assert coarse.logits.shape[-2:] == (SIZE[0] // 4, SIZE[1] // 4)


@torch.no_grad()
def test_forward_is_deterministic_and_weights_depend_on_the_seed_alone():
    state = torch.get_rng_state()
    first = small_network(seed=3).eval()
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(5)
    second, other = small_network(seed=3).eval(), small_network(seed=4).eval()
    image = images(1, 3, *SIZE)
    assert torch.equal(first(image).depth, first(image).depth)
    assert torch.equal(first(image).logits, second(image).logits)
    assert not torch.equal(first(image).logits, other(image).logits)


@pytest.mark.parametrize("depth_output", ["sigmoid", "log"])
def test_depth_is_float32_under_autocast(depth_output):
    network = small_network(depth_output=depth_output)
    image = images(2, 3, *SIZE)
    with torch.autocast("cpu", torch.bfloat16):
        prediction = network(image)
    assert prediction.depth.dtype == torch.float32
    # More distinct values than bfloat16 has in a factor of two: not rounded on the way.
    assert prediction.depth[0].unique().numel() > 1000
    loss_of(prediction).backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


def test_gradients_do_not_depend_on_how_a_batch_is_split():
    """With an encoder without batch norm; our own parts have none."""
    network = small_network(encoder="test_convnext")
    image = images(4, 3, *SIZE)
    loss_of(network(image)).backward()
    whole = {name: parameter.grad.clone() for name, parameter in network.named_parameters()}
    network.zero_grad()
    for part in image.split(1):
        (loss_of(network(part)) / 4).backward()
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(
            parameter.grad,
            whole[name],
            atol=1e-5,
            rtol=1e-3,
            msg=lambda m, name=name: f"{name}: {m}",
        )


def test_no_norm_of_ours_looks_at_the_batch():
    network = small_network(encoder="test_convnext")
    found = {
        name
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
    }
    assert not found


def test_the_first_depth_is_about_a_quarter_of_the_largest():
    for depth_output in ("sigmoid", "log"):
        depth = small_network(depth_output=depth_output).eval()(images(1, 3, *SIZE)).depth
        assert 0.5 < float(depth.mean().detach()) < 6.0, depth_output


def test_normalise_uses_the_encoders_own_mean_and_deviation():
    white = torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)
    # MaxViT: mean and deviation 0.5. This ResNet: 0.485, 0.456, 0.406 and 0.229, 0.224, 0.225.
    assert torch.allclose(small_network().normalise(white), torch.tensor(1.0))
    red, green, blue = small_network(encoder="resnet18").normalise(white)[0, :, 0, 0]
    expected = torch.tensor([0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225])
    torch.testing.assert_close(torch.stack((red, green, blue)), expected)


@pytest.mark.parametrize(
    ("encoder", "says"),
    [
        ("maxvit_tinny_tf_512", "maxvit_tiny_tf_512"),
        ("vit_small_patch14_dinov2", "powers of two"),
        ("mvitv2_tiny", "cannot be built as a feature pyramid"),
    ],
)
def test_an_unusable_encoder_is_refused_by_name(encoder, says):
    with pytest.raises(SymbioError, match=rf"model\.encoder.*{says}"):
        small_network(encoder=encoder)


def test_an_encoder_without_padding_is_refused():
    network = small_network(encoder="inception_v3")
    with pytest.raises(SymbioError, match=r"inception_v3.*at stride"):
        network(images(2, 3, *SIZE))


def test_weights_out_of_reach_say_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(SymbioError, match=r"maxvit_rmlp_pico.*model\.pretrained: false"):
        small_network(encoder="maxvit_rmlp_pico_rw_256", pretrained=True)


def test_weights_put_into_the_local_hub_cache_are_used(monkeypatch, tmp_path):
    whole = timm.create_model("test_resnet", pretrained=False)
    revision = "0" * 40
    place = tmp_path / "models--timm--test_resnet.r160_in1k"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(revision)
    (place / "snapshots" / revision).mkdir(parents=True)
    save_file(whole.state_dict(), place / "snapshots" / revision / "model.safetensors")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    network = small_network(encoder="test_resnet", pretrained=True)
    ours, theirs = network.encoder.body.state_dict(), whole.state_dict()
    assert ours
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


def test_it_can_learn_a_few_frames_by_heart():
    """Depth from brightness, class from the quadrant: both errors fall to a fraction."""
    network = small_network(encoder="test_resnet", size=(64, 64))
    image = images(4, 3, 64, 64)
    coarse = F.interpolate(image[:, :1, ::16, ::16], (64, 64), mode="bilinear")
    image = coarse.expand(4, 3, 64, 64).contiguous()
    target = 3.0 * torch.exp(0.4 * coarse[:, 0])
    right, low = torch.meshgrid(torch.arange(64) // 32, torch.arange(64) // 32, indexing="ij")
    labels = (2 * right + low).expand(4, 64, 64)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    history = []
    for _ in range(40):
        depth, logits = network(image, coarse_logits=True)
        error = (depth.log() - target.log()).abs().mean()
        entropy = network.cross_entropy_sum(logits, labels, torch.ones(4, 64, 64)) / labels.numel()
        optimiser.zero_grad()
        (error + entropy).backward()
        optimiser.step()
        history.append((error.item(), entropy.item()))
    assert history[-1][0] < 0.4 * history[0][0], history[:: len(history) - 1]
    assert history[-1][1] < 0.25 * history[0][1], history[:: len(history) - 1]


def test_an_empty_depth_range_is_refused():
    with pytest.raises(SymbioError, match=r"depth_range.*10\.0 and 1\.0"):
        build_network(model_params(), SIZE, max_depth_m=1.0, min_depth_m=10.0)
