"""The components once more, one step and one sample at a time, written from the equations.

Only weights and names are taken from the modules. Float64; a sample's map is [C, H, W], its
tokens are [N, D]. Where a neuron stands, its spikes are also noted under its name.
"""

import torch
from torch import nn

from spikenas import registry
from spikenas.nn.neurons.neuron import Neuron


class Membranes:
    """LIF with tau = 2 by name: v + (x - v) / 2, fires at the threshold, back to 0."""

    def __init__(self):
        self.v = {}
        self.spikes = {}

    def __call__(self, name, x, threshold=1.0):
        v = self.v.get(name, torch.zeros_like(x))
        h = v + (x - v) / 2
        spikes = torch.where(h >= threshold, 1.0, 0.0).double()
        self.v[name] = torch.where(h >= threshold, 0.0, h)
        self.spikes.setdefault(name, []).append(spikes)
        return spikes


def run(step, x):
    """Return ``step(image, membranes)`` for every sample and step, and the spikes by name."""
    outputs, spikes = [], []
    for b in range(x.shape[1]):
        membranes = Membranes()
        outputs.append(torch.stack([step(x_t[b], membranes) for x_t in x]))
        spikes.append({name: torch.stack(s) for name, s in membranes.spikes.items()})
    named = {name: torch.stack([s[name] for s in spikes], 1) for name in spikes[0]}
    return torch.stack(outputs, 1), named


def seen(module, x):
    """Return a module's output, and the spikes of its neurons by name."""
    spikes = {}

    def keep(name):
        return lambda _module, _inputs, output: spikes.update({name: output})

    hooks = [
        leaf.register_forward_hook(keep(name))
        for name, leaf in module.named_modules()
        if isinstance(leaf, Neuron)
    ]
    with torch.no_grad():
        output = module(x)
    for hook in hooks:
        hook.remove()
    return output, spikes


def assert_as_by_the_equations(module, step, x):
    """Compare spikes exactly, and reals to 1e-10."""
    output, spikes = seen(module, x)
    with torch.no_grad():
        expected, expected_spikes = run(step, x)

    assert spikes.keys() == expected_spikes.keys()
    for name, found in spikes.items():
        assert found.equal(expected_spikes[name]), name
        assert 0 < found.mean() < 1, f"{name} tells nothing"
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-10)


def randomised(module, seed=0):
    """Give weights and statistics values with which neurons neither rest nor fire always."""
    random = torch.Generator().manual_seed(seed)
    module.double().eval()
    for name, tensor in module.state_dict().items():
        noise = torch.randn(tensor.shape, generator=random, dtype=torch.float64)
        if name.endswith("running_var"):
            tensor.copy_(0.5 + noise.abs())
        elif name.endswith(("bias", "running_mean")):
            tensor.copy_(0.5 * noise)
        elif tensor.dim() == 1:  # scale of a batch norm
            tensor.copy_(1.0 + noise.abs())
        else:
            tensor.copy_(2.0 * noise / tensor[0].numel() ** 0.5)
    return module


def shipped(family):
    """Return the names of our own components; other tests may have registered plugins."""
    found = [registry.component(family, name) for name in registry.names(family)]
    return [component.name for component in found if component.target.startswith("spikenas.")]


def spikes_like(*shape, seed=1):
    random = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=random) < 0.4).double()


def pixels(*shape, seed=1):
    return 1.5 * torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def batch_norm(x, bn):
    """Normalise the last axis with the running statistics."""
    return (x - bn.running_mean) / torch.sqrt(bn.running_var + 1e-5) * bn.weight + bn.bias


def on_map(x, bn):
    """Normalise the channels of a map [C, H, W]."""
    return batch_norm(x.permute(1, 2, 0), bn).permute(2, 0, 1)


def linear(x, layer: nn.Module):
    y = torch.stack([layer.weight @ token for token in x])
    return y if layer.bias is None else y + layer.bias


def conv(x, layer, stride=1, padding=1):
    """Sum over the offsets of the kernel."""
    C, H, W = x.shape
    padded = x.new_zeros(C, H + 2 * padding, W + 2 * padding)
    padded[:, padding : padding + H, padding : padding + W] = x
    k = layer.weight.shape[-1]
    rows, columns = ((n + 2 * padding - k) // stride + 1 for n in (H, W))
    out = x.new_zeros(layer.weight.shape[0], rows, columns)
    for i in range(rows):
        for j in range(columns):
            window = padded[:, i * stride : i * stride + k, j * stride : j * stride + k]
            out[:, i, j] = (layer.weight * window).sum((1, 2, 3))
    return out


def linear_norm(x, layer):
    return batch_norm(linear(x, layer.linear), layer.norm)


def conv_norm(x, layer, stride=1, padding=1):
    return on_map(conv(x, layer.conv, stride, padding), layer.norm)


def conv_over_tokens(x, layer):
    """Sum over the offsets of the kernel along the raster order; a linear map has kernel 1."""
    weight = layer.weight if layer.weight.dim() == 3 else layer.weight.unsqueeze(2)
    k = weight.shape[2]
    out = x.new_zeros(len(x), len(weight))
    for n in range(len(x)):
        for i in range(k):
            if 0 <= n + i - k // 2 < len(x):
                out[n] += weight[:, :, i] @ x[n + i - k // 2]
    return out


def max_pool(x, stride=2):
    """3x3 maxima of padding 1 of a map [C, H, W]."""
    C, H, W = x.shape
    out = x.new_zeros(C, -(-H // stride), -(-W // stride))
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            top, left = stride * i - 1, stride * j - 1
            out[:, i, j] = x[:, max(top, 0) : top + 3, max(left, 0) : left + 3].amax((1, 2))
    return out
