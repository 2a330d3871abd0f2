#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an NVIDIA GPU gives to others: the device's ceilings, cuBLAS, the framework's attention, and Hugging Face
transformers on Llama-3.1-8B's shape with and without torch.compile. Writes one JSON object.

    bench/peers_gpu.py --out FILE.json [--parts NAME,...] [--budget 150] [--prompts prompts.json]
                       [--compile-modes reduce-overhead,max-autotune-no-cudagraphs] [--device cuda|cpu] [--tiny]

The model's weights are those of Lindos' `random:1`, bit by bit. --prompts is {"prompts": [[ids]], "outputs": [[ids]]}
as Lindos wrote it: part "compare" measures how far the peer agrees with these greedy outputs. Every part has its own
time limit within --budget (seconds, imports included), and FILE is written anew after each: what was
measured before a limit stays. --device cpu --tiny runs every line in a minute on small sizes; its figures mean nothing.
Exit code 0 unless no part could run; parts that failed say so in FILE.
"""

import argparse
import datetime
import functools
import json
import os
import pathlib
import platform
import signal
import sys
import threading
import time
import traceback

STARTED = time.monotonic()
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import peers_gpu_kernels as kernels  # noqa: E402
import peers_gpu_model as models  # noqa: E402
import torch  # noqa: E402

# Name → its limit in seconds; in this order, so that what the acceptance rests on comes first.
PARTS = {"ceilings": 15, "model": 30, "compare": 15, "compile-1": 75, "compile-64": 60, "eager": 25, "prefill": 10,
         "gemm": 20, "attention": 20, "compile-64-short": 60}
NEEDS_MODEL = {"compare", "compile-1", "compile-64", "eager", "prefill", "compile-64-short"}
# Batch, prompt tokens, new tokens.
POINTS = {"compile-1": (1, 128, 64), "compile-64": (64, 1024, 64), "compile-64-short": (64, 128, 64)}
TINY_POINTS = {"compile-1": (1, 8, 4), "compile-64": (3, 16, 4), "compile-64-short": (3, 8, 4)}
TINY_SLOWER = 4  # limits are for a GPU's host; where --tiny runs, cores are few and shared
LEAST_S = 2  # a part with less time left is not begun
GRACE_S = 8  # how long after its limit a part may ignore the alarm


class OutOfTime(BaseException):
    """Not an Exception, so that no handler inside a compiler takes it for a failed optimisation."""


class Report:
    """The JSON file: written whole and renamed, so that a reader never meets half of it."""

    def __init__(self, path, document):
        self.path, self.document = path, document

    def write(self):
        self.document["seconds"] = round(time.monotonic() - STARTED, 1)
        text = json.dumps(self.document, indent=1)
        if self.path is None:
            return
        partial = self.path.with_suffix(".partial")
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(self.path)


def on_alarm(_signal, _frame):
    raise OutOfTime


def describe(device):
    import transformers
    found = {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__,
             "cuda": torch.version.cuda, "kind": device.type}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found.update(name=properties.name, multiprocessors=properties.multi_processor_count,
                     memory_bytes=properties.total_memory, l2_bytes=properties.L2_cache_size,
                     cudnn=torch.backends.cudnn.version(), nccl=".".join(map(str, torch.cuda.nccl.version())))
    return found


def headlines(name, part):
    """The few figures of a part that a reader wants at once."""
    rows = [row for row in part.get("rows", []) if "failed" not in row and "unavailable" not in row]
    if name == "ceilings":
        for row in rows:
            key, unit = ("best_flop_per_s", "TFLOP/s") if row["kind"] == "matmul" else ("best_bytes_per_s", "TB/s")
            yield f"{row['kind']} {row.get('operation', '')} {row[key] / 1e12:.3f} {unit}"
    elif name == "compare" and rows:
        yield (f"{part['prompts_equal']} of {part['prompts']} prompts equal, {part['tokens_equal']} of "
               f"{part['tokens']} tokens, largest logit gap {part['largest_gap']:.4f}")
    elif name == "prefill":
        for row in rows:
            yield f"{row['tokens']} tokens in {row['seconds'] * 1e3:.1f} ms, {row['flop_per_s'] / 1e12:.0f} TFLOP/s"
    elif name == "gemm":
        yield "m = 1, us: " + ", ".join(f"{row['name']} {row['us']:.1f}" for row in rows if row["m"] == 1)
    elif name == "attention":
        for phase in ("decode", "prefill"):
            yield f"{phase}, us: " + ", ".join(f"{row['backend']} {row['batch']}x{row['context']} {row['us']:.1f}"
                                               for row in rows if row["phase"] == phase)
    else:
        for row in rows:
            yield (f"batch {row['batch']}, prompt {row['prompt_tokens']}, {row.get('mode', 'eager')}, {row['cache']} "
                   f"cache: {row['decode_tokens_per_s']:.1f} token/s, TPOT {row['tpot_s'] * 1e3:.2f} ms"
                   + (f", compiled in {row['compile_s']:.0f} s" if "compile_s" in row else ""))


def run_part(name, work, limit_s, report):
    """Runs `work(part)` under an alarm, and under a second guard for code that no alarm reaches."""
    part = report.document["parts"][name]
    part.update(status="running", rows=[])
    begin = time.monotonic()

    def give_up():
        part.update(status="timed out", reason=f"ignored its limit of {limit_s:.0f} s")
        report.write()
        os._exit(3)
    guard = threading.Timer(limit_s + GRACE_S, give_up)
    guard.daemon = True
    guard.start()
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        work(part)
        if part["status"] == "running":
            part["status"] = "done"
    except OutOfTime:
        part.update(status="timed out", reason=f"limit of {limit_s:.0f} s")
    except Exception as error:  # a part that fails must not take the others with it
        part.update(status="failed", reason=f"{type(error).__name__}: {str(error)[:500]}",
                    where=traceback.format_exc().splitlines()[-12:])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        guard.cancel()
    part["seconds"] = round(time.monotonic() - begin, 2)
    report.write()
    print(f"{name:18} {part['status']:10} {part['seconds']:6.1f} s  {part.get('reason', '')}", flush=True)
    for line in headlines(name, part) if part["status"] == "done" else ():
        print(f"  {line}", flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--parts", default=",".join(PARTS), help="default: all")
    parser.add_argument("--budget", type=float, default=150.0, help="seconds for all parts together")
    parser.add_argument("--prompts", type=pathlib.Path, help="prompts and outputs written by Lindos")
    parser.add_argument("--compile-modes", default="reduce-overhead,max-autotune-no-cudagraphs")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to check this script")
    args = parser.parse_args()
    args.parts = args.parts.split(",")
    unknown = [name for name in args.parts if name not in PARTS]
    if unknown:
        parser.error(f"unknown part {unknown[0]}; known: {', '.join(PARTS)}")
    args.compile_modes = args.compile_modes.split(",")
    args.point = TINY_POINTS if args.tiny else POINTS
    args.points = list(args.point.values())
    if args.prompts is not None and not args.prompts.exists():
        print(f"peers_gpu: {args.prompts} does not exist; part compare is skipped", file=sys.stderr)
    return args


def main():
    args = arguments()
    if args.device == "cuda" and not torch.cuda.is_available():
        print("peers_gpu: torch sees no CUDA device", file=sys.stderr)
        return 4
    device = torch.device(args.device, 0) if args.device == "cuda" else torch.device("cpu")
    wanted = [name for name in PARTS if name in args.parts or (name == "model" and NEEDS_MODEL & set(args.parts))]
    report = Report(args.out, {
        "bench": "peers_gpu", "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "tiny": args.tiny, "budget_s": args.budget, "device": describe(device),
        "model": "llama-3.1-8b, bf16, weights random:1" if not args.tiny else "tiny", "parts": {n: {} for n in wanted}})
    peer = None

    def build(_part):
        nonlocal peer
        peer = models.Peer(args, device)
    work = {"ceilings": functools.partial(kernels.ceilings, args, device), "model": build,
            "gemm": functools.partial(kernels.gemm, args, device),
            "attention": functools.partial(kernels.attention, args, device),
            "compare": lambda part: models.compare(args, peer, part),
            "eager": lambda part: models.eager(args, peer, part),
            "prefill": lambda part: models.prefill(args, peer, part)}
    for name, point in args.point.items():
        work[name] = lambda part, point=point: models.compiled(args, peer, part, *point)
    signal.signal(signal.SIGALRM, on_alarm)
    end = STARTED + args.budget
    for name in wanted:
        left = end - time.monotonic()
        reason = None
        if left < LEAST_S:
            reason = f"the budget of {args.budget:.0f} s is spent"
        elif name in NEEDS_MODEL and peer is None:
            reason = "the model could not be made"
        if reason:
            report.document["parts"][name].update(status="skipped", reason=reason)
            print(f"{name:18} skipped              {reason}", flush=True)
            continue
        run_part(name, work[name], min(PARTS[name] * (TINY_SLOWER if args.tiny else 1), left), report)
        models.release(device)
    report.write()
    ran = [part for part in report.document["parts"].values() if part.get("status") in ("done", "timed out")]
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if ran else 4)  # compilers that an alarm cut off leave workers that a normal exit would wait for


if __name__ == "__main__":
    sys.exit(main())
