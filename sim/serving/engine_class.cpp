// SPDX-License-Identifier: Apache-2.0
#include "sim/serving/engine_class.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace lindos::sim {

namespace {

// Fitted on the fitted part of every second published row (docs/serving-accuracy.md), least mean error in steps of 5 us
// and, where the pace of the row is understood, 10 ms.
constexpr std::array kEngines{
    EngineClass{.name = "trtllm",
                .label = "TensorRT-LLM",
                .request = Seconds{60e-3},
                .served_request = Seconds{170e-3},
                .budget_by_length = true,
                .fp8_cache = true},
    EngineClass{.name = "vllm",
                .label = "vLLM",
                .layer = Seconds{20e-6},
                .request = Seconds{20e-3},
                .served_request = Seconds{50e-3},
                .batched_tokens = 2048,
                .budget_by_length = true},
    EngineClass{.name = "sglang",
                .label = "SGLang",
                .layer = Seconds{5e-6},
                .request = Seconds{20e-3},
                .served_request = Seconds{140e-3},
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

ErrorBand error_band(PointMetric metric, PointKind kind) {
  // 10 % and 90 % quantiles of measured over predicted, rows as above.
  const bool ttft = metric == PointMetric::kTtft;
  switch (kind) {
    case PointKind::kAggregated:
      return ttft ? ErrorBand{0.67, 1.85} : ErrorBand{0.64, 1.29};
    case PointKind::kDisaggregated:
      return ttft ? ErrorBand{0.83, 6.9} : ErrorBand{0.63, 1.08};
    case PointKind::kIncomplete:
      return ttft ? ErrorBand{0.13, 9.6} : ErrorBand{0.35, 0.90};
  }
  return {};
}

}  // namespace lindos::sim
