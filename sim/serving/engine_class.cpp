// SPDX-License-Identifier: Apache-2.0
#include "sim/serving/engine_class.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace lindos::sim {

namespace {

constexpr std::array kEngines{
    EngineClass{.name = "trtllm", .label = "TensorRT-LLM", .reserved_sequences = 1, .fp8_cache = true},
    EngineClass{.name = "vllm", .label = "vLLM", .batched_tokens = 2048},
    EngineClass{.name = "sglang", .label = "SGLang", .policy = scheduler::Policy::kPrefillFirst},
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
  if (disaggregated) return metric == PointMetric::kTtft ? ErrorBand{0.3, 3.0} : ErrorBand{0.5, 2.0};
  return metric == PointMetric::kTtft ? ErrorBand{0.5, 2.0} : ErrorBand{0.7, 1.4};
}

}  // namespace lindos::sim
