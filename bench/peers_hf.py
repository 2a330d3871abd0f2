#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Decode and prefill speed of Hugging Face transformers on the CPU, as a peer for Lindos' engine. Prints one JSON object.

    python bench/peers_hf.py FOLDER [--dtype f32|bf16] [--threads N] [--prompt 512] [--decode 64] [--runs 5]

FOLDER holds config.json; weights are read when model.safetensors is there, else they are random (the speed is the
same). Batch 1. The peer gets what it is best at: scaled-dot-product attention, a DynamicCache, inference mode, logits
of the last position only. A run decodes `--decode` tokens after `--prompt` tokens; the token is
chosen by argmax, as greedy decoding must. Medians over `--runs` runs after one warm-up of each kind.
"""

import argparse
import hashlib
import json
import pathlib
import platform
import statistics
import time

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, DynamicCache

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def load(folder, dtype):
    has_weights = (folder / "model.safetensors").exists() or (folder / "model.safetensors.index.json").exists()
    if has_weights:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa")
    else:
        torch.manual_seed(1)
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), dtype=dtype,
                                                 attn_implementation="sdpa")
    return model.eval(), "checkpoint" if has_weights else "random"


def run(model, prompt, decode):
    """One prefill and `decode` further tokens: (prefill seconds, decode seconds, ids)."""
    with torch.inference_mode():
        cache = DynamicCache(config=model.config)
        start = time.perf_counter()
        out = model(prompt, past_key_values=cache, use_cache=True, logits_to_keep=1)
        token = out.logits[:, -1:].argmax(-1)
        first = time.perf_counter()
        ids = [int(token)]
        for _ in range(decode):
            out = model(token, past_key_values=cache, use_cache=True, logits_to_keep=1)
            token = out.logits[:, -1:].argmax(-1)
            ids.append(int(token))
        return first - start, time.perf_counter() - first, ids


def summary(seconds, tokens):
    rates = sorted(tokens / value for value in seconds)
    return {"median": statistics.median(rates), "min": rates[0], "max": rates[-1], "unit": "token/s"}


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--dtype", choices=DTYPES, default="f32")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--prompt", type=int, default=512, help="prompt tokens")
    parser.add_argument("--decode", type=int, default=64, help="decoded tokens per run")
    parser.add_argument("--runs", type=int, default=5, help="timed runs, at least 5")
    args = parser.parse_args()
    if args.runs < 5 or min(args.threads, args.prompt, args.decode) < 1:
        parser.error("needs at least 5 runs, and one thread, prompt token and decoded token")

    torch.set_num_threads(args.threads)
    model, weights = load(args.folder, DTYPES[args.dtype])
    generator = torch.Generator().manual_seed(1)
    prompt = torch.randint(3, model.config.vocab_size, (1, args.prompt), generator=generator)
    run(model, prompt, args.decode)
    results = [run(model, prompt, args.decode) for _ in range(args.runs)]
    ids = results[0][2]
    print(json.dumps({
        "peer": "transformers", "folder": str(args.folder), "weights": weights, "dtype": args.dtype,
        "threads": args.threads, "batch": 1, "prompt_tokens": args.prompt, "decode_tokens": args.decode,
        "runs": args.runs, "parameters": sum(p.numel() for p in model.parameters()),
        "prefill": summary([r[0] for r in results], args.prompt),
        "decode": summary([r[1] for r in results], args.decode),
        "ids_sha256": hashlib.sha256(json.dumps(ids).encode()).hexdigest(),
        "environment": {"processor": processor(), "python": platform.python_version(), "torch": torch.__version__,
                        "transformers": transformers.__version__,
                        "instruction_set": torch.backends.cpu.get_cpu_capability()},
    }, indent=1))


if __name__ == "__main__":
    main()
