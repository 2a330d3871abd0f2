#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Error of the distilled profiles on shapes that they did not see.

    tools/held_out_errors.py REFERENCE_DIR LINDOS [--seed N]

Per device a seeded tenth of the shapes is left out (weight matrices n x k of GEMMs with all their m; points of the
attention grids; message sizes; shapes of experts with all token counts), the profile is distilled from the rest and `lindos validate operators` prices what was
left out. Prints a Markdown table. Needs what distil_operators.py needs.
"""
import argparse
import json
import pathlib
import random
import subprocess
import tempfile

import distil_operators as distil

SHARE = 0.1
SHORTEST = 16  # keys of attention
SMALLEST_WIDTH = 256  # of n and k: narrower matrices occur in no model that Lindos plans


def tenth(seed, names):
    names = sorted(names)
    return set(random.Random(seed).sample(names, max(1, round(SHARE * len(names)))))


def held_out(tables, seed):
    """Samples to leave out of the profile, all of them measured."""
    gemm, attention, collectives, experts = tables
    wide = [s for s in gemm if min(s["n"], s["k"]) >= SMALLEST_WIDTH]
    attention = [s for s in attention
                 if distil.wanted_heads(s) and s["tokens"] + s["context"] >= SHORTEST]
    sites = tenth(seed, {distil.site(s) for s in wide})
    points = tenth(seed, {point(s) for s in attention})
    experts = [s for s in experts if distil.wanted_experts(s)]
    shapes = tenth(seed, {distil.site(s) for s in experts})
    sizes = tenth(seed, {(s["op"], s["backend"], s["ranks"], s["bytes"]) for s in collectives})
    return ([s for s in wide if distil.site(s) in sites], [s for s in attention if point(s) in points],
            [s for s in collectives if (s["op"], s["backend"], s["ranks"], s["bytes"]) in sizes],
            [s for s in experts if distil.site(s) in shapes])


def point(sample):
    return distil.key(sample)


def errors(device, reference, lindos, seed, folder):
    tables = distil.tables_of(reference, device)
    left_out = held_out(tables, seed)
    withheld = frozenset(distil.key(s) for family in left_out for s in family)
    profile = distil.profile_of(device, "", tables, withheld)
    measured = {**profile, "gemm": left_out[0], "attention": left_out[1], "collectives": left_out[2],
                "experts": left_out[3]}
    paths = []
    for name, content in (("profile", profile), ("measured", measured)):
        paths.append(folder / f"{device}-{name}.json")
        paths[-1].write_text(distil.text_of(content))
    done = subprocess.run([lindos, "validate", "operators", *paths, "--format", "json"], check=True,
                          stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reference", type=pathlib.Path, metavar="REFERENCE_DIR")
    parser.add_argument("lindos", type=pathlib.Path, metavar="LINDOS")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print("| device | family | samples | median | p90 | bias |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for device in distil.DEVICES:
            out = errors(device, options.reference, options.lindos.resolve(), options.seed, pathlib.Path(folder))
            for group, metrics in out["groups"].items():
                for metric, s in metrics.items():
                    family = f"{metric.removesuffix('_s').replace('_', ' ')}, {group}"
                    print(f"| {device} | {family} | {s['n']:,} | {100 * s['median_ape']:.1f} % "
                          f"| {100 * s['p90_ape']:.1f} % | {100 * s['bias']:+.1f} % |")
            if out["misses"]:
                print(f"| {device} | not covered | {len(out['misses'])} | | | |")


if __name__ == "__main__":
    main()
