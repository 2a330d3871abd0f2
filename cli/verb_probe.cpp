// SPDX-License-Identifier: Apache-2.0
// lindos probe [SCENARIO]: what this machine is and reaches; --out keeps it as a profile for predictions.
#include <memory>
#include <type_traits>

#include <fmt/format.h>

#include "cli/session.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "exec/probe/probe.h"
#include "scenarios/balance.h"
#include "scenarios/ceilings.h"
#include "scenarios/error.h"
#include "scenarios/metrics.h"
#include "scenarios/quantity_text.h"

namespace lindos::cli {

namespace {

// Without a scenario: the embedded model as one rank, two tensor ranks and two stages.
std::vector<GroupPlan> standard_groups(const Model& model) {
  EngineLimits limits;
  limits.max_batched_tokens = 512;
  limits.max_sequences = 32;
  limits.max_context = 2048;
  const auto group = [&](int stages, int tensor) {
    return make_plan(model, "this-machine", stages, std::vector<double>(static_cast<std::size_t>(tensor), 1.0),
                     std::vector<double>(static_cast<std::size_t>(stages), 1.0), Dtype::kBf16, limits, kCpuGranule)
        .groups.front();
  };
  return {group(1, 1), group(1, 2), group(2, 1)};
}

// Four significant digits: a probe repeats no better.
template <class Quantity>
std::string shown(Quantity measured) {
  const auto rounded = [](double value) { return std::stod(fmt::format("{:.4g}", value)); };
  if constexpr (std::is_same_v<Quantity, Seconds>) {
    return format(Seconds{rounded(measured.count())});
  } else {
    return format(Quantity{rounded(measured.value())});
  }
}

std::string summary(const Profile& profile) {
  std::string out = fmt::format("{}\n\n", profile.label);
  Table table({"what", "measured", "spread"});
  const bool gpu = profile.compute_capability > 0;
  if (gpu) table.add({"dense 16-bit peak (datasheet)", shown(profile.matrix_rate), ""});
  for (const auto& [dtype, rate] : profile.matrix_rates) {
    table.add({fmt::format("matrix rate, {} (best of OpenBLAS and our own)", name_of(dtype)), shown(rate), ""});
  }
  for (std::size_t t = 0; t < profile.read_bandwidth_by_threads.size(); ++t) {
    table.add({gpu ? "read bandwidth" : fmt::format("read bandwidth, {} thread{}", t + 1, t == 0 ? "" : "s"),
               shown(profile.read_bandwidth_by_threads[t]), ""});
  }
  table.add({gpu ? "memory that was free" : "memory", shown(profile.memory), ""});
  table.add({"engine overhead per step", shown(profile.step_overhead), fmt::format("{:.1f} %", profile.step_overhead_spread * 100)});
  table.add({"engine overhead per sequence and step", shown(profile.per_sequence_overhead), ""});
  Table gemm({"matrix product (n × k)", "threads × ranks", "1 row", "% of read", "most rows", gpu ? "% of peak" : "% of matrix rate"});
  for (std::size_t i = 0; i < profile.gemm.size();) {
    const GemmSample& first = profile.gemm[i];
    std::size_t last = i;
    const auto continues = [&](const GemmSample& next) {
      return next.m > profile.gemm[last].m && next.n == first.n && next.k == first.k;
    };
    while (last + 1 < profile.gemm.size() && continues(profile.gemm[last + 1])) ++last;
    const GemmSample& most = profile.gemm[last];
    if (first.m > 1) {   // the GPU's large square product
      const double square = 2.0 * static_cast<double>(most.m) * static_cast<double>(most.n) * static_cast<double>(most.k);
      table.add({fmt::format("{} product {} × {} × {}", name_of(most.dtype), most.m, most.n, most.k),
                 shown(FlopPerSecond{square / most.time.count()}), fmt::format("{:.1f} %", most.spread * 100)});
      i = last + 1;
      continue;
    }
    const double bytes = static_cast<double>(first.n * first.k) * bytes_of(first.dtype);
    const double read = bytes / first.time.count() * first.active_ranks / profile.read_bandwidth.value();
    const double flop = 2.0 * static_cast<double>(most.m) * static_cast<double>(most.n) * static_cast<double>(most.k);
    const double rate = flop / most.time.count() * most.active_ranks / matrix_rate_of(profile, most.dtype).value();
    gemm.add({fmt::format("{} {} × {}", name_of(first.dtype), first.n, first.k),
              fmt::format("{} × {}", first.threads, first.active_ranks), shown(first.time), fmt::format("{:.0f}", read * 100),
              fmt::format("{}: {}", most.m, shown(most.time)), fmt::format("{:.0f}", rate * 100)});
    i = last + 1;
  }
  return out + table.text() + "\n" + gemm.text();
}

// The CPU is probed at the shapes of any scenario, asked for by name; a GPU where the scenario would run on it.
Place probed_place(const Scenario& scenario, DeviceChoice choice) {
  if (choice == DeviceChoice::kCpu) return {host_device(scenario), {}};
  return place_of(scenario, choice);
}

}  // namespace

void add_probe(CLI::App& app) {
  struct Options {
    CommonOptions common;
    std::string scenario;
    std::string plan;
    std::string out;
    bool ceilings = false;
    DeviceChoice device = DeviceChoice::kAuto;
    int multiprocessors = 0;
  };
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("probe", "measure this machine: bandwidth, matrix rate, the engine's kernels");
  verb->add_option("scenario", options->scenario, "measure the shapes of this scenario's model and plan")->type_name("SCENARIO");
  verb->add_option("--plan", options->plan, "plan file instead of the scenario's own")->type_name("FILE");
  verb->add_option("--out", options->out, "write the profile (JSON) here")->type_name("FILE");
  verb->add_flag("--ceilings", options->ceilings, "read bandwidth and matrix rate only (about 2 s)");
  verb->add_option("--multiprocessors", options->multiprocessors, "measure a part of the GPU with so many (rounded up to what it can cut)")
      ->check(CLI::Range(1, 100'000));
  add_device(*verb, options->device);
  add_common(*verb, options->common, false);
  verb->callback([options] {
    Progress progress(options->common.progress, "probe");
    if (!options->out.empty()) require_writable(options->out);
    Profile profile;
    if (options->scenario.empty()) {
      if (options->multiprocessors > 0) throw Error(ErrorKind::kUsage, "--multiprocessors", "needs a scenario of an NVIDIA GPU");
      if (!options->plan.empty()) throw Error(ErrorKind::kUsage, "", "--plan needs a scenario");
      if (options->device == DeviceChoice::kCuda) {
        throw Error(ErrorKind::kUsage, "--device", "cuda needs a scenario, whose device says what the GPU's peak is");
      }
    }
    if (options->ceilings && options->scenario.empty()) {
      profile = ceilings_of({});
    } else if (options->scenario.empty()) {
      const Catalogue catalogue = open_catalogue(options->common);
      const auto model = catalogue.models.find("smollm2-135m");
      if (model == catalogue.models.end()) throw Error(ErrorKind::kInput, "catalogue", "has no model \"smollm2-135m\"");
      profile = probe_for({}, model->second, standard_groups(model->second), progress);
    } else {
      const Session session = Session::open(options->scenario, options->plan, options->common);
      Place place = probed_place(session.scenario, options->device);
      if (options->multiprocessors > 0) {
        if (!place.gpu) throw Error(ErrorKind::kUsage, "--multiprocessors", "is about a GPU; this probe measures the CPU");
        place.multiprocessors = {options->multiprocessors};
      }
      profile = options->ceilings ? ceilings_of(place)
                                  : probe_for(place, session.scenario.model, session.scenario.plan.groups, progress);
    }
    if (!options->out.empty()) write_file(options->out, to_json(profile) + "\n");
    if (options->common.format == Format::kJson) {
      fmt::print("{}\n", to_json(profile));
    } else {
      fmt::print("{}", summary(profile));
      if (!options->out.empty()) fmt::print("\nprofile written to {}\n", options->out);
    }
  });
}

}  // namespace lindos::cli
