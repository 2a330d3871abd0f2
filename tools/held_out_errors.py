#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Error of the distilled profiles on shapes that they did not see.

    tools/held_out_errors.py REFERENCE_DIR LINDOS [--seed N]

Per device a seeded tenth of the shapes is left out (weight matrices n x k of GEMMs with all their m; points of the
attention grids; message sizes; shapes of experts with all token counts), the profile is distilled from the rest and `lindos validate operators` prices what was
left out. Beside each error stands the floor of the data: the median by which two collections of the held-out shapes differ,
"v" two versions of one engine, "e" two engines, "d" two number formats of messages that are only moved; of power, rows of
one collection that do the same work (attention with twice the heads for half the sequences; GEMM with one row more).
Prints a Markdown table. Needs what distil_operators.py needs.
"""
import argparse
import json
import pathlib
import random
import statistics
import subprocess
import tempfile

import distil_operators as distil

SHARE = 0.1
SHORTEST = 16  # keys of attention


def tenth(seed, names):
    names = sorted(names)
    return set(random.Random(seed).sample(names, max(1, round(SHARE * len(names)))))


def held_out(tables, seed):
    """Samples to leave out of the profile, all of them measured."""
    gemm, attention, collectives, experts = tables
    wide = [s for s in gemm if min(s["n"], s["k"]) >= distil.SMALLEST_WIDTH]
    attention = [s for s in attention
                 if distil.wanted_heads(s) and s["tokens"] + s["context"] >= SHORTEST]
    sites = tenth(seed, {distil.site(s) for s in wide})
    points = {name for latent in (False, True)
              for name in tenth(seed, {point(s) for s in attention if distil.is_latent(s) == latent})}
    experts = [s for s in experts if distil.wanted_experts(s)]
    shapes = tenth(seed, {distil.site(s) for s in experts})
    sizes = tenth(seed, {(s["op"], s["backend"], s["ranks"], s["bytes"]) for s in collectives})
    return ([s for s in wide if distil.site(s) in sites], [s for s in attention if point(s) in points],
            [s for s in collectives if (s["op"], s["backend"], s["ranks"], s["bytes"]) in sizes],
            [s for s in experts if distil.site(s) in shapes])


def point(sample):
    return distil.key(sample)


def times(samples):
    return {distil.key(s): s["time_s"] for s in samples}


def differences(samples, collections):
    """|ratio - 1| of the first two collections that both time most of the samples; the name of that pair."""
    for name, one, other in collections:
        both = [distil.key(s) for s in samples if distil.key(s) in one and distil.key(s) in other]
        if len(both) > len(samples) / 2:
            return name, statistics.median(abs(one[key] / other[key] - 1) for key in both)
    return None


def power_differences(samples, everything):
    """The same for watts: of rows with equal work."""
    watts = {distil.key(s): s["power_w"] for s in everything if "power_w" in s}
    found = []
    for s in (s for s in samples if "power_w" in s):
        twin = {**s, "m": s["m"] + 1} if "m" in s else {**s, "sequences": s["sequences"] * 2, "q_heads": s["q_heads"] // 2,
                                                        "kv_heads": s["kv_heads"] // 2}
        if distil.key(twin) in watts:
            found.append(abs(s["power_w"] / watts[distil.key(twin)] - 1))
    return ("", statistics.median(found)) if found else None


def floors(device, reference, tables, left_out):
    """(metric, group) of the report -> floor of the data."""
    folder = reference / distil.DEVICES[device]

    def pairs(family, table, samples_of, cast=False):
        engines = [distil.GEMM_ENGINE, distil.ATTENTION_ENGINE]
        if (folder / family / distil.POWER_ENGINE / table).is_file():
            engines.append(distil.POWER_ENGINE)
        read = [list(samples_of(folder, engine)) for engine in engines]
        if cast:
            distil.without_cast(read[0], read[1])
        read = [times(samples) for samples in read]
        return ([("v", read[1], read[2])] if len(read) > 2 else []) + [("e", read[0], read[1])]

    collections = {
        "gemm": pairs("gemm", "gemm_perf.parquet", distil.gemm_samples, cast=True),
        "attention": pairs("attention", "generation_attention_perf.parquet", distil.attention_samples),
        "experts": pairs("moe", "moe_perf.parquet", distil.expert_samples),
        "collective": [("d", times(tables[2]), times(distil.collective_samples(folder, "int8")))]}
    out = {}
    groups = {}
    for samples, everything in zip(left_out, tables):
        for s in samples:
            metric = family_of(s)
            groups.setdefault((metric, group_of(s)), []).append(s)
        everything = list(everything)
        for (metric, group), own in groups.items():
            kind = "attention" if metric.endswith("attention") else metric
            if (metric + "_s", group) not in out:
                out[metric + "_s", group] = differences(own, collections[kind])
                out[metric + "_w", group] = power_differences(own, everything)
    return out


def family_of(sample):
    if "m" in sample:
        return "gemm"
    if "q_heads" in sample:
        return "decode_attention" if distil.is_decode(sample) else "prefill_attention"
    return "experts" if "held" in sample else "collective"


def group_of(sample):
    if "q_heads" in sample:
        return f"{sample['dtype']}, heads of {sample['head_dim']}"
    return sample["dtype"] if "dtype" in sample else f"{sample['op']} {sample['backend']}"


def errors(device, reference, lindos, seed, folder):
    tables = distil.tables_of(reference, device)
    left_out = held_out(tables, seed)
    withheld = frozenset(distil.key(s) for family in left_out for s in family)
    profile = distil.profile_of(device, "", tables, withheld, kernel_watts=True)
    measured = {**profile, "gemm": left_out[0], "attention": left_out[1], "collectives": left_out[2],
                "experts": left_out[3]}
    paths = []
    for name, content in (("profile", profile), ("measured", measured)):
        paths.append(folder / f"{device}-{name}.json")
        paths[-1].write_text(distil.text_of(content))
    done = subprocess.run([lindos, "validate", "operators", *paths, "--format", "json"], check=True,
                          stdout=subprocess.PIPE)
    return json.loads(done.stdout), floors(device, reference, tables, left_out)


def text_of(floor):
    return f"{100 * floor[1]:.1f} % {floor[0]}".strip() if floor else "–"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reference", type=pathlib.Path, metavar="REFERENCE_DIR")
    parser.add_argument("lindos", type=pathlib.Path, metavar="LINDOS")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print("| device | family | samples | median | p90 | bias | floor of the data |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for device in distil.DEVICES:
            out, floor = errors(device, options.reference, options.lindos.resolve(), options.seed, pathlib.Path(folder))
            for group, metrics in out["groups"].items():
                for metric, s in metrics.items():
                    power = "power of " if metric.endswith("_w") else ""
                    family = f"{power}{metric[:-2].replace('_', ' ')}, {group}"
                    print(f"| {device} | {family} | {s['n']:,} | {100 * s['median_ape']:.1f} % "
                          f"| {100 * s['p90_ape']:.1f} % | {100 * s['bias']:+.1f} % | {text_of(floor.get((metric, group)))} |")
            s = out["metrics"]["collective_s"]
            print(f"| {device} | collective, all | {s['n']:,} | {100 * s['median_ape']:.1f} % | {100 * s['p90_ape']:.1f} % "
                  f"| {100 * s['bias']:+.1f} % | |")
            if out["misses"]:
                print(f"| {device} | not covered | {len(out['misses'])} | | | |")


if __name__ == "__main__":
    main()
