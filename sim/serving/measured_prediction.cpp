// SPDX-License-Identifier: Apache-2.0
#include "sim/serving/measured_prediction.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "exec/scheduler/driver.h"
#include "scenarios/ops.h"
#include "scenarios/timeline.h"
#include "sim/fleet.h"
#include "sim/serving/step_clock.h"
#include "sim/serving_run.h"

namespace lindos::sim {

namespace {

// Requests per client, as benchmarks send them; the first ones meet all clients at once.
constexpr std::int64_t kRounds = 10;
// Of long outputs fewer are simulated: the last one stands for those that follow.
constexpr std::int64_t kLeastRounds = 3;
constexpr std::int64_t kOutputTokens = 16384;  // of one client

std::int64_t simulated_rounds(std::int64_t output) {
  return std::clamp(kOutputTokens / output, kLeastRounds, kRounds);
}

// Mean over kRounds rounds of `clients` values each, of which the first are given.
Seconds mean_over_rounds(const std::vector<double>& values, std::int64_t clients) {
  const auto per_round = static_cast<std::size_t>(clients);
  const std::size_t rounds = values.size() / per_round;
  double sum = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool last = i / per_round + 1 == rounds;
    sum += values[i] * (last ? static_cast<double>(kRounds) - static_cast<double>(rounds) + 1.0 : 1.0);
  }
  return Seconds{sum / static_cast<double>(per_round * static_cast<std::size_t>(kRounds))};
}

PredictedPoint serve_clients(const MeasuredReplica& part, const EngineClass& engine, ServingGroup& group,
                             PromptWork prompts) {
  ServingWorkload load = part.scenario.workload.serving;
  load.requests = load.concurrency * simulated_rounds(load.output.high);
  const std::vector<RequestSpec> requests = generate_requests(load, part.scenario.workload.seed);
  scheduler::Scheduler state(group.limits, engine.policy);
  StepClock clock(group.replica, engine, part.scenario.model.layers, prompts);
  const scheduler::ServeOutcome outcome =
      scheduler::serve(state, requests, 1, clock, virtual_hooks(group.limits.prefix_reuse));
  std::vector<double> ttft;
  std::vector<double> tpot;
  for (const RequestTimeline& t : outcome.timelines) {
    ttft.push_back((t.token_times.front() - t.arrival).count());
    const auto later = static_cast<double>(t.token_times.size() - 1);
    tpot.push_back(later > 0.0 ? (t.token_times.back() - t.token_times.front()).count() / later : 0.0);
  }
  return {mean_over_rounds(ttft, load.concurrency), mean_over_rounds(tpot, load.concurrency)};
}

PredictedPoint aggregated(const MeasuredScenario& described, const std::map<std::string, Profile>& profiles) {
  const MeasuredReplica& part = described.parts.front();
  Fleet fleet = make_fleet(part.scenario, profiles, "");
  PredictedPoint point = serve_clients(part, described.engine, fleet.groups.front(), PromptWork::kOwn);
  point.ttft += described.engine.request;
  return point;
}

double mean_length(const LengthRange& range) { return 0.5 * static_cast<double>(range.low + range.high); }

// From the cache's arrival at the NICs of the prefill replica to the last byte at the decode replica.
Seconds transfer_time(const MeasuredReplica& prefill, const GroupPlan& group) {
  const Scenario& scenario = prefill.scenario;
  const Device& device = scenario.devices.begin()->second;
  const auto ranks = group.stages.front().ranks.size();
  Bytes per_rank{0};
  for (std::size_t r = 0; r < ranks; ++r)
    per_rank = std::max(per_rank, kv_bytes_per_token(scenario.model, group, {0, static_cast<int>(r)}));
  if (device.scale_out_bandwidth.value() <= 0.0) return Seconds{0};
  return per_rank * mean_length(scenario.workload.serving.prompt) / device.scale_out_bandwidth;
}

// Clients that go round: the queue of the prefill replicas, each of which takes one prompt at a time, then `decode`
// until the next request. Mean wait from arrival to the end of the prompt.
Seconds mean_prefill(std::int64_t clients, std::int64_t replicas, Seconds prompt, Seconds decode) {
  using Times = std::priority_queue<double, std::vector<double>, std::greater<>>;
  Times arrivals;
  Times free;
  for (std::int64_t c = 0; c < clients; ++c) arrivals.push(0.0);
  for (std::int64_t r = 0; r < replicas; ++r) free.push(0.0);
  double waited = 0.0;
  for (std::int64_t i = 0; i < clients * kRounds; ++i) {
    const double arrival = arrivals.top();
    arrivals.pop();
    const double end = std::max(arrival, free.top()) + prompt.count();
    free.pop();
    free.push(end);
    waited += end - arrival;
    arrivals.push(end + decode.count());
  }
  return Seconds{waited / static_cast<double>(clients * kRounds)};
}

PredictedPoint disaggregated(const MeasuredScenario& described, const std::map<std::string, Profile>& profiles) {
  const MeasuredReplica& prefill = described.parts[0];
  const MeasuredReplica& decode = described.parts[1];
  const EngineClass& engine = described.engine;
  Fleet decoders = make_fleet(decode.scenario, profiles, "");
  PredictedPoint point;
  point.tpot = serve_clients(decode, engine, decoders.groups.front(), PromptWork::kElsewhere).tpot;

  Fleet prefillers = make_fleet(prefill.scenario, profiles, "");
  MeasuredReplica one = prefill;
  one.scenario.workload.serving.concurrency = 1;
  one.scenario.workload.serving.output = {1, 1};
  const Seconds prompt = serve_clients(one, engine, prefillers.groups.front(), PromptWork::kOwn).ttft;
  const double later_tokens = mean_length(decode.scenario.workload.serving.output) - 1.0;
  const Seconds sent = transfer_time(prefill, prefillers.groups.front().plan);
  point.ttft = mean_prefill(prefill.clients * prefill.replicas, prefill.replicas, prompt,
                              sent + point.tpot * later_tokens) +
               sent + engine.request;
  return point;
}

}  // namespace

Profile kernels_only(Profile profile) {
  profile.step_overhead = profile.per_sequence_overhead = Seconds{0};
  return profile;
}

PredictedPoint predict_point(const MeasuredScenario& described, const std::map<std::string, Profile>& profiles) {
  return described.parts.size() == 1 ? aggregated(described, profiles) : disaggregated(described, profiles);
}

}  // namespace lindos::sim
