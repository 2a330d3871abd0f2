// SPDX-License-Identifier: Apache-2.0
// What is asked of the fleet: a stream of inference requests or a training job, and the promises (SLO).
// generate_requests is a pure function of (Workload, seed): predict and run see the very same requests.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/checkpoint_policy.h"
#include "scenarios/trace_format.h"
#include "scenarios/units.h"

namespace lindos {

// Token count distribution: `low == high` is a constant, else uniform in [low, high]; log-normal with a median, values
// beyond [low, high] taken as the bound; or by quantiles at even steps of probability from 0 (low) to 1 (high), linear
// between.
struct LengthRange {
  std::int64_t low = 0;
  std::int64_t high = 0;
  double median = 0.0;             // above 0: log-normal
  double sigma = 0.0;              // of the logarithm
  std::vector<std::int64_t> quantiles = {};
  bool operator==(const LengthRange&) const = default;
};

//   kTogether    all at t = 0
//   kPoisson     exponential gaps
//   kUniform     equal gaps
//   kClosedLoop  each client sends its next request when its last one ended
//   kGamma       gaps of a gamma distribution: as Poisson where their coefficient of variation is 1, in clumps above it
//   kBursty      Poisson whose rate is high in bursts and low between them, both of exponential length
//   kDiurnal     Poisson whose rate follows a cosine of the time of day
//   kRecorded    as a trace has them
enum class Arrival { kTogether, kPoisson, kUniform, kClosedLoop, kGamma, kBursty, kDiurnal, kRecorded };
// "together", "poisson", "uniform", "closed-loop", "gamma", "bursty", "diurnal", "recorded".
[[nodiscard]] std::string_view name_of(Arrival arrival);
// Whether the workload's rate makes the arrivals.
[[nodiscard]] constexpr bool has_rate(Arrival arrival) {
  return arrival != Arrival::kTogether && arrival != Arrival::kClosedLoop && arrival != Arrival::kRecorded;
}

// What an arrival process needs beside its rate.
struct ArrivalShape {
  double variation = 1.0;          // kGamma: standard deviation of the gaps over their mean
  Hertz burst_rate{0};             // kBursty: while a burst lasts; at least the rate
  double burst_share = 0.0;        // kBursty: of the time; burst_rate × burst_share is at most the rate
  Seconds burst_length{0};         // kBursty: mean
  double swing = 0.0;              // kDiurnal: rate between (1 − swing) and (1 + swing) times its mean
  Seconds period{0};               // kDiurnal
  Seconds peak_at{0};              // kDiurnal
  bool operator==(const ArrivalShape&) const = default;
};

// Service promises; 0 = none.
struct Slo {
  Seconds ttft{0};
  Seconds tpot{0};
  double percentile = 0.5;
  bool operator==(const Slo&) const = default;
};

// Who asks. The tenant of a request is drawn by share, from seed and request number alone, or is the one that its trace
// names.
struct Tenant {
  std::string name;
  double share = 0.0;              // of the arrivals, in proportion to the other tenants'; 0 = the trace says whose they are
  int priority = 0;                // higher first
  std::optional<LengthRange> prompt = {};  // in place of the workload's
  std::optional<LengthRange> output = {};
  std::int64_t shared_prefix = 0;  // as the workload's, in groups of its own; 0 = the workload's
  std::int64_t prefix_groups = 1;
  std::optional<Seconds> ttft = {};  // promises in place of the scenario's
  std::optional<Seconds> tpot = {};
  bool operator==(const Tenant&) const = default;
};

struct ServingWorkload {
  std::int64_t requests = 0;       // 0: as many as arrive within `duration`
  Arrival arrival = Arrival::kTogether;
  Hertz rate{0};                   // mean arrivals per second, where has_rate; of a trace as replayed
  LengthRange prompt;
  LengthRange output;
  std::int64_t shared_prefix = 0;  // leading tokens that all prompts of a group have in common; below the shortest
  std::int64_t prefix_groups = 1;  // each request draws one, all equally likely
  std::int64_t concurrency = 0;    // clients; for kClosedLoop, at most `requests`
  Seconds duration{0};             // of the arrivals, in place of `requests`; where has_rate, and of a trace
  ArrivalShape shape = {};
  TraceSource trace = {};             // kRecorded; prompt and output are the bounds of its lengths
  std::vector<Tenant> tenants = {};   // none: nobody tells requests apart; all or none have a share
  // Mixture of experts: exponent of the power law by which tokens choose experts, 0 = all alike; nothing: as the samples of the
  // device had it.
  std::optional<double> expert_skew = {};
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

// What a prompt may have in common with others: equal ids at the same place of two beginnings stand for equal tokens,
// `tokens_per_id` of them or as many as both prompts have. The tokens after that are no other prompt's.
struct PromptBeginning {
  std::int64_t tokens_per_id = 1;
  std::vector<std::uint64_t> ids;
  // Leading tokens of a prompt of so many that the ids stand for.
  [[nodiscard]] std::int64_t of(std::int64_t prompt_tokens) const {
    const std::int64_t ids_for_all = (prompt_tokens + tokens_per_id - 1) / tokens_per_id;
    return std::ssize(ids) < ids_for_all ? std::ssize(ids) * tokens_per_id : prompt_tokens;
  }
  bool operator==(const PromptBeginning&) const = default;
};

struct RequestSpec {
  std::uint64_t id = 0;
  Seconds arrival{0};
  std::int64_t prompt_tokens = 0;
  std::int64_t output_tokens = 0;  // generated exactly (end-of-sequence is ignored in twin runs)
  bool on_completion = false;      // arrives when an earlier request of its replica ends, not at `arrival`
  std::uint64_t prefix = 0;        // equal for prompts that begin alike (their first id and 1); 0 = not known
  std::shared_ptr<const PromptBeginning> beginning = nullptr;  // null: nothing in common with any other prompt
  std::int64_t kv_tokens = 0;      // leading tokens of the prompt whose KV another replica computed and sends along
  std::uint32_t tenant = 0;        // position in the workload's tenants; 0 where there are none
  int priority = 0;                // the tenant's
};
// By value: beginnings count by what they say.
[[nodiscard]] bool operator==(const RequestSpec& a, const RequestSpec& b);

// How many requests there are, in the mean where a duration says it.
[[nodiscard]] std::int64_t expected_requests(const ServingWorkload& workload);

// The most tokens that prompt and output have together.
[[nodiscard]] std::int64_t longest_request(const ServingWorkload& workload);

// Tokens of a request in the mean, of tenants by their shares.
struct MeanTokens {
  double prompt = 0.0;
  double output = 0.0;
};
[[nodiscard]] MeanTokens mean_tokens(const ServingWorkload& workload);

// What each tenant is promised: its own promises, the scenario's for those that it does not name.
struct Promises {
  Slo all;                      // where there are no tenants
  std::vector<Slo> tenants = {};
  [[nodiscard]] const Slo& of(std::uint32_t tenant) const { return tenants.empty() ? all : tenants[tenant]; }
};
[[nodiscard]] Promises promises_of(const ServingWorkload& workload, const Slo& slo);

// The tenants by name where a trace says whose a request is; none where requests are drawn by share.
[[nodiscard]] std::vector<std::string> recorded_names(const std::vector<Tenant>& tenants);

// All requests of open_requests (request_stream.h).
[[nodiscard]] std::vector<RequestSpec> generate_requests(const ServingWorkload& workload,
                                                         std::uint64_t seed);

}  // namespace lindos
