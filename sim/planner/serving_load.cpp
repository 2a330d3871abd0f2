// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/serving_load.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "scenarios/timeline.h"
#include "sim/kv_transfer.h"
#include "sim/maxplus.h"
#include "sim/planner/serving_point.h"

namespace lindos::sim {

namespace {

// Requests behind a share that is to be known to about a hundredth.
constexpr double kCounted = 400.0;
constexpr double kMostRequests = 4000.0;
// Steps of the bisection: the rate is found to 2^(1/32), 2 %.
constexpr int kHalvings = 5;
// How far the guess may be off, as a power of two.
constexpr int kDoublings = 3;

class Trial {
 public:
  Trial(ServingGroup& group, const ServingWorkload& workload, const Slo& slo, std::uint64_t seed,
        const std::function<bool()>& cancelled)
      : group_(group), slo_(slo_of_part(slo, group.plan.role)), workload_(workload), seed_(seed), cancelled_(cancelled) {
    if (group.plan.role == Role::kPrefill)
      sending_ = kv_path(group, group).time(std::llround(mean_tokens(workload).prompt)).count();
  }

  // `stay`: how long a request is in the replica, about.
  BorneLoad at(double rate, double stay) const {
    const double filling = rate * stay;
    ServingWorkload workload = workload_;
    workload.requests = static_cast<std::int64_t>(std::min(kMostRequests, kCounted + 2.0 * filling));
    workload.duration = Seconds{0};
    workload.concurrency = 0;
    workload.arrival = Arrival::kPoisson;
    workload.rate = Hertz(rate);
    const std::vector<RequestSpec> asked = generate_requests(workload, seed_);
    const std::vector<RequestSpec> parts = parts_of(asked);
    if (parts.empty()) return {rate, 0.0, Seconds{0}, Seconds{0}, {}};  // answers of one token leave nothing to decode
    ServingRun run = serve_maxplus(group_.replica, group_.limits, parts, Draw{}, cancelled_);
    if (group_.plan.role == Role::kDecode) join_parts(run.timelines, asked);
    const double first = asked.front().arrival.count() + stay;
    const double last = asked.back().arrival.count() - 0.25 * stay;
    std::vector<RequestTimeline> counted;
    for (RequestTimeline& timeline : run.timelines) {
      if (timeline.arrival.count() >= first && timeline.arrival.count() <= last) counted.push_back(std::move(timeline));
    }
    if (counted.empty()) counted = std::move(run.timelines);
    const Promises promises = promises_of(workload, slo_);
    const ServingSummary summary = summarise(counted, promises);
    BorneLoad load{rate, summary.goodput, summary.ttft, summary.tpot, run.totals};
    for (const std::optional<ServingSummary>& tenant : summarise_tenants(counted, promises, summary.makespan)) {
      if (tenant) load.kept = std::min(load.kept, tenant->goodput);
    }
    return load;
  }

  [[nodiscard]] bool keeps(const BorneLoad& load) const {
    return load.kept >= slo_.percentile && load.rate * sending_ <= kMostOfLink;
  }

 private:
  // What the replica gets of these requests.
  [[nodiscard]] std::vector<RequestSpec> parts_of(const std::vector<RequestSpec>& asked) const {
    std::vector<RequestSpec> parts;
    Seconds free{0};
    const KvPath path = kv_path(group_, group_);
    for (const RequestSpec& request : asked) {
      switch (group_.plan.role) {
        case Role::kPrefill:
          parts.push_back(request);
          parts.back().output_tokens = 1;
          break;
        case Role::kDecode:
          if (request.output_tokens < 2) break;
          // One prompt at a time reaches a receiver.
          free = std::max(free, request.arrival) + path.time(request.prompt_tokens);
          parts.push_back(rest_of(request, free));
          break;
        default: parts.push_back(request);
      }
    }
    return parts;
  }

  // As if the first token had come at once: what it waits for is another replica's.
  static void join_parts(std::vector<RequestTimeline>& timelines, const std::vector<RequestSpec>& asked) {
    auto request = asked.begin();
    for (RequestTimeline& timeline : timelines) {
      while (request->id != timeline.id) ++request;
      join(timeline, *request, request->arrival);
    }
  }

  ServingGroup& group_;
  const Slo slo_;
  double sending_ = 0.0;  // seconds per prompt on the links
  const ServingWorkload& workload_;
  std::uint64_t seed_;
  const std::function<bool()>& cancelled_;
};

}  // namespace

BorneLoad borne_load(ServingGroup& group, const ServingWorkload& workload, const Slo& slo, double guess,
                     std::uint64_t seed, const std::function<bool()>& cancelled) {
  if (guess <= 0.0) return {};
  const Trial trial(group, workload, slo, seed, cancelled);
  const double decoding = mean_tokens(workload).output * (slo.tpot.count() > 0.0 ? slo.tpot.count() : 0.05);
  const double stay = slo.ttft.count() + (group.plan.role == Role::kPrefill ? 0.0 : decoding);
  double low = 0.5 * guess;
  BorneLoad best = trial.at(low, stay);
  for (int i = 0; i < kDoublings && !trial.keeps(best); ++i) {
    low *= 0.5;
    best = trial.at(low, stay);
  }
  if (!trial.keeps(best)) {
    best.rate = 0.0;
    return best;
  }
  // The last one that failed, if any did, is twice as high.
  double high = 2.0 * low;
  for (int i = 0; i < kDoublings && high >= guess; ++i) {
    BorneLoad load = trial.at(high, stay);
    if (!trial.keeps(load)) break;
    best = load;
    low = high;
    high *= 2.0;
  }
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = std::sqrt(low * high);
    const BorneLoad load = trial.at(middle, stay);
    if (trial.keeps(load)) {
      best = load;
      low = middle;
    } else {
      high = middle;
    }
  }
  return best;
}

}  // namespace lindos::sim
