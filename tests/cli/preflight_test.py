# SPDX-License-Identifier: Apache-2.0
"""run --preflight: every check by itself, what fails with its remedy, and nothing run."""
import lindos_cli
from lindos_cli import SCENARIOS, CliTest


class Preflight(CliTest):
    def checks(self, done):
        return {check["what"]: check for check in done.json()["checks"]}

    def test_ready(self):
        done = self.succeed("run", self.tiny, "--preflight", "--format", "json", "--db", "store.db")
        checks = self.checks(done)
        self.assertTrue(done.json()["ready"])
        self.assertEqual(set(checks), {"plan", "device", "memory", "cores", "other work", "store"})
        self.assertEqual({checks[name]["state"] for name in ("plan", "device", "memory", "cores", "store")}, {"ok"})
        self.assertIn("KV blocks of 16 tokens", checks["memory"]["found"])
        # Nothing was run: the store has no runs.
        self.fail_with(1, "1", "compare", "1", "--db", "store.db")

    def test_text_says_the_same(self):
        out = self.succeed("run", self.tiny, "--preflight", "--no-db").out
        self.assertRegex(out, r"(?m)^ok +device ")
        self.assertNotIn("store", out)

    def test_what_fails_hides_nothing(self):
        scenario = self.folder / "long.toml"
        scenario.write_text(self.tiny.read_text().replace("max_context = 64", "max_context = 16"))
        done = self.lindos("run", scenario, "--preflight", "--format", "json", "--no-db")
        self.assertEqual(done.code, 3)
        self.assertIn("failed: plan", done.err)
        checks = self.checks(done)
        self.assertFalse(done.json()["ready"])
        self.assertIn("max_context = 16", checks["plan"]["found"])
        self.assertEqual(checks["device"]["state"], "ok")
        self.assertNotIn("memory", checks)  # of a plan that is refused

    def test_another_machine_s_scenario_and_profile(self):
        done = self.lindos("run", SCENARIOS / "one-h200-llama8b.toml", "--preflight", "--format", "json", "--no-db")
        if done.code == 0:
            self.skipTest("this machine has the GPU")
        self.assertIn("this-machine.toml runs on this machine's CPU", self.checks(done)["device"]["found"])
        profile = lindos_cli.ROOT / "data" / "measurements" / "2026-11-26-h200-profile.json"
        done = self.lindos("run", self.tiny, "--preflight", "--profile", profile, "--format", "json", "--no-db")
        self.assertEqual(done.code, 3)
        self.assertIn("it is of h200-sxm, and the scenario runs on this-machine", self.checks(done)["profile"]["found"])

    def test_usage(self):
        self.fail_with(2, "--prompt", "run", self.tiny, "--preflight", "--prompt", "x", "--checkpoint", "y")


if __name__ == "__main__":
    lindos_cli.main()
