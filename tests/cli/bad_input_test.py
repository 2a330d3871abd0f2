# SPDX-License-Identifier: Apache-2.0
"""Wrong scenarios and plans are met at the door: file, line, column, what was expected, the nearest spelling."""
import json
import os
import resource

import lindos_cli
from lindos_cli import SCENARIOS, CliTest, ProbedTest, write_tiny

POISSON = ('arrival = "together"', 'arrival = "poisson"\nrate = RATE')


class BadScenario(CliTest):
    def refuse(self, old, new, parts, code=1, verb="show"):
        write_tiny(self.folder, [(old, new)])
        return self.fail_with(code, parts, verb, "tiny.toml")

    def test_broken_toml(self):
        self.refuse('name = "tiny"', 'name = "tiny', "tiny.toml:3:")
        self.refuse("[workload]", "[workload", "tiny.toml:19:")
        self.refuse("seed = 1", "seed = 1\nseed = 2", "tiny.toml:26:")

    def test_not_text(self):
        self.tiny.write_bytes(bytes(range(256)))
        self.fail_with(1, "tiny.toml:1:", "show", "tiny.toml")
        self.tiny.write_text("")
        self.fail_with(1, ["tiny.toml", 'missing key "format"'], "show", "tiny.toml")

    def test_unknown_key_gets_the_nearest_spelling(self):
        self.refuse("requests = 4", "reqests = 4",
                    "tiny.toml:21:1: workload.reqests: unknown key; did you mean \"requests\"?")
        self.refuse("[plan]", "[plam]", ["tiny.toml:27:", "plam", 'did you mean "plan"?'])

    def test_missing_key(self):
        self.refuse("requests = 4\n", "", ["tiny.toml:19:", "workload", 'missing key "requests"'])

    def test_number_where_a_unit_is_needed(self):
        self.refuse(POISSON[0], POISSON[1].replace("RATE", "4"),
                    'tiny.toml:23:8: workload.rate: expected a quantity such as "2 /s", saw 4')
        self.refuse(POISSON[0], POISSON[1].replace("RATE", '"4"'), ["tiny.toml:23:8: workload.rate", "without a unit"])

    def test_case_of_a_unit(self):
        self.refuse('source = "test"', 'source = "test"\nnode_power_max = "1 KW"',
                    'tiny.toml:15:18: cluster.pool.node_power_max: unknown unit "KW" in "1 KW"; did you mean "kW"?')

    def test_sizes(self):
        self.refuse("requests = 4", "requests = -4",
                    "tiny.toml:21:12: workload.requests: expected an integer from 1 to 1000000000, saw -4")
        self.refuse("requests = 4", "requests = 1000000000000", "tiny.toml:21:12: workload.requests")
        self.refuse('source = "test"', 'source = "test"\nnode_power_max = "1e30 W"',
                    ["tiny.toml:15:18", "beyond any cluster"])
        self.refuse('source = "test"', 'source = "test"\nnode_power_max = "-1 W"', ["tiny.toml:15:18", "negative"])
        self.refuse("prompt = [8, 16]", "prompt = [16, 8]", ["tiny.toml:23:", "workload.prompt", "[low, high]"])
        self.refuse("nodes = 1", "nodes = 0", "tiny.toml:13:9: cluster.pool.nodes")

    def test_wrong_type(self):
        self.refuse("requests = 4", 'requests = "4"', ["tiny.toml:21:12", "expected an integer", '"4"'])
        self.refuse('name = "tiny"', "name = 7", ["tiny.toml:3:8: name", "expected a text"])

    def test_missing_device(self):
        self.refuse('device = "this-machine"', 'device = "h100-sxn"',
                    'tiny.toml:10:10: cluster.pool.device: unknown device "h100-sxn"; did you mean "h100-sxm"?')

    def test_extends(self):
        self.refuse('name = "tiny"', 'name = "tiny"\nextends = "tiny.toml"',
                    "tiny.toml:4:11: extends: cycle: tiny.toml → tiny.toml")
        self.refuse('name = "tiny"', 'name = "tiny"\nextends = "other.toml"', ["tiny.toml:4:11", "other.toml", "no such"])
        write_tiny(self.folder, [('name = "tiny"', 'name = "tiny"\nextends = "other.toml"')])
        (self.folder / "other.toml").write_text(self.tiny.read_text().replace('"other.toml"', '"tiny.toml"'))
        self.fail_with(1, ["extends", "cycle", "tiny.toml → "], "show", "tiny.toml")

    def test_model_config(self):
        self.refuse('config = "config.json"', 'config = "gone.json"', ["tiny.toml:17:10: model.config", "gone.json"])
        config = self.folder / "config.json"
        write_tiny(self.folder)
        for change, part in (({"hidden_size": -64}, "/hidden_size"), ({"num_attention_heads": 0}, "/num_attention_heads"),
                             ({"num_hidden_layers": "two"}, "/num_hidden_layers"),
                             ({"architectures": ["ResNet"]}, "ResNet"),
                             ({"rope_scaling": {"rope_type": "llama4"}}, "/rope_scaling")):
            with self.subTest(change=change):
                config.write_text(json.dumps({**lindos_cli.CONFIG, **change}))
                self.fail_with(1, ["config.json", part], "show", "tiny.toml")
        config.write_text('{"hidden_size": 64,')
        self.fail_with(1, "config.json:1:", "show", "tiny.toml")

    def test_context_of_the_model(self):
        self.refuse("prompt = [8, 16]", "prompt = 600", ["tiny.toml:23:10: workload.prompt", "608", "512"])
        self.refuse("max_context = 64", "max_context = 1024", ["plan.max_context", "512", "1024"])

    def test_files(self):
        self.fail_with(1, ["gone.toml", "no such file"], "show", "gone.toml")
        self.fail_with(1, "not a regular file", "show", self.folder)
        self.fail_with(1, "no such file", "show", "")
        self.fail_with(1, "not a regular file", "show", "/dev/zero")
        self.fail_with(1, ["gone", "no such catalogue folder"], "show", "tiny.toml", "--catalogue", "gone")
        self.fail_with(1, "gone.json", "show", "tiny.toml", "--plan", "gone.json")
        self.fail_with(1, "not a regular file", "show", "tiny.toml", "--plan", ".")
        fifo = self.folder / "fifo.toml"
        os.mkfifo(fifo)
        self.fail_with(1, "not a regular file", "show", fifo)
        # A device without end must not fill the memory; the limit protects the machine if it tries.
        self.fail_with(1, "/dev/zero", "show", "tiny.toml", "--plan", "/dev/zero",
                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)))


class BadPlan(CliTest):
    def setUp(self):
        super().setUp()
        self.plan = self.succeed("show", self.tiny, "--format", "json").json()["plan"]

    def refuse(self, parts, verb="show", code=1):
        (self.folder / "plan.json").write_text(json.dumps(self.plan))
        self.fail_with(code, parts, verb, self.tiny, "--plan", "plan.json")

    def test_layers_that_the_model_has_not(self):
        self.plan["groups"][0]["stages"][0]["layers"] = [0, 3]
        self.refuse("plan.json: /groups/0/stages/0/layers: [0, 3) reaches beyond the model's 2 layers")

    def test_layers_left_out(self):
        self.plan["groups"][0]["stages"][0]["layers"] = [0, 1]
        self.refuse(["plan.json: /groups/0/stages/0/layers", "the model has 2"])

    def test_heads_that_overlap(self):
        share = self.plan["groups"][0]["stages"][0]["ranks"][0]["share"]
        share["q_heads"] = [0, 5]
        self.refuse(["plan.json: /groups/0/stages/0", "q_heads"])

    def test_pool_that_the_cluster_has_not(self):
        self.plan["groups"][0]["stages"][0]["ranks"][0]["pool"] = "cpuu"
        for verb in ("show", "predict", "run", "twin", "probe"):
            with self.subTest(verb=verb):
                self.refuse(["plan.json: /groups/0/stages/0/ranks/0/pool", '"cpuu"', 'did you mean "cpu"?'], verb)

    def test_more_devices_than_the_pool_has(self):
        scenario = SCENARIOS / "one-h200-llama8b.toml"
        plan = self.succeed("show", scenario, "--format", "json").json()["plan"]
        plan["groups"][0]["replicas"] = 2
        (self.folder / "plan.json").write_text(json.dumps(plan))
        self.fail_with(1, ["plan.json", "2 devices", '"h200"', "has 1"], "show", scenario, "--plan", "plan.json")

    def test_unknown_key_and_version(self):
        self.plan["gruops"] = []
        self.refuse(["plan.json", "gruops"])
        del self.plan["gruops"]
        self.plan["version"] = 99
        self.refuse(["plan.json", "version", "99"])

    def test_not_a_plan(self):
        self.fail_with(1, ["config.json", 'missing key "format"'], "show", self.tiny, "--plan", "config.json")
        (self.folder / "plan.json").write_text(json.dumps(self.plan)[:-20])
        self.fail_with(1, "plan.json:1:", "show", self.tiny, "--plan", "plan.json")

    def test_more_stages_than_layers(self):
        write_tiny(self.folder, [('dtype = "f32"', 'dtype = "f32"\nstages = 3')])
        self.fail_with(1, ["tiny.toml:30:10: plan.stages", "from 1 to 2, saw 3"], "show", "tiny.toml")


class DoesNotFit(ProbedTest):
    """Legitimate questions whose answer is no: exit 3 with what is needed and what there is."""

    def test_devices_that_are_not_here(self):
        for verb in ("twin", "run"):
            with self.subTest(verb=verb):
                self.fail_with(3, ["one-h200-llama8b", "NVIDIA H200", "lindos predict"], verb,
                               SCENARIOS / "one-h200-llama8b.toml", "--no-db")

    def test_requests_longer_than_the_plans_context(self):
        write_tiny(self.folder, [("max_context = 64", "max_context = 16")])
        for verb in ("predict", "run", "twin"):
            with self.subTest(verb=verb):
                self.fail_with(1, ["tiny", "up to 24 tokens", "max_context = 16"], verb, "tiny.toml", "--no-db",
                               "--progress", "none")

    def test_kv_pool_smaller_than_one_sequence(self):
        write_tiny(self.folder, [("max_context = 64", "max_context = 64\nkv_blocks = 2")])
        for verb in ("predict", "run", "twin"):
            with self.subTest(verb=verb):
                self.fail_with(3, ["64 tokens", "4 KV blocks", "2 were asked for"], verb, "tiny.toml", "--no-db",
                               "--progress", "none", "--profile", self.profile)

    def test_weights_larger_than_the_device(self):
        text = (SCENARIOS / "one-h200-llama8b.toml").read_text().replace("llama-3.1-8b", "llama-3.1-405b")
        (self.folder / "large.toml").write_text(text)
        self.fail_with(3, ["llama-3.1-405b", "812 GB of weights", "136 GB"], "predict", "large.toml", "--no-db", "--progress", "none")



if __name__ == "__main__":
    lindos_cli.main()
