#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the golden data of tests/exec/golden: tiny random models with their logits, and small tokenizers with their ids.

    /opt/lindos-peers/bin/python tools/make_golden.py [models] [tokenizers]

Needs torch, transformers and tokenizers from PyPI; the versions used are recorded in each expected.json. Weights and
prompts come from fixed seeds, so a second run with the same versions changes nothing. Review the difference before
committing it: these files define what "the same as Hugging Face" means.
"""

import json
import pathlib
import platform
import shutil
import sys

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "tests" / "exec" / "golden"
CONTINUATION = 16  # greedy tokens per prompt
MIN_GAP = 1e-3     # smallest accepted distance between the two best logits of a greedy step
OLD_SPELLING = ("llama-rope-llama3", "llama-tied-15x5", "qwen3-norms")  # config.json as transformers 4 wrote it


# ---------------------------------------------------------------- models

def models():
    """Name → (configuration class, its arguments). Together they cover each branch of a Llama-family model and of experts."""
    from transformers import LlamaConfig, MixtralConfig, Qwen2Config, Qwen3Config, Qwen3MoeConfig

    shared = dict(vocab_size=128, intermediate_size=80, num_hidden_layers=2, max_position_embeddings=256,
                  rms_norm_eps=1e-5, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, pad_token_id=None,
                  initializer_range=0.08)
    llama3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                  original_max_position_embeddings=32, rope_theta=10000.0)
    yarn = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=64, rope_theta=10000.0)
    linear = dict(rope_type="linear", factor=2.0, rope_theta=10000.0)
    experts = dict(shared, hidden_size=64, num_attention_heads=8, num_key_value_heads=2, head_dim=16, rms_norm_eps=1e-6,
                   num_experts=8, num_experts_per_tok=3, moe_intermediate_size=32)
    nine = dict(shared, hidden_size=72, num_attention_heads=9, num_key_value_heads=3)
    return {
        # head_dim 16 although 72 / 9 = 8: o_proj is [72, 144]
        "llama-gqa-9x3": (LlamaConfig, dict(nine, head_dim=16)),
        "llama-tied-15x5": (LlamaConfig, dict(shared, hidden_size=60, num_attention_heads=15, num_key_value_heads=5,
                                             head_dim=8, tie_word_embeddings=True)),
        "llama-gqa-14x2": (LlamaConfig, dict(shared, hidden_size=56, num_attention_heads=14, num_key_value_heads=2,
                                            head_dim=8)),
        "llama-rope-llama3": (LlamaConfig, dict(nine, head_dim=8, rope_parameters=llama3)),
        "llama-rope-linear": (LlamaConfig, dict(nine, head_dim=8, rope_parameters=linear)),
        "llama-rope-yarn": (LlamaConfig, dict(nine, head_dim=8, rope_parameters=yarn)),
        "llama-biases": (LlamaConfig, dict(nine, head_dim=8, attention_bias=True, mlp_bias=True)),
        "qwen2-biases": (Qwen2Config, dict(shared, hidden_size=112, num_attention_heads=14, num_key_value_heads=2,
                                          rms_norm_eps=1e-6)),
        "qwen3-norms": (Qwen3Config, dict(shared, hidden_size=64, num_attention_heads=8, num_key_value_heads=2,
                                         head_dim=16, rms_norm_eps=1e-6, tie_word_embeddings=True)),
        "mixtral": (MixtralConfig, dict(nine, head_dim=8, intermediate_size=48, num_local_experts=6, num_experts_per_tok=2,
                                        sliding_window=None)),
        # A dense layer before those with experts; the second one keeps the softmax's own weights.
        "qwen3-moe": (Qwen3MoeConfig, dict(experts, num_hidden_layers=3, mlp_only_layers=[0], norm_topk_prob=True)),
        "qwen3-moe-plain-weights": (Qwen3MoeConfig, dict(experts, norm_topk_prob=False)),
    }


def randomise(model, torch, seed):
    """Norms, biases and all: a gain of exactly 1 or a bias of 0 would hide a reader that skips them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            values = torch.randn(parameter.shape, generator=generator)
            if name.endswith("norm.weight"):
                parameter.copy_(1.0 + 0.2 * values)
            elif name.endswith("bias"):
                parameter.copy_(0.1 * values)
            else:
                parameter.copy_(1.5 * values / parameter.shape[-1] ** 0.5)


def run_prompt(model, torch, ids, all_positions):
    """Logits of the prompt and the greedy continuation, each step recomputed without a cache."""
    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits[0]
        case = {"prompt": ids, "last_logits": [float(f"{x:.7g}") for x in logits[-1].tolist()]}
        if all_positions:
            case["all_logits"] = [[float(f"{x:.7g}") for x in row.tolist()] for row in logits]
        greedy, gaps, sequence = [], [], list(ids)
        for _ in range(CONTINUATION):
            best = model(torch.tensor([sequence])).logits[0, -1].topk(2)
            greedy.append(int(best.indices[0]))
            gaps.append(float(f"{best.values[0] - best.values[1]:.4g}"))
            sequence.append(greedy[-1])
    case["greedy"], case["top2_gaps"] = greedy, gaps
    return case


def respell_config(path):
    """rope_parameters and dtype → rope_theta, rope_scaling and torch_dtype: what most published models carry."""
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    config["torch_dtype"] = config.pop("dtype")
    path.write_text(json.dumps(config, indent=2) + "\n")


def make_models():
    import torch
    import transformers
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(1)  # one order of summation
    for index, (name, (config_class, arguments)) in enumerate(models().items()):
        folder = GOLDEN / "models" / name
        shutil.rmtree(folder, ignore_errors=True)
        config = config_class(**arguments)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
        randomise(model, torch, seed=1000 + index)
        generator = torch.Generator().manual_seed(2000 + index)
        cases = []
        for length in (1, 7, 40):  # one token, a short prompt, one beyond the llama3 and sliding limits
            while True:  # a tie would make the greedy test depend on rounding: draw another prompt
                ids = torch.randint(3, config.vocab_size, (length,), generator=generator).tolist()
                case = run_prompt(model, torch, ids, all_positions=(name == "llama-gqa-9x3" and length == 7))
                if min(case["top2_gaps"]) >= MIN_GAP:
                    break
            cases.append(case)
        model.save_pretrained(folder, safe_serialization=True)
        (folder / "generation_config.json").unlink(missing_ok=True)
        if name in OLD_SPELLING:
            respell_config(folder / "config.json")
        expected = {"model": name, "made_with": versions(torch=torch, transformers=transformers),
                    "dtype": "float32", "cases": cases}
        write_json(folder / "expected.json", expected)
        print(f"{name}: {sum(f.stat().st_size for f in folder.iterdir()):,} bytes", file=sys.stderr)


# ---------------------------------------------------------------- tokenizers

CORPUS = """\
A cluster is a set of nodes, and a node is a set of devices; the fabric joins them. The scheduler fills each step with
tokens until the budget of 2048 tokens is spent. It doesn't wait for the slowest request, and it'll never starve one.
In 2024 the hall held 150000 devices under 300 megawatts; at 11 percent of their peak they'd served one training job.
Prediction comes first, measurement second, and the difference is explained entry by entry: time lost to communication,
to memory, to bubbles in the pipeline, to stragglers. Le modèle prédit, la machine mesure, l'écart s'explique. Die Größe
der Straße ist für die Übung gleichgültig. Η πρόβλεψη και η μέτρηση. Предсказание и измерение. 予測と測定の差を説明する。
预测与测量之间的差异。 예측과 측정. for (int i = 0; i < 10; ++i) { sum += values[i] * 3.14159; }
\tindented\n\n\nblank lines  double  spaces   triple
"""

INPUTS = [
    "", " ", "a", "Hello, world!", " leading blank", "trailing blank ", "  two  blanks   three    four",
    "\n", "\n\n\n", "a\n\nb", "\r\n windows \r\n", "tab\tand\t\ttabs", " \n \n  x", "x   \n", "    if x:\n        return 1",
    "It's we'll they'd I'm you've DON'T I'LL", "don’t", "1", "12", "123", "1234567890", "3.14159 and 2,718", "x1y22z333",
    "²³ ½ Ⅷ ٣٤٥ ४५", "résumé naïve Größe", "re\u0301sume\u0301", "a\u0323\u0307 \u0307\u0323a", "\u212b \ufb01 \uff21",
    "İstanbul ẞ ΑΣ", "Η πρόβλεψη", "Предсказание и измерение", "予測と測定", "预测与测量之间的差异。", "예측과 측정",
    "😀", "👩‍👩‍👧‍👦 family 🇩🇪 🏳️‍🌈", "a😀b", "👍🏽👍", "שלום עולם", "مرحبا بالعالم", "ไทยแลนด์", "हिन्दी",
    "\u00a0no-break\u3000ideographic\u2003em", "zero\u200bwidth\u200d\ufeff", "\x00\x01\x7f", "a\u0085b",
    "http://example.org/a?b=c&d=%20#e", "{\"key\": [1, 2.5e-3, null]}", "<|end|>", "a<|end|>b", "a <|end|> b", "<|end|><|end|>",
    "<|en", "word [KEEP] word", "x[KEEP]y", "abcdef ghi", "zabcz abc", "<s> hi </s>", "▁a ▁▁b", "_x_ __y__", "..!!??--==",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "\ufffd", "\U0010ffff\U0001f9ff",
]

LLAMA3_EXPRESSION = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                     r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def added_tokens(special_first):
    """One special token and added words for each flag, so that every branch of the cutting is met."""
    from tokenizers import AddedToken

    return ([AddedToken(special_first, special=True, normalized=False),
             AddedToken("[KEEP]", lstrip=True, rstrip=True, normalized=False),
             AddedToken("abc", single_word=True, normalized=True)])


def make_gpt2():
    from tokenizers import Tokenizer, decoders, models as kinds, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(kinds.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    train(tokenizer, trainers.BpeTrainer(vocab_size=400, show_progress=False,
                                         initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.add_tokens(added_tokens("<|end|>"))
    return tokenizer


def make_smollm():
    from tokenizers import Tokenizer, decoders, models as kinds, pre_tokenizers, trainers

    tokenizer = Tokenizer(kinds.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    train(tokenizer, trainers.BpeTrainer(vocab_size=420, show_progress=False, special_tokens=["<|end|>"],
                                         initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tokenizer


def make_llama3():
    from tokenizers import Regex, Tokenizer, decoders, models as kinds, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(kinds.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3_EXPRESSION), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    train(tokenizer, trainers.BpeTrainer(vocab_size=450, show_progress=False, special_tokens=["<|begin|>", "<|end|>"],
                                         initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    begin = tokenizer.token_to_id("<|begin|>")
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin|> $A", pair="<|begin|> $A <|begin|> $B",
                                      special_tokens=[("<|begin|>", begin)])])
    return tokenizer


def make_metaspace():
    from tokenizers import Tokenizer, decoders, models as kinds, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(kinds.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=True)
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    train(tokenizer, trainers.BpeTrainer(vocab_size=520, show_progress=False, special_tokens=special))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    # The trainer marks all of them as added; in published files the byte tokens belong to the vocabulary alone.
    document = json.loads(tokenizer.to_str())
    document["added_tokens"] = [token for token in document["added_tokens"] if not token["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(document))


def make_llama2():
    """Normalizer instead of a pre-tokenizer: the whole text is one piece of BPE."""
    from tokenizers import Tokenizer, decoders, normalizers

    document = json.loads(make_metaspace().to_str())
    tokenizer = Tokenizer.from_str(json.dumps(dict(document, pre_tokenizer=None)))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="first")
    return tokenizer


def make_normalised():
    """Normal forms, lower case, each way of splitting, merges without the usual byte alphabet."""
    from tokenizers import Regex, Tokenizer, models as kinds, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(kinds.BPE(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.NFKD(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\p{Mn}+"), ""), normalizers.NFC()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"\s+"), behavior="removed"),
        pre_tokenizers.Split("-", behavior="merged_with_next"),
        pre_tokenizers.Split(Regex(r"[.,;!?]"), behavior="merged_with_previous"),
        pre_tokenizers.Split(Regex(r"[=_]"), behavior="contiguous"),
        pre_tokenizers.Split(Regex(r"[\w'.,;!?=_-]+"), behavior="isolated", invert=True),
        pre_tokenizers.Digits(individual_digits=False)])
    train(tokenizer, trainers.BpeTrainer(vocab_size=380, show_progress=False, special_tokens=["[UNK]"]))
    tokenizer.add_tokens(added_tokens("<|end|>"))
    return tokenizer


def make_forms(form):
    """A normal form alone, before byte-level pieces with a leading blank."""
    from tokenizers import Tokenizer, normalizers, pre_tokenizers

    tokenizer = Tokenizer.from_str(make_gpt2().to_str())
    tokenizer.normalizer = getattr(normalizers, form)()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return tokenizer


def train(tokenizer, trainer):
    tokenizer.train_from_iterator(CORPUS.splitlines(keepends=True), trainer)


def with_text_merges(document):
    """The older spelling of merges, "a b" instead of ["a", "b"]."""
    document["model"]["merges"] = [" ".join(pair) for pair in document["model"]["merges"]]
    return document


def make_tokenizers():
    import tokenizers

    folder = GOLDEN / "tokenizers"
    shutil.rmtree(folder, ignore_errors=True)
    makers = {"gpt2": make_gpt2, "smollm": make_smollm, "llama3": make_llama3, "metaspace": make_metaspace,
              "llama2": make_llama2, "normalised": make_normalised, "nfc": lambda: make_forms("NFC"),
              "nfd": lambda: make_forms("NFD"), "nfkc": lambda: make_forms("NFKC")}
    for name, make in makers.items():
        tokenizer = make()
        document = json.loads(tokenizer.to_str())
        if name == "gpt2":
            document = with_text_merges(document)
            tokenizer = tokenizers.Tokenizer.from_str(json.dumps(document))
        cases = []
        for text in INPUTS:
            ids = tokenizer.encode(text, add_special_tokens=True).ids
            cases.append({"text": text, "ids": ids,
                          "plain_ids": tokenizer.encode(text, add_special_tokens=False).ids,
                          "decoded": tokenizer.decode(ids, skip_special_tokens=False),
                          "decoded_plain": tokenizer.decode(ids, skip_special_tokens=True)})
        target = folder / name
        target.mkdir(parents=True)
        write_json(target / "tokenizer.json", document)
        write_json(target / "expected.json",
                   {"tokenizer": name, "made_with": versions(tokenizers=tokenizers), "cases": cases})
        print(f"{name}: {sum(f.stat().st_size for f in target.iterdir()):,} bytes", file=sys.stderr)


# ---------------------------------------------------------------- both

def versions(**modules):
    return {"python": platform.python_version(), **{name: module.__version__ for name, module in modules.items()}}


def write_json(path, value):
    """One line per case, compact: readable differences without doubling the size."""
    def dump(part):
        return json.dumps(part, ensure_ascii=False, separators=(",", ":"))

    with open(path, "w", encoding="utf-8") as file:
        if "cases" not in value:
            file.write(dump(value) + "\n")
            return
        head = {key: part for key, part in value.items() if key != "cases"}
        file.write(dump(head)[:-1] + ',"cases":[\n' + ",\n".join(dump(case) for case in value["cases"]) + "\n]}\n")


def main():
    wanted = sys.argv[1:] or ["models", "tokenizers"]
    for name in wanted:
        {"models": make_models, "tokenizers": make_tokenizers}[name]()


if __name__ == "__main__":
    main()
