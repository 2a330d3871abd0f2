# SPDX-License-Identifier: Apache-2.0
"""A model with experts through the verbs: run, predict, twin; experts dealt out over ranks as columns or whole."""
import json

import lindos_cli
from lindos_cli import CONFIG, CliTest, profile_of, temporary_folder, write_tiny

MOE = {**CONFIG, "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 2,
       "moe_intermediate_size": 32, "norm_topk_prob": True, "mlp_only_layers": [0], "hidden_act": "silu"}
TWO = ('dtype = "f32"', 'dtype = "f32"\ntensor = 2\nexpert_parallel = %d')


def write_moe(folder, replace=(), config=MOE):
    path = write_tiny(folder, replace)
    (folder / "config.json").write_text(json.dumps(config))
    return path


class MoE(CliTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.enterClassContext(temporary_folder())
        cls.profile = profile_of(write_moe(folder), folder)

    def verb(self, name, *arguments):
        return self.succeed(name, "tiny.toml", "--no-db", "--profile", self.profile, "--format", "json", *arguments)

    def test_twin(self):
        write_moe(self.folder)
        both = self.verb("twin", "--repeats", "1").json()
        self.assert_record(both["predicted"], source="predicted")
        self.assert_record(both["measured"], source="measured", fidelity="engine")
        rows = {row["metric"]: row for row in both["comparison"]["metrics"]}
        # The bytes are arithmetic: what a rank holds is what the prediction counted, up to rounding of buffers.
        self.assertLess(abs(rows["memory_peak_bytes"]["error_ratio"]), 0.1)

    def outputs(self, *arguments):
        record = self.verb("run", "--repeats", "1", *arguments).json()
        self.assert_record(record, source="measured", fidelity="engine")
        return record["output_hash"]

    def test_processes_give_the_tokens_of_threads(self):
        for dealt in (1, 2):
            with self.subTest(expert_parallel=dealt):
                write_moe(self.folder, [(TWO[0], TWO[1] % dealt)])
                threads = self.outputs("--ranks", "threads")
                done = self.lindos("run", "tiny.toml", "--ranks", "mpi", "--no-db", "--repeats", "1", "--profile", self.profile,
                                   "--format", "json")
                if done.code != 0 and "mpirun" in done.err:
                    self.skipTest("no mpirun here")
                self.assertEqual(done.code, 0, done)
                self.assertEqual(done.json()["output_hash"], threads)

    def test_experts_of_another_family_are_refused_by_name(self):
        config = {**MOE, "architectures": ["GptOssForCausalLM"], "num_local_experts": 8}
        write_moe(self.folder, config=config)
        self.fail_with(1, ["the experts of GptOssForCausalLM", "known: MixtralForCausalLM, Qwen3MoeForCausalLM"],
                       "run", "tiny.toml", "--no-db", "--profile", self.profile)


if __name__ == "__main__":
    lindos_cli.main()
