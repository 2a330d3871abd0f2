# SPDX-License-Identifier: Apache-2.0
"""The values of Lindos' synthetic weights ("random:SEED"), made by torch on any device, bit by bit those of
exec/checkpoint/synthetic.cpp: the same formulas in 64-bit integers that wrap, one rounding to f32, one to the dtype."""

import math
import struct

import torch

GOLDEN = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1
CHUNK = 1 << 26  # values made at once: three 64-bit temporaries of 512 MiB
BIAS_DEVIATION = 0.02
# The first values of model.layers.0.self_attn.q_proj.weight with 72 columns, seed 1, f32: the golden values of
# tests/exec/checkpoint/synthetic_test.cpp.
PROVEN_NAME, PROVEN_COLUMNS = "model.layers.0.self_attn.q_proj.weight", 72
PROVEN = [float.fromhex(text) for text in ("0x1.e7f8b8p-3", "0x1.e35db2p-6", "-0x1.505d5ep-3", "-0x1.3af6acp-4")]


def signed(value):
    """The 64-bit pattern of `value` as the number that an int64 tensor holds."""
    value &= MASK
    return value - (1 << 64) if value >> 63 else value


def mix(z):
    z &= MASK
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return z ^ (z >> 31)


def hash_name(name):
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 & MASK
    return value


def deviation_scale(deviation):
    variance = 4.0 * (65536.0 * 65536.0 - 1.0) / 12.0
    return struct.unpack("f", struct.pack("f", deviation / math.sqrt(variance)))[0]


def shifted(z, bits):
    """Logical shift right; torch shifts int64 arithmetically, so the copies of the sign are cut off."""
    return (z >> bits).bitwise_and_((1 << (64 - bits)) - 1)


def mixed(z):
    z ^= shifted(z, 30)
    z *= signed(0xBF58476D1CE4E5B9)
    z ^= shifted(z, 27)
    z *= signed(0x94D049BB133111EB)
    z ^= shifted(z, 31)
    return z


def fill(out, name, seed):
    """Writes the values of tensor `name` into the contiguous tensor `out`."""
    if name.endswith("norm.weight"):
        out.fill_(1.0)
        return
    scale = deviation_scale(BIAS_DEVIATION if name.endswith(".bias") else 1.0 / math.sqrt(out.shape[-1]))
    key = signed(mix(mix(seed + GOLDEN) ^ hash_name(name)))
    flat = out.view(-1)
    for first in range(0, flat.numel(), CHUNK):
        part = flat[first:first + CHUNK]
        z = torch.arange(first, first + part.numel(), dtype=torch.int64, device=out.device)
        z = mixed(z.mul_(signed(GOLDEN)).add_(key))
        total = z & 0xFFFF
        for bits in (16, 32, 48):
            total += (z >> bits).bitwise_and_(0xFFFF)
        part.copy_(total.sub_(2 * 65535).to(torch.float32).mul_(scale))


def check(device):
    """Fails when this device does not reproduce the golden values."""
    out = torch.empty(1, PROVEN_COLUMNS, dtype=torch.float32, device=device)
    fill(out, PROVEN_NAME, 1)
    if out[0, :len(PROVEN)].tolist() != PROVEN:
        raise RuntimeError(f"synthetic weights differ from Lindos' golden values: {out[0, :len(PROVEN)].tolist()}")
