#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Distils the operator tables of aiconfigurator into one Lindos profile per device.

    tools/distil_operators.py REFERENCE_DIR OUT_DIR [--date YYYY-MM-DD]

REFERENCE_DIR holds <gpu>/{gemm,attention,mla,moe,comm}/<framework>/<version>/*.parquet (github.com/ai-dynamo/aiconfigurator,
Apache-2.0); which rows are taken and why: docs/operators.md. Needs pyarrow (PyPI) to read Parquet, else the standard
library. Times are seconds in the profile and milliseconds in the tables.
"""
import argparse
import datetime
import json
import math
import pathlib
import statistics
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
COMMIT = "095f58a"
# One engine per family, so that no curve mixes implementations. GEMM: the one whose times vary least between
# neighbouring shapes, in every format. Attention: the one that times the kernel alone; TensorRT-LLM's rows take longer,
# presumably by RoPE and the cache write, which the cost model prices as ops of their own.
GEMM_ENGINE, GEMM_ENGINE_NAME = "trtllm/1.3.0rc20", "TensorRT-LLM 1.3.0rc20"
ATTENTION_ENGINE, ATTENTION_ENGINE_NAME = "vllm/0.24.0", "vLLM 0.24.0"
ALL_REDUCE_ENGINE = GEMM_ENGINE
NCCL, NCCL_NAME = "nccl/2.29.2", "NCCL 2.29.2"
# The only tables with watts (H200, GB200).
POWER_ENGINE, POWER_ENGINE_NAME = "vllm/0.22.0", "vLLM 0.22.0"
# A shorter kernel has one reading of the board's power, of no particular instant: neighbours differ by a factor of two.
POWER_LEAST_MS = 0.1
# One source of power per device: where a probe of ours sampled the board under an engine's steady steps, that one.
POWER_PROBES = {"h100-sxm": "2026-11-27-h100-8fb2410-profile.json", "h200-sxm": "2026-11-26-h200-481f6c0-profile.json"}
# Standard deviation of log(energy above idle) between engines: on H200, where there are both sources, six runs of ours
# against a prediction by published watts (docs/operators.md).
POWER_SPREAD = 0.25
DEVICES = {"h100-sxm": "h100_sxm", "h200-sxm": "h200_sxm", "gb200-nvl72": "gb200"}
# The tables' names of number formats that compute as ours do. Blockwise scaled fp8 is another kernel and is left out.
GEMM_FORMATS = {"bfloat16": "bf16", "fp8": "fp8", "nvfp4": "fp4"}
ELEMENT_BYTES = {"bf16": 2.0, "fp8": 1.0, "fp4": 0.5}

# What is kept of a table; between these the cost model interpolates. Of GEMMs the error lies in the weight matrices, whose
# times scatter by kernel choice and not in the rows: a sixth of the matrices adds a half to it, all 74 m take off a tenth.
SMALLEST_WIDTH = 256  # of n and k: narrower matrices occur in no model that Lindos plans
GEMM_ROWS = (1, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 16384)  # m
HEAD_DIM = 128
# (query, KV) heads of one rank: Llama 3.1 8B and 70B at tensor-parallel degrees 1 to 8; other head counts rescale.
HEADS = ((32, 8), (16, 4), (8, 2), (4, 1), (64, 8), (32, 4), (16, 2), (8, 1))
FP8_HEADS = ((32, 8), (8, 1))  # with an fp8 KV cache
# Latent attention (MLA) of one rank. Decodes absorb the expansion: all heads share one latent of 512 + 64, which counts as
# one KV head. Prompts expand it to as many key heads of 128 + 64 as there are query heads.
LATENT_HEAD_DIM, EXPANDED_HEAD_DIM = 576, 192
LATENT_HEADS = (128, 64, 16)  # DeepSeek and Kimi whole, DeepSeek over 8 ranks; others rescale
# The tables' names of expert formats. Every published fp8 checkpoint of such models has scales per block.
EXPERT_FORMATS = {"bfloat16": "bf16", "fp8_block": "fp8", "nvfp4": "fp4"}
EXPERT_ROUTING = "power_law_1.01"  # expert loads as measured on DeepSeek-V3
# (hidden, expert_ffn, top_k, experts): the catalogue's models
EXPERT_MODELS = ((7168, 2048, 8, 256), (7168, 2048, 8, 384), (4096, 1536, 8, 128), (2048, 768, 8, 128),
                 (4096, 14336, 2, 8), (3072, 1536, 8, 256), (6144, 2048, 8, 256))
EXPERT_TOKENS = (1, 4, 16, 48, 128, 384, 1024, 3072, 8192, 16384)
EXPERT_RANKS = 64  # most ranks that share a layer's experts
COLLECTIVES = {"all_reduce": "all_reduce", "all_gather": "all_gather", "reduce_scatter": "reduce_scatter",
               "alltoall": "all_to_all"}
MESSAGE_ELEMENT_BYTES = 2  # half and bfloat16 rows; message_size counts elements
NCCL_ELEMENT_BYTES = {"half": 2, "int8": 1}

CAST_ROWS = 64  # most rows at which the cast of a GEMM's input is all launch and no traffic
CAST_WIDTH = 1024  # least n and k at which the product itself is not all launch
SHORTEST_KERNEL_S = 2e-6  # no product of the tables takes less

SIGMA_PER_MEDIAN = 1.4826  # of a normal: standard deviation over median magnitude
# A reading ceiling needs more bytes than caches hold (GB200: 126 MB of L2).
CEILING_BYTES = 512e6
# Host time of a serving step, a prior as in sim/datasheet.cpp (fit of vLLM on Hopper by inference-sim): the tables time
# kernels only.
STEP_OVERHEAD_S, STEP_OVERHEAD_SPREAD, PER_SEQUENCE_OVERHEAD_S = 126e-6, 0.3, 4.4e-6
UNITS = {"TFLOP/s": 1e12, "GiB": 2.0**30, "MiB": 2.0**20, "TB/s": 1e12}
FORMATS = ("f32", "f16", "bf16", "fp8", "fp4", "int8")


def rows_of(path, **wanted):
    """Rows of a Parquet file as dicts, those whose columns have the wanted values."""
    try:
        import pyarrow.parquet
    except ImportError:
        sys.exit("distil_operators: pyarrow is missing; it reads the tables (pip install pyarrow)")
    if not path.is_file():
        sys.exit(f"distil_operators: {path}: no such table")
    rows = pyarrow.parquet.read_table(path).to_pylist()
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def power_of(folder, family, table, key_of):
    """key -> watts of the kernels that ran long enough to tell; none for a device without them."""
    path = folder / family / POWER_ENGINE / f"{table}.parquet"
    rows = rows_of(path) if path.is_file() else []
    return {key_of(row): float(f"{row['power']:.4g}") for row in rows if row["latency"] >= POWER_LEAST_MS}


def seconds(row):
    return float(f"{row['latency'] * 1e-3:.5g}")


def gemm_samples(folder, engine=GEMM_ENGINE):
    """Every row of the formats that Lindos knows."""
    def name(row):
        return row["gemm_dtype"], row["m"], row["n"], row["k"]

    watts = power_of(folder, "gemm", "gemm_perf", name)
    for row in rows_of(folder / "gemm" / engine / "gemm_perf.parquet"):
        if row["gemm_dtype"] in GEMM_FORMATS:
            yield with_watts({"dtype": GEMM_FORMATS[row["gemm_dtype"]], "m": row["m"], "n": row["n"], "k": row["k"],
                              "time_s": seconds(row), "spread": 0}, watts.get(name(row)))


def with_watts(sample, watts):
    return sample if watts is None else {**sample, "power_w": watts}


def attention_samples(folder, engine=ATTENTION_ENGINE):
    """Full attention with heads of 128 and bf16 arithmetic; `dtype` is that of the KV cache."""
    columns = ("kv_cache_dtype", "batch_size", "isl", "step", "num_heads", "num_key_value_heads", "head_dim", "window_size",
               "attn_dtype")

    def name(row):
        return tuple(row[column] for column in columns)

    for kind in ("context", "generation"):
        table = f"{kind}_attention_perf"
        watts = power_of(folder, "attention", table, name)
        for row in rows_of(folder / "attention" / engine / f"{table}.parquet", head_dim=HEAD_DIM, window_size=0,
                           attn_dtype="bfloat16"):
            dtype = {"bfloat16": "bf16", "fp8": "fp8"}[row["kv_cache_dtype"]]
            yield with_watts({"dtype": dtype, "sequences": row["batch_size"], "tokens": row["isl"], "context": row["step"],
                              "q_heads": row["num_heads"], "kv_heads": row["num_key_value_heads"], "head_dim": HEAD_DIM,
                              "time_s": seconds(row), "spread": 0}, watts.get(name(row)))


def latent_samples(folder, engine=GEMM_ENGINE):
    """Latent attention in bf16, without the projections around it; `dtype` is that of the cache."""
    for kind in ("context", "generation"):
        for row in rows_of(folder / "mla" / engine / f"{kind}_mla_perf.parquet", mla_dtype="bfloat16"):
            heads, prompt = row["num_heads"], kind == "context"
            yield {"dtype": {"bfloat16": "bf16", "fp8": "fp8"}[row["kv_cache_dtype"]], "sequences": row["batch_size"],
                   "tokens": row["isl"], "context": row["step"], "q_heads": heads, "kv_heads": heads if prompt else 1,
                   "head_dim": EXPANDED_HEAD_DIM if prompt else LATENT_HEAD_DIM, "time_s": seconds(row), "spread": 0}


def expert_samples(folder, engine=GEMM_ENGINE):
    """Grouped experts of one rank; of several kernels for one shape the fastest, as the engine chooses."""
    fastest = {}
    for row in rows_of(folder / "moe" / engine / "moe_perf.parquet", distribution=EXPERT_ROUTING):
        shape = tuple(row[name] for name in ("hidden_size", "inter_size", "topk", "num_experts"))
        if row["moe_dtype"] not in EXPERT_FORMATS or shape not in EXPERT_MODELS:
            continue
        if row["num_experts"] % row["moe_ep_size"] or row["inter_size"] % row["moe_tp_size"]:
            continue
        sample = {"dtype": EXPERT_FORMATS[row["moe_dtype"]], "tokens": row["num_tokens"], "hidden": row["hidden_size"],
                  "ffn": row["inter_size"] // row["moe_tp_size"], "top_k": row["topk"], "experts": row["num_experts"],
                  "held": row["num_experts"] // row["moe_ep_size"], "time_s": seconds(row), "spread": 0}
        best = fastest.setdefault(key(sample), sample)
        if sample["time_s"] < best["time_s"]:
            fastest[key(sample)] = sample
    yield from fastest.values()


def collective_samples(folder, nccl_dtype="half"):
    """NCCL, and the engine's own one-shot all-reduce as it runs inside a captured graph."""
    for row in rows_of(folder / "comm" / NCCL / "nccl_perf.parquet", nccl_dtype=nccl_dtype):
        yield message(COLLECTIVES[row["op_name"]], "nccl", row, NCCL_ELEMENT_BYTES[nccl_dtype])
    if nccl_dtype != "half":
        return
    for row in rows_of(folder / "comm" / ALL_REDUCE_ENGINE / "custom_allreduce_perf.parquet", op_name="all_reduce"):
        yield message("all_reduce", "one-shot", row)


def message(op, backend, row, element_bytes=MESSAGE_ELEMENT_BYTES):
    return {"op": op, "backend": backend, "ranks": row["num_gpus"],
            "bytes": row["message_size"] * element_bytes,
            "time_s": seconds(row), "spread": 0}


def is_decode(sample):
    return sample["context"] > 0


def is_latent(sample):
    return sample["head_dim"] != HEAD_DIM


def site(sample):
    """Samples with one site lie on one curve or grid of the cost model."""
    if "m" in sample:
        return sample["n"], sample["k"]
    if "held" in sample:
        return tuple(sample[name] for name in ("hidden", "ffn", "top_k", "experts", "held"))
    return sample["q_heads"], sample["kv_heads"]


def kept_gemm(sample):
    return sample["m"] in GEMM_ROWS and min(site(sample)) >= SMALLEST_WIDTH


def wanted_experts(sample):
    """Experts cut into columns or dealt out whole, not both, with at least one row for the rank."""
    width = next(width for hidden, width, top_k, experts in EXPERT_MODELS
                 if (hidden, top_k, experts) == (sample["hidden"], sample["top_k"], sample["experts"]))
    columns, ranks = width // sample["ffn"], sample["experts"] // sample["held"]
    rows = sample["tokens"] * sample["top_k"] / ranks
    return rows >= 1 and min(columns, ranks) == 1 and max(columns, ranks) <= EXPERT_RANKS


def kept_experts(sample):
    return wanted_experts(sample) and sample["tokens"] in EXPERT_TOKENS


def wanted_heads(sample):
    if is_latent(sample):
        return sample["q_heads"] in LATENT_HEADS
    return site(sample) in (FP8_HEADS if sample["dtype"] == "fp8" else HEADS)


def best_read_rate(gemm, attention):
    """Bytes per second of the sample that reads fastest, of those that no cache can hold."""
    best = 0.0
    for s in gemm:
        read = ELEMENT_BYTES[s["dtype"]] * (s["n"] * s["k"] + s["m"] * s["k"])
        if read >= CEILING_BYTES:
            best = max(best, read / s["time_s"])
    for s in (s for s in attention if is_decode(s) and not is_latent(s)):
        keys = s["sequences"] * (s["tokens"] + s["context"])
        read = ELEMENT_BYTES[s["dtype"]] * 2 * keys * s["kv_heads"] * s["head_dim"]
        if read >= CEILING_BYTES:
            best = max(best, read / s["time_s"])
    return best


def quantity(text):
    number, unit = text.split()
    return float(number) * UNITS[unit]


def spread_between_engines(samples, others):
    """Standard deviation of log(time) between two engines that time the same shapes, from the median of its magnitude.

    The tables hold no repeats. What a planner's engine does differently from the one in the table is what a prediction
    from it does not know, and so stands as the samples' spread.
    """
    theirs = {key(s): s["time_s"] for s in others}
    differences = [abs(math.log(s["time_s"] / theirs[key(s)])) for s in samples if key(s) in theirs]
    return float(f"{SIGMA_PER_MEDIAN * statistics.median(differences):.3g}")


def without_cast(samples, others):
    """Takes the cast of the input out of fp8 GEMMs, in place.

    TensorRT-LLM's fp8 rows hold a kernel that casts the activations, which an engine fuses into the norm before. How
    long it takes: the median by which those rows exceed the other engine's, which time the product alone, where rows
    are few.
    """
    theirs = {key(s): s["time_s"] for s in others}
    few = [s for s in samples if s["dtype"] == "fp8" and s["m"] <= CAST_ROWS and min(site(s)) >= CAST_WIDTH]
    cast = statistics.median(s["time_s"] - theirs[key(s)] for s in few if key(s) in theirs)
    for sample in samples:
        if sample["dtype"] == "fp8":
            sample["time_s"] = float(f"{max(sample['time_s'] - cast, SHORTEST_KERNEL_S):.5g}")
    return cast


def with_spread(device, reference, gemm, attention):
    folder = reference / DEVICES[device]
    other_gemm = list(gemm_samples(folder, ATTENTION_ENGINE))
    without_cast(gemm, other_gemm)
    other_attention = list(attention_samples(folder, GEMM_ENGINE))
    for samples, others in ((gemm, other_gemm),
                            ([s for s in attention if is_decode(s)], other_attention),
                            ([s for s in attention if not is_decode(s)], other_attention)):
        wide = [s for s in samples if "m" not in s or min(site(s)) >= SMALLEST_WIDTH]
        spread = spread_between_engines(wide, others)
        for sample in samples:
            sample["spread"] = spread


def peak_of(peaks, dtype):
    """A format that the units lack is computed in the next wider one they have, as in sim/datasheet.cpp."""
    return quantity(peaks.get(dtype) or (peaks["fp8"] if dtype == "fp4" else peaks["bf16"]))


def tables_of(reference, device):
    folder = reference / DEVICES[device]
    gemm, attention, experts = list(gemm_samples(folder)), list(attention_samples(folder)), list(expert_samples(folder))
    attention += latent_samples(folder)
    with_spread(device, reference, gemm, attention)
    spread = spread_between_engines(experts, expert_samples(folder, ATTENTION_ENGINE))
    for sample in experts:
        sample["spread"] = spread
    return gemm, attention, list(collective_samples(folder)), experts


def probed_power(device):
    """Power under steady loads as our own probe sampled it."""
    name = POWER_PROBES[device]
    probe = json.loads((ROOT / "data/measurements" / name).read_text())
    samples = [{key: value if isinstance(value, (str, int)) else float(f"{value:.5g}") for key, value in s.items()}
               for s in probe["power"]]
    return {"power_limit_w": probe["power_limit_w"], "power": samples}


def without_watts(samples):
    return [{key: value for key, value in s.items() if key != "power_w"} for s in samples]


def profile_of(device, date, tables, withheld=frozenset(), kernel_watts=None):
    """The profile of a device from what `tables_of` gives, without the samples whose `key` is in `withheld`.

    `kernel_watts`: power from the tables even where a probe of ours has it.
    """
    by_kernels = device not in POWER_PROBES if kernel_watts is None else kernel_watts
    power = {} if by_kernels else probed_power(device)
    power_source = f"watts {POWER_ENGINE_NAME}" if by_kernels else f"power lindos probe, data/measurements/{POWER_PROBES[device]}"
    entry = tomllib.loads((ROOT / "data/catalogue/devices" / f"{device}.toml").read_text())
    gemm, attention, collectives, experts = tables
    if not by_kernels:
        gemm, attention = without_watts(gemm), without_watts(attention)
    rate = float(f"{best_read_rate(gemm, attention):.5g}")
    return {
        "format": "lindos-profile", "version": 5, "device": device, "label": entry["label"],
        "source": "distilled by tools/distil_operators.py from the operator tables of "
                  f"github.com/ai-dynamo/aiconfigurator @{COMMIT}, Apache-2.0, (c) NVIDIA: GEMM, experts, latent attention and one-shot "
                  f"all-reduce {GEMM_ENGINE_NAME}, attention {ATTENTION_ENGINE_NAME}, {NCCL_NAME}; {power_source}",
        "date": date, "git_revision": "", "cores": 1, "compute_capability": entry["compute_capability"],
        "memory_bytes": quantity(entry["memory"]), "matrix_rate_flop_per_s": peak_of(entry["peak"], "bf16"),
        "matrix_rates_flop_per_s": {dtype: peak_of(entry["peak"], dtype) for dtype in FORMATS},
        "read_bandwidth_bytes_per_s": rate, "read_bandwidth_by_threads_bytes_per_s": [rate],
        "step_overhead_s": STEP_OVERHEAD_S, "step_overhead_spread": STEP_OVERHEAD_SPREAD,
        "per_sequence_overhead_s": PER_SEQUENCE_OVERHEAD_S,
        "gemm": sorted((s for s in gemm if kept_gemm(s) and key(s) not in withheld), key=by_curve),
        "attention": sorted((s for s in attention if wanted_heads(s) and key(s) not in withheld), key=by_curve),
        "experts": sorted((s for s in experts if kept_experts(s) and key(s) not in withheld), key=by_curve),
        "stream": [],
        "collectives": sorted((s for s in collectives if key(s) not in withheld), key=key),
        **power, "power_spread": POWER_SPREAD,
    }


def key(sample):
    """What names a sample among all of its device."""
    return tuple(value for name, value in sample.items() if name not in ("time_s", "spread", "power_w"))


def by_curve(sample):
    return sample["dtype"], site(sample), key(sample)


def text_of(profile):
    """JSON with one sample per line."""
    lines = []
    for name, value in profile.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            samples = ",\n".join(json.dumps(sample, separators=(",", ":")) for sample in value)
            lines.append(f'"{name}": [\n{samples}\n]')
        else:
            lines.append(f'"{name}": {json.dumps(value)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reference", type=pathlib.Path, metavar="REFERENCE_DIR")
    parser.add_argument("out", type=pathlib.Path, metavar="OUT_DIR")
    parser.add_argument("--date", default=datetime.date.today().isoformat(), help="of the profiles")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for device in DEVICES:
        profile = profile_of(device, options.date, tables_of(options.reference, device))
        path = options.out / f"{device}.json"
        path.write_text(text_of(profile))
        counts = ", ".join(f"{len(profile[name])} {name}" for name in ("gemm", "attention", "experts", "collectives"))
        rate = profile["read_bandwidth_bytes_per_s"] / 1e12
        print(f"{path}: {counts}; reads {rate:.3f} TB/s; {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
