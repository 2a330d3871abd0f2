// SPDX-License-Identifier: Apache-2.0
#include "sim/serving/engine_class.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace lindos::sim {

namespace {

// Fitted on the fitted part of every second published row (docs/serving-accuracy.md), least mean error in steps of 5 us
// and 10 ms.
constexpr std::array kEngines{
    EngineClass{.name = "trtllm",
                .label = "TensorRT-LLM",
                .request = Seconds{70e-3},
                .budget_by_length = true,
                .fp8_cache = true},
    EngineClass{.name = "vllm",
                .label = "vLLM",
                .layer = Seconds{20e-6},
                .batched_tokens = 2048,
                .budget_by_length = true},
    EngineClass{.name = "sglang",
                .label = "SGLang",
                .layer = Seconds{5e-6},
                .request = Seconds{30e-3},
                .policy = scheduler::Policy::kPrefillFirst},
};

std::uint64_t fnv1a(std::uint64_t hash, std::string_view text) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return (hash ^ 0x1f) * 1099511628211ULL;  // a separator, so that "ab","c" is not "a","bc"
}

}  // namespace

const EngineClass* find_engine_class(std::string_view name) {
  const auto* found =
      std::find_if(kEngines.begin(), kEngines.end(), [&](const EngineClass& e) { return e.name == name; });
  return found == kEngines.end() ? nullptr : found;
}

bool is_fitted_on(std::string_view model, std::string_view system, std::string_view engine) {
  constexpr std::uint64_t kOffset = 14695981039346656037ULL;
  constexpr std::uint64_t kParts = 2;
  constexpr unsigned kBit = 40;  // the lowest multiple of 8 from 32 that leaves every engine rows in both parts
  const std::uint64_t hash = fnv1a(fnv1a(fnv1a(kOffset, model), system), engine);
  return (hash >> kBit) % kParts == 0;
}

ErrorBand error_band(PointMetric metric, bool disaggregated) {
  // 10 % and 90 % quantiles of measured over predicted, rows as above.
  if (disaggregated) return metric == PointMetric::kTtft ? ErrorBand{0.30, 9.3} : ErrorBand{0.33, 0.90};
  return metric == PointMetric::kTtft ? ErrorBand{0.58, 2.53} : ErrorBand{0.69, 1.33};
}

}  // namespace lindos::sim
