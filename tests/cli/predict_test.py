# SPDX-License-Identifier: Apache-2.0
"""`lindos predict` at every fidelity, on this machine's profile and on datasheets of GPUs."""
import contextlib
import gzip
import json
import math
import re
import shutil
import sqlite3

import lindos_cli
from lindos_cli import ROOT, SCENARIOS, CliTest, profile_of, temporary_folder

FIDELITIES = ("closed", "maxplus", "simgrid")


class Predict(CliTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.enterClassContext(temporary_folder())
        cls.profile = profile_of(SCENARIOS / "this-machine.toml", folder)

    def predict(self, scenario, *arguments):
        done = self.succeed("predict", scenario, "--no-db", "--format", "json", "--progress", "json", *arguments)
        for line in done.progress():
            self.assertEqual(line["verb"], "predict")
        record = done.json()
        self.assert_record(record, source="predicted")
        return record

    def median(self, record, metric):
        return record["metrics"][metric]["p50"]

    def test_this_machine(self):
        records = {f: self.predict(SCENARIOS / "this-machine.toml", "--profile", self.profile, "--fidelity", f)
                   for f in FIDELITIES}
        for fidelity, record in records.items():
            with self.subTest(fidelity=fidelity):
                self.assertEqual(record["fidelity"], fidelity)
                self.assertNotEqual(record["environment"]["profile_digest"], "")
                self.assertNotEqual(record["environment"]["git_revision"], "")
                # No faster than the fleet can stream its weights: 30 layers of 576 in bf16 are above 200 MB a step.
                self.assertGreater(self.median(record, "memory_peak_bytes"), 2e8)
        # One rank sends nothing, so the two simulated rungs see the same machine.
        for metric in ("output_tokens_per_s", "ttft_s", "tpot_s"):
            a, b = (self.median(records[f], metric) for f in ("maxplus", "simgrid"))
            self.assertLess(abs(math.log(a / b)), 0.05, metric)

    def test_a_trace_is_a_workload(self):
        rows = ["arrival_s,prompt_tokens,output_tokens"] + ["%g,%d,%d" % (i * 0.25, 200 + i, 8) for i in range(40)]
        trace = self.folder / "rows.csv"
        trace.write_text("\n".join(rows) + "\n")
        text = (SCENARIOS / "one-h200-llama8b.toml").read_text()
        begin = text.index("[workload]")
        end = text.index("\n[", begin)
        scenario = self.folder / "recorded.toml"
        workload = '[workload]\nkind = "serving"\ntrace = "%s"\nformat = "csv"\n'
        scenario.write_text(text[:begin] + workload % "rows.csv" + text[end:])
        arguments = ("--fidelity", "maxplus", "--seeds", "5")
        plain = self.predict(scenario, *arguments)
        # 40 requests, the last at 9.75 s.
        self.assertAlmostEqual(self.median(plain, "requests_per_s"), 4.0, delta=0.15)
        packed = self.folder / "rows.csv.gz"
        packed.write_bytes(gzip.compress(trace.read_bytes()))
        scenario.write_text(text[:begin] + workload % "rows.csv.gz" + text[end:])
        again = self.predict(scenario, *arguments)
        self.assertEqual(again["scenario_digest"], plain["scenario_digest"])
        self.assertEqual(again["metrics"], plain["metrics"])
        self.assertIn("40 rows", self.succeed("show", scenario).out)
        packed.write_bytes(packed.read_bytes()[:-30])
        self.fail_with(1, ["rows.csv.gz", "cut short"], "show", scenario)
        trace.write_text("\n".join(rows[:3] + rows[1:2]) + "\n")
        scenario.write_text(text[:begin] + workload % "rows.csv" + text[end:])
        self.fail_with(1, ["rows.csv:4", "0 is before the last row's 0.25"], "predict", scenario, "--no-db")

    def test_a_gpu_that_nobody_probed_here_has_its_distilled_profile(self):
        def timeless(record):
            return {key: value for key, value in record.items() if key != "started_utc"}

        scenario = SCENARIOS / "one-h200-llama8b.toml"
        arguments = (scenario, "--fidelity", "closed", "--seeds", "5")
        default = self.predict(*arguments)
        named = self.predict(*arguments, "--profile", ROOT / "data" / "profiles" / "h200-sxm.json")
        self.assertEqual(timeless(default), timeless(named))
        self.assertEqual({v["provenance"] for v in default["metrics"].values()}, {"modelled"})
        # A catalogue without profiles beside it: the datasheet, which knows less.
        shutil.copytree(ROOT / "data" / "catalogue", self.folder / "catalogue")
        datasheet = self.predict(*arguments, "--catalogue", self.folder / "catalogue")
        self.assertNotEqual(datasheet["environment"]["profile_digest"], default["environment"]["profile_digest"])
        # It has no board whose power was sampled.
        self.assertEqual({name for name, v in datasheet["metrics"].items() if v["provenance"] == "extrapolated"},
                         {"power_w", "energy_per_token_j"})
        # A profile of another device under this name.
        (self.folder / "profiles").mkdir()
        shutil.copy(ROOT / "data" / "profiles" / "h100-sxm.json", self.folder / "profiles" / "h200-sxm.json")
        self.fail_with(1, ["profiles/h200-sxm.json", '"h100-sxm"'], "predict", scenario, "--no-db", "--catalogue",
                       self.folder / "catalogue")

    def test_a_timeline_is_trace_events(self):
        kinds = {"one-h200-llama8b": {"arrival", "queued", "prefill", "decode", "prefill-step", "decode-step"},
                 "colossus1-training": {"forward", "backward", "bubble", "exchange", "optimizer", "step-wait"}}
        for name, wanted in kinds.items():
            with self.subTest(scenario=name):
                file = self.folder / f"{name}.json"
                arguments = (SCENARIOS / f"{name}.toml", "--fidelity", "maxplus", "--seeds", "5")
                record = self.predict(*arguments, "--timeline", file)
                timeline = json.loads(file.read_text())
                for key in ("scenario_digest", "plan_digest", "fidelity", "seed"):
                    self.assertEqual(timeline[key], record.get(key, timeline[key]), key)
                self.assertEqual(timeline["profile_digest"], record["environment"]["profile_digest"])
                spans = [e for e in timeline["traceEvents"] if e["ph"] != "M"]
                self.assertEqual({e["cat"] for e in spans}, wanted)
                lanes = {(e["pid"], e["tid"]) for e in timeline["traceEvents"] if e["name"] == "thread_name"}
                self.assertEqual({(e["pid"], e["tid"]) for e in spans}, lanes)
                self.assertNotEqual(timeline["cut"], "")
                if name == "colossus1-training":
                    # All lanes end with the step, which lies among the draws.
                    step = record["metrics"]["step_time_s"]
                    end = max(e["ts"] + e["dur"] for e in spans) / 1e6
                    self.assertTrue(step["p10"] <= end <= step["p90"], (step, end))
        self.assertEqual(self.predict(*arguments)["metrics"], record["metrics"])  # looking changes nothing
        scenario = SCENARIOS / "one-h200-llama8b.toml"
        self.fail_with(1, ["the closed rung", "maxplus"], "predict", scenario, "--no-db", "--fidelity", "closed", "--timeline",
                       self.folder / "no.json")
        self.assertFalse((self.folder / "no.json").exists())
        self.fail_with(4, ["cannot be written"], "predict", scenario, "--no-db", "--timeline", self.folder / "no" / "t.json")

    def test_the_source_of_a_profile_is_shown(self):
        line = "h200-sxm: profile of 2026-11-27, distilled by tools/distil_operators.py"
        serving = SCENARIOS / "one-h200-llama8b.toml"
        for verb in (("predict", "--no-db", "--fidelity", "closed", "--progress", "none"), ("show",)):
            self.assertIn(line, self.succeed(verb[0], serving, *verb[1:]).out)
        # Training is fitted on datasheets (docs/training-accuracy.md).
        self.assertNotIn("distilled", self.succeed("show", SCENARIOS / "colossus1-training.toml").out)

    def test_gpus_without_a_profile_of_their_own(self):
        for name in ("one-h200-llama8b", "hgx-h100-llama70b"):
            for fidelity in FIDELITIES:
                with self.subTest(scenario=name, fidelity=fidelity):
                    record = self.predict(SCENARIOS / f"{name}.toml", "--fidelity", fidelity, "--seeds", "5")
                    self.assertEqual(record["fidelity"], fidelity)
                    self.assertEqual(record["scenario_name"], name)
                    # Nobody measured these devices here.
                    self.assertNotIn("measured", {v["provenance"] for v in record["metrics"].values()})
                    self.assertLessEqual(self.median(record, "mfu"), 1.0)
                    self.assertLessEqual(self.median(record, "mbu"), 1.0)

    def test_equal_seeds_give_equal_records(self):
        def text(scenario, fidelity, seed):
            done = self.succeed("predict", scenario, "--fidelity", fidelity, "--seeds", "5", "--seed", seed, "--db",
                                "store.db", "--format", "json", "--progress", "none")
            # What says when and where the program ran, and nothing else.
            return re.sub(r'"(started_utc|host)": "[^"]*"', r'"\1": ""', done.out)

        for scenario, fidelity in ((SCENARIOS / "one-h200-llama8b.toml", "closed"),
                                   (SCENARIOS / "one-h200-llama8b.toml", "maxplus"),
                                   (SCENARIOS / "one-h200-llama8b.toml", "simgrid"),
                                   (SCENARIOS / "colossus1-training.toml", "maxplus")):
            with self.subTest(scenario=scenario.stem, fidelity=fidelity):
                first = text(scenario, fidelity, 7)
                self.assertEqual(first, text(scenario, fidelity, 7))
                record, other = json.loads(first), json.loads(text(scenario, fidelity, 8))
                self.assertEqual((record["seed"], other["seed"]), (7, 8))
                self.assertNotEqual(record["metrics"], other["metrics"])
                with contextlib.closing(sqlite3.connect(self.folder / "store.db")) as store:
                    newest = store.execute("SELECT seed FROM run ORDER BY id DESC LIMIT 3").fetchall()
                self.assertEqual(newest, [(8,), (7,), (7,)])
                if scenario.stem == "one-h200-llama8b":
                    # A seed moves the interval, not the prediction.
                    for metric in ("output_tokens_per_s", "tpot_s"):
                        self.assertEqual(self.median(record, metric), self.median(other, metric))

    def fleet(self, *groups):
        """Colossus 1 with some replicas of 8 H100, requests routed by power of two choices."""
        text = ['format = "lindos-scenario"', "version = 1", 'name = "routed"',
                'extends = "%s"' % (SCENARIOS / "colossus1-inference.toml"), "[workload]", 'kind = "serving"',
                "requests = 240", 'arrival = "poisson"', 'rate = "30 /s"', "prompt = [256, 4096]", "output = [1, 128]",
                "[plan]", 'routing = { policy = "power-of-two", replicas_per_router = 8 }']
        for name, role, replicas in groups:
            text += ["[[plan.group]]", f'name = "{name}"', f'role = "{role}"', 'pool = "h100"', f"replicas = {replicas}",
                     "tensor = 8", "max_context = 16384"]
        scenario = self.folder / "routed.toml"
        scenario.write_text("\n".join(text) + "\n")
        return scenario

    def test_prefill_and_decode_apart(self):
        scenario = self.fleet(("prompts", "prefill", 6), ("answers", "decode", 10))
        shown = self.succeed("show", scenario).out
        self.assertIn("requests routed by power-of-two, 8 replicas per router", shown)
        self.assertIn("prompts: prefill, 6 replicas", shown)
        records = {f: self.predict(scenario, "--fidelity", f, "--seeds", "5") for f in ("maxplus", "simgrid")}
        for record in records.values():
            # 256 to 4,096 tokens of 327,680 bytes over 8 NICs of 50 GB/s, no faster.
            self.assertGreater(self.median(record, "kv_transfer_s"), 256 * 327680 / 400e9)
            self.assertLess(self.median(record, "kv_transfer_s"), 0.02)
            self.assertEqual(self.median(record, "goodput"), 1.0)
            # The draws doubt the network as they doubt collectives.
            self.assertLess(record["metrics"]["kv_transfer_s"]["p10"], record["metrics"]["kv_transfer_s"]["p90"])
        # The first token does not wait for a transfer.
        self.assertEqual(*(self.median(records[f], "ttft_s") for f in ("maxplus", "simgrid")))
        self.assertIn("Transfer of a prompt's KV", self.succeed("predict", scenario, "--no-db", "--seeds", "1").out)
        self.fail_with(1, "the closed form has no queue between prefill and decode", "predict", scenario, "--no-db",
                       "--fidelity", "closed")
        self.fail_with(1, 'group "prompts" computes prompts, but no group of role "decode" goes on with them', "predict",
                       self.fleet(("prompts", "prefill", 6)), "--no-db")
        self.fail_with(1, 'group "one" has 1 replica, fewer than the 2 routers with 8 replicas each', "predict",
                       self.fleet(("one", "both", 1), ("many", "both", 9)), "--no-db")

    def test_a_power_cap_from_the_scenario_to_the_store(self):
        scenario = self.folder / "capped.toml"

        def predict(cap, *arguments):
            scenario.write_text(f'format = "lindos-scenario"\nversion = 1\nname = "capped"\n'
                                f'extends = "{SCENARIOS / "hgx-h100-llama70b.toml"}"\n'
                                f'[power]\n{cap}\nsource = "test"\n')
            return self.succeed("predict", scenario, "--db", "power.db", "--fidelity", "maxplus", "--seeds", "5",
                                "--progress", "none", *arguments)

        free, held = (predict(cap, "--format", "json").json() for cap in ("pue = 1.0", 'site_cap = "5.5 kW"'))
        self.assertNotIn("power_cap", [entry["cause"] for entry in free["ledger"] if entry["share"] > 0.0])
        self.assertIn("power_cap", [entry["cause"] for entry in held["ledger"] if entry["share"] > 0.0])
        self.assertGreater(self.median(held, "ttft_s"), self.median(free, "ttft_s"))
        self.assertLessEqual(held["metrics"]["site_power_peak_w"]["p90"], 5500.0)
        series = {(s["subject"], s["quantity"]): s["points"] for s in held["samples"]["series"]}
        self.assertEqual({value for _, value in series["site", "power_cap_w"]}, {5500.0})
        for subject in ("site", *{s for s, _ in series if s.startswith("pool ")}):
            self.assertLessEqual(len(series[subject, "power_mean_w"]), 240)
            for (_, mean), (_, most) in zip(series[subject, "power_mean_w"], series[subject, "power_most_w"], strict=True):
                self.assertLessEqual(mean, most * 1.000001)
                self.assertLessEqual(most, 5500.001)
        with contextlib.closing(sqlite3.connect(self.folder / "power.db")) as store:
            self.assertEqual(store.execute("SELECT count(*) FROM sample_series WHERE run = 2").fetchone(), (len(series),))
        self.assertRegex(predict('site_cap = "5.5 kW"').out, r"power limits, the least of the plan's and of the caps of \[power\]: \d+ W per device")
        self.fail_with(3, "no clock keeps it", "predict", self.capped_to(scenario, "3.5 kW"), "--no-db")

    @staticmethod
    def capped_to(scenario, cap):
        scenario.write_text(scenario.read_text().replace("5.5 kW", cap))
        return scenario

    def test_closed_says_that_arrivals_count_by_their_rate(self):
        for fidelity, scenario, said in (("closed", SCENARIOS / "one-h200-llama8b.toml", True),
                                         ("maxplus", SCENARIOS / "one-h200-llama8b.toml", False),
                                         ("closed", SCENARIOS / "colossus1-training.toml", False)):
            with self.subTest(scenario=scenario.stem, fidelity=fidelity):
                done = self.succeed("predict", scenario, "--no-db", "--fidelity", fidelity, "--seeds", "1")
                self.assertEqual("arrivals count by their mean rate" in done.err, said, done)

    def test_table(self):
        done = self.succeed("predict", SCENARIOS / "one-h200-llama8b.toml", "--no-db", "--fidelity", "closed",
                            "--progress", "none")
        self.assertEqual(done.err, "")
        for part in ("one-h200-llama8b", "predicted · closed", "Output tokens per second", "p10 – p90",
                     "where the time went", "useful FLOP"):
            self.assertIn(part, done.out)

    def test_profile_of_another_device(self):
        self.fail_with(1, ["profile.json", "this-machine", "does not use"], "predict",
                       SCENARIOS / "one-h200-llama8b.toml", "--no-db", "--profile", self.profile)

    def test_profile_cut_short(self):
        whole = self.profile.read_text()
        for size in (0, 1, len(whole) // 2, len(whole) - 5):
            with self.subTest(size=size):
                (self.folder / "cut.json").write_text(whole[:size])
                self.fail_with(1, "cut.json:", "predict", self.tiny, "--no-db", "--profile", "cut.json")

    def test_profile_that_lies(self):
        profile = json.loads(self.profile.read_text())
        for key, value in (("matrix_rate_flop_per_s", -1), ("read_bandwidth_bytes_per_s", 0), ("cores", "two"),
                           ("surprise", 1), ("version", 99), ("format", "lindos-plan")):
            with self.subTest(key=key):
                (self.folder / "lie.json").write_text(json.dumps({**profile, key: value}))
                self.fail_with(1, ["lie.json", key], "predict", self.tiny, "--no-db", "--profile", "lie.json")


if __name__ == "__main__":
    lindos_cli.main()
