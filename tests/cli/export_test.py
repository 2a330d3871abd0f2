# SPDX-License-Identifier: Apache-2.0
"""export: a plan in the words of other tools, or a refusal with the reason; every shell script is one that bash reads."""
import json
import re
import shutil
import subprocess

import lindos_cli
from lindos_cli import SCENARIOS, CliTest

HGX, FLEET, TRAINING = (SCENARIOS / f"{name}.toml" for name in ("hgx-h100-llama70b", "colossus1-inference", "colossus1-training"))


FABRIC = """[fabric]
kind = "rail-fat-tree"
switch_ports = 64
planes = 8
hop_latency = "1 us"
source = "test"

"""


class Export(CliTest):
    def export(self, scenario, to, *options):
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        files = self.succeed("export", scenario, "--to", to, "--out", "out", "--format", "json", *options).json()["files"]
        self.assertEqual(sorted(files), [f"out/{name}" for name in self.files(self.folder / "out")])
        for name in files:
            if name.endswith((".sh", ".sbatch")):
                subprocess.run(["bash", "-n", name], cwd=self.folder, check=True)
        return {name.removeprefix("out/"): (self.folder / name).read_text() for name in files}

    def write_two_nodes(self):
        text = HGX.read_text().replace("tensor = 8", "tensor = 8\nstages = 2").replace("nodes = 1", "nodes = 2")
        (self.folder / "two.toml").write_text(text.replace("[model]", FABRIC + "[model]"))

    def flags(self, script):
        """The started command's words, continuation lines joined."""
        return re.sub(r"\s*\\\n\s*", " ", script[script.index("\nexec "):]).split()

    def assert_flag(self, script, flag, value):
        words = self.flags(script)
        self.assertEqual(words[words.index(flag) + 1], str(value), flag)


class ServingEngines(Export):
    def test_vllm_says_what_the_plan_says(self):
        group = self.succeed("show", HGX, "--format", "json").json()["plan"]["groups"][0]
        (script,) = self.export(HGX, "vllm").values()
        for flag, value in (("--tensor-parallel-size", 8), ("--pipeline-parallel-size", 1), ("--dtype", "bfloat16"),
                            ("--max-num-seqs", group["limits"]["max_sequences"]), ("--block-size", group["limits"]["block_tokens"]),
                            ("--max-num-batched-tokens", group["limits"]["max_batched_tokens"]),
                            ("--gpu-memory-utilization", group["limits"]["memory_fraction"])):
            self.assert_flag(script, flag, value)

    def test_sglang_and_trtllm(self):
        (script,) = self.export(HGX, "sglang").values()
        self.assert_flag(script, "--tp-size", 8)
        files = self.export(HGX, "trtllm")
        self.assertEqual({name.rsplit(".", 1)[1] for name in files}, {"sh", "yaml"})
        self.assert_flag(next(text for name, text in files.items() if name.endswith(".sh")), "--tp_size", 8)

    def test_prefix_reuse_is_said_either_way(self):
        (self.folder / "reuse.toml").write_text(HGX.read_text().replace("tensor = 8", "tensor = 8\nprefix_reuse = true"))
        for scenario, on in ((HGX, False), ("reuse.toml", True)):
            (script,) = self.export(scenario, "vllm").values()
            self.assertEqual("--enable-prefix-caching" in self.flags(script), on)
            self.assertEqual("--no-enable-prefix-caching" in self.flags(script), not on)
            (script,) = self.export(scenario, "sglang").values()
            self.assertEqual("--disable-radix-cache" in self.flags(script), not on)
            yaml = next(text for name, text in self.export(scenario, "trtllm").items() if name.endswith(".yaml"))
            self.assertIn(f"  enable_block_reuse: {'true' if on else 'false'}\n", yaml)

    def test_host_memory_is_of_the_replica_or_of_each_rank(self):
        def with_offload(size):
            text = HGX.read_text().replace("tensor = 8", f'tensor = 8\nprefix_reuse = true\nkv_offload = "{size}"')
            (self.folder / "offload.toml").write_text(text)
            return "offload.toml"
        (script,) = self.export(with_offload("1024 GiB"), "vllm").values()
        self.assert_flag(script, "--kv-offloading-size", 1024)
        (script,) = self.export(with_offload("1000 GB"), "sglang").values()
        self.assertIn("--enable-hierarchical-cache", self.flags(script))
        self.assert_flag(script, "--hicache-size", 125)
        yaml = next(text for name, text in self.export("offload.toml", "trtllm").items() if name.endswith(".yaml"))
        self.assertIn("  host_cache_size: 125000000000\n", yaml)
        self.fail_with(3, ["whole GB for each rank", "0.5 GB"], "export", with_offload("4 GB"), "--to", "sglang")

    def test_a_script_for_each_group(self):
        self.assertEqual(set(self.export(FLEET, "vllm")), {"h100.vllm.sh", "h200.vllm.sh", "gb200.vllm.sh"})
        done = self.succeed("export", FLEET, "--to", "sglang", "--group", "h200", "--out", "one", "--format", "json").json()
        self.assertEqual(done["files"], ["one/h200.sglang.sh"])

    def test_model_is_quoted(self):
        (script,) = self.export(HGX, "vllm", "--model", "it's a $HOME").values()
        line = next(line for line in script.splitlines() if line.startswith("MODEL="))
        shown = subprocess.run(["bash", "-c", line + '; printf %s "$MODEL"'], env={"PATH": "/usr/bin:/bin"}, capture_output=True,
                               text=True, check=True)
        self.assertEqual(shown.stdout, "it's a $HOME")

    def test_layers_go_where_the_tool_takes_them(self):
        self.write_pipeline()
        for to, variable in (("vllm", "VLLM_PP_LAYER_PARTITION"), ("sglang", "SGLANG_PP_LAYER_PARTITION")):
            (script,) = self.export("pipeline.toml", to).values()
            self.assertIn(f"export {variable}=54,26\n", script)
        self.fail_with(3, ["54,26", "40,40", "vllm or sglang"], "export", "pipeline.toml", "--to", "trtllm", "--out", "none")
        self.assertFalse((self.folder / "none").exists())

    def write_pipeline(self, replace=("", "")):
        text = HGX.read_text().replace("tensor = 8", "tensor = 4\nstage_weights = [2.0, 1.0]")
        (self.folder / "pipeline.toml").write_text(text.replace(*replace))

    def test_uneven_shares_are_refused(self):
        (self.folder / "uneven.toml").write_text(HGX.read_text().replace("tensor = 8", "tensor_weights = [2.0, 1.0, 1.0, 1.0, 1.0, 1.0]"))
        for to in ("vllm", "sglang", "trtllm"):
            self.fail_with(3, ["evenly", "6 ranks"], "export", "uneven.toml", "--to", to)

    def test_cpus_are_for_lindos(self):
        self.fail_with(3, ["no CUDA devices", "lindos run"], "export", self.tiny, "--to", "vllm")
        files = self.export(self.tiny, "lindos")
        script = next(name for name in files if name.endswith(".sh"))
        done = subprocess.run([self.folder / "out" / script, "--no-db", "--repeats", "1", "--format", "json"], cwd=self.folder, check=True,
                              capture_output=True, text=True, env={**lindos_cli.environment(self.folder), "LINDOS": str(lindos_cli.BINARY)})
        self.assert_record(json.loads(done.stdout), source="measured", fidelity="engine")

    def test_our_engine_refuses_what_it_does_not_drive(self):
        self.fail_with(3, ["one GPU", "takes 8"], "export", HGX, "--to", "lindos")


class Training(Export):
    def test_megatron_arguments_of_one_group(self):
        plan = self.succeed("show", TRAINING, "--format", "json").json()["plan"]
        replicas = next(g for g in plan["groups"] if g["name"] == "h100")["replicas"]
        script = self.export(TRAINING, "megatron", "--group", "h100")["h100.megatron.sh"]
        for flag, value in (("--tensor-model-parallel-size", 8), ("--pipeline-model-parallel-size", 16), ("--num-layers", 126),
                            ("--hidden-size", 16384), ("--ffn-hidden-size", 53248), ("--num-attention-heads", 128),
                            ("--num-query-groups", 8), ("--nnodes", replicas * 128 // 8), ("--nproc-per-node", 8)):
            self.assert_flag(script, flag, value)
        words = self.flags(script)
        self.assertIn("--sequence-parallel", words)
        self.assertIn("--use-distributed-optimizer", words)
        # 126 layers in 16 stages do not divide: the layout names each stage's.
        layout = words[words.index("--pipeline-model-parallel-layout") + 1].strip("'")
        stages = layout.split("|")
        self.assertEqual((len(stages), layout.count("t"), stages[0][0], stages[-1][-1]), (16, 126, "E", "L"))

    def test_groups_of_other_nodes_are_refused(self):
        self.fail_with(3, ["--group"], "export", TRAINING, "--to", "megatron")

    def test_deepspeed_takes_data_parallelism_only(self):
        self.fail_with(3, ["8 tensor ranks", "megatron"], "export", TRAINING, "--to", "deepspeed", "--group", "h100")
        text = TRAINING.read_text()
        text = text[:text.index("[model]")] + """[model]
name = "smollm2-135m"

[workload]
kind = "training"
sequence = 2048
global_batch = 1024

[plan]
name = "zero 3"

[[plan.group]]
name = "h100"
pool = "h100"
replicas = 256
dtype = "bf16"
zero_stage = 3
"""
        (self.folder / "zero.toml").write_text(text)
        files = self.export("zero.toml", "deepspeed")
        config = json.loads(files["h100.deepspeed.json"])
        self.assertEqual((config["train_batch_size"], config["gradient_accumulation_steps"], config["zero_optimization"]["stage"]), (1024, 4, 3))

    def test_serving_and_training_do_not_mix(self):
        self.fail_with(3, ["megatron or deepspeed"], "export", TRAINING, "--to", "vllm")
        self.fail_with(3, ["vllm"], "export", HGX, "--to", "megatron")


class Jobs(Export):
    def test_slurm_starts_every_replica(self):
        files = self.export(FLEET, "slurm", "--engine", "vllm", "--group", "h200")
        job = files["h200.sbatch"]
        for line in ("--nodes=1", "--gpus-per-node=4", "--array=0-12499", '--constraint="h200"'):
            self.assertIn(f"#SBATCH {line}\n", job)
        self.assertIn("h200.vllm.sh", files)

    def test_slurm_passes_node_rank_and_address(self):
        """The script that srun starts sees what the engine's script asks for; srun and scontrol are stand-ins.

        The list of hosts is longer than a pipe holds, as on a large job: a reader that stops at the first line would end scontrol by
        SIGPIPE and, with pipefail, the job.
        """
        self.write_two_nodes()
        files = self.export("two.toml", "slurm", "--engine", "sglang")
        job = next(name for name in files if name.endswith(".sbatch"))
        tools = self.folder / "tools"
        tools.mkdir()
        for name, body in (("scontrol", "echo first; seq -f node%g 20000"), ("srun", 'shift; SLURM_NODEID=1 exec "$@"'),
                           ("python3", 'echo "rank $* at $MASTER_ADDR port $PORT"')):
            (tools / name).write_text(f"#!/bin/bash\n{body}\n")
            (tools / name).chmod(0o755)
        done = subprocess.run(["bash", job], cwd=self.folder / "out", check=True, capture_output=True, text=True, env={
            "PATH": f"{tools}:/usr/bin:/bin", "MODEL": "m", "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_ID": "41",
            "SLURM_SUBMIT_DIR": str(self.folder / "out")})
        self.assertIn("--nnodes 2 --node-rank 1 --dist-init-addr first:20000", done.stdout)
        self.assertIn("port 20041", done.stdout)

    def limited(self, tensor, *limits):
        """HGX with a group of 8/tensor/len(limits) replicas for each power limit."""
        text = HGX.read_text()
        group = f'[[plan.group]]\nname = "NAME"\npool = "h100"\ntensor = {tensor}\nreplicas = {8 // tensor // len(limits) or 1}\n'
        groups = [group.replace("NAME", f"at-{w}" if i == 0 or w != limits[0] else f"again-{w}") + f'power_limit = "{w} W"\n'
                  for i, w in enumerate(limits)]
        (self.folder / "limited.toml").write_text(text[:text.index("[plan]")] + '[plan]\nname = "held"\n' + "".join(groups))
        return "limited.toml"

    def test_power_limits_are_said_where_boards_are_set_and_nothing_is_run(self):
        files = self.export(self.limited(8, 450), "slurm", "--engine", "vllm")
        for name in ("at-450.vllm.sh", "at-450.sbatch"):
            lines = [line for line in files[name].splitlines() if "nvidia-smi" in line]
            self.assertEqual(len(lines), 1)
            self.assertTrue(lines[0].startswith("#") and lines[0].endswith("-pl 450"), lines)
        directives, rest = files["at-450.sbatch"].split("set -euo pipefail")
        self.assertIn("root", directives)
        self.assertNotIn("#SBATCH", rest)
        self.assertNotIn("nvidia-smi", self.export(HGX, "vllm").popitem()[1])
        (manifest,) = self.export(self.limited(8, 450), "kubernetes", "--engine", "vllm", "--model", "m").values()
        self.assertTrue(manifest.split("apiVersion")[0].rstrip().endswith("-pl 450"))

    def test_jobs_cannot_set_parts_of_a_node(self):
        shared = self.limited(4, 450, 600)
        self.export(shared, "vllm")
        for to in ("slurm", "kubernetes"):
            self.fail_with(3, ['pool "h100"', '"at-450"', '"at-600"', "nearest: one limit"], "export", shared, "--to", to, "--engine", "vllm",
                           "--model", "m")
        self.export(self.limited(4, 450, 450), "slurm", "--engine", "vllm")

    def test_slurm_for_training(self):
        files = self.export(TRAINING, "slurm", "--engine", "megatron", "--group", "h100")
        self.assertNotIn("--array", files["h100.sbatch"])
        self.assertIn("--nodes=18736\n", files["h100.sbatch"])

    def test_kubernetes_manifests(self):
        try:
            import yaml
        except ImportError:
            self.skipTest("python3-yaml is not installed")
        self.write_two_nodes()
        for scenario, kind in ((HGX, "Deployment"), ("two.toml", "LeaderWorkerSet")):
            with self.subTest(kind=kind):
                done = self.succeed("export", scenario, "--to", "kubernetes", "--engine", "vllm", "--model", "org/model", "--out", kind,
                                    "--format", "json").json()
                config, service, workload = yaml.safe_load_all((self.folder / done["files"][0]).read_text())
                self.assertEqual((config["kind"], service["kind"], workload["kind"]), ("ConfigMap", "Service", kind))
                (script,) = config["data"].values()
                subprocess.run(["bash", "-n"], input=script, text=True, check=True)
                spec = workload["spec"]
                pod = spec["template"] if kind == "Deployment" else spec["leaderWorkerTemplate"]["leaderTemplate"]
                self.assertEqual(service["spec"]["selector"], pod["metadata"]["labels"])
                (container,) = pod["spec"]["containers"]
                self.assertEqual(container["resources"]["limits"]["nvidia.com/gpu"], 8)
                self.assertIn({"name": "MODEL", "value": "org/model"}, container["env"])
                self.assertIn(f"/lindos/{next(iter(config['data']))}", container["command"][-1])

    def test_kubernetes_needs_a_model_and_a_service(self):
        self.fail_with(2, ["--model"], "export", HGX, "--to", "kubernetes", "--engine", "vllm")
        self.fail_with(2, ["--image"], "export", HGX, "--to", "kubernetes", "--engine", "trtllm", "--model", "m")
        self.fail_with(3, ["nearest: slurm"], "export", TRAINING, "--to", "kubernetes", "--engine", "megatron", "--model", "m", "--group", "h100")


class BadInput(Export):
    def test_words(self):
        self.fail_with(2, ["--to"], "export", HGX)
        self.fail_with(2, ["vllm|sglang"], "export", HGX, "--to", "vlm")
        self.fail_with(2, ["--engine"], "export", HGX, "--to", "slurm")
        self.fail_with(2, ["--engine"], "export", HGX, "--to", "vllm", "--engine", "sglang")
        self.fail_with(2, ["did you mean", "h200"], "export", FLEET, "--to", "vllm", "--group", "h20")

    def test_a_folder_that_cannot_be_made(self):
        (self.folder / "file").write_text("")
        self.fail_with(4, ["file"], "export", HGX, "--to", "vllm", "--out", "file/folder")


if __name__ == "__main__":
    lindos_cli.main()
