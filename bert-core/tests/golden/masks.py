"""The dropout masks of the fused kernels (`src/ops/ndarray/dropout.rs`) in PyTorch: what they drop, transformers drops."""

import contextlib

import numpy
import torch


def mix(z):
    z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return z ^ (z >> numpy.uint64(31))


def derive(seed, purpose, *indices):
    """`data::random::derive`; an index may be an array."""
    with numpy.errstate(over="ignore"):
        state = mix(numpy.uint64(seed) ^ numpy.uint64(0x626572742D726E67))
        for byte in purpose.encode():
            state = mix(state ^ numpy.uint64(byte))
        for index in indices:
            state = mix((state + numpy.uint64(0x9E3779B97F4A7C15)) ^ numpy.asarray(index, dtype=numpy.uint64))
    return state


def factors(seed, rows, columns, probability):
    """0 or 1 / (1 - probability) for each of the numbered rows and each column."""
    x = derive(seed, "", rows).astype(numpy.uint32)[..., None]
    with numpy.errstate(over="ignore"):
        x = x ^ (numpy.arange(columns, dtype=numpy.uint32) * numpy.uint32(0x9E3779B9))
        x = (x ^ (x >> numpy.uint32(16))) * numpy.uint32(0x7FEB352D)
        x = (x ^ (x >> numpy.uint32(15))) * numpy.uint32(0x846CA68B)
    x = x ^ (x >> numpy.uint32(16))
    dropped = x < numpy.uint32(int(probability * 2**32))
    return torch.from_numpy(numpy.where(dropped, 0.0, 1 / (1 - probability)))


class Masks:
    """Stands in for `torch.nn.functional.dropout` in one forward pass of an encoder with eager attention.

    Rows are numbered as in a packed batch: `lengths` are the tokens of its sequences, and `selected` the positions of each
    that the last layer computes, all of them where it is None.
    """

    def __init__(self, seed, layers, lengths, selected=None):
        every = [list(range(length)) for length in lengths]
        self.seed, self.layers, self.used = seed, layers, 0
        self.every, self.selected = every, selected or every

    def __call__(self, x, p=0.5, training=True, inplace=False):
        if p == 0 or not training:
            return x
        # One use for the embeddings, three a layer: attention, its output, the feed-forward network's.
        in_last = self.used > 3 * (self.layers - 1)
        seed = derive(self.seed, "dropout", self.used)
        self.used += 1
        heads = x.shape[1] if x.dim() == 4 else 1
        rows = numpy.zeros((x.shape[0], heads, x.shape[-2]))
        first = 0
        for sequence, positions in enumerate(self.selected if in_last else self.every):
            for head in range(heads):
                rows[sequence, head, positions] = range(first, first + len(positions))
                first += len(positions)
        return x * factors(seed, rows.reshape(x.shape[:-1]), x.shape[-1], p).to(x.dtype)


@contextlib.contextmanager
def dropping(masks):
    """Within, `masks` says what is dropped."""
    original = torch.nn.functional.dropout
    torch.nn.functional.dropout = masks
    try:
        yield
    finally:
        torch.nn.functional.dropout = original
