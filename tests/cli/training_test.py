# SPDX-License-Identifier: Apache-2.0
"""`lindos predict` on training scenarios: every rung, the waterfall, --explain with plan files that run again."""
import json
import math

import lindos_cli
from lindos_cli import SCENARIOS, CliTest

FIDELITIES = ("closed", "maxplus", "simgrid")
COLOSSUS = SCENARIOS / "colossus1-training.toml"


class Training(CliTest):
    def predict(self, scenario, *arguments):
        done = self.succeed("predict", scenario, "--no-db", "--format", "json", "--progress", "none", *arguments)
        record = done.json()
        self.assert_record(record, source="predicted")
        return record

    def share(self, record, cause):
        return sum(e["share"] for e in record["ledger"] if e["cause"] == cause)

    def test_every_rung_on_the_whole_fleet(self):
        records = {f: self.predict(COLOSSUS, "--fidelity", f, "--seeds", "8") for f in FIDELITIES}
        for fidelity, record in records.items():
            with self.subTest(fidelity=fidelity):
                self.assertEqual(record["fidelity"], fidelity)
                self.assertAlmostEqual(sum(e["share"] for e in record["ledger"]), 1.0, delta=1e-9)
                # The whole run's useful share is the running step's less what failures and idle devices cost.
                self.assertLess(record["metrics"]["mfu"]["p50"], record["metrics"]["steady_mfu"]["p50"])
                # A fleet of three kinds with equal work waits for its slowest, and a pipeline for itself.
                for cause in ("useful", "pipeline_bubble", "straggler_mix", "straggler_jitter", "exposed_tensor",
                              "exposed_data", "restart", "lost_work"):
                    self.assertGreater(self.share(record, cause), 0.0, cause)
        # closed lets the slowest device's expected slowdown stretch every pass of its replica, so it is an upper
        # estimate (docs/training.md); of a dense job the sharing of links adds next to nothing.
        for a, b, apart in (("closed", "maxplus", 0.15), ("simgrid", "maxplus", 0.02)):
            ratio = records[a]["metrics"]["step_time_s"]["p50"] / records[b]["metrics"]["step_time_s"]["p50"]
            self.assertLess(abs(math.log(ratio)), apart, f"{a} against {b}")

    def test_equal_seeds_give_equal_records(self):
        def timeless(record):
            return {key: value for key, value in record.items() if key != "started_utc"}

        arguments = (COLOSSUS, "--fidelity", "maxplus", "--seeds", "4", "--seed", "7")
        self.assertEqual(timeless(self.predict(*arguments)), timeless(self.predict(*arguments)))

    def test_waterfall(self):
        done = self.succeed("predict", COLOSSUS, "--no-db", "--fidelity", "maxplus", "--seeds", "4",
                            "--progress", "none")
        self.assertEqual(done.err, "")
        for part in ("Model FLOP utilisation of a running step", "peak of all devices", "pipeline bubble",
                     "straggler wait (device mix)", "useful FLOP", "Time between interruptions"):
            self.assertIn(part, done.out)
        # The classic optima stand beside the interval that is used.
        lines = [line.strip() for line in done.out.splitlines()]
        used = next(i for i, line in enumerate(lines) if line.startswith("Time between checkpoints  "))
        self.assertTrue(lines[used + 1].startswith("Time between checkpoints after Young"), lines[used + 1])
        self.assertTrue(lines[used + 2].startswith("Time between checkpoints after Daly"), lines[used + 2])

    def test_young_and_daly_beside_the_swept_interval(self):
        metrics = self.predict(COLOSSUS, "--fidelity", "closed")["metrics"]
        blocking = 0.5  # of the scenario: [workload.checkpoint]
        mtbi = metrics["interruption_interval_s"]["p50"]
        young = math.sqrt(2 * blocking * mtbi)
        ratio = blocking / (2 * mtbi)
        daly = young * (1 + math.sqrt(ratio) / 3 + ratio / 9) - blocking
        self.assertAlmostEqual(metrics["young_interval_s"]["p50"], young, delta=1e-9)
        self.assertAlmostEqual(metrics["daly_interval_s"]["p50"], daly, delta=1e-9)
        # Saves of this scenario are written behind the training, and one must have ended before the next begins.
        self.assertGreater(metrics["checkpoint_interval_s"]["p50"], metrics["daly_interval_s"]["p50"])
        # Saves that stop the job until they are written: the swept interval is Daly's but for whole steps.
        text = COLOSSUS.read_text().replace("asynchronous = true\nblocking = \"0.5 s\"\n", "")
        (self.folder / "synchronous.toml").write_text(text)
        metrics = self.predict("synchronous.toml", "--fidelity", "closed")["metrics"]
        self.assertLess(abs(metrics["checkpoint_interval_s"]["p50"] / metrics["daly_interval_s"]["p50"] - 1), 0.05)

    def test_explain_writes_plans_that_are_priced_again(self):
        done = self.succeed("predict", COLOSSUS, "--no-db", "--fidelity", "maxplus", "--seeds", "4", "--explain",
                            "--out", "plans", "--format", "json", "--progress", "none")
        answer = done.json()
        restored = {r["cause"]: r["gain"] for r in answer["restored"]}
        self.assertGreater(restored["pipeline_bubble"], 0.0)
        self.assertGreater(restored["straggler_mix"], 0.0)
        gains = [r["gain"] for r in answer["restored"]]
        self.assertEqual(gains, sorted(gains, reverse=True))
        made = [m for m in answer["mitigations"] if m["refused"] is None]
        together = next(m for m in made if m["name"] == "together")
        self.assertGreaterEqual(together["gain"], max(m["gain"] for m in made if m["name"] != "one-job-per-kind") - 1e-3)
        # What is written is what was priced: each scenario by itself, and its plan put into another, gives the same figure.
        for mitigation in made:
            if mitigation["name"] == "one-job-per-kind":
                self.assertEqual(len(mitigation["scenarios"]), 3)
                continue
            (name,) = mitigation["scenarios"]
            with self.subTest(scenario=name):
                again = self.succeed("predict", self.folder / "plans" / name, "--no-db", "--fidelity", "maxplus", "--seeds", "4",
                                     "--format", "json", "--progress", "none").json()
                self.assertAlmostEqual(again["metrics"]["mfu"]["p50"], mitigation["mfu"], delta=1e-9)
                self.assertAlmostEqual(again["metrics"]["steady_mfu"]["p50"], mitigation["steady_mfu"], delta=1e-9)
        given = self.succeed("predict", COLOSSUS, "--plan", self.folder / "plans" / "interleaving.json", "--no-db", "--fidelity",
                             "maxplus", "--seeds", "4", "--format", "json", "--progress", "none").json()
        interleaving = next(m for m in made if m["name"] == "interleaving")
        self.assertAlmostEqual(given["metrics"]["mfu"]["p50"], interleaving["mfu"], delta=1e-9)
        for mitigation in answer["mitigations"]:
            if mitigation["refused"] is not None:
                self.assertGreater(len(mitigation["refused"]), 10)

    def test_serving_has_no_such_explanation(self):
        self.fail_with(1, ["serving"], "predict", SCENARIOS / "one-h200-llama8b.toml", "--no-db", "--explain",
                       "--fidelity", "closed")

    def test_out_needs_explain(self):
        self.fail_with(2, "--explain", "predict", COLOSSUS, "--no-db", "--out", "plans")


if __name__ == "__main__":
    lindos_cli.main()
