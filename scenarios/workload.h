// SPDX-License-Identifier: Apache-2.0
// What is asked of the fleet: a stream of inference requests or a training job, and the promises (SLO).
// generate_requests is a pure function of (Workload, seed): predict and run see the very same requests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scenarios/checkpoint_policy.h"
#include "scenarios/units.h"

namespace lindos {

// Token count distribution: `low == high` is a constant, else uniform in [low, high].
struct LengthRange {
  std::int64_t low = 0;
  std::int64_t high = 0;
  bool operator==(const LengthRange&) const = default;
};

// All at t = 0, exponential gaps, equal gaps, or a closed loop: each client sends its next request when its last
// one ended.
enum class Arrival { kTogether, kPoisson, kUniform, kClosedLoop };

struct ServingWorkload {
  std::int64_t requests = 0;       // 0: as many as arrive within `duration`
  Arrival arrival = Arrival::kTogether;
  Hertz rate{0};                   // mean arrivals per second; for kPoisson and kUniform
  LengthRange prompt;
  LengthRange output;
  std::int64_t concurrency = 0;    // clients; for kClosedLoop, at most `requests`
  Seconds duration{0};             // of the arrivals, in place of `requests`; for kPoisson and kUniform
  bool operator==(const ServingWorkload&) const = default;
};

// What the backward pass computes again instead of keeping it from the forward pass. kSelective is the core of
// attention (scores, softmax, context; arXiv 2205.05198): a fused kernel keeps none of it anyway, so that there
// kSelective is kNone. kFull keeps the input of each layer.
enum class Recompute { kNone, kSelective, kFull };
[[nodiscard]] const char* name_of(Recompute recompute);  // "none", "selective", "full"

struct TrainingWorkload {
  std::int64_t sequence = 0;
  std::int64_t global_batch = 0;   // sequences per optimizer step
  std::int64_t micro_batch = 1;    // sequences that pass through the model at once
  Recompute recompute = Recompute::kNone;
  bool frozen_weights = false;     // adapters are trained: the weights have no gradients; adapters cost nothing
  bool dropout = false;            // on attention probabilities, embedding and both residual branches
  CheckpointPolicy checkpoint;
  bool operator==(const TrainingWorkload&) const = default;
};

enum class WorkloadKind { kServing, kTraining };

struct Workload {
  WorkloadKind kind = WorkloadKind::kServing;
  ServingWorkload serving;
  TrainingWorkload training;
  std::uint64_t seed = 1;
  bool operator==(const Workload&) const = default;
};

// Service promises; 0 = none.
struct Slo {
  Seconds ttft{0};
  Seconds tpot{0};
  double percentile = 0.5;
  bool operator==(const Slo&) const = default;
};

struct RequestSpec {
  std::uint64_t id = 0;
  Seconds arrival{0};
  std::int64_t prompt_tokens = 0;
  std::int64_t output_tokens = 0;  // generated exactly (end-of-sequence is ignored in twin runs)
  bool on_completion = false;      // arrives when an earlier request of its replica ends, not at `arrival`
  bool operator==(const RequestSpec&) const = default;
};

// How many requests there are, in the mean where a duration says it.
[[nodiscard]] std::int64_t expected_requests(const ServingWorkload& workload);

// All requests of open_requests (request_stream.h).
[[nodiscard]] std::vector<RequestSpec> generate_requests(const ServingWorkload& workload,
                                                         std::uint64_t seed);

}  // namespace lindos
