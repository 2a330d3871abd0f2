# SPDX-License-Identifier: Apache-2.0
"""Parts of bench/peers_gpu.py with a model: Hugging Face transformers on the weights of `lindos --weights random:1`."""

import gc
import json
import pathlib
import statistics
import time
import tomllib

import torch
from peers_gpu_kernels import Clock
from synthetic_weights import check, fill

CATALOGUE = pathlib.Path(__file__).resolve().parent.parent / "data" / "catalogue" / "models"
SEED = 1
TINY = {"hidden": 64, "layers": 2, "q_heads": 4, "kv_heads": 2, "head_dim": 16, "ffn": 112, "vocab": 300,
        "max_positions": 131072, "rms_eps": 1e-5, "rope_theta": 500000.0,
        "rope": {"kind": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                 "original_max_positions": 8192}}


def llama_config(args):
    """The shape of the catalogue's Llama-3.1-8B in the words of transformers."""
    from transformers import LlamaConfig
    if args.tiny:
        shape = TINY
    else:
        with open(CATALOGUE / "llama-3.1-8b.toml", "rb") as file:
            shape = tomllib.load(file)
    rope = shape["rope"]
    return LlamaConfig(
        hidden_size=shape["hidden"], num_hidden_layers=shape["layers"], num_attention_heads=shape["q_heads"],
        num_key_value_heads=shape["kv_heads"], head_dim=shape["head_dim"], intermediate_size=shape["ffn"],
        vocab_size=shape["vocab"], max_position_embeddings=shape["max_positions"], rms_norm_eps=shape["rms_eps"],
        tie_word_embeddings=False, bos_token_id=None, eos_token_id=None, attn_implementation="sdpa",
        rope_parameters={"rope_type": rope["kind"], "rope_theta": shape["rope_theta"], "factor": rope["factor"],
                         "low_freq_factor": rope["low_freq_factor"], "high_freq_factor": rope["high_freq_factor"],
                         "original_max_position_embeddings": rope["original_max_positions"]})


class Peer:
    """The model on its device, with what the timed parts share."""

    def __init__(self, args, device):
        from transformers import LlamaForCausalLM
        from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
        check(device)
        self.device, self.clock, self.config = device, Clock(device), llama_config(args)
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.bfloat16)
        try:
            with torch.device("meta"):
                model = LlamaForCausalLM(self.config)
        finally:
            torch.set_default_dtype(default)
        model = model.to_empty(device=device).eval()
        # Its table is no parameter and was made on the meta device; it is f32.
        model.model.rotary_emb = LlamaRotaryEmbedding(self.config).to(device)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                fill(parameter.data, name, SEED)
        self.model = model

    def prefill(self, ids, cache):
        """Runs the prompts and returns each one's next token, [batch, 1]."""
        logits = self.model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
        return logits[:, -1:].argmax(-1)

    def step(self, token, cache):
        return self.model(input_ids=token, past_key_values=cache, use_cache=True).logits[:, -1:].argmax(-1)


def release(device):
    """Frees what compiled graphs hold before the next shape."""
    torch._dynamo.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def given(args):
    """Prompts and greedy outputs that Lindos wrote: ([ids], [ids]) in the same order, or ([], [])."""
    if args.prompts is None or not args.prompts.exists():
        return [], []
    document = json.loads(args.prompts.read_text(encoding="utf-8"))
    return document["prompts"], document.get("outputs", [])


def prompts(args, peer, batch, tokens):
    """[batch, tokens] ids: Lindos' own of this length, else random ones (speed does not depend on them)."""
    fitting = [ids for ids in given(args)[0] if len(ids) == tokens][:batch]
    generator = torch.Generator().manual_seed(SEED)
    while len(fitting) < batch:
        fitting.append(torch.randint(peer.config.vocab_size, (tokens,), generator=generator).tolist())
    return torch.tensor(fitting, dtype=torch.int64, device=peer.device)


def static_cache(peer, tokens):
    from transformers import StaticCache
    return StaticCache(config=peer.config, max_cache_len=tokens)


def rewind(cache, tokens):
    """Sets a static cache back to its first `tokens` positions; what lies behind is overwritten by the next run."""
    for layer in cache.layers:
        layer.cumulative_length.fill_(tokens)


def decoded(step, token, cache, count):
    """`count` greedy tokens after `token`, which stay on the device: [batch, count + 1]."""
    ids = [token]
    for _ in range(count):
        token = step(token, cache).clone()  # a CUDA graph writes its result to the same place again
        ids.append(token)
    return torch.cat(ids, dim=1)


def decode_row(found, ids, batch, count, extra):
    seconds = statistics.median(found)
    return {**extra, "batch": batch, "decode_tokens": count, "runs": len(found), "tpot_s": seconds / count,
            "tpot_s_min": min(found) / count, "tpot_s_max": max(found) / count,
            "decode_tokens_per_s": batch * count / seconds, "first_ids": ids[0, :8].tolist()}


def timed(peer, work):
    """Seconds that `work()` takes on the device, and its result."""
    result = []
    peer.clock.synchronize()
    seconds = peer.clock.seconds(lambda: result.append(work()))
    return seconds, result[0]


def timed_decode(peer, step, first, cache, prompt_tokens, count, runs):
    """Seconds of each run and the ids of the last one, on a static cache that holds the prompts."""
    found, ids = [], None
    for _ in range(runs):
        rewind(cache, prompt_tokens)
        seconds, ids = timed(peer, lambda: decoded(step, first, cache, count))
        found.append(seconds)
    return found, ids


def eager(args, peer, part):
    """Decode without compilation: with a growing cache (grouped attention, a copy per step) and with a static one."""
    from transformers import DynamicCache
    for batch, tokens, count in args.points:
        ids = prompts(args, peer, batch, tokens)
        with torch.no_grad():
            cache = DynamicCache(config=peer.config)
            warm = decoded(peer.step, peer.prefill(ids, cache), cache, 2)
            seconds, out = timed(peer, lambda: decoded(peer.step, warm[:, -1:], cache, count))
            out = torch.cat([warm[:, :-1], out], dim=1)
            part["rows"].append(decode_row([seconds], out, batch, count, {"cache": "dynamic", "prompt_tokens": tokens}))
            cache = static_cache(peer, tokens + count)
            first = peer.prefill(ids, cache)
            decoded(peer.step, first, cache, 2)
            found, out = timed_decode(peer, peer.step, first, cache, tokens, count, 1)
            part["rows"].append(decode_row(found, out, batch, count, {"cache": "static", "prompt_tokens": tokens}))
        del cache
        release(peer.device)


def compiled(args, peer, part, batch, tokens, count):
    """Decode with torch.compile on a static cache of exactly the length needed; compile time is reported apart."""
    for mode in args.compile_modes:
        release(peer.device)
        row = {"cache": "static", "mode": mode, "prompt_tokens": tokens, "batch": batch}
        try:
            with torch.no_grad():
                cache = static_cache(peer, tokens + count)
                first = peer.prefill(prompts(args, peer, batch, tokens), cache)
                torch._dynamo.utils.counters.clear()
                step = torch.compile(peer.step, mode=mode, fullgraph=True, dynamic=False)
                peer.clock.synchronize()
                begin = time.perf_counter()
                for _ in range(4):  # compile, warm up, record the CUDA graph, replay it
                    rewind(cache, tokens)
                    decoded(step, first, cache, 1)
                peer.clock.synchronize()
                row["compile_s"] = time.perf_counter() - begin
                found, ids = timed_decode(peer, step, first, cache, tokens, count, 3)
                row["cudagraph_skips"] = torch._dynamo.utils.counters["inductor"]["cudagraph_skips"]
            part["rows"].append(decode_row(found, ids, batch, count, row))
            return
        except Exception as error:  # a compiler fails in many ways, and the next mode may work
            row["failed"] = f"{type(error).__name__}: {str(error)[:300]}"
            part["rows"].append(row)
        finally:
            cache = step = None
            release(peer.device)


def prefill(args, peer, part):
    """One long prompt into an empty cache, eager."""
    from transformers import DynamicCache
    tokens = 48 if args.tiny else 8192
    ids = prompts(args, peer, 1, tokens)
    config = peer.config
    layer_weights = sum(p.numel() for n, p in peer.model.named_parameters() if ".layers." in n and p.dim() == 2)
    head_flop = 2.0 * config.hidden_size * config.vocab_size
    width = config.num_attention_heads * config.head_dim
    attention_flop = 2.0 * config.num_hidden_layers * width * tokens * (tokens + 1)
    with torch.no_grad():
        run = lambda: peer.prefill(ids, DynamicCache(config=config))  # noqa: E731
        run()
        found = [peer.clock.seconds(run) for _ in range(5)]
    seconds = statistics.median(found)
    flop = 2.0 * layer_weights * tokens + attention_flop + head_flop
    part["rows"].append({"tokens": tokens, "batch": 1, "runs": len(found), "seconds": seconds,
                         "seconds_min": min(found), "seconds_max": max(found), "tokens_per_s": tokens / seconds,
                         "flop": flop,
                         "flop_counted": "weights of all tokens, causal half of attention, head of the last token",
                         "flop_per_s": flop / seconds})
    release(peer.device)


def compare(args, peer, part):
    """Lindos' greedy ids against the peer's choice at each place, given Lindos' own ids up to there (teacher forced).

    A difference before which all ids agree is a real first difference of two greedy runs; its `gap` is the peer's
    logit of its own choice less that of Lindos' token, in bf16 logits. Ties count as equal.
    """
    asked, answered = given(args)
    if not answered:
        part.update(status="skipped", reason="no prompts and outputs of Lindos (--prompts FILE)")
        return
    groups = {}
    for index, (ids, out) in enumerate(zip(asked, answered, strict=True)):
        groups.setdefault((len(ids), len(out)), []).append(index)
    for (tokens, count), members in groups.items():
        if count == 0:
            continue
        size = max(1, 16384 // (tokens + count))
        for at in range(0, len(members), size):
            chosen = members[at:at + size]
            ids = torch.tensor([asked[i] + answered[i][:-1] for i in chosen], device=peer.device)
            ours = torch.tensor([answered[i] for i in chosen], device=peer.device)
            with torch.no_grad():
                logits = peer.model(input_ids=ids, use_cache=False, logits_to_keep=count).logits
            top = logits.topk(2, dim=-1)
            gaps = (top.values[..., 0] - logits.gather(-1, ours[..., None])[..., 0]).float()
            margins = (top.values[..., 0] - top.values[..., 1]).float()
            for row, i in enumerate(chosen):
                wrong = (gaps[row] > 0).nonzero()[:, 0].tolist()
                entry = {"prompt": i, "prompt_tokens": tokens, "output_tokens": count, "differing": len(wrong),
                         "largest_gap": gaps[row].max().item(), "first_difference": wrong[0] if wrong else None,
                         "median_margin": margins[row].median().item()}
                if wrong:
                    entry.update(gap=gaps[row, wrong[0]].item(), peer_id=top.indices[row, wrong[0], 0].item(),
                                 lindos_id=ours[row, wrong[0]].item())
                part["rows"].append(entry)
            part["logit_deviation"] = logits.float().std().item()
            del logits
    rows = part["rows"]
    part["prompts"] = len(rows)
    part["prompts_equal"] = sum(row["first_difference"] is None for row in rows)
    part["tokens"] = sum(row["output_tokens"] for row in rows)
    part["tokens_equal"] = part["tokens"] - sum(row["differing"] for row in rows)
    part["largest_gap"] = max((row["largest_gap"] for row in rows), default=None)
    release(peer.device)
