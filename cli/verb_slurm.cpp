// SPDX-License-Identifier: Apache-2.0
// lindos slurm submit|state|cancel: jobs that lindos export wrote, from here into the queue and what became of them.
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/options.h"
#include "cli/slurm.h"
#include "cli/table.h"
#include "cli/verbs.h"

namespace lindos::cli {

namespace {

struct SlurmVerb {
  CommonOptions common;
  std::vector<std::string> words;
};

nlohmann::ordered_json to_json(const SlurmJob& job) {
  return {{"id", job.id},       {"states", job.states},   {"reason", job.reason},
          {"nodes", job.nodes}, {"elapsed", job.elapsed}, {"ended", job.ended}};
}

void submit_all(const SlurmVerb& options) {
  nlohmann::ordered_json jobs = nlohmann::ordered_json::array();
  Table table({"file", "job"});
  for (const std::string& file : options.words) {
    const SlurmJob job = submit(file);
    jobs.push_back({{"id", job.id}, {"script", file}});
    table.add({file, job.id});
  }
  fmt::print("{}\n", options.common.format == Format::kJson ? nlohmann::ordered_json{{"submitted", jobs}}.dump(2) : table.text());
}

void print_states(const SlurmVerb& options) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  Table table({"job", "state", "why", "for", "on"});
  for (const SlurmJob& job : states_of(options.words)) {
    out.push_back(to_json(job));
    std::string states;
    for (const auto& [state, count] : job.states)
      states += fmt::format("{}{}{}", states.empty() ? "" : ", ", count > 1 ? fmt::format("{} ", count) : "", state);
    table.add({job.id, states.empty() ? "left the queue; sacct does not know how" : states, job.reason, job.elapsed, job.nodes});
  }
  fmt::print("{}\n", options.common.format == Format::kJson ? nlohmann::ordered_json{{"jobs", out}}.dump(2) : table.text());
}

void add_part(CLI::App& verb, const char* name, const char* help, const char* type, const char* what, void (*act)(const SlurmVerb&)) {
  auto options = std::make_shared<SlurmVerb>();
  CLI::App* part = verb.add_subcommand(name, help);
  part->add_option(type, options->words, what)->required();
  add_common(*part, options->common, false);
  part->callback([options, act] { act(*options); });
}

}  // namespace

void add_slurm(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("slurm", "hand jobs of lindos export to Slurm and see what becomes of them");
  verb->require_subcommand(1);
  add_part(*verb, "submit", "give sbatch files to sbatch, each in its own folder", "FILE", "files that lindos export --to slurm wrote",
           submit_all);
  add_part(*verb, "state", "state of jobs by squeue, and by sacct once they have left the queue", "ID", "numbers of jobs", print_states);
  add_part(*verb, "cancel", "end jobs by scancel; then their state", "ID", "numbers of jobs", [](const SlurmVerb& options) {
    cancel_jobs(options.words);
    print_states(options);
  });
}

}  // namespace lindos::cli
