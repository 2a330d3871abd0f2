#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fits what a GPU without power samples draws (PowerModel::typical in sim/power_model.cpp), and says how far off it is.

    tools/fit_typical_power.py REFERENCE_DIR

REFERENCE_DIR holds <gpu>/{gemm,attention}/vllm/0.22.0/*.parquet (github.com/ai-dynamo/aiconfigurator, Apache-2.0), the only
tables with watts: H200 and GB200. Of each kernel longer than 100 us: FLOP and bytes per second as shares of the
catalogue's bf16 peak and memory bandwidth; power = idle + (maximum - idle) min(1, a bytes + b flop). a and b have the
least mean |log error| where each kernel family of each device counts alike. Printed for the fit on both devices, which
the product uses, and for each device by a fit on the other one alone: the held-out error. Needs pyarrow (PyPI).
"""
import argparse
import collections
import math
import pathlib
import statistics
import sys
import tomllib

import pyarrow.parquet

ROOT = pathlib.Path(__file__).resolve().parents[1]
DEVICES = {"h200_sxm": "h200-sxm", "gb200": "gb200-nvl72"}
LEAST_MS = 0.1
READ_SHARES = [0.3 + 0.05 * i for i in range(13)]
ARITHMETIC_SHARES = [1.0 + 0.1 * i for i in range(27)]


def amount(text):
    """Watts, FLOP/s or B/s of a catalogue entry."""
    value, unit = text.split()
    return float(value) * {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}.get(unit[0], 1.0)


def work(table, row):
    """FLOP and bytes of one kernel in bf16; none for other formats and for windows."""
    if table == "gemm_perf":
        if row["gemm_dtype"] != "bfloat16":
            return None
        m, n, k = row["m"], row["n"], row["k"]
        return "gemm", 2.0 * m * n * k, 2.0 * (m * k + n * k + m * n)
    if row["attn_dtype"] != "bfloat16" or row["kv_cache_dtype"] != "bfloat16" or row["window_size"] != 0:
        return None
    batch, heads, width = row["batch_size"], row["num_heads"], row["head_dim"]
    kv_heads = max(1, row["num_key_value_heads"])
    if table == "generation_attention_perf":
        keys = row["isl"] + row["step"]
        return "decode attention", 4.0 * batch * keys * heads * width, 4.0 * batch * keys * kv_heads * width
    return ("prefill attention", 2.0 * batch * row["isl"] ** 2 * heads * width,
            2.0 * batch * row["isl"] * width * (2 * heads + 2 * kv_heads))


def kernels(folder):
    """(device, family) -> [(share of reading, share of arithmetic, idle, most, measured power)]."""
    out = collections.defaultdict(list)
    for name, catalogue in DEVICES.items():
        device = tomllib.loads((ROOT / "data/catalogue/devices" / (catalogue + ".toml")).read_text())
        idle, most = amount(device["power_idle"]), amount(device["power_max"])
        peak, bandwidth = amount(device["peak"]["bf16"]), amount(device["memory_bandwidth"])
        for file in sorted(folder.glob(name + "/*/vllm/0.22.0/*.parquet")):
            for row in pyarrow.parquet.read_table(file).to_pylist():
                found = work(file.stem, row) if row.get("power") else None
                if not found or row["latency"] <= LEAST_MS:
                    continue
                family, flop, moved = found
                seconds = row["latency"] * 1e-3
                read, arithmetic = moved / seconds / bandwidth, flop / seconds / peak
                if max(read, arithmetic) < 1.05:  # above: not the work that the row says
                    out[name, family].append((read, arithmetic, idle, most, row["power"]))
    return out


def log_error(kernel, read_share, arithmetic_share):
    read, arithmetic, idle, most, measured = kernel
    return math.log((idle + (most - idle) * min(1.0, read_share * read + arithmetic_share * arithmetic)) / measured)


def fitted(families):
    def loss(shares):
        return statistics.fmean(statistics.fmean(abs(log_error(k, *shares)) for k in rows) for rows in families)
    return min(((a, b) for a in READ_SHARES for b in ARITHMETIC_SHARES), key=loss)


def report(title, data, shares):
    print("%s: reading %.2f, arithmetic %.2f of the dynamic power" % (title, *shares))
    means = []
    for (device, family), rows in sorted(data.items()):
        errors = [log_error(k, *shares) for k in rows]
        means.append(statistics.fmean(errors))
        print("  %-9s %-18s %6d kernels, mean log error %+6.1f %%, median |error| %5.1f %%" % (
            device, family, len(rows), 100 * means[-1], 100 * statistics.median(map(abs, errors))))
    print("  root mean square of the families' means %.1f %%" % (100 * math.sqrt(statistics.fmean(m * m for m in means))))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=pathlib.Path)
    data = kernels(parser.parse_args().reference)
    if not data:
        sys.exit("fit_typical_power: no kernels with power in %s" % parser.parse_args().reference)
    report("fitted on both", data, fitted(data.values()))
    for device in DEVICES:
        held_out = {key: rows for key, rows in data.items() if key[0] == device}
        report("held out %s" % device, held_out, fitted([rows for key, rows in data.items() if key[0] != device]))


if __name__ == "__main__":
    main()
