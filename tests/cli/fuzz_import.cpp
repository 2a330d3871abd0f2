// SPDX-License-Identifier: Apache-2.0
// Any bytes: a result or Error{kInput}, from each reader of other tools' files.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cli/import/import.h"
#include "scenarios/error.h"

namespace {

lindos::Scenario one_request() {
  lindos::Scenario scenario;
  scenario.workload.kind = lindos::WorkloadKind::kServing;
  scenario.workload.serving.requests = 1;
  scenario.workload.serving.prompt = {16, 16};
  scenario.workload.serving.output = {8, 8};
  return scenario;
}

template <class Read>
void must_refuse_or_read(const Read& read) {
  try {
    read();
  } catch (const lindos::Error& e) {
    if (e.kind() != lindos::ErrorKind::kInput) std::abort();
  }
}

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const lindos::Scenario scenario = one_request();
  must_refuse_or_read([&] {
    for (const auto& [name, value] : lindos::cli::read_vllm_bench(text, "fuzz", scenario).metrics) require(std::isfinite(value) && value >= 0);
  });
  must_refuse_or_read([&] {
    for (const auto& mean : lindos::cli::fit_llama_bench(lindos::data::read_llama_bench(text, "fuzz"), "fuzz", scenario).means) {
      require(std::isfinite(mean.mean) && mean.mean > 0 && std::isfinite(mean.deviation));
    }
  });
  must_refuse_or_read([&] {
    for (const auto& sample : lindos::cli::read_nccl_tests(text, "fuzz").samples) {
      require(sample.ranks >= 1 && sample.time.count() > 0 && std::isfinite(sample.time.count()));
    }
  });
  return 0;
}
