# SPDX-License-Identifier: Apache-2.0
"""`lindos run --checkpoint`: a checkpoint folder made here answers a prompt; every way in which one may lie is named."""
import json
import struct

import lindos_cli
from lindos_cli import CliTest

VOCABULARY = [chr(code) for code in range(33, 127)]


def tensor_shapes(config):
    hidden, ffn = config["hidden_size"], config["intermediate_size"]
    kv = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    yield "model.embed_tokens.weight", [config["vocab_size"], hidden]
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        yield at + "input_layernorm.weight", [hidden]
        yield at + "self_attn.q_proj.weight", [hidden, hidden]
        yield at + "self_attn.k_proj.weight", [kv, hidden]
        yield at + "self_attn.v_proj.weight", [kv, hidden]
        yield at + "self_attn.o_proj.weight", [hidden, hidden]
        yield at + "post_attention_layernorm.weight", [hidden]
        yield at + "mlp.gate_proj.weight", [ffn, hidden]
        yield at + "mlp.up_proj.weight", [ffn, hidden]
        yield at + "mlp.down_proj.weight", [hidden, ffn]
    yield "model.norm.weight", [hidden]


def safetensors(config, alter=lambda header: None):
    """Small deterministic weights; `alter` may make the header lie."""
    header, data = {}, bytearray()
    for name, shape in tensor_shapes(config):
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        begin = len(data)
        values = [1.0] * count if len(shape) == 1 else [((i * 7919 + begin) % 1009 - 504) / 5040 for i in range(count)]
        data += struct.pack(f"<{count}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, len(data)]}
    alter(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(data)


def tokenizer():
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                  "vocab": {token: index for index, token in enumerate(VOCABULARY)}, "merges": []},
    }


class Checkpoint(CliTest):
    def setUp(self):
        super().setUp()
        self.checkpoint = self.folder / "little"
        self.checkpoint.mkdir()
        # Ids 94 to 255 have no text; the end-of-sequence token is out of the way of greedy decoding.
        self.config = {**lindos_cli.CONFIG, "eos_token_id": 255}
        self.write("config.json", json.dumps(self.config))
        self.write("tokenizer.json", json.dumps(tokenizer()))
        self.weights = safetensors(self.config)
        self.write("model.safetensors", self.weights)

    def write(self, name, content):
        path = self.checkpoint / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def arguments(self, prompt="Hello"):
        return ("run", self.tiny, "--checkpoint", "little", "--prompt", prompt, "--max-tokens", "6", "--no-db",
                "--progress", "none")

    def refuse(self, parts, prompt="Hello"):
        self.fail_with(1, parts, *self.arguments(prompt))

    def test_answers(self):
        done = self.succeed(*self.arguments(), "--format", "json")
        answer = done.json()
        self.assertEqual(answer["prompt"], "Hello")
        self.assertEqual(answer["prompt_ids"], [VOCABULARY.index(letter) for letter in "Hello"])
        self.assertEqual(len(answer["output_ids"]), 6)
        self.assertEqual(done.err, "")
        again = self.succeed(*self.arguments(), "--format", "json").json()
        self.assertEqual(again["output_ids"], answer["output_ids"])
        self.assertTrue(self.succeed(*self.arguments()).out.startswith("Hello"))

    def test_sampling_follows_its_seed(self):
        def drawn(seed):
            return self.succeed(*self.arguments(), "--format", "json", "--temperature", "5", "--sampling-seed",
                                seed).json()["output_ids"]

        self.assertEqual(drawn("1"), drawn("1"))
        self.assertGreater(len({tuple(drawn(str(seed))) for seed in range(1, 6)}), 1)

    def test_workload_on_the_checkpoint(self):
        record = self.succeed("run", self.tiny, "--checkpoint", "little", "--no-db", "--repeats", "1", "--format",
                              "json").json()
        self.assert_record(record, source="measured", fidelity="engine")

    def test_prompt_longer_than_the_context(self):
        self.refuse(["--prompt", "65 tokens", "context holds 64"], "x" * 65)
        self.refuse("64 tokens", "x" * 64)
        self.succeed(*self.arguments("x" * 63))

    def test_empty_prompt(self):
        self.fail_with(2, ["--prompt", "is empty"], *self.arguments(""))

    def test_prompt_that_is_not_text(self):
        self.refuse("UTF-8", b"\xff\xfe")

    def test_truncated_weights(self):
        for size in (0, 7, 8, 100, len(self.weights) // 2, len(self.weights) - 1):
            with self.subTest(size=size):
                self.write("model.safetensors", self.weights[:size])
                self.refuse("little/model.safetensors")

    def test_trailing_bytes(self):
        self.write("model.safetensors", self.weights + b"\0")
        self.refuse(["little/model.safetensors", "the file holds"])

    def test_header_that_lies(self):
        name = "model.norm.weight"

        def set_field(field, value):
            return lambda header: header[name].update({field: value})

        for alter, part in ((set_field("shape", [65]), "needs 260 bytes"),
                            (set_field("shape", [2**62, 2**62]), name),
                            (set_field("data_offsets", [2**63, 2**63 + 256]), name),
                            (set_field("dtype", "F99"), "F99"),
                            (set_field("shape", [-64]), name),
                            (lambda header: header.pop(name), "little"),
                            (lambda header: header.update({name: 7}), name)):
            with self.subTest(part=part):
                self.write("model.safetensors", safetensors(self.config, alter))
                self.refuse(["little/model.safetensors", part])

    def test_header_length_that_lies(self):
        for length in (2**63, 2**40, 0, 1):
            with self.subTest(length=length):
                self.write("model.safetensors", struct.pack("<Q", length) + self.weights[8:])
                self.refuse("little/model.safetensors")

    def test_tensors_of_another_model(self):
        self.write("config.json", json.dumps({**self.config, "num_hidden_layers": 3}))
        self.refuse(["little", "model.layers.2.input_layernorm.weight"])
        self.write("config.json", json.dumps({**self.config, "intermediate_size": 96}))
        self.refuse(["little", "mlp.gate_proj.weight"])

    def test_quantised_checkpoint(self):
        self.write("config.json", json.dumps({**self.config, "quantization_config": {"quant_method": "awq"}}))
        self.refuse(["little/config.json", "/quantization_config", "awq"])

    def test_unknown_tokenizer_component(self):
        for key, component in (("pre_tokenizer", {"type": "Whitespacey"}), ("normalizer", {"type": "Whitespacey"}),
                               ("decoder", {"type": "Whitespacey"}), ("post_processor", {"type": "Whitespacey"}),
                               ("model", {"type": "Whitespacey", "vocab": {}, "merges": []})):
            with self.subTest(component=key):
                self.write("tokenizer.json", json.dumps({**tokenizer(), key: component}))
                self.refuse(["little/tokenizer.json", f"/{key}/type", "Whitespacey"])

    def test_broken_tokenizer(self):
        self.write("tokenizer.json", json.dumps(tokenizer())[:-9])
        self.refuse("little/tokenizer.json:1:")

    def test_missing_files(self):
        for name in ("tokenizer.json", "model.safetensors", "config.json"):
            with self.subTest(name=name):
                (self.checkpoint / name).unlink()
                self.refuse(["little", name])
        self.fail_with(1, "gone", "run", self.tiny, "--checkpoint", "gone", "--no-db")


if __name__ == "__main__":
    lindos_cli.main()
