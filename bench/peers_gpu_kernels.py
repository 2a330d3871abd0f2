# SPDX-License-Identifier: Apache-2.0
"""Parts of bench/peers_gpu.py without a model: the ceilings of the device, cuBLAS and the framework's attention."""

import math
import statistics
import time

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

# (name, n, k) of engine.md section 9.2 and of Llama-3.1-8B's five products.
GEMM_SHAPES = [
    ("8b-qkv", 6144, 4096), ("8b-o", 4096, 4096), ("8b-gate-up", 28672, 4096), ("8b-down", 4096, 14336),
    ("8b-head", 128256, 4096), ("16384x4096", 16384, 4096), ("4096x12288", 4096, 12288), ("65536x4096", 65536, 4096),
    ("70b-o", 8192, 8192), ("70b-qkv", 10240, 8192), ("1024x8192", 1024, 8192), ("16384x16384", 16384, 16384),
]
GEMM_ROWS = [1, 8, 64, 2048, 8192]
Q_HEADS, KV_HEADS, HEAD_DIM = 32, 8, 128
PREFILL_TOKENS = [1024, 2048, 4096, 8192, 16384]
DECODE_POINTS = [(batch, context) for context in (1024, 4096, 16384) for batch in (1, 8, 64)]
BACKENDS = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}
GROUPS, GROUP_S = 5, 0.03  # each figure: the median of five groups of about 30 ms


class Clock:
    """Times work on a device: CUDA events there, the host's clock on a CPU."""

    def __init__(self, device):
        self.cuda = device.type == "cuda"
        self.l2_bytes = torch.cuda.get_device_properties(device).L2_cache_size if self.cuda else 1 << 20

    def seconds(self, work):
        if self.cuda:
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            work()
            end.record()
            end.synchronize()
            return begin.elapsed_time(end) / 1e3
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin

    def synchronize(self):
        if self.cuda:
            torch.cuda.synchronize()

    def rotated(self, calls):
        """Microseconds per call (median, min, max over GROUPS) of `calls`, run one after the other in a CUDA graph."""
        graph = None
        if self.cuda:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for call in calls[:3]:  # libraries allocate and choose kernels on their first calls
                    call()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                for call in calls:
                    call()
            once = graph.replay
        else:
            def once():
                for call in calls:
                    call()
        once()
        self.synchronize()
        repeats = max(1, min(2000, math.ceil(GROUP_S / max(self.seconds(once), 1e-6))))

        def group():
            for _ in range(repeats):
                once()
        found = [self.seconds(group) / (repeats * len(calls)) * 1e6 for _ in range(GROUPS)]
        del graph
        return {"us": statistics.median(found), "us_min": min(found), "us_max": max(found)}

    def copies(self, bytes_each):
        """How many operands to rotate over so that a cached one is evicted before its turn comes again."""
        return max(2, math.ceil(8 * self.l2_bytes / bytes_each))


def random_bf16(shape, device, deviation=1.0):
    return torch.empty(shape, dtype=torch.bfloat16, device=device).normal_(0.0, deviation)


def ceilings(args, device, part):
    """Read-only bandwidth, copy bandwidth, bf16 matrix rate. Several reductions, since none is made to be a ceiling."""
    clock = Clock(device)
    size = (1 << 22) if args.tiny else 3 << 30  # bytes
    source = random_bf16(size // 2, device)
    views = {
        "amax int32": (source.view(torch.int32), torch.amax), "sum int32": (source.view(torch.int32), torch.sum),
        "sum int64": (source.view(torch.int64), torch.sum), "amax bf16": (source, torch.amax),
        "sum bf16": (source, torch.sum),
    }
    runs = 3 if args.tiny else 20
    for name, (view, reduce) in views.items():
        reduce(view)
        found = sorted(size / clock.seconds(lambda: reduce(view)) for _ in range(runs))
        part["rows"].append({"kind": "read", "operation": name, "bytes": size, "best_bytes_per_s": found[-1],
                             "median_bytes_per_s": statistics.median(found)})
    target = torch.empty_like(source)
    target.copy_(source)
    found = sorted(2 * size / clock.seconds(lambda: target.copy_(source)) for _ in range(runs))
    part["rows"].append({"kind": "copy", "bytes": 2 * size, "counted": "bytes read and written",
                         "best_bytes_per_s": found[-1], "median_bytes_per_s": statistics.median(found)})
    del source, target, views
    n = 256 if args.tiny else 8192
    a, b, c = (random_bf16((n, n), device) for _ in range(3))
    for _ in range(3):
        torch.mm(a, b, out=c)

    def ten():
        for _ in range(10):
            torch.mm(a, b, out=c)
    found = sorted(10 * 2.0 * n**3 / clock.seconds(ten) for _ in range(runs))
    part["rows"].append({"kind": "matmul", "m": n, "n": n, "k": n, "dtype": "bf16", "data": "normal",
                         "best_flop_per_s": found[-1], "median_flop_per_s": statistics.median(found)})
    reads = [row for row in part["rows"] if row["kind"] == "read"]
    part["best_read_bytes_per_s"] = max(row["best_bytes_per_s"] for row in reads)
    part["median_read_bytes_per_s"] = max(row["median_bytes_per_s"] for row in reads)


def gemm(args, device, part):
    """y[m, n] = x[m, k] · W[n, k]ᵀ by torch.mm (cuBLAS), weights rotated so that none is found in L2."""
    clock = Clock(device)
    shapes = [("tiny", 96, 64), ("tiny-wide", 300, 64)] if args.tiny else GEMM_SHAPES
    for name, n, k in shapes:
        count = clock.copies(2 * n * k)
        weights = [random_bf16((n, k), device, k**-0.5) for _ in range(count)]
        for m in [1, 8] if args.tiny else GEMM_ROWS:
            x, y = random_bf16((m, k), device), torch.empty(m, n, dtype=torch.bfloat16, device=device)
            calls = [lambda w=w: torch.mm(x, w.t(), out=y) for w in (weights if m <= 64 else weights[:2])]
            row = {"name": name, "m": m, "n": n, "k": k, "copies": len(calls), **clock.rotated(calls)}
            row["bytes_per_s"] = 2.0 * (n * k + m * k + m * n) / row["us"] * 1e6
            row["flop_per_s"] = 2.0 * m * n * k / row["us"] * 1e6
            part["rows"].append(row)


def attend(backend, q, k, v, causal):
    with sdpa_kernel(BACKENDS[backend]):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True)


def attention(args, device, part):
    """Decode and causal prefill with 32/8 heads of 128, contiguous keys and values, no mask."""
    clock = Clock(device)
    heads, kv_heads, dim = (4, 2, 16) if args.tiny else (Q_HEADS, KV_HEADS, HEAD_DIM)
    for batch, context in [(1, 32), (2, 64)] if args.tiny else DECODE_POINTS:
        kv_bytes = 2 * 2 * batch * context * kv_heads * dim
        kv = [random_bf16((2, batch, kv_heads, context, dim), device) for _ in range(clock.copies(kv_bytes))]
        q = random_bf16((batch, heads, 1, dim), device)
        for backend in BACKENDS:
            row = {"phase": "decode", "backend": backend, "batch": batch, "context": context}
            try:
                row.update(clock.rotated([lambda t=t: attend(backend, q, t[0], t[1], False) for t in kv]))
                row["bytes_per_s"] = kv_bytes / row["us"] * 1e6
            except RuntimeError as error:
                row["unavailable"] = str(error).splitlines()[0]
            part["rows"].append(row)
        del kv, q
    for tokens in [32, 64] if args.tiny else PREFILL_TOKENS:
        q = random_bf16((1, heads, tokens, dim), device)
        k, v = (random_bf16((1, kv_heads, tokens, dim), device) for _ in range(2))
        for backend in BACKENDS:
            row = {"phase": "prefill", "backend": backend, "batch": 1, "context": tokens, "flop_counted": "causal half"}
            # A backend that cannot group query heads gets one copy of the keys per query head: prefill is bound by
            # arithmetic, so that the extra bytes change little.
            for kind, share in (("grouped", 1), ("repeated", heads // kv_heads)):
                try:
                    keys, values = (t if share == 1 else t.repeat_interleave(share, dim=1) for t in (k, v))
                    row.update(clock.rotated([lambda a=keys, b=values: attend(backend, q, a, b, True)]), kv_heads=kind)
                    row["flop_per_s"] = 2.0 * heads * dim * tokens * (tokens + 1) / row["us"] * 1e6
                    row.pop("unavailable", None)
                    break
                except RuntimeError as error:
                    row["unavailable"] = str(error).splitlines()[0]
            part["rows"].append(row)
