# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: starting the binary, a scenario that runs in a second, what a run record must be.

Each test file is started as `python3 FILE BINARY [--profile FILE] [unittest options]`. Every test has a folder of its own and its own
XDG_DATA_HOME, so that no test reads or writes the user's store.
"""
import contextlib
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "scenarios"
BINARY = pathlib.Path()
PROFILE = None  # of this machine for the shapes of tiny.toml, where one is handed over

# Generous: only a hang reaches it. The machine may be busy, so nothing asserts a time.
TIMEOUT_S = 600

# The registry of metrics: docs/metrics.md.
UNITS = {
    "mfu": "1", "mbu": "1", "roofline_utilisation": "1", "output_tokens_per_s": "token/s", "requests_per_s": "1/s",
    "ttft_s": "s", "tpot_s": "s", "e2e_latency_s": "s", "kv_transfer_s": "s", "step_time_s": "s", "goodput": "1", "rejected_share": "1",
    "memory_peak_bytes": "B",
    "kv_blocks": "1", "steady_mfu": "1", "trained_tokens_per_s": "token/s", "interruption_interval_s": "s",
    "checkpoint_interval_s": "s", "young_interval_s": "s", "daly_interval_s": "s",
    "prefix_hit_rate": "1", "host_hit_rate": "1", "power_w": "W",
    "site_power_w": "W", "site_power_peak_w": "W", "energy_per_token_j": "J",
    "dollars_per_million_tokens": "$/Mtoken",
}

CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 128,
    "vocab_size": 256, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
    "tie_word_embeddings": True, "torch_dtype": "float32", "bos_token_id": 1, "eos_token_id": 2,
}

SCENARIO = """\
format = "lindos-scenario"
version = 1
name = "tiny"

[cluster]
name = "this machine"

[[cluster.pool]]
name = "cpu"
device = "this-machine"
node = "this-machine"
devices_per_node = 1
nodes = 1
source = "test"

[model]
config = "config.json"

[workload]
kind = "serving"
requests = 4
arrival = "together"
prompt = [8, 16]
output = 8
seed = 1

[plan]
name = "one rank"
dtype = "f32"
max_batched_tokens = 64
max_sequences = 4
max_context = 64
"""


class Result:
    """What a finished process left: exit code (negative: the signal), standard output and standard error."""

    def __init__(self, command, code, out, err):
        self.command, self.code, self.out, self.err = command, code, out, err

    def __str__(self):
        shown = " ".join(str(word) for word in self.command)
        return f"$ {shown}\nexit {self.code}\n--- stdout\n{self.out[-4000:]}\n--- stderr\n{self.err[-4000:]}"

    def json(self):
        return json.loads(self.out)

    def progress(self):
        """The JSON lines of --progress json; every line on stderr must be one."""
        return [json.loads(line) for line in self.err.splitlines()]


def environment(folder):
    return {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder / "data-home")}


def lindos(*arguments, folder, **options):
    command = [BINARY, *(word if isinstance(word, bytes) else str(word) for word in arguments)]
    done = subprocess.run(command, cwd=folder, env=environment(folder), stdin=subprocess.DEVNULL,
                          stdout=options.pop("stdout", subprocess.PIPE), stderr=subprocess.PIPE, timeout=TIMEOUT_S,
                          encoding="utf-8", **options)
    return Result(command, done.returncode, done.stdout or "", done.stderr)


def write_tiny(folder, replace=()):
    """tiny.toml and its config.json; `replace` holds pairs of text, each of which must occur once."""
    (folder / "config.json").write_text(json.dumps(CONFIG))
    text = SCENARIO
    for old, new in replace:
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
        text = text.replace(old, new)
    path = folder / "tiny.toml"
    path.write_text(text)
    return path


@contextlib.contextmanager
def temporary_folder():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lindos-e2e-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def profile_of(scenario, folder):
    """Probes the machine for a scenario's shapes; returns the profile file."""
    path = folder / "profile.json"
    done = lindos("probe", scenario, "--out", path, "--progress", "none", folder=folder)
    if done.code != 0:
        raise AssertionError(f"the probe failed\n{done}")
    return path


class CliTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = self.enterContext(temporary_folder())
        self.tiny = write_tiny(self.folder)

    def lindos(self, *arguments, **options):
        return lindos(*arguments, folder=self.folder, **options)

    def succeed(self, *arguments, **options):
        done = self.lindos(*arguments, **options)
        self.assertEqual(done.code, 0, done)
        return done

    def fail_with(self, code, parts, *arguments, **options):
        """The verb ends with `code`, says every one of `parts` on stderr, nothing on stdout and nothing twice."""
        done = self.lindos(*arguments, **options)
        self.assertEqual(done.code, code, done)
        for part in [parts] if isinstance(parts, str) else parts:
            self.assertIn(part, done.err, done)
        self.assertEqual(done.out, "", done)
        for noise in ("terminate called", "what():", "std::", "_M_", "exception"):
            self.assertNotIn(noise, done.err, done)
        return done

    def files(self, folder=None):
        folder = folder or self.folder
        return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())

    def assert_record(self, record, source=None, fidelity=None, ledger=True):
        """The promises of architecture.md, section 5, for one run record in JSON; imported ones have no ledger."""
        for key in ("source", "fidelity", "scenario_digest", "plan_digest", "metrics", "ledger", "environment"):
            self.assertIn(key, record)
        if source is not None:
            self.assertEqual(record["source"], source)
        if fidelity is not None:
            self.assertEqual(record["fidelity"], fidelity)
        self.assertRegex(record["scenario_digest"], "^[0-9a-f]{32}$")
        self.assertRegex(record["plan_digest"], "^[0-9a-f]{32}$")
        self.assertTrue(record["metrics"])
        for name, value in record["metrics"].items():
            with self.subTest(metric=name):
                self.assertIn(name, UNITS)
                self.assertEqual(value["unit"], UNITS[name])
                self.assertIn(value["provenance"], ("measured", "modelled", "extrapolated"))
                self.assertTrue(all(math.isfinite(value[p]) for p in ("p10", "p50", "p90")), value)
                self.assertLessEqual(value["p10"], value["p50"])
                self.assertLessEqual(value["p50"], value["p90"])
                self.assertGreaterEqual(value["p10"], 0)
        if not ledger:
            self.assertEqual(record["ledger"], [])
            return
        causes = [entry["cause"] for entry in record["ledger"]]
        self.assertEqual(len(causes), len(set(causes)))
        for entry in record["ledger"]:
            self.assertTrue(all(math.isfinite(entry[p]) for p in ("share", "p10", "p90")), entry)
            self.assertGreaterEqual(entry["share"], 0)
        self.assertAlmostEqual(math.fsum(entry["share"] for entry in record["ledger"]), 1.0, delta=1e-9)


def tiny_profile(folder):
    """The profile that was handed over, else probed."""
    return PROFILE or profile_of(write_tiny(folder), folder)


class ProbedTest(CliTest):
    """With a profile of this machine for the shapes of tiny.toml."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.profile = tiny_profile(cls.enterClassContext(temporary_folder()))


def take_profile():
    """Keeps what `--profile FILE` behind the first argument names."""
    global PROFILE
    if sys.argv[2:3] == ["--profile"]:
        PROFILE = pathlib.Path(sys.argv[3]).resolve()
        del sys.argv[2:4]


def main():
    global BINARY
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} LINDOS-BINARY [--profile FILE] [unittest options]")
    take_profile()
    # The test files import this module by its name, so that the path must be set there and not in __main__.
    BINARY = pathlib.Path(sys.argv[1]).resolve()
    if not os.access(BINARY, os.X_OK):
        sys.exit(f"{BINARY}: no such program")
    unittest.main(module="__main__", argv=[sys.argv[0], *sys.argv[2:]])
