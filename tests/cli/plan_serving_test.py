# SPDX-License-Identifier: Apache-2.0
"""`lindos plan` for serving: promises, power caps and costs, plan files that predict and run, wrong questions."""
import json

import lindos_cli
from lindos_cli import SCENARIOS, ProbedTest

# Sixteen H100 or eight H200 do not hold the weights in bf16, all of them do.
NONE_HAS_ROOM = """\
format = "lindos-scenario"
version = 1
name = "none has room"

[cluster]
name = "none has room"

[[cluster.pool]]
name = "h100"
device = "h100-sxm"
node = "hgx-h100"
devices_per_node = 8
nodes = 2
source = "test"

[[cluster.pool]]
name = "h200"
device = "h200-sxm"
node = "hgx-h200"
devices_per_node = 8
nodes = 1
source = "test"

[fabric]
kind = "rail-fat-tree"
switch_ports = 64
hop_latency = "1 us"
source = "test"

[model]
name = "deepseek-v3"

[workload]
kind = "serving"
requests = 100
arrival = "poisson"
rate = "1 /s"
prompt = 1024
output = 128
seed = 1

[slo]
ttft = "4 s"
tpot = "100 ms"
percentile = 0.95
"""

# 32 H100 and 16 H200 under a cap that leaves them a third of what they could draw.
SMALL_FLEET = """\
format = "lindos-scenario"
version = 1
name = "small mixed fleet"
extends = COLOSSUS

[cluster]
name = "small mixed fleet"

[[cluster.pool]]
name = "h100"
device = "h100-sxm"
devices_per_node = 8
device_price = "2 $/h"
nodes = 4
node_power_max = "10.2 kW"
node_power_idle = "2.4 kW"
spares = 0
source = "test"

[[cluster.pool]]
name = "h200"
device = "h200-sxm"
devices_per_node = 8
device_price = "3 $/h"
nodes = 2
node_power_max = "10.2 kW"
node_power_idle = "2.4 kW"
spares = 0
source = "test"

[power]
site_cap = "30 kW"
pue = 1.1
energy_price = "0.1 $/kWh"
source = "test"

[faults]
source = "test"

[sources]

[workload]
kind = "serving"
duration = "5 min"
arrival = "poisson"
rate = "25 /s"
prompt = [256, 4096]
output = [64, 1024]
seed = 1

[plan]
name = "one kind"

[[plan.group]]
pool = "h100"
replicas = 4
tensor = 8
dtype = "bf16"
max_batched_tokens = 8192
max_context = 16384
"""


class PlanServing(ProbedTest):
    def test_a_mixed_fleet_under_promises_and_a_power_cap(self):
        answer = self.succeed("plan", SCENARIOS / "colossus1-inference.toml", "--format", "json", "--progress", "none",
                              "--top", "2", "--seeds", "8", "--fidelity", "closed", "--out", "plans").json()
        self.assertEqual(answer["objective"], "goodput")
        names = [baseline["name"] for baseline in answer["baselines"]]
        self.assertEqual(names[0], "the scenario's plan")
        self.assertIn("best uniform plan, round robin", names)
        best = answer["plans"][0]
        for plan in (*answer["plans"], *answer["baselines"]):
            self.assertLessEqual(plan["power_w"], 300e6)
        self.assertEqual({group["over"] for group in best["gains"]}, set(names))
        self.assertGreater(next(g for g in best["gains"] if "uniform" in g["over"])["p10"], 0.0)
        self.assertTrue(answer["pareto"])
        shown = self.succeed("show", best["file"].replace(".json", ".toml"))
        self.assertIn("h100", shown.out)

    def small_fleet(self, text=SMALL_FLEET):
        file = self.folder / "small.toml"
        file.write_text(text.replace("COLOSSUS", json.dumps(str(SCENARIOS / "colossus1-inference.toml"))))
        return file

    def test_a_model_that_fits_on_no_pool_alone_spans_two(self):
        file = self.folder / "none-has-room.toml"
        file.write_text(NONE_HAS_ROOM)
        answer = self.succeed("plan", file, "--dtypes", "bf16", "--format", "json", "--progress", "none", "--top", "1", "--seeds", "4", "--out",
                              "plans").json()
        best = answer["plans"][0]
        self.assertGreater(best["requests_per_s"], 0.0)
        for group in json.loads((self.folder / best["file"]).read_text())["groups"]:
            pools = [{rank["pool"] for rank in stage["ranks"]} for stage in group["stages"]]
            self.assertEqual(set().union(*pools), {"h100", "h200"})
            self.assertTrue(all(len(pool) == 1 for pool in pools))
        for left in (best["without_node"], *answer["pareto"]):
            self.assertLessEqual(left["p10"], left["p90"])
        reasons = {entry["reason"]: entry["count"] for entry in answer["pruned"]}
        self.assertGreater(reasons["a tensor group over two pools: all-reduces of every layer through the NICs"], 0)
        self.succeed("predict", best["file"].replace(".json", ".toml"), "--no-db", "--progress", "none", "--seeds", "1")
        self.fail_with(3, ["no shape serves deepseek-v3", "memory"], "plan", file, "--dtypes", "bf16", "--pools", "h200", "--progress", "none")

    def test_predict_keeps_what_a_capped_plan_says(self):
        best = self.succeed("plan", self.small_fleet(), "--format", "json", "--progress", "none", "--top", "1", "--seeds", "20", "--out",
                            "plans").json()["plans"][0]
        groups = json.loads((self.folder / best["file"]).read_text())["groups"]
        for group, said in zip(groups, best["groups"], strict=True):
            self.assertEqual(group["power_limit_w"], said["device_limit_w"])
            self.assertLess(group["power_limit_w"], 700)
        table = self.succeed("plan", self.small_fleet(), "--progress", "none", "--top", "1", "--seeds", "1").out
        self.assertRegex(table, r"\d\.\d kW")
        self.assertNotIn("0.0 MW", table)
        holder = self.folder / best["file"].replace(".json", ".toml")
        self.assertIn(f"each device held to {groups[0]['power_limit_w']:g} W", " ".join(self.succeed("show", holder).out.split()))

        price_per_h = sum({"h100": 2.0, "h200": 3.0}[rank["pool"]] * group["replicas"]
                          for group in groups for stage in group["stages"] for rank in stage["ranks"])

        def dollars(power_w, tokens_per_s):
            return (price_per_h + power_w / 1e3 * 0.1) / (tokens_per_s * 3600) * 1e6

        self.assertAlmostEqual(best["dollars_per_million_tokens"], dollars(best["power_w"], best["output_tokens_per_s"]), places=9)

        def predicted(rate):
            (self.folder / "at.toml").write_text(holder.read_text().replace('rate = "25 /s"', f'rate = "{rate} /s"'))
            metrics = self.succeed("predict", "at.toml", "--no-db", "--format", "json", "--progress", "none", "--seeds", "1").json()["metrics"]
            self.assertLessEqual(metrics["site_power_peak_w"]["p90"], 30e3)
            median = {name: value["p50"] for name, value in metrics.items()}
            self.assertAlmostEqual(median["dollars_per_million_tokens"], dollars(median["site_power_w"], median["output_tokens_per_s"]),
                                   places=9)
            return metrics["goodput"]["p50"]

        # The rate at which 99 % just keep the promises is within the interval.
        self.assertGreaterEqual(predicted(best["p10"]), 0.99)
        self.assertLess(predicted(best["p90"]), 0.99)

    def test_power_limits_that_no_device_keeps(self):
        plan = self.folder / "plan.json"
        self.succeed("plan", self.small_fleet(), "--progress", "none", "--top", "1", "--seeds", "1", "--fidelity", "closed", "--out", "plans",
                     "--together", "--pools", "h100")
        text = json.loads((self.folder / "plans/plan-1.json").read_text())
        for watts, part in ((60, "at least 157.5 W"), (701, "at most, 700 W")):
            text["groups"][0]["power_limit_w"] = watts
            plan.write_text(json.dumps(text))
            self.fail_with(1, ["plan.json: /groups/0/power_limit_w", part], "predict", "small.toml", "--plan", plan, "--no-db")

    def test_this_machine_plans_and_runs(self):
        answer = self.succeed("plan", self.tiny, "--profile", self.profile, "--format", "json", "--progress", "none",
                              "--seeds", "4", "--out", "plans").json()
        self.assertEqual(answer["baselines"][0]["name"], "the scenario's plan")
        self.assertGreaterEqual(answer["searched"]["plans"], answer["searched"]["plans_simulated"])
        self.assertGreaterEqual(answer["searched"]["plans_simulated"], len(answer["plans"]))
        for plan in answer["plans"]:
            done = self.succeed("run", self.tiny, "--plan", plan["file"], "--no-db", "--repeats", "1",
                                "--format", "json", "--profile", self.profile, "--progress", "none")
            self.assertEqual(done.json()["plan_digest"], plan["plan_digest"])

    def test_promises_that_no_device_can_meet(self):
        scenario = SCENARIOS / "colossus1-inference.toml"
        hasty = self.folder / "hasty.toml"
        hasty.write_text(f"""\
format = "lindos-scenario"
version = 1
name = "hasty"
extends = {json.dumps(str(scenario))}
[slo]
ttft = "1 ms"
tpot = "1 us"
""")
        self.fail_with(3, ["no shape serves", "Nearest: ", "ms"], "plan", hasty, "--progress", "none")
        self.fail_with(2, ["goodput, power, cost", 'did you mean "cost"'], "plan", scenario, "--progress", "none", "--objective", "costs")
        self.fail_with(1, ["device_price"], "plan", scenario, "--progress", "none", "--objective", "cost")
        self.fail_with(2, ["goodput", "run"], "plan", scenario, "--progress", "none", "--objective", "run")
        self.fail_with(2, ["--survives", "nothing|node|rack", "hall"], "plan", scenario, "--survives", "hall")
        self.fail_with(1, ["no node to spare"], "plan", SCENARIOS / "hgx-h100-llama70b.toml", "--survives", "node")


if __name__ == "__main__":
    lindos_cli.main()
