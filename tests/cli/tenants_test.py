# SPDX-License-Identifier: Apache-2.0
"""Tenants and admission limits: what the twin predicts to be turned away is what the engine turns away."""
import json

import lindos_cli
from lindos_cli import ProbedTest, write_tiny

# Chat asks steadily, batch comes in two crowds. Seconds, prompt, output, tenant.
ROWS = sorted([(0.03 * i, 8, 4, "chat") for i in range(24)] +
              [(begin + 0.001 * i, 16, 8, "batch") for begin in (0.1, 0.45) for i in range(16)])

TENANTS = """
[[workload.tenant]]
name = "chat"
priority = 1
ttft = "1 s"

[[workload.tenant]]
name = "batch"
"""

LIMITS = """
[[plan.admission.tenant]]
tenant = "batch"
request_rate = "10 /s"
request_burst = 6
token_rate = "200 /s"
token_burst = 120
"""


def write_trace(path, rows):
    path.write_text("arrival_s,prompt_tokens,output_tokens,tenant\n" +
                    "".join(f"{at:.6f},{prompt},{output},{tenant}\n" for at, prompt, output, tenant in rows))


def turned_away(rows):
    """Requests of batch that two buckets, kept here once more, do not let in."""
    count, at, requests, tokens = 0, 0.0, 6.0, 120.0
    for now, prompt, output, tenant in rows:
        if tenant != "batch":
            continue
        requests, tokens, at = min(6.0, requests + 10.0 * (now - at)), min(120.0, tokens + 200.0 * (now - at)), now
        if requests >= 1.0 and tokens >= prompt + output:
            requests, tokens = requests - 1.0, tokens - prompt - output
        else:
            count += 1
    return count


class Tenants(ProbedTest):
    def verb(self, name, *arguments):
        return self.succeed(name, "tiny.toml", "--profile", self.profile, "--db", "store.db", *arguments)

    def scenario(self, limits=LIMITS, tenants=TENANTS, arrival=None):
        write_trace(self.folder / "trace.csv", ROWS)
        generated = 'requests = 4\narrival = "together"\nprompt = [8, 16]\noutput = 8\nseed = 1\n'
        traced = 'trace = "trace.csv"\nformat = "csv"\nseed = 1\n'
        write_tiny(self.folder, [(generated, (arrival or traced) + tenants + "\n"),
                                 ("max_context = 64\n", "max_context = 64\n" + limits)])

    def share(self, record, tenant=None, metric="rejected_share"):
        return (record["tenants"][tenant] if tenant else record["metrics"])[metric]["p50"]

    def test_the_engine_turns_away_what_was_predicted(self):
        self.scenario()
        twin = self.verb("twin", "--repeats", "2", "--format", "json").json()
        expected = turned_away(ROWS)
        self.assertTrue(8 < expected < 28, expected)
        for side in ("predicted", "measured"):
            with self.subTest(side=side):
                record = twin[side]
                self.assertEqual(sorted(record["tenants"]), ["batch", "chat"])
                self.assertAlmostEqual(self.share(record, "batch"), expected / 32, delta=1e-12)
                self.assertEqual(self.share(record, "chat"), 0.0)
                self.assertAlmostEqual(self.share(record), expected / len(ROWS), delta=1e-12)
                self.assertAlmostEqual(self.share(record, "batch", "goodput"), 1 - expected / 32, delta=1e-12)
                for metric in ("output_tokens_per_s", "requests_per_s"):
                    total = self.share(record, "batch", metric) + self.share(record, "chat", metric)
                    self.assertAlmostEqual(total / self.share(record, metric=metric), 1.0, delta=1e-9)
                # The same share in every repeat: whom a rate turns away does not depend on the machine's speed.
                for tenant in record["tenants"].values():
                    self.assertEqual(tenant["rejected_share"]["p10"], tenant["rejected_share"]["p90"])
        rows = {row["metric"]: row for row in twin["comparison"]["tenants"]["batch"]}
        self.assertTrue(rows["rejected_share"]["inside_interval"])
        # The store keeps all of it.
        again = self.succeed("compare", "--db", "store.db", "--format", "json").json()
        self.assertEqual(again, twin)
        shown = self.succeed("compare", "--db", "store.db").out
        for part in ("tenant", "batch", "chat", "Requests turned away"):
            self.assertIn(part, shown)

    def test_a_full_replica_turns_away_what_comes_on_top(self):
        """Ten at once and room for four: six are turned away at once, here and there."""
        self.scenario(limits="\n[plan.admission]\nreplica_unfinished = 4\n", tenants="",
                      arrival='requests = 10\narrival = "together"\nprompt = [8, 16]\noutput = 8\nseed = 1\n')
        twin = self.verb("twin", "--repeats", "1", "--format", "json").json()
        for side in ("predicted", "measured"):
            self.assertAlmostEqual(self.share(twin[side]), 0.6, delta=1e-12)
            self.assertAlmostEqual(self.share(twin[side], metric="goodput"), 0.4, delta=1e-12)
            self.assertNotIn("tenants", twin[side])

    def test_a_closed_loop_goes_on(self):
        """Three clients that fit are never turned away; their requests are answered on both sides."""
        self.scenario(limits="\n[plan.admission]\nreplica_unfinished = 3\n",
                      tenants='\n[[workload.tenant]]\nname = "all"\nshare = 1.0\n',
                      arrival='requests = 12\narrival = "closed-loop"\nconcurrency = 3\nprompt = [8, 16]\noutput = 8\n'
                              "seed = 1\n")
        twin = self.verb("twin", "--repeats", "1", "--format", "json").json()
        for side in ("predicted", "measured"):
            self.assertEqual(self.share(twin[side]), 0.0)
            self.assertEqual(self.share(twin[side], "all", "goodput"), 1.0)

    def test_the_tables_show_tenants(self):
        self.scenario()
        for verb in ("predict", "run"):
            out = self.verb(verb, *(("--repeats", "1") if verb == "run" else ())).out
            for part in ("tenant", "batch", "chat", "Requests turned away"):
                self.assertIn(part, out, verb)
        shown = self.succeed("show", "tiny.toml").out
        for part in ("tenant batch", "tenant chat", "priority 1", "at most 10 requests/s with a burst of 6"):
            self.assertIn(part, shown)

    def test_without_tenants_nothing_is_said_of_them(self):
        record = self.verb("predict", "--format", "json", "--fidelity", "maxplus").json()
        self.assertNotIn("tenants", record)
        self.assertNotIn("rejected_share", record["metrics"])

    def test_what_is_wrong_is_named(self):
        self.scenario(limits=LIMITS.replace('"batch"', '"bacth"'))
        self.fail_with(1, ["/admission/tenants/0/tenant", 'no tenant "bacth"', 'did you mean "batch"?'],
                       "predict", "tiny.toml", "--no-db")
        self.scenario(tenants=TENANTS.replace('"batch"', '"bach"'), limits="")
        self.fail_with(1, ["trace.csv:", 'no tenant "batch"', 'did you mean "bach"?'], "predict", "tiny.toml", "--no-db")
        self.scenario(limits="\n[plan.admission]\n")
        self.fail_with(1, "limits nothing", "predict", "tiny.toml", "--no-db")
        self.scenario(limits=LIMITS.replace("request_burst = 6\n", ""))
        self.fail_with(1, 'missing key "request_burst"', "predict", "tiny.toml", "--no-db")
        self.scenario(limits=LIMITS.replace("token_burst = 120", "token_burst = 2").replace(
            "request_burst = 6", "request_burst = 6") + '\n[[plan.admission.tenant]]\ntenant = "chat"\n'
            'token_rate = "1 /s"\ntoken_burst = 2\n')
        self.fail_with(3, "turn every request away", "predict", "tiny.toml", "--no-db")

    def test_a_plan_file_carries_its_limits(self):
        self.scenario()
        with_limits = self.verb("predict", "--format", "json", "--fidelity", "maxplus").json()
        plan = {"admission": {"tenants": [{"tenant": "batch", "request_rate_per_s": 10, "request_burst": 6,
                                           "token_rate_per_s": 200, "token_burst": 120}]}}
        self.scenario(limits="")
        self.succeed("plan", "tiny.toml", "--profile", self.profile, "--out", "plans")
        file = sorted((self.folder / "plans").glob("*.json"))[0]
        document = json.loads(file.read_text())
        document.pop("made_for", None)
        file.write_text(json.dumps({**document, **plan}))
        from_file = self.verb("predict", "--plan", str(file), "--format", "json", "--fidelity", "maxplus").json()
        self.assertEqual(self.share(from_file, "batch"), self.share(with_limits, "batch"))

    def test_clients_of_servegen(self):
        folder = self.folder / "clients"
        folder.mkdir()
        for name, rate in (("chunk-0", 20), ("chunk-1", 5)):
            (folder / f"{name}-trace.csv").write_text(f"0,{rate},1.5,Gamma,0.44,0.1\n2,0,0,,0,0\n")
            (folder / f"{name}-dataset.json").write_text(json.dumps(
                {"0": {"input_tokens": "{8: 0.5, 16: 0.5}", "output_tokens": "{4: 1.0}", "reason_ratio": "{}"}}))
        limits = '\n[[plan.admission.tenant]]\ntenant = "chunk-0"\nrequest_rate = "2 /s"\nrequest_burst = 2\n'
        self.scenario(arrival='trace = "clients"\nformat = "servegen"\nduration = "1 s"\nseed = 3\n', limits=limits,
                      tenants='\n[[workload.tenant]]\nname = "chunk-0"\n\n[[workload.tenant]]\nname = "chunk-1"\n')
        twin = self.verb("twin", "--repeats", "1", "--format", "json").json()
        for tenant in ("chunk-0", "chunk-1"):
            self.assertAlmostEqual(self.share(twin["predicted"], tenant), self.share(twin["measured"], tenant), delta=1e-12)
        self.assertGreater(self.share(twin["measured"], "chunk-0"), 0.3)
        self.assertEqual(self.share(twin["measured"], "chunk-1"), 0.0)
        (folder / "chunk-1-dataset.json").unlink()
        self.fail_with(1, ["chunk-1-dataset.json", "missing"], "predict", "tiny.toml", "--no-db")


if __name__ == "__main__":
    lindos_cli.main()
