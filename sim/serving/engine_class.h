// SPDX-License-Identifier: Apache-2.0
// What a serving engine does around its kernels: host time that the device waits for, and how it composes steps.
// Constants per engine, fitted on the declared part of published points (docs/serving-accuracy.md) where no datasheet has them.
#pragma once

#include <cstdint>
#include <string_view>

#include "exec/scheduler/limits.h"
#include "scenarios/units.h"

namespace lindos::sim {

struct EngineClass {
  std::string_view name;      // as tables of measurements call it
  std::string_view label;
  Seconds step{0};            // per step, not hidden behind the device
  Seconds sequence{0};        // per sequence of a step
  Seconds layer{0};           // per layer and step: gaps between kernels, small kernels beside those that are priced
  Seconds request{0};         // from arrival until it is scheduled, and back to the client
  Seconds served_request{0};  // the same as InferenceX's client sees it, through the engine's HTTP server
  std::int64_t batched_tokens = 8192;  // default budget of one step
  bool budget_by_length = false;       // aiconfigurator's launcher gives it one by the length of prompts
  double memory_fraction = 0.9;
  bool fp8_cache = false;     // with weights of 8 bits or fewer
  scheduler::Policy policy = scheduler::Policy::kDecodeFirst;
};

// By its name in the table below; null when there is none.
[[nodiscard]] const EngineClass* find_engine_class(std::string_view name);

// Whether a row of this key belongs to the part of the points that constants are fitted on: by a hash of it, so that it
// is decided without looking at the row's figures.
[[nodiscard]] bool is_fitted_on(std::string_view model, std::string_view system, std::string_view engine);

// 80 % of the fitted rows lie between low × and high × the prediction.
struct ErrorBand {
  double low = 1.0;
  double high = 1.0;
};
enum class PointMetric { kTtft, kTpot };
// Of rows that say on how many GPUs they ran, and those that do not.
enum class PointKind { kAggregated, kDisaggregated, kIncomplete };
[[nodiscard]] ErrorBand error_band(PointMetric metric, PointKind kind);

}  // namespace lindos::sim
