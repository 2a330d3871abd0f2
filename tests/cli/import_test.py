# SPDX-License-Identifier: Apache-2.0
"""import: results of other tools become measured runs that compare joins, or samples that validate takes."""
import json

import lindos_cli
from import_samples import CREATE, VLLM, llama_row, nccl, write_json
from lindos_cli import CliTest, write_tiny


class ImportVllm(CliTest):
    def imported(self, *changes):
        files = [write_json(self.folder / f"run{i}.json", {**VLLM, **change}) for i, change in enumerate(changes)]
        return self.succeed("import", "vllm", self.tiny, *files, "--db", "store.db", "--format", "json").json()

    def test_figures_reach_the_record(self):
        record = self.imported({})
        self.assert_record(record, source="measured", fidelity="engine", ledger=False)
        self.assertEqual(record["metrics"]["ttft_s"]["p50"], 0.1)
        self.assertEqual(record["metrics"]["tpot_s"]["p50"], 0.01)
        self.assertEqual(record["metrics"]["output_tokens_per_s"]["p50"], 16.0)
        self.assertNotIn("goodput", record["metrics"])
        self.assertIn("as the scenario says", record["environment"]["hardware"])

    def test_several_files_are_repeats(self):
        record = self.imported({}, {"median_ttft_ms": 200.0}, {"median_ttft_ms": 300.0})
        self.assertEqual(record["repeats"], 3)
        # Type 7 quantiles of 0.1, 0.2, 0.3.
        for key, expected in (("p10", 0.12), ("p50", 0.2), ("p90", 0.28)):
            self.assertAlmostEqual(record["metrics"]["ttft_s"][key], expected, delta=1e-12)

    def test_clients_are_a_closed_loop(self):
        self.tiny = write_tiny(self.folder, [('arrival = "together"', 'arrival = "closed-loop"\nconcurrency = 2')])
        self.assertEqual(self.imported({"max_concurrency": 2})["metrics"]["ttft_s"]["p50"], 0.1)
        path = write_json(self.folder / "other.json", {**VLLM, "max_concurrency": 3})
        self.fail_with(1, ["concurrency = 3"], "import", "vllm", self.tiny, path, "--no-db")

    def test_goodput_counts_requests_that_kept_both_promises(self):
        self.tiny.write_text(self.tiny.read_text() + '\n[slo]\nttft = "150 ms"\ntpot = "20 ms"\n')
        record = self.imported({"ttfts": [0.1, 0.2, 0.1, 0.1], "itls": [[0.01, 0.01], [0.01], [0.05, 0.01], []]})
        self.assertEqual(record["metrics"]["goodput"]["p50"], 0.5)  # the second is late, the third is slow

    def test_compare_joins_it_with_the_prediction(self):
        self.imported({})
        self.succeed("predict", self.tiny, "--db", "store.db", "--fidelity", "closed")
        comparison = self.succeed("compare", "--db", "store.db", "--format", "json").json()
        self.assertEqual(comparison["measured"]["metrics"]["ttft_s"]["p50"], 0.1)
        self.assertIn("ttft_s", [row["metric"] for row in comparison["comparison"]["metrics"]])

    def test_traffic_that_another_tool_cannot_repeat_is_refused(self):
        self.tiny = write_tiny(self.folder, [('requests = 4\narrival = "together"', 'duration = "4 s"\narrival = "poisson"\nrate = "1 /s"')])
        path = write_json(self.folder / "run.json", VLLM)
        self.fail_with(1, ["tiny", "a duration", "requests"], "import", "vllm", self.tiny, path, "--no-db")

    def test_another_workload_is_refused(self):
        for change, words in (({"completed": 8}, ["8 requests were answered", "requests = 8"]),
                              ({"failed": 1}, ["/failed"]),
                              ({"total_input_tokens": 400}, ["100.0 prompt tokens", "[8, 16]"]),
                              ({"total_output_tokens": 400}, ["output"]),
                              ({"request_rate": 2.0}, ['arrival = "poisson"', '"2 /s"']),
                              ({"request_rate": "fast"}, ["/request_rate"]),
                              ({"max_concurrency": 2}, ['arrival = "closed-loop"', "concurrency = 2"]),
                              ({"max_concurrency": 2, "request_rate": 2.0}, ["--max-concurrency", "not with both"]),
                              ({"median_ttft_ms": -1}, ["/median_ttft_ms"]),
                              ({"date": "yesterday"}, ["/date"])):
            path = write_json(self.folder / "other.json", {**VLLM, **change})
            self.fail_with(1, ["other.json", *words], "import", "vllm", self.tiny, path, "--no-db")
        del (short := dict(VLLM))["median_tpot_ms"]
        self.fail_with(1, ["median_tpot_ms"], "import", "vllm", self.tiny, write_json(self.folder / "short.json", short), "--no-db")
        (self.folder / "cut.json").write_text(json.dumps(VLLM)[:-5])
        self.fail_with(1, ["cut.json:1:"], "import", "vllm", self.tiny, "cut.json", "--no-db")


class ImportLlamaBench(CliTest):
    def setUp(self):
        super().setUp()
        self.one = write_tiny(self.folder, [("requests = 4", "requests = 1"), ("prompt = [8, 16]", "prompt = 16")])

    def sql(self, text):
        (self.folder / "bench.sql").write_text(text)
        return "import", "llama-bench", self.one, "bench.sql"

    def test_rows_that_fit_become_metrics(self):
        text = CREATE + llama_row(16, 0, 0, 2_000_000, 100_000) + llama_row(0, 8, 16, 8_000_000, 0) + llama_row(0, 128, 0, 10**9, 0)
        record = self.succeed(*self.sql(text), "--no-db", "--format", "json").json()
        self.assert_record({k: v for k, v in record.items() if k != "unused"}, source="measured", fidelity="engine", ledger=False)
        ttft = record["metrics"]["ttft_s"]
        self.assertAlmostEqual(ttft["p50"], 2e-3, delta=1e-12)
        self.assertAlmostEqual(ttft["p90"], 2e-3 + 1.2815515655446004 * 1e-4, delta=1e-12)
        self.assertAlmostEqual(record["metrics"]["tpot_s"]["p50"], 1e-3, delta=1e-12)  # 8 ms for 8 tokens
        self.assertEqual(record["environment"]["hardware"], "a GPU")
        self.assertEqual(record["unused"], ["row 3: 0 prompt, 128 generated tokens at depth 0"])

    def test_prompt_and_output_in_one_row(self):
        record = self.succeed(*self.sql(CREATE + llama_row(16, 8, 0, 16_000_000, 0)), "--no-db", "--format", "json").json()
        self.assertAlmostEqual(record["metrics"]["e2e_latency_s"]["p50"], 16e-3, delta=1e-12)
        self.assertAlmostEqual(record["metrics"]["output_tokens_per_s"]["p50"], 500.0, delta=1e-9)

    def test_other_statements_do_nothing(self):
        target = self.folder / "made.db"
        for statement in (f"ATTACH '{target}' AS a;", "DROP TABLE test;", "CREATE TABLE other (x);", "PRAGMA user_version = 3;",
                          "CREATE TRIGGER t AFTER INSERT ON test BEGIN SELECT 1; END;", "SELECT load_extension('x');",
                          "WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a) INSERT INTO test (n_gen) SELECT x FROM a;"):
            self.fail_with(1, ["bench.sql:18:1", "CREATE TABLE test"], *self.sql(CREATE + statement), "--no-db")
        self.assertFalse(target.exists())

    def test_broken_files(self):
        good = CREATE + llama_row(16, 0, 0, 2_000_000, 0)
        for text, words in (("", ["no table"]), (CREATE, ["no measurement"]), (good.replace("avg_ns", "other"), ["avg_ns"]),
                            (good + "INSERT INTO", ["bench.sql:19:", "incomplete input"]), (good.replace("INSERT", "INSRET"), [":18:1"]),
                            (good.replace("'2000000'", "'fast'"), ["row 1", "avg_ns", "fast"]),
                            (CREATE + llama_row(99, 0, 0, 1, 0), ["llama-bench -p 16 -n 0"])):
            self.fail_with(1, ["bench.sql", *words], *self.sql(text), "--no-db")

    def test_endless_work_is_interrupted(self):
        values = "(VALUES " + ",".join(["(1)"] * 100) + ")"
        product = ", ".join([values] * 8)  # 10^16 rows
        self.fail_with(1, ["bench.sql:18:1", "interrupted"], *self.sql(CREATE + f"INSERT INTO test (n_gen) SELECT 1 FROM {product};"), "--no-db")

    def test_a_zero_byte(self):
        self.fail_with(1, ["bench.sql:18:1", "zero byte"], *self.sql(CREATE + "\0"), "--no-db")

    def test_several_requests_are_refused(self):
        self.fail_with(1, ["requests = 1"], "import", "llama-bench", write_tiny(self.folder), self.sql(
            CREATE + llama_row(16, 0, 0, 1000, 0))[3], "--no-db")


class ImportNcclTests(CliTest):
    def imported(self, value, *options):
        path = write_json(self.folder / "nccl.json", value)
        return ("import", "nccl-tests", path, "--device", "h100-sxm", "--out", "measured.json", *options)

    def test_samples_reach_the_profile_and_validate_takes_it(self):
        self.assertEqual(self.succeed(*self.imported(nccl()), "--format", "json").json()["samples"], 2)
        profile = json.loads((self.folder / "measured.json").read_text())
        first = profile["collectives"][0]
        self.assertEqual((first["op"], first["backend"], first["ranks"], first["bytes"]), ("all_reduce", "nccl", 8, 1 << 20))
        self.assertAlmostEqual(first["time_s"], 0.9 * 31.5e-6, delta=1e-12)  # in place is the faster
        self.assertIn("NCCL 2.28.9", profile["source"])
        report = self.succeed("validate", "operators", lindos_cli.ROOT / "data/profiles/h100-sxm.json", "measured.json", "--format",
                              "json").json()
        self.assertEqual(report["covered"], 2)

    def test_processes_count(self):
        value = nccl()
        value["config"].update(ngpus=1, devices=[{"rank": r} for r in range(4)])
        self.succeed(*self.imported(value))
        self.assertEqual(json.loads((self.folder / "measured.json").read_text())["collectives"][0]["ranks"], 4)

    def test_bad_files(self):
        wrong, calls = nccl(), nccl()
        wrong["results"][1]["in_place"]["nwrong"] = 3
        calls["results"][0]["in_place"] = {"cpu_time": 1.0}
        for value, words in ((nccl("gather_perf"), ["/args", "gather_perf"]), (nccl(version=3), ["/version"]), (wrong, ["/results/1/in_place/nwrong"]),
                             (calls, ["cpu_time"]), (nccl(results=[]), ["/results"]), (nccl(nccl_version="x"), ["/nccl_version"])):
            self.fail_with(1, ["nccl.json", *words], *self.imported(value))
        self.assertFalse((self.folder / "measured.json").exists())

    def test_unknown_device(self):
        self.fail_with(2, ["h100-smx", "did you mean", "h100-sxm"], "import", "nccl-tests", write_json(self.folder / "n.json", nccl()),
                       "--device", "h100-smx", "--out", "measured.json")


if __name__ == "__main__":
    lindos_cli.main()
