#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The noisy neighbour of docs/serving.md (Admission): two tenants, one asks in crowds, with and without limits.

    tools/noisy_neighbour.py build/release/bin/lindos

Writes the trace and the scenarios into a folder of its own, predicts each and prints the rows of the table.
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile

SCENARIO = """\
format = "lindos-scenario"
version = 1
name = "noisy neighbour"

[cluster]
name = "two H100"

[[cluster.pool]]
name = "h100"
device = "h100-sxm"
node = "hgx-h100"
devices_per_node = 2
nodes = 1
source = "assume: two GPUs of a board"

[model]
name = "llama-3.1-8b"

[workload]
kind = "serving"
trace = "{trace}"
format = "csv"
{tenants}
[plan]
name = "a GPU each"
dtype = "bf16"
replicas = 2
max_batched_tokens = 8192
max_sequences = 256
max_context = 8192

[plan.routing]
policy = "least-outstanding"
{limits}"""

CHAT = '\n[[workload.tenant]]\nname = "chat"\nttft = "500 ms"\ntpot = "30 ms"\n{}'
BATCH = '\n[[workload.tenant]]\nname = "batch"\nttft = "60 s"\n'
RATE = '\n[[plan.admission.tenant]]\ntenant = "batch"\nrequest_rate = "4 /s"\nrequest_burst = 40\n'
BOUND = "\n[plan.admission]\nreplica_unfinished = 64\n"
BOUND_OF_BATCH = "\n[[plan.admission.priority]]\npriority = 0\nreplica_unfinished = 64\n"

FIRST = "priority = 1\n"
CASES = [("chat alone", "alone.csv", CHAT.format(""), ""),
         ("no limits", "two.csv", CHAT.format("") + BATCH, ""),
         ("chat has priority 1", "two.csv", CHAT.format(FIRST) + BATCH, ""),
         ("batch: 4 requests/s, burst 40", "two.csv", CHAT.format("") + BATCH, RATE),
         ("64 unfinished per replica", "two.csv", CHAT.format("") + BATCH, BOUND),
         ("64 unfinished per replica for priority 0, chat has 1", "two.csv", CHAT.format(FIRST) + BATCH, BOUND_OF_BATCH)]


def requests():
    """Ten minutes: (arrival in s, prompt, output, tenant)."""
    draw = random.Random(7)
    rows = []
    now = draw.expovariate(4.0)
    while now < 600.0:
        rows.append((now, draw.randint(300, 900), draw.randint(100, 300), "chat"))
        now += draw.expovariate(4.0)
    for minute in range(10):
        for _ in range(240):
            rows.append((30.0 + 60.0 * minute + draw.uniform(0.0, 4.0), draw.randint(2000, 4000), draw.randint(200, 400),
                         "batch"))
    return sorted(rows)


def write_trace(path, rows):
    path.write_text("arrival_s,prompt_tokens,output_tokens,tenant\n" +
                    "".join(f"{at:.6f},{prompt},{output},{tenant}\n" for at, prompt, output, tenant in rows))


def shown(metrics, name, scale, digits):
    return f"{metrics[name]['p50'] * scale:.{digits}f}" if name in metrics else "–"


def main():
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} LINDOS")
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        write_trace(folder / "two.csv", requests())
        write_trace(folder / "alone.csv", [row for row in requests() if row[3] == "chat"])
        for name, trace, tenants, limits in CASES:
            file = folder / "noisy.toml"
            file.write_text(SCENARIO.format(trace=trace, tenants=tenants, limits=limits))
            done = subprocess.run([sys.argv[1], "predict", file, "--fidelity", "maxplus", "--no-db", "--format", "json",
                                   "--progress", "none"], check=True, stdout=subprocess.PIPE, encoding="utf-8")
            record = json.loads(done.stdout)
            print(f"{name}: {shown(record['metrics'], 'output_tokens_per_s', 1.0, 0)} token/s")
            for tenant, own in record["tenants"].items():
                print(f"  {tenant}: goodput {shown(own, 'goodput', 100.0, 1)} %, rejected "
                      f"{shown(own, 'rejected_share', 100.0, 1)} %, TTFT {shown(own, 'ttft_s', 1e3, 1)} ms, "
                      f"TPOT {shown(own, 'tpot_s', 1e3, 1)} ms")


if __name__ == "__main__":
    main()
