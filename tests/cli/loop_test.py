# SPDX-License-Identifier: Apache-2.0
"""twin, predict, run and compare joined through a store."""
import contextlib
import json
import sqlite3

import lindos_cli
from lindos_cli import ProbedTest, profile_of, write_tiny


class Loop(ProbedTest):
    def verb(self, name, *arguments):
        known = ("--db", "store.db", "--format", "json", "--progress", "json")
        return self.succeed(name, *arguments, *(("--profile", self.profile) if name != "compare" else ()), *known)

    def runs(self):
        with contextlib.closing(sqlite3.connect(self.folder / "store.db")) as store:
            return store.execute("SELECT id, source, fidelity FROM run ORDER BY id").fetchall()

    def assert_comparison(self, comparison):
        self.assert_record(comparison["predicted"], source="predicted")
        self.assert_record(comparison["measured"], source="measured", fidelity="engine")
        for key in ("scenario_digest", "plan_digest"):
            self.assertEqual(comparison["predicted"][key], comparison["measured"][key])
        rows = {row["metric"]: row for row in comparison["comparison"]["metrics"]}
        for name in ("output_tokens_per_s", "ttft_s", "tpot_s", "memory_peak_bytes"):
            row = rows[name]
            self.assertEqual(row["predicted"], comparison["predicted"]["metrics"][name]["p50"])
            self.assertEqual(row["measured"], comparison["measured"]["metrics"][name]["p50"])
            self.assertAlmostEqual(row["error_ratio"], row["predicted"] / row["measured"] - 1, delta=1e-9)
        for row in comparison["comparison"]["ledger"]:
            self.assertAlmostEqual(row["difference"], row["predicted"] - row["measured"], delta=1e-12)

    def test_twin_then_compare(self):
        done = self.verb("twin", self.tiny)
        events = {line["event"] for line in done.progress()}
        self.assertLessEqual({"phase", "partial", "telemetry"}, events)
        partial, = (line for line in done.progress() if line["event"] == "partial")
        self.assertEqual(partial["record"], done.json()["predicted"])
        self.assert_comparison(done.json())
        self.assertEqual(self.runs(), [(1, "predicted", "simgrid"), (2, "measured", "engine")])
        self.assertEqual(self.verb("compare").json(), done.json())

    def test_half_precision_is_planned_probed_predicted_and_run(self):
        write_tiny(self.folder, [('dtype = "f32"', 'dtype = "f16"')])
        self.succeed("probe", "tiny.toml", "--out", "half.json", "--progress", "none")
        profile = json.loads((self.folder / "half.json").read_text())
        self.assertEqual({sample["dtype"] for sample in profile["gemm"]}, {"f16"})
        self.assertIn("f16", profile["matrix_rates_flop_per_s"])
        # From samples of its own, and from those of f32.
        for samples in ("half.json", self.profile):
            twin = self.succeed("twin", "tiny.toml", "--repeats", "1", "--profile", samples, "--db", "store.db", "--format", "json").json()
            self.assert_comparison(twin)
        memory = twin["measured"]["metrics"]["memory_peak_bytes"]["p50"]
        write_tiny(self.folder, [])
        wide = self.verb("run", "tiny.toml", "--repeats", "1").json()["metrics"]["memory_peak_bytes"]["p50"]
        self.assertLess(memory, wide)

    def test_a_run_says_what_it_does(self):
        """Each repeat has a sample, their tokens are those of the workload; the record and the store keep them."""
        done = self.verb("run", self.tiny, "--repeats", "2")
        samples = [line for line in done.progress() if line["event"] == "telemetry"]
        self.assertEqual([sample["phase"] for sample in samples], sorted(sample["phase"] for sample in samples))
        self.assertEqual({sample["phase"] for sample in samples}, {"run 1 of 2", "run 2 of 2"})
        times = [sample["t_s"] for sample in samples]
        self.assertEqual(times, sorted(times))
        # Four requests of eight tokens; the repeats of so small a model end within their first window.
        if len(samples) == 2:
            self.assertAlmostEqual(samples[0]["subjects"]["run"]["values"]["output_tokens_per_s"] * times[0], 32, delta=1e-3)
        last = samples[-1]["subjects"]
        self.assertEqual(last["run"]["values"]["running_requests"], 0)
        self.assertGreater(last["run"]["values"]["resident_bytes"], 1e6)
        self.assertIn("power_w", samples[0]["subjects"]["gpu"]["absent"])
        self.assertNotIn("absent", last["gpu"])  # said once
        kept = done.json()["samples"]
        self.assertEqual([phase["name"] for phase in kept["phases"]], ["run 1 of 2", "run 2 of 2"])
        series = {(s["subject"], s["quantity"]): s for s in kept["series"]}
        rate = series["run", "output_tokens_per_s"]
        self.assertEqual(rate["unit"], "token/s")
        self.assertEqual(len(rate["points"]), len(samples))
        self.assertEqual(series["gpu", "power_w"]["absent"], "the run computes on the CPU")
        with contextlib.closing(sqlite3.connect(self.folder / "store.db")) as store:
            for (subject, quantity), one in series.items():
                absent, points = store.execute(
                    "SELECT absent, points FROM sample_series WHERE run = 1 AND subject = ? AND quantity = ?",
                    (subject, quantity)).fetchone()
                self.assertEqual(absent, one.get("absent", ""))
                self.assertEqual(len(points), 8 * len(one.get("points", [])))
            timeline, = store.execute("SELECT content FROM artifact WHERE run = 1 AND name = 'timeline.json'").fetchone()
        spans = [e for e in json.loads(timeline)["traceEvents"] if e["ph"] == "X"]
        self.assertEqual(sum(e["cat"] == "decode" for e in spans), 4)

    def test_ranks_as_processes_say_it_together(self):
        write_tiny(self.folder, [('dtype = "f32"', 'dtype = "f32"\ntensor = 2')])
        done = self.lindos("run", "tiny.toml", "--ranks", "mpi", "--no-db", "--repeats", "1", "--profile", self.profile,
                           "--format", "json", "--progress", "json")
        if done.code != 0 and "mpirun" in done.err:
            self.skipTest("no mpirun here")
        self.assertEqual(done.code, 0, done)
        alone = self.succeed("run", "tiny.toml", "--no-db", "--repeats", "1", "--profile", self.profile, "--format", "json")
        resident = [next(s for s in run["samples"]["series"] if s["quantity"] == "resident_bytes")["points"][0][1]
                    for run in (done.json(), alone.json())]
        self.assertGreater(resident[0], 1.4 * resident[1])  # two processes against two threads of one

    def test_prompts_that_begin_alike(self):
        """One client: each prompt finds all that an earlier one of its group left; the same tokens come out."""
        words = [('arrival = "together"', 'arrival = "closed-loop"\nconcurrency = 1\nshared_prefix = 40\nprefix_groups = 2'),
                 ("prompt = [8, 16]", "prompt = [44, 52]")]
        write_tiny(self.folder, words)
        apart = self.verb("run", "tiny.toml", "--repeats", "1").json()
        self.assertNotIn("prefix_hit_rate", apart["metrics"])
        write_tiny(self.folder, [*words, ("max_context = 64", "max_context = 64\nprefix_reuse = true")])
        twin = self.verb("twin", "tiny.toml", "--repeats", "1").json()
        self.assert_comparison(twin)
        rate = twin["measured"]["metrics"]["prefix_hit_rate"]["p50"]
        # Two full blocks of 16 of each prompt but the first of each group; prompts of 44 to 52 tokens.
        self.assertTrue(2 * 32 / (4 * 52) <= rate <= 3 * 32 / (4 * 44), rate)
        self.assertEqual(twin["predicted"]["metrics"]["prefix_hit_rate"]["p50"], rate)
        for fidelity in ("closed", "maxplus"):
            predicted = self.verb("predict", "tiny.toml", "--fidelity", fidelity).json()
            self.assertEqual(predicted["metrics"]["prefix_hit_rate"]["p50"], rate, fidelity)
        self.assertEqual(twin["measured"]["output_hash"], apart["output_hash"])

    def test_host_memory_keeps_what_the_pool_forgets(self):
        """Three groups in turn through a pool of one request: nothing is found without host memory, with it all that a pool
        without an end finds, by engine and simulator alike."""
        def plan(limits):
            write_tiny(self.folder, [
                ('arrival = "together"', 'arrival = "closed-loop"\nconcurrency = 1\nshared_prefix = 40\nprefix_groups = 3'),
                ("prompt = [8, 16]", "prompt = [44, 52]"), ("requests = 4", "requests = 12"),
                ("max_context = 64", "max_context = 64\nprefix_reuse = true\n" + limits)])
            return "tiny.toml"
        roomy = self.verb("run", plan("kv_blocks = 64"), "--repeats", "1").json()
        small = self.verb("run", plan("kv_blocks = 4"), "--repeats", "1").json()
        rate = roomy["metrics"]["prefix_hit_rate"]["p50"]
        self.assertLess(small["metrics"]["prefix_hit_rate"]["p50"], rate)
        self.assertNotIn("host_hit_rate", small["metrics"])
        self.profile = profile_of(self.folder / plan('kv_blocks = 4\nkv_offload = "4 MB"'), self.folder)
        twin = self.verb("twin", "tiny.toml", "--repeats", "1").json()
        self.assert_comparison(twin)
        self.assertEqual(*(twin[side]["metrics"]["memory_peak_bytes"]["p50"] for side in ("predicted", "measured")))
        for record in (twin["predicted"], twin["measured"]):
            self.assertEqual(record["metrics"]["prefix_hit_rate"]["p50"], rate)
            self.assertGreater(record["metrics"]["host_hit_rate"]["p50"], 0.0)
            self.assertGreater(sum(e["share"] for e in record["ledger"] if e["cause"] == "transfer"), 0.0)
        self.assertEqual(*(twin[side]["metrics"]["host_hit_rate"]["p50"] for side in ("predicted", "measured")))
        self.assertEqual(twin["measured"]["output_hash"], roomy["output_hash"])
        self.fail_with(3, ["kv_offload", "are taken from the", "ask for less"], "run", plan('kv_blocks = 4\nkv_offload = "4 PB"'))

    def test_twin_keeps_both_records_or_none(self):
        self.verb("twin", self.tiny, "--repeats", "1")
        before = self.runs()
        with contextlib.closing(sqlite3.connect(self.folder / "store.db")) as store:
            store.execute("CREATE TRIGGER fault BEFORE INSERT ON run WHEN NEW.source = 'measured' "
                          "BEGIN SELECT raise(ABORT, 'injected fault'); END")
        self.fail_with(4, ["store.db", "injected fault"], "twin", self.tiny, "--profile", self.profile, "--repeats",
                       "1", "--db", "store.db")
        self.assertEqual(self.runs(), before)

    def test_faster_than_the_ceilings_is_doubtful(self):
        profile = json.loads(self.profile.read_text())
        for key in ("matrix_rate_flop_per_s", "read_bandwidth_bytes_per_s"):
            profile[key] /= 1e4  # as if a thousand others had used the machine during the probe
        (self.folder / "busy.json").write_text(json.dumps(profile))
        for key in ("matrix_rate_flop_per_s", "read_bandwidth_bytes_per_s"):
            profile[key] *= 1e6  # a hundred times the truth: no load on this machine lifts a utilisation above it
        (self.folder / "fast.json").write_text(json.dumps(profile))
        for verb in ("run", "twin"):
            for style in ("none", "auto", "json"):
                with self.subTest(verb=verb, style=style):
                    arguments = (verb, self.tiny, "--no-db", "--repeats", "1", "--format", "json", "--progress", style)
                    done = self.succeed(*arguments, "--profile", "busy.json")
                    record = done.json().get("measured") or done.json()
                    self.assert_record(record, source="measured")
                    self.assertGreater(record["metrics"]["roofline_utilisation"]["p50"], 1.01)
                    said = [line for line in done.err.splitlines() if "above 100 %" in line]
                    self.assertEqual(len(said), 1, done)
                    for part in ("Roofline utilisation", "busy", "idle machine"):
                        self.assertIn(part, said[0])
                    if style == "json":
                        self.assertEqual([line["event"] for line in done.progress()].count("warning"), 1)
                    self.assertNotIn("above 100 %", self.succeed(*arguments, "--profile", "fast.json").err)

    def test_twin_probes_by_itself(self):
        done = self.succeed("twin", self.tiny, "--no-db", "--repeats", "1")
        for part in ("tiny", "predicted · simgrid", "measured · 1 repeat ·", "Time to first token", "where the time went",
                     "in band"):
            self.assertIn(part, done.out)
        for phase in ("probe", "predict", "run"):
            self.assertRegex(done.err, rf"(?m)^{phase} ")

    def test_predict_and_run_meet_in_compare(self):
        predicted = self.verb("predict", self.tiny, "--fidelity", "maxplus").json()
        self.fail_with(1, ["store.db", "twin"], "compare", "--db", "store.db")
        self.fail_with(1, "no partner", "compare", "1", "--db", "store.db")
        measured = self.verb("run", self.tiny, "--repeats", "2").json()
        self.assertEqual(measured["repeats"], 2)
        self.assertTrue(measured.pop("samples")["series"])  # of the run alone
        expected = {"predicted": predicted, "measured": measured}
        for arguments in ((), ("1",), ("2",), ("1", "2"), ("2", "1")):
            with self.subTest(arguments=arguments):
                comparison = self.verb("compare", *arguments).json()
                self.assert_comparison(comparison)
                self.assertEqual({key: comparison[key] for key in expected}, expected)

    def test_compare_one_run_takes_its_latest_partner(self):
        self.verb("predict", self.tiny, "--fidelity", "closed")
        self.verb("run", self.tiny, "--repeats", "1")
        self.verb("predict", self.tiny, "--fidelity", "maxplus")
        self.assertEqual(self.verb("compare", "2").json()["predicted"]["fidelity"], "maxplus")
        self.assertEqual(self.verb("compare", "1").json()["predicted"]["fidelity"], "closed")

    def test_compare_refuses(self):
        self.verb("predict", self.tiny, "--fidelity", "closed")
        self.verb("predict", self.tiny, "--fidelity", "maxplus")
        self.fail_with(1, ["no run 77"], "compare", "77", "--db", "store.db")
        self.fail_with(1, ["no run 77"], "compare", "1", "77", "--db", "store.db")
        self.fail_with(1, ["predicted"], "compare", "1", "2", "--db", "store.db")
        self.fail_with(2, "up to two runs", "compare", "1", "2", "3", "--db", "store.db")

    def test_compare_lists(self):
        self.verb("twin", self.tiny, "--repeats", "1")
        listed = self.succeed("compare", "--list", "--db", "store.db")
        self.assertRegex(listed.out, r"(?m)^ +1 +predicted +tiny ")
        self.assertRegex(listed.out, r"(?m)^ +2 +measured +tiny ")
        rows = self.succeed("compare", "--list", "--db", "store.db", "--format", "json").json()
        self.assertEqual([(row["run"], row["source"], row["scenario_name"]) for row in rows],
                         [(2, "measured", "tiny"), (1, "predicted", "tiny")])

    def test_measured_tokens_are_the_same_each_time(self):
        hashes = {self.verb("run", self.tiny, "--repeats", "1").json()["output_hash"] for _ in range(2)}
        hashes.add(self.verb("run", self.tiny, "--repeats", "1", "--plan", self.two_ranks()).json()["output_hash"])
        self.assertEqual(len(hashes), 1)
        other = self.verb("run", self.tiny, "--repeats", "1", "--weights", "random:2").json()["output_hash"]
        self.assertNotIn(other, hashes)

    def two_ranks(self):
        """The plan of tiny.toml as two tensor-parallel ranks, as a plan file."""
        split = self.folder / "split.toml"
        split.write_text(self.tiny.read_text() + "tensor = 2\n")
        plan = self.succeed("show", split, "--format", "json").json()["plan"]
        (self.folder / "two.json").write_text(json.dumps(plan))
        return "two.json"

    def test_no_db_writes_nothing(self):
        before = self.files()
        for verb in ("predict", "run", "twin"):
            self.succeed(verb, self.tiny, "--profile", self.profile, "--no-db")
        self.assertEqual(self.files(), before)

    def test_default_store_is_in_the_data_directory(self):
        self.succeed("predict", self.tiny, "--profile", self.profile, "--fidelity", "closed")
        self.assertTrue((self.folder / "data-home" / "lindos" / "lindos.db").is_file())
        self.assertIn("closed", self.succeed("compare", "--list").out)


if __name__ == "__main__":
    lindos_cli.main()
