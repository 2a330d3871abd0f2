// SPDX-License-Identifier: Apache-2.0
#include "sim/closed_serving.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>

#include "scenarios/error.h"
#include "sim/virtual_prompt.h"

namespace lindos::sim {

namespace {

constexpr FlopPerSecond kUnitPeak{1.0};
constexpr int kLittleIterations = 100;

struct MeanRequest {
  double prompt = 1;
  double output = 1;
  double cached = 0;  // of the prompt, by prefix reuse
  [[nodiscard]] double computed() const { return prompt - cached; }
};

// One round of the pipeline: every stage worked on every micro-batch once.
struct Round {
  Seconds period{0};   // steady state
  Seconds latency{0};  // of one micro-batch through all stages
};

class ClosedModel {
 public:
  ClosedModel(ReplicaModel& replica, const scheduler::Limits& limits)
      : replica_(replica), limits_(limits) {}

  // Runs `times` rounds of `micro_batches` equal micro-batches and books them.
  Round run(const Batch& micro_batch, std::size_t micro_batches, double times) {
    Round round;
    Seconds slowest{0};
    const int steps = static_cast<int>(std::min(micro_batches, replica_.stages()));
    Ledger ledger;
    WorkTotals totals;
    for (std::size_t s = 0; s < replica_.stages(); ++s) {
      const StageWork& work = replica_.work(micro_batch, s, steps);
      Seconds stage = compute_time(work, replica_.ranks(s), centre_);
      book(work, replica_.ranks(s), centre_, ledger, totals);
      if (replica_.stages() > 1) {
        const Seconds send = replica_.path(s).transfer(replica_.sent_bytes(micro_batch, s));
        for (const RankCeiling& rank : replica_.ranks(s))
          ledger.book(Cause::kExposedPipeline, send, rank.peak);
        stage += send;
      }
      if (s == 0) {
        for (const RankCeiling& rank : replica_.ranks(s)) {
          ledger.book(Cause::kHostOverhead, replica_.step_overhead(), rank.peak);
        }
        stage += replica_.step_overhead();
      }
      round.latency += stage;
      slowest = std::max(slowest, stage);
    }
    round.period = std::max(round.latency, slowest * static_cast<double>(micro_batches));
    add(ledger, totals, times * static_cast<double>(micro_batches));
    if (times > 0.0) step_times_.push_back(round.latency);
    return round;
  }

  // Mean round of `times` decode rounds of `sequences` (real) sequences whose contexts run from
  // `first` to `last`: Simpson over the context, linear between the whole batch sizes around the
  // mean.
  Round decode(double sequences, double first, double last, double times) {
    const std::size_t micro =
        std::min(replica_.stages(), static_cast<std::size_t>(std::max(1.0, sequences)));
    const double per_micro = std::max(1.0, sequences / static_cast<double>(micro));
    const double low = std::floor(per_micro);
    const double share_high = per_micro - low;
    Round mean;
    for (const auto& [size, share] :
         {std::pair{low, 1.0 - share_high}, std::pair{low + 1.0, share_high}}) {
      if (share <= 0.0) continue;
      for (const auto& [context, weight] :
           {std::pair{first, 1.0 / 6.0}, std::pair{(first + last) / 2.0, 4.0 / 6.0},
            std::pair{last, 1.0 / 6.0}}) {
        const Slice slice{std::max<std::int64_t>(1, std::llround(context)), 1, true};
        const Round r =
            run(Batch(static_cast<std::size_t>(size), slice), micro, times * share * weight);
        mean.period += r.period * share * weight;
        mean.latency += r.latency * share * weight;
      }
    }
    return mean;
  }

  [[nodiscard]] double fitting(const MeanRequest& mean, std::size_t requests) const {
    const double positions = mean.prompt + mean.output - 1.0;
    const double blocks = std::ceil(positions / static_cast<double>(limits_.block_tokens));
    const double fit = std::floor(static_cast<double>(limits_.kv_blocks) / blocks);
    if (fit < 1.0) {
      throw Error(ErrorKind::kInfeasible, "workload",
                  "a mean request needs " + std::to_string(std::llround(blocks)) +
                      " KV blocks, the pool has " + std::to_string(limits_.kv_blocks));
    }
    return std::min(
        {fit, static_cast<double>(limits_.max_sequences), static_cast<double>(requests)});
  }

  [[nodiscard]] ServingRun close(Seconds end, Seconds idle) {
    ServingRun run;
    const double capacity = (replica_.peak() * end).value();
    // Rounding of the mean field may overshoot by its tolerance; time that does not exist is not
    // booked.
    const double booked = ledger_.capacity_flop();
    if (booked > capacity) ledger_ = scaled(ledger_, capacity / booked);
    const double left = std::max(0.0, capacity - ledger_.capacity_flop());
    const double no_work = std::min(left, (replica_.peak() * idle).value());
    ledger_.book(Cause::kNoWork, Seconds(no_work), kUnitPeak);
    ledger_.close(capacity, replica_.stages() > 1 ? Cause::kPipelineBubble : Cause::kNoWork);
    run.ledger = ledger_;
    run.totals = totals_;
    run.step_times = step_times_;
    run.end = end;
    return run;
  }

 private:
  static Ledger scaled(const Ledger& ledger, double factor) {
    Ledger result;
    for (std::size_t i = 0; i < kCauseCount; ++i) {
      const auto cause = static_cast<Cause>(i);
      result.book(cause, Seconds(ledger.amount(cause) * factor), kUnitPeak);
    }
    return result;
  }
  void add(const Ledger& ledger, const WorkTotals& totals, double times) {
    ledger_.merge(scaled(ledger, times));
    totals_.cold += totals.cold * times;
    totals_.speed_of_light += totals.speed_of_light * times;
    totals_.busy += totals.busy * times;
    totals_.added += totals.added * times;
    for (std::size_t f = 0; f < kFamilyCount; ++f) {
      for (std::size_t t = 0; t < kTierCount; ++t)
        totals_.seconds[f][t] += totals.seconds[f][t] * times;
    }
  }

  ReplicaModel& replica_;
  const scheduler::Limits& limits_;
  Draw centre_;
  Ledger ledger_;
  WorkTotals totals_;
  std::vector<Seconds> step_times_;
};

MeanRequest mean_of(const std::vector<RequestSpec>& requests, std::int64_t cached) {
  MeanRequest mean{0, 0, static_cast<double>(cached) / static_cast<double>(requests.size())};
  for (const RequestSpec& r : requests) {
    mean.prompt += static_cast<double>(r.prompt_tokens);
    mean.output += static_cast<double>(r.output_tokens);
  }
  mean.prompt /= static_cast<double>(requests.size());
  mean.output /= static_cast<double>(requests.size());
  return mean;
}

// The prompt part of one step: whole prompts, or the middle chunk of one that is longer than the
// step; after what is cached of it.
void add_prompts(Batch& batch, double tokens, const MeanRequest& mean) {
  const auto length = std::max<std::int64_t>(1, std::llround(std::min(tokens, mean.computed())));
  const auto slices = std::max<std::int64_t>(1, std::llround(tokens / static_cast<double>(length)));
  const auto context =
      std::llround(mean.cached + std::max(0.0, (mean.computed() - static_cast<double>(length)) / 2.0));
  batch.insert(batch.end(), static_cast<std::size_t>(slices), {context, length, true});
}

void write_timeline(ServingRun& run, const RequestSpec& spec, Seconds arrival, Seconds first, Seconds per_token) {
  RequestTimeline timeline{spec.id, arrival, spec.prompt_tokens, {}, spec.tenant};
  for (std::int64_t i = 0; i < spec.output_tokens; ++i) {
    timeline.token_times.push_back(first + per_token * static_cast<double>(i));
  }
  run.timelines.push_back(std::move(timeline));
}

// Waves of equal requests, back to back. Prompts take K = ⌈b·prompt/budget⌉ steps (at least one per
// stage where there are as many requests); those that are done early decode meanwhile.
ServingRun serve_waves(ClosedModel& model, const ReplicaModel& replica,
                       const scheduler::Limits& limits, const std::vector<RequestSpec>& requests,
                       const MeanRequest& mean) {
  const auto clients = static_cast<std::size_t>(
      std::count_if(requests.begin(), requests.end(), [](const RequestSpec& r) { return !r.on_completion; }));
  const double fit = model.fitting(mean, clients);
  const auto stages = static_cast<double>(replica.stages());
  std::vector<std::pair<Seconds, Seconds>> pace(requests.size());  // first token, per token
  Seconds clock = requests.front().arrival;
  const Seconds idle = clock;
  for (std::size_t begin = 0; begin < requests.size(); begin += static_cast<std::size_t>(fit)) {
    const double b = std::min(fit, static_cast<double>(requests.size() - begin));
    const double prompt_steps =
        std::max(std::ceil(b * mean.computed() / static_cast<double>(limits.max_batched_tokens)),
                 std::min(stages, b));
    const double rounds = mean.output - 1.0;
    // Requests that leave the prompt phase early decode in its later steps.
    const double early = b * std::max(0.0, prompt_steps - stages) / (2.0 * prompt_steps);
    Batch batch(static_cast<std::size_t>(rounds > 0.0 ? std::llround(early) : 0),
                {std::llround(mean.prompt), 1, true});
    add_prompts(batch, b * mean.computed() / prompt_steps, mean);
    const auto micro = static_cast<std::size_t>(std::min(stages, prompt_steps));
    const Round prompts = model.run(batch, micro, prompt_steps / static_cast<double>(micro));
    const Seconds step = prompts.period / static_cast<double>(micro);
    const Seconds prompt_end = clock + prompts.latency + step * (prompt_steps - 1.0);
    Seconds per_token{0};
    if (rounds > 0.0) {
      const double early_tokens =
          std::min(b * rounds, static_cast<double>(std::llround(early)) * prompt_steps);
      const double active = std::max(1.0, b - early_tokens / rounds);
      per_token = model.decode(active, mean.prompt, mean.prompt + rounds - 1.0, rounds).period;
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(b); ++i) {
      const double at = std::floor(static_cast<double>(i) * prompt_steps / b);
      pace[begin + i] = {clock + prompts.latency + step * at, per_token};
    }
    clock = prompt_end + per_token * rounds;
  }
  ServingRun run = model.close(clock, idle);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    Seconds arrival = requests[i].arrival;
    if (requests[i].on_completion) {
      const std::size_t before = i - clients;  // the last request of the same client
      const auto tokens = static_cast<double>(requests[before].output_tokens);
      arrival = pace[before].first + pace[before].second * (tokens - 1.0);
    }
    // Beyond saturation the waves run ahead of the last arrivals by rounding only.
    write_timeline(run, requests[i], arrival, std::max(pace[i].first, arrival), pace[i].second);
  }
  return run;
}

ServingRun serve_mean(ReplicaModel& replica, const scheduler::Limits& limits,
                      const std::vector<RequestSpec>& requests, const MeanRequest& mean) {
  const Seconds span = requests.back().arrival - requests.front().arrival;
  ClosedModel model(replica, limits);
  if (span.count() <= 0.0) return serve_waves(model, replica, limits, requests, mean);

  const double rate = static_cast<double>(requests.size() - 1) / span.count();
  const double rounds = std::max(0.0, mean.output - 1.0);
  const double last_context = mean.prompt + std::max(0.0, rounds - 1.0);
  Batch prompt;
  add_prompts(prompt, std::min(mean.computed(), static_cast<double>(limits.max_batched_tokens)), mean);
  const double chunks = std::ceil(mean.computed() / static_cast<double>(limits.max_batched_tokens));
  const double fit = model.fitting(mean, requests.size());
  // Trial runs with zero weight book nothing.
  const Seconds prompt_time = model.run(prompt, 1, 0.0).period * chunks;
  const Seconds prompt_latency = model.run(prompt, 1, 0.0).latency * chunks;
  double batch = 1.0;
  Seconds step{0};
  bool saturated = rate * prompt_time.count() >= 1.0;
  for (int i = 0; i < kLittleIterations && !saturated; ++i) {
    const Seconds decode =
        model.decode(std::max(1.0, batch), mean.prompt, last_context, 0.0).period;
    step = decode / (1.0 - rate * prompt_time.count());
    const double next = rate * rounds * step.count();
    saturated = next >= fit;
    if (std::abs(next - batch) < 1e-9 * batch) break;
    batch = 0.5 * (batch + next);
  }
  if (saturated) return serve_waves(model, replica, limits, requests, mean);

  const double busy_share = std::min(1.0, batch + rate * prompt_time.count());
  const Seconds first = step * (0.5 * busy_share) + prompt_latency;
  const Seconds end = requests.back().arrival + first + step * rounds;
  const auto count = static_cast<double>(requests.size());
  model.run(prompt, 1, count * chunks);
  model.decode(std::max(1.0, batch), mean.prompt, last_context,
               count * rounds / std::max(1.0, batch));
  ServingRun run = model.close(end, end);
  for (const RequestSpec& spec : requests)
    write_timeline(run, spec, spec.arrival, spec.arrival + first, step);
  return run;
}

}  // namespace

ServingRun serve_closed(ReplicaModel& replica, const scheduler::Limits& limits,
                        const std::vector<RequestSpec>& requests) {
  if (!limits.prefix_reuse) return serve_mean(replica, limits, requests, mean_of(requests, 0));
  const std::int64_t cached = reusable_tokens(requests, limits.block_tokens);
  ServingRun run = serve_mean(replica, limits, requests, mean_of(requests, cached));
  for (const RequestSpec& r : requests) run.prefix_query_tokens += r.prompt_tokens;
  run.prefix_hit_tokens = cached;
  return run;
}

}  // namespace lindos::sim
