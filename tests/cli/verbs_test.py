# SPDX-License-Identifier: Apache-2.0
"""Every verb's help, formats, streams and exit codes; `show` on every scenario of the project; `probe`."""
import json
import pathlib
import re
import tomllib

import lindos_cli
from lindos_cli import SCENARIOS, CliTest

VERBS = ("show", "probe", "predict", "run", "twin", "compare")


class Help(CliTest):
    def test_program(self):
        done = self.succeed("--help")
        for verb in (*VERBS, "validate"):
            self.assertRegex(done.out, rf"(?m)^  {verb} ")
        self.assertIn("Exit status", done.out)
        self.assertEqual(done.err, "")

    def test_every_verb(self):
        for verb in VERBS:
            with self.subTest(verb=verb):
                done = self.succeed(verb, "--help")
                for option in ("--format", "--progress", "--catalogue"):
                    self.assertIn(option, done.out)
                self.assertEqual("--no-db" in done.out, verb in ("predict", "run", "twin", "compare"))
                self.assertEqual(done.err, "")

    def test_kinds_of_validation(self):
        kinds = re.findall(r"(?m)^  (\w+) ", self.succeed("validate", "--help").out.split("Subcommands:")[1])
        self.assertIn("stragglers", kinds)
        for kind in kinds:
            with self.subTest(kind=kind):
                done = self.succeed("validate", kind, "--help")
                for option in ("--format", "--progress", "--catalogue"):
                    self.assertIn(option, done.out)

    def test_version(self):
        self.assertRegex(self.succeed("--version").out, r"^lindos \d+\.\d+\.\d+ \([0-9a-f]{7,}(-dirty)?\)\n$")

    def test_help_writes_no_store(self):
        self.succeed("predict", "--help")
        self.assertEqual(self.files(), ["config.json", "tiny.toml"])


class Usage(CliTest):
    def test_nothing_asked(self):
        self.fail_with(2, "subcommand", )

    def test_unknown_verb(self):
        self.fail_with(2, 'unknown verb "frob"', "frob", "x")
        self.fail_with(2, 'did you mean "twin"?', "twn")

    def test_unknown_option(self):
        for verb in VERBS:
            with self.subTest(verb=verb):
                words = ("1",) if verb == "compare" else (self.tiny,)
                self.fail_with(2, "--frobnicate", verb, *words, "--frobnicate")

    def test_missing_scenario(self):
        for verb in ("show", "predict", "twin"):
            with self.subTest(verb=verb):
                self.fail_with(2, ["scenario", "required"], verb)

    def test_choices_are_named(self):
        self.fail_with(2, ["--format", "table", "json", "yaml"], "show", self.tiny, "--format", "yaml")
        self.fail_with(2, ["--progress", "auto", "bar", "json", "none"], "show", self.tiny, "--progress", "loud")
        self.fail_with(2, ["--fidelity", "closed", "maxplus", "simgrid", "guess"],
                       "predict", self.tiny, "--fidelity", "guess")
        self.fail_with(2, ["--ranks", "threads", "mpi"], "run", self.tiny, "--ranks", "fork")

    def test_choices_are_words_not_numbers(self):
        self.fail_with(2, "--format", "show", self.tiny, "--format", "1")
        self.fail_with(2, "--fidelity", "predict", self.tiny, "--fidelity", "0")

    def test_values_out_of_range(self):
        for arguments in (("run", self.tiny, "--repeats", "0"), ("twin", self.tiny, "--repeats", "1001"),
                          ("predict", self.tiny, "--seeds", "0"), ("predict", self.tiny, "--seed", "-1"),
                          ("run", self.tiny, "--temperature", "-1"), ("run", self.tiny, "--top-p", "1.5"),
                          ("run", self.tiny, "--max-tokens", "0"), ("compare", "-1"), ("compare", "one"),
                          ("compare", "99999999999999999999")):
            with self.subTest(arguments=arguments):
                self.fail_with(2, "", *arguments)

    def test_options_that_exclude_each_other(self):
        self.fail_with(2, ["--db", "--no-db"], "predict", self.tiny, "--db", "x.db", "--no-db")
        self.fail_with(2, ["--weights", "--checkpoint"],
                       "run", self.tiny, "--weights", "random:2", "--checkpoint", ".")

    def test_prompt_needs_checkpoint(self):
        self.fail_with(2, ["--prompt needs --checkpoint"], "run", self.tiny, "--prompt", "hello")
        self.fail_with(2, ["--prompt needs --checkpoint"], "run", self.tiny, "--prompt", "")

    def test_weights_need_a_seed(self):
        for weights in ("random:", "random:x", "random:-1", "random:1.5", "random:99999999999999999999"):
            with self.subTest(weights=weights):
                done = self.fail_with(2, ["random:SEED", weights], "run", self.tiny, "--no-db", "--weights", weights, "--progress", "json")
                self.assertNotIn("ceilings", done.err)  # nothing was measured for it

    def test_plan_of_probe_needs_a_scenario(self):
        self.fail_with(2, "--plan needs a scenario", "probe", "--plan", "plan.json")

    def test_show_has_no_store(self):
        self.fail_with(2, "--db", "show", self.tiny, "--db", "x.db")


class Show(CliTest):
    def test_every_scenario(self):
        files = sorted(SCENARIOS.glob("*.toml"))
        self.assertGreaterEqual(len(files), 7)
        for file in files:
            with self.subTest(scenario=file.name):
                table = self.succeed("show", file)
                self.assertEqual(table.err, "")
                for part in ("Fleet", "Model", "Workload", "Plan"):
                    self.assertRegex(table.out, rf"(?m)^{part} ")
                shown = self.succeed("show", file, "--format", "json").json()
                self.assertEqual(shown["name"], tomllib.loads(file.read_text())["name"])
                self.assertIn(shown["scenario_digest"], table.out)
                self.assertEqual(shown["plan"]["format"], "lindos-plan")

    def test_canonical_form_is_the_same_scenario(self):
        for file in sorted(SCENARIOS.glob("*.toml")):
            with self.subTest(scenario=file.name):
                first = self.succeed("show", file, "--format", "json").json()
                copy = self.folder / "copy.toml"
                copy.write_text(first["scenario_toml"])
                second = self.succeed("show", copy, "--format", "json").json()
                self.assertEqual(second["scenario_digest"], first["scenario_digest"])
                self.assertEqual(second["plan_digest"], first["plan_digest"])
                self.assertEqual(second["scenario_toml"], first["scenario_toml"])

    def test_digest_ignores_spelling_and_heeds_values(self):
        def digest(text):
            file = self.folder / "variant.toml"
            file.write_text(text)
            return self.succeed("show", file, "--format", "json").json()["scenario_digest"]

        text = self.tiny.read_text().replace('arrival = "together"', 'arrival = "poisson"\nrate = "60 /min"')
        self.assertEqual(digest(text), digest("# a comment\n" + text.replace('"60 /min"', '"1 /s"')))
        self.assertNotEqual(digest(text), digest(text.replace("requests = 4", "requests = 5")))

    def test_plan_file_replaces_the_plan(self):
        shown = self.succeed("show", self.tiny, "--format", "json").json()
        plan = shown["plan"]
        plan["name"] = "another name"
        (self.folder / "plan.json").write_text(json.dumps(plan))
        again = self.succeed("show", self.tiny, "--plan", "plan.json", "--format", "json").json()
        self.assertEqual(again["plan"]["name"], "another name")
        self.assertEqual({**again["plan"], "name": ""}, {**shown["plan"], "name": ""})

    def test_works_from_any_folder_and_name(self):
        odd = self.folder / "a folder ü"
        odd.mkdir()
        for name in ("tiny.toml", "config.json"):
            (self.folder / name).rename(odd / name)
        self.succeed("show", pathlib.Path("a folder ü") / "tiny.toml")
        self.succeed("show", odd / "tiny.toml")


class Probe(CliTest):
    def test_profile(self):
        done = self.succeed("probe", self.tiny, "--out", "profile.json", "--format", "json", "--progress", "json")
        profile = done.json()
        self.assertEqual(profile, json.loads((self.folder / "profile.json").read_text()))
        self.assertEqual(profile["format"], "lindos-profile")
        for key in ("matrix_rate_flop_per_s", "read_bandwidth_bytes_per_s", "memory_bytes"):
            self.assertGreater(profile[key], 0)
        self.assertTrue(profile["gemm"] and profile["attention"])
        lines = done.progress()
        self.assertEqual({line["event"] for line in lines}, {"progress", "phase"})
        for line in lines:
            self.assertEqual(line["verb"], "probe")
            if line["event"] == "progress":
                self.assertTrue(0 <= line["fraction"] <= 1, line)
        self.assertEqual(self.files(), ["config.json", "profile.json", "tiny.toml"])

    def test_table(self):
        done = self.succeed("probe", self.tiny, "--progress", "none")
        self.assertEqual(done.err, "")
        self.assertIn("matrix rate, bf16 (best of OpenBLAS and our own)", done.out)
        self.assertIn("read bandwidth, 1 thread ", done.out)
        # No more digits than a measurement has.
        for number in re.findall(r"\b\d[\d,]*\.?\d*\b(?= ?[kMGTPnum]?(?:B|B/s|FLOP/s|s)\b)", done.out):
            self.assertLessEqual(len(number.replace(",", "").replace(".", "").lstrip("0")), 4, number)

    def test_place_of_the_profile_is_checked_before_the_work(self):
        done = self.fail_with(4, ["no/such/folder", "cannot be written"],
                              "probe", self.tiny, "--out", "no/such/folder/profile.json", "--progress", "json")
        self.assertNotIn('"event"', done.err)
        done = self.fail_with(4, "cannot be written", "probe", self.tiny, "--out", ".", "--progress", "json")
        self.assertNotIn('"event"', done.err)


class Streams(CliTest):
    def test_full_standard_output_is_an_error(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = self.lindos("show", self.tiny, stdout=full)
        self.assertEqual(done.code, 4, done)
        self.assertIn("standard output", done.err)

    def test_reader_that_goes_away(self):
        # As `lindos show … | head -0`: no message but the signal's usual end, or an ordinary one.
        import subprocess
        with subprocess.Popen([lindos_cli.BINARY, "show", self.tiny], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=lindos_cli.environment(self.folder), restore_signals=True) as process:
            process.stdout.close()
            err = process.stderr.read()
            self.assertIn(process.wait(timeout=lindos_cli.TIMEOUT_S), (0, -13, 4))
            self.assertNotIn(b"terminate", err)


if __name__ == "__main__":
    lindos_cli.main()
