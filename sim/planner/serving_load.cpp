// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/serving_load.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "scenarios/timeline.h"
#include "sim/maxplus.h"

namespace lindos::sim {

namespace {

// Requests behind a share that is to be known to about a hundredth.
constexpr double kCounted = 400.0;
constexpr double kMostRequests = 4000.0;
constexpr int kHalvings = 5;

class Trial {
 public:
  Trial(ServingGroup& group, const ServingWorkload& workload, const Slo& slo, std::uint64_t seed,
        const std::function<bool()>& cancelled)
      : group_(group), slo_(slo), workload_(workload), seed_(seed), cancelled_(cancelled) {}

  // `stay`: how long a request is in the replica, about.
  BorneLoad at(double rate, double stay) const {
    const double filling = rate * stay;
    ServingWorkload workload = workload_;
    workload.requests = static_cast<std::int64_t>(std::min(kMostRequests, kCounted + 2.0 * filling));
    workload.duration = Seconds{0};
    workload.concurrency = 0;
    workload.arrival = Arrival::kPoisson;
    workload.rate = Hertz(rate);
    const std::vector<RequestSpec> requests = generate_requests(workload, seed_);
    ServingRun run = serve_maxplus(group_.replica, group_.limits, requests, Draw{}, cancelled_);
    const double first = requests.front().arrival.count() + stay;
    const double last = requests.back().arrival.count() - 0.25 * stay;
    std::vector<RequestTimeline> counted;
    for (RequestTimeline& timeline : run.timelines) {
      if (timeline.arrival.count() >= first && timeline.arrival.count() <= last) counted.push_back(std::move(timeline));
    }
    if (counted.empty()) counted = std::move(run.timelines);
    const ServingSummary summary = summarise(counted, promises_of(workload, slo_));
    return {rate, summary.goodput, summary.ttft, summary.tpot, run.totals};
  }

  [[nodiscard]] bool keeps(const BorneLoad& load) const { return load.kept >= slo_.percentile; }

 private:
  ServingGroup& group_;
  const Slo& slo_;
  const ServingWorkload& workload_;
  std::uint64_t seed_;
  const std::function<bool()>& cancelled_;
};

}  // namespace

BorneLoad borne_load(ServingGroup& group, const ServingWorkload& workload, const Slo& slo, double guess,
                     std::uint64_t seed, const std::function<bool()>& cancelled) {
  const Trial trial(group, workload, slo, seed, cancelled);
  const double output = middle_tokens(workload).output;
  const double stay = slo.ttft.count() + output * (slo.tpot.count() > 0.0 ? slo.tpot.count() : 0.05);
  double low = 0.5 * guess;
  double high = 2.0 * guess;
  BorneLoad best = trial.at(low, stay);
  if (!trial.keeps(best)) {
    best.rate = 0.0;
    return best;
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
