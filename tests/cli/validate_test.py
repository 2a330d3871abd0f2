# SPDX-License-Identifier: Apache-2.0
"""`lindos validate`: its subverbs from the command line, JSON against table, refusals with their place."""
import gzip
import json

import lindos_cli
from lindos_cli import ROOT, CliTest

HEADER = "dp_rank,stage,rank,step,optype,start_ts,duration,seq_id,mc,mb_id,gmc\n"
REFERENCE = ROOT.parent / "shared" / "reference" / "stragglers"
STATISTICS = ("n", "median_ape", "mape", "p90_ape", "max_ape", "bias", "interval_coverage")


def two_data_ranks():
    """One step of 7 s; the forward pass of data rank 1 takes 3 s instead of 1 s, so that the ideal step takes 6 s."""
    rows = []
    for rank in range(2):
        late = 2.0 * rank
        for optype, start, duration, chunk in (
                ("params-all-gather", 0.0, 1.0, 0), ("forward-compute", 1.0, 1.0 + late, 0),
                ("backward-compute", 2.0 + late, 2.0, 0), ("gc", 4.0 + late, 0.0, -1),
                ("grads-reduce-scatter", 4.0 + late, 2.5 - late, 0), ("optimizer-clip-main-grad", 6.5, 0.25, -1),
                ("optimizer", 6.75, 0.25, -1)):
            micro_batch = 0 if optype.endswith("-compute") else -1
            rows.append(f"{rank},0,{rank},5,{optype},{start},{duration},0,{chunk},{micro_batch},{micro_batch}\n")
    return HEADER + "".join(rows)


class Operators(CliTest):
    PROFILE = ROOT / "data" / "profiles" / "h200-sxm.json"

    def test_a_profile_against_itself(self):
        out = self.succeed("validate", "operators", self.PROFILE, self.PROFILE, "--format", "json").json()
        self.assertEqual(out["misses"], [])
        self.assertEqual(set(out["metrics"]), {"gemm_s", "prefill_attention_s", "decode_attention_s", "experts_s",
                                               "collective_s"})
        # Prompts beside each other are priced over one alone, so that rounding is all that is lost.
        for metric in out["metrics"].values():
            self.assertLess(metric["max_ape"], 1e-6)
        alone = self.succeed("validate", "collectives", self.PROFILE, self.PROFILE, "--format", "json").json()
        self.assertEqual(alone["metrics"], {"collective_s": out["metrics"]["collective_s"]})

    def test_own_measurements(self):
        measured = ROOT / "data" / "measurements" / "2026-11-26-h200-profile.json"
        done = self.succeed("validate", "operators", self.PROFILE, measured)
        for part in ("gemm_s", "decode_attention_s", "median", "no sample of the family stream", "rows covered"):
            self.assertIn(part, done.out)
        out = self.succeed("validate", "operators", self.PROFILE, measured, "--format", "json").json()
        # Kernels of other engines, which take longer for short prompts: near, not equal.
        for metric in ("gemm_s", "prefill_attention_s", "decode_attention_s"):
            self.assertLess(out["metrics"][metric]["median_ape"], 0.7, metric)

    def test_refusals(self):
        other = ROOT / "data" / "profiles" / "h100-sxm.json"
        self.fail_with(1, ["h100-sxm.json", "h100-sxm", "h200-sxm"], "validate", "operators", self.PROFILE, other)
        self.fail_with(1, ["nowhere.json"], "validate", "operators", self.PROFILE, "nowhere.json")
        without = ROOT / "data" / "measurements" / "2026-11-26-h200-profile.json"
        self.fail_with(1, ["/collectives", "none to compare"], "validate", "collectives", self.PROFILE, without)
        self.fail_with(2, ["measured", "required"], "validate", "operators", self.PROFILE)


class Serving(CliTest):
    """Rows of our own making; the times are of the order that such engines show."""
    HEADER = ("concurrency,backend,model_path,system,mode,isl,osl,gemm_quant_mode,moe_quant_mode,tp_size,moe_ep_size,"
              "attention_dp_size,prefill_num_workers,prefill_tp_size,decode_num_workers,decode_tp_size,"
              "silicon_ttft_ms,silicon_tpot_ms\n")
    ROWS = (
        "4,trtllm,nvidia/Llama-3.1-8B-Instruct-FP8,h100_sxm,agg,512,64,fp8,,1,,,,,,,100,5\n"
        "8,vllm,meta-llama/Llama-3.1-70B,h200_sxm,agg,1024,64,bfloat16,,8,,,,,,,150,12\n"
        "8,sglang,Qwen/Qwen3-235B-A22B-FP8,h200_sxm,agg,1024,64,fp8_block,fp8_block,8,8,,,,,,200,15\n"
        "16,trtllm,deepseek-ai/DeepSeek-R1,gb200,agg,1024,64,nvfp4,nvfp4,1,8,8,,,,,200,12\n"
        "16,sglang,deepseek-ai/DeepSeek-R1,h200_sxm,disagg,1024,64,fp8,fp8_block,,,,1,8,2,8,300,20\n"
        "16,sglang,deepseek-ai/DeepSeek-R1,h200_sxm,disagg,1024,64,fp8,fp8_block,,,,1,8,,8,300,20\n"
        "8,vllm,Qwen/Qwen3.5-397B-A17B,h200_sxm,agg,1024,64,fp8,fp8,8,,,,,,,100,10\n"
        "8,vllm,meta-llama/Llama-3.1-70B,h100_sxm,agg,1024,64,bfloat16,,1,,,,,,,100,10\n")

    def setUp(self):
        super().setUp()
        self.file = self.folder / "points.csv"
        self.file.write_text(self.HEADER + self.ROWS)

    def test_json(self):
        out = self.succeed("validate", "serving", self.file, "--format", "json", "--progress", "none").json()
        self.assertEqual((out["rows"], out["covered"]), (8, 6))
        self.assertEqual(out["metrics"]["tpot_s"]["n"], 4)
        self.assertEqual(out["metrics"]["disaggregated_ttft_s"]["n"], 1)
        self.assertEqual(out["metrics"]["incomplete_ttft_s"]["n"], 1)
        self.assertIn("how many instances there are is not stated: one of each kind", out["results"][-1]["assumptions"])
        self.assertEqual(set(out["metrics"]["ttft_s"]) - {"n"}, set(STATISTICS) - {"n"})
        self.assertEqual([m["row"].rsplit(":", 1)[1] for m in out["misses"]], ["8", "9"])
        self.assertIn("is not in the catalogue", out["misses"][0]["reason"])
        self.assertIn("does not fit", out["misses"][1]["reason"])
        for result in out["results"]:
            for metric in ("ttft_s", "tpot_s"):
                value = result[metric]
                self.assertLess(value["low"], value["predicted"] * 1.5)
                self.assertLess(value["low"], value["high"])
                # Nothing absurd: within a factor of three of what was written down.
                self.assertLess(value["predicted"] / value["measured"], 3.0, result["row"])
                self.assertGreater(value["predicted"] / value["measured"], 1 / 3.0, result["row"])
        held_out = sum(result["held_out"] and not result["disaggregated"] for result in out["results"])
        self.assertEqual(out["metrics"]["held_out_tpot_s"]["n"], held_out)

    def test_table(self):
        done = self.succeed("validate", "serving", self.file)
        for part in ("ttft_s", "tpot_s", "disaggregated_tpot_s", "held_out_tpot_s", "h200_sxm · Llama-3.1-70B · bfloat16 · vllm",
                     "6 of 8 rows covered", "not covered: does not fit"):
            self.assertIn(part, done.out)

    def test_a_config_of_ones_own(self):
        lindos_cli.write_tiny(self.folder)
        self.file.write_text(self.HEADER + f"2,vllm,{self.folder / 'config.json'},h100-sxm,agg,64,8,,,1,,,,,,,5,1\n")
        out = self.succeed("validate", "serving", self.file, "--format", "json").json()
        self.assertEqual((out["covered"], out["misses"]), (1, []))

    def test_refusals(self):
        for text, parts in ((self.HEADER + "x,vllm,m,h100_sxm,agg,8,8" + "," * 11 + "\n", ["points.csv:2: concurrency"]),
                            (self.HEADER + self.ROWS.replace(",agg,512", ",aggregated,512"), ["points.csv:2: mode"]),
                            (self.HEADER.replace("isl", "prompt") + self.ROWS, ['points.csv:1: no column "isl"']),
                            ("", ["the file has no header"])):
            with self.subTest(text=text[:40]):
                self.file.write_text(text)
                self.fail_with(1, parts, "validate", "serving", self.file)
        self.fail_with(1, ["nowhere.csv"], "validate", "serving", "nowhere.csv")
        self.fail_with(2, ["file", "required"], "validate", "serving")

    def test_published_points(self):
        points = ROOT.parent / "shared" / "reference" / "serving" / "measured_points.csv"
        if not points.is_file():
            self.skipTest(f"{points} is not here: published points are not part of the project")
        lines = points.read_text().splitlines(True)
        self.file.write_text("".join(lines[:1] + lines[1::40]))
        out = self.succeed("validate", "serving", self.file, "--format", "json", "--progress", "none").json()
        self.assertGreater(out["covered"], 0.7 * out["rows"])
        self.assertLess(out["metrics"]["tpot_s"]["median_ape"], 0.4)


class Stragglers(CliTest):
    def setUp(self):
        super().setUp()
        self.trace = self.folder / "trace-two.csv"
        self.trace.write_text(two_data_ranks())

    def validate(self, *arguments):
        return self.succeed("validate", "stragglers", *arguments, "--format", "json").json()

    def test_json(self):
        out = self.validate(self.trace)
        self.assertEqual((out["rows"], out["covered"], out["misses"]), (14, 14, []))
        self.assertEqual(set(out["metrics"]["step_time_s"]), set(STATISTICS))
        self.assertEqual(out["metrics"]["step_time_s"]["n"], 1)
        self.assertEqual(out["trace"]["data_parallel"], 2)
        self.assertEqual(out["trace"]["degrees_from"], "")
        what_if = out["what_if"]
        self.assertAlmostEqual(what_if["slowdown"], 7 / 6)
        self.assertAlmostEqual(what_if["mean_step_time_s"]["ideal"], 6.0)
        self.assertAlmostEqual(what_if["by_dp_rank"]["1"]["slowdown"], 7 / 6)
        self.assertAlmostEqual(what_if["by_dp_rank"]["0"]["recovery"], 0.0)
        self.assertEqual(what_if["worst_ranks"]["ranks"], [1])
        self.assertAlmostEqual(what_if["worst_ranks"]["recovery"], 1.0)
        self.assertEqual(what_if["by_rank"][0], {"rank": 1, "dp_rank": 1, "stage": 0, "slowdown": what_if["slowdown"]})
        self.assertEqual([s["step"] for s in what_if["steps"]], [5])

    def test_table(self):
        done = self.succeed("validate", "stragglers", self.trace)
        for part in ("ops 14", "1.1667", "data rank 1", "forward-compute", "M_W", "M_S", "14 of 14 rows covered",
                     "the rows alone"):
            self.assertIn(part, done.out)
        self.assertEqual(done.err, "")

    def test_gzip_is_the_same_trace(self):
        packed = self.folder / "packed.csv.gz"
        packed.write_bytes(gzip.compress(self.trace.read_bytes()))
        self.assertEqual(self.validate(packed)["what_if"], self.validate(self.trace)["what_if"])

    def test_meta_beside_the_trace_and_by_option(self):
        self.assertEqual(self.validate(self.trace, "--data-parallel", "2")["trace"]["degrees_from"], "the command line")
        self.fail_with(1, ["trace-two.csv", "dp_rank 2 is missing", "the command line says 3"],
                       "validate", "stragglers", self.trace, "--data-parallel", "3")
        (self.folder / "meta-two.yaml").write_text("dp_size: 2\npp_size: 1\nworld_size: 2\n")
        self.assertEqual(self.validate(self.trace)["trace"]["degrees_from"], str(self.folder / "meta-two.yaml"))
        self.fail_with(2, ["--pipeline", "meta-two.yaml"], "validate", "stragglers", self.trace, "--pipeline", "1")
        (self.folder / "other.yaml").write_text("dp_size: 2\npp_size: 4\n")
        self.fail_with(1, ["stage 1 is missing", "other.yaml says 4"],
                       "validate", "stragglers", self.trace, "--meta", "other.yaml")
        self.fail_with(1, ["none.yaml", "no such file"], "validate", "stragglers", self.trace, "--meta", "none.yaml")

    def test_expected_values(self):
        expected = {"blocking_slowdown": 1.25, "launch_slowdown": 1.0,
                    "blocking_decompose_by_dp_rank": {"0": 1.0, "1": 7 / 6, "2": 1.0},
                    "blocking_decompose_by_stage": None}
        (self.folder / "result.json").write_text(json.dumps(expected))
        out = self.validate(self.trace, "--expect", "result.json")
        self.assertEqual(out["misses"], [{"row": "result.json: /blocking_decompose_by_dp_rank/2",
                                          "reason": "the trace has no such dp_rank"}])
        self.assertEqual((out["covered"], out["rows"]), (14, 15))
        slowdown = out["metrics"]["slowdown"]
        self.assertEqual(slowdown["n"], 4)
        self.assertAlmostEqual(slowdown["max_ape"], 1 - 7 / 6 / 1.25)
        self.assertAlmostEqual(out["groups"]["dp_rank"]["slowdown"]["max_ape"], 0.0)
        named = {(v["group"], v["name"]): v for v in out["expected"]}
        self.assertAlmostEqual(named["job", "blocking_slowdown"]["difference"], 7 / 6 - 1.25)

    def test_bad_expected_files(self):
        for text, parts in (("{}", ["expected blocking_slowdown"]), ("{", ["bad.json:1:"]),
                            ('{"blocking_slowdown": "x", "launch_slowdown": 1}', ["bad.json: /blocking_slowdown"]),
                            ('{"blocking_slowdown": 1, "launch_slowdown": 1, "step_t_base": 3}', ["bad.json: /step_t_base"])):
            with self.subTest(text=text):
                (self.folder / "bad.json").write_text(text)
                self.fail_with(1, parts, "validate", "stragglers", self.trace, "--expect", "bad.json")

    def test_bad_traces(self):
        good = two_data_ranks()
        cases = {
            "overlap": (good.replace("backward-compute,2.0,", "backward-compute,1.5,"), ["trace-bad.csv:4:", "overlaps"]),
            "negative": (good.replace("gc,4.0,0.0", "gc,4.0,-1"), ["trace-bad.csv:5: duration", "saw -1"]),
            "spelling": (good.replace("gc,4.0", "gcc,4.0"), ["trace-bad.csv:5:", 'did you mean "gc"?']),
            "lacks an op": ("".join(good.splitlines(True)[:-1]), ["optimizer 0 of stage 0", "missing for dp_rank 1, step 5"]),
            "no trace": ("a,b\n1,2\n", ["trace-bad.csv:1:", "no column"]),
        }
        for name, (text, parts) in cases.items():
            with self.subTest(name):
                self.assertNotEqual(text, good)
                (self.folder / "trace-bad.csv").write_text(text)
                self.fail_with(1, parts, "validate", "stragglers", "trace-bad.csv")
        (self.folder / "cut.csv.gz").write_bytes(gzip.compress(good.encode())[:-8])
        self.fail_with(1, ["cut.csv.gz", "cut short"], "validate", "stragglers", "cut.csv.gz")
        self.fail_with(1, ["none.csv", "no such file"], "validate", "stragglers", "none.csv")
        self.fail_with(1, ["not a regular file"], "validate", "stragglers", self.folder)

    def test_usage(self):
        self.fail_with(2, ['unknown verb "straglers", did you mean "stragglers"?'], "validate", "straglers", self.trace)
        self.fail_with(2, ["subcommand"], "validate")
        self.fail_with(2, ["trace", "required"], "validate", "stragglers")
        self.fail_with(2, ["--data-parallel"], "validate", "stragglers", self.trace, "--data-parallel", "0")

    def test_published_traces(self):
        if not REFERENCE.exists():
            self.skipTest(f"no reference data at {REFERENCE}")
        for name in ("AR", "ST"):
            with self.subTest(name):
                files = [REFERENCE / f"{kind}-{name}.json" for kind in ("result", "mw", "ms")]
                out = self.validate(REFERENCE / f"trace-{name}.csv.gz", "--expect", *files)
                self.assertEqual(out["misses"], [])
                self.assertLess(out["metrics"]["slowdown"]["max_ape"], 1e-4)
                self.assertLess(out["metrics"]["what_if_step_time_s"]["max_ape"], 1e-4)
                self.assertTrue(all(abs(v["difference"]) < 1e-4 for v in out["expected"]))


if __name__ == "__main__":
    lindos_cli.main()
