// SPDX-License-Identifier: Apache-2.0
#include "sim/fleet_outcome.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <optional>
#include <utility>

#include "scenarios/ceilings.h"
#include "scenarios/error.h"
#include "scenarios/timeline.h"

namespace lindos::sim {

namespace {

// Values that count with a weight; their quantile is that of scenarios/timeline.h where all weights are equal.
class Weighted {
 public:
  void add(const std::vector<double>& values, double weight) {
    for (const double value : values) values_.push_back({value, weight});
  }
  [[nodiscard]] bool empty() const { return values_.empty(); }
  // Type 7 with weights: a value lies at the sum of the weights between it and the first, neighbours being half a
  // weight each apart; linear between.
  [[nodiscard]] double quantile(double q) {
    std::sort(values_.begin(), values_.end());
    double span = 0.0;
    for (std::size_t i = 1; i < values_.size(); ++i) span += step(i);
    double left = span * q;
    for (std::size_t i = 1; i < values_.size(); ++i) {
      if (left <= step(i))
        return values_[i - 1].first + (values_[i].first - values_[i - 1].first) * (left / step(i));
      left -= step(i);
    }
    return values_.back().first;
  }

 private:
  [[nodiscard]] double step(std::size_t i) const { return 0.5 * (values_[i - 1].second + values_[i].second); }
  std::vector<std::pair<double, double>> values_;
};

// Of all replicas of all groups, with or without requests; nothing where one device's power is not known.
std::optional<ReplicaPower> power_of(const Fleet& fleet) {
  ReplicaPower sum;
  for (const ServingGroup& group : fleet.groups) {
    const std::optional<ReplicaPower>& own = group.replica.power();
    if (!own) return std::nullopt;
    const double replicas = replicas_of(group.plan);
    sum.idle += own->idle * replicas;
    sum.limit += own->limit * replicas;
    sum.sigma = std::max(sum.sigma, own->sigma);
  }
  return sum;
}

// Simulated replicas and their requests, by group.
struct GroupSample {
  double replicas = 0.0;
  double requests = 0.0;
};

std::vector<GroupSample> by_group(std::size_t groups, const std::vector<ReplicaOutcome>& replicas) {
  std::vector<GroupSample> samples(groups);
  for (const ReplicaOutcome& replica : replicas) {
    GroupSample& sample = samples[replica.group];
    sample.replicas += 1.0;
    sample.requests += replica.requests();
  }
  return samples;
}

struct RatioEstimate {
  double ratio = 0.0;
  double variance = 0.0;  // 0 where all were sampled
  double degrees = 0.0;   // of freedom
};

// Kept over all requests, of a sample of `count` clusters.
RatioEstimate ratio_of(const std::vector<ClusterCount>& sample, double count) {
  ClusterCount sum;
  for (const ClusterCount& c : sample) {
    sum.requests += c.requests;
    sum.kept += c.kept;
  }
  if (sum.requests == 0.0) return {};
  RatioEstimate estimate{sum.kept / sum.requests, 0.0, 0.0};
  const auto size = static_cast<double>(sample.size());
  if (size >= count || size < 2.0) return estimate;
  double squares = 0.0;
  for (const ClusterCount& c : sample) squares += std::pow(c.kept - estimate.ratio * c.requests, 2.0);
  const double mean = sum.requests / size;
  estimate.variance = squares / (size - 1.0) / size / (mean * mean) * (1.0 - size / count);
  estimate.degrees = size - 1.0;
  return estimate;
}

// Student's t at 97.5 %, by the expansion of Abramowitz and Stegun 26.7.5; 0.2 % off at 4 degrees, better above.
double student_t(double degrees) {
  constexpr double z = 1.959963984540054;
  constexpr double z3 = z * z * z;
  constexpr double z5 = z3 * z * z;
  constexpr double z7 = z5 * z * z;
  const double d = std::max(1.0, degrees);
  return z + (z3 + z) / (4.0 * d) + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * d * d) +
         (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * d * d * d);
}

}  // namespace

double fleet_replicas(const Fleet& fleet) {
  double sum = 0.0;
  for (const ServingGroup& group : fleet.groups) sum += replicas_of(group.plan);
  return sum;
}

ReplicaOutcome replica_outcome(std::size_t group, ServingRun run, const Promises& promises,
                               const std::vector<RequestSpec>& turned_away) {
  ReplicaOutcome outcome;
  outcome.group = group;
  outcome.ledger = run.ledger;
  outcome.totals = run.totals;
  outcome.end = run.end;
  outcome.step_times.reserve(run.step_times.size());
  for (const Seconds t : run.step_times) outcome.step_times.push_back(t.count());
  outcome.prefix_query_tokens = static_cast<double>(run.prefix_query_tokens);
  outcome.prefix_hit_tokens = static_cast<double>(run.prefix_hit_tokens);
  outcome.tenants.resize(promises.tenants.size());
  outcome.turned_away = static_cast<double>(turned_away.size());
  for (const RequestSpec& request : turned_away) {
    if (!outcome.tenants.empty()) outcome.tenants[request.tenant].turned_away += 1.0;
  }
  outcome.power = std::move(run.power);
  outcome.host_hit_tokens = static_cast<double>(run.host_hit_tokens);
  if (run.timelines.empty()) return outcome;
  outcome.first_arrival = Seconds{HUGE_VAL};
  for (const RequestTimeline& request : run.timelines) {
    const RequestTimes times = times_of(request);
    outcome.ttft.push_back(times.ttft().count());
    outcome.e2e_latency.push_back(times.e2e_latency().count());
    if (times.tokens > 1) outcome.tpot.push_back(times.tpot().count());
    const double kept = times.keeps(promises.of(request.tenant)) ? 1.0 : 0.0;
    outcome.kept += kept;
    outcome.tokens += static_cast<double>(times.tokens);
    if (!outcome.tenants.empty()) {
      TenantOutcome& own = outcome.tenants[request.tenant];
      own.ttft.push_back(times.ttft().count());
      if (times.tokens > 1) own.tpot.push_back(times.tpot().count());
      own.tokens += static_cast<double>(times.tokens);
      own.kept += kept;
    }
    outcome.first_arrival = std::min(outcome.first_arrival, times.arrival);
    outcome.last_token = std::max(outcome.last_token, times.last);
  }
  return outcome;
}

namespace {

// Of one tenant. `each`: [group], how many requests one that was simulated stands for.
std::map<std::string, double> tenant_metrics(std::size_t tenant, const std::vector<ReplicaOutcome>& replicas,
                                             const std::vector<double>& each, double makespan, bool limited) {
  Weighted ttft, tpot;
  double asked = 0.0;
  double answered = 0.0;
  double kept = 0.0;
  double tokens = 0.0;
  for (const ReplicaOutcome& replica : replicas) {
    const TenantOutcome& own = replica.tenants[tenant];
    const double weight = each[replica.group];
    ttft.add(own.ttft, weight);
    tpot.add(own.tpot, weight);
    asked += own.requests() * weight;
    answered += static_cast<double>(own.ttft.size()) * weight;
    kept += own.kept * weight;
    tokens += own.tokens * weight;
  }
  std::map<std::string, double> m;
  if (asked == 0.0) return m;
  m["goodput"] = kept / asked;
  if (limited) m["rejected_share"] = (asked - answered) / asked;
  m["output_tokens_per_s"] = tokens / makespan;
  m["requests_per_s"] = answered / makespan;
  if (!ttft.empty()) m["ttft_s"] = ttft.quantile(0.5);
  if (!tpot.empty()) m["tpot_s"] = tpot.quantile(0.5);
  return m;
}

}  // namespace

FleetOutcome fleet_outcome(const Fleet& fleet, const std::vector<double>& dealt,
                           const std::vector<ReplicaOutcome>& replicas, double power_sigmas) {
  const bool limited = fleet.limits_admission;
  const std::vector<GroupSample> samples = by_group(fleet.groups.size(), replicas);
  FleetOutcome outcome;
  Seconds end{0};
  for (const ReplicaOutcome& replica : replicas) end = std::max(end, replica.end);
  Seconds first_arrival{HUGE_VAL};
  Seconds last_token{0};
  BytesPerSecond bandwidth{0};
  Weighted ttft, tpot, e2e_latency, step_times, kv_transfer;
  double tokens = 0.0;
  double kept = 0.0;
  double prefix_query = 0.0;
  double prefix_hits = 0.0;
  double host_hits = 0.0;
  bool offloads = false;
  double total = 0.0;
  double answered = 0.0;
  std::vector<double> each_of(fleet.groups.size(), 0.0);  // requests that a simulated one stands for
  for (std::size_t g = 0; g < fleet.groups.size(); ++g) {
    const double count = replicas_of(fleet.groups[g].plan);
    LINDOS_ASSERT(samples[g].replicas > 0.0, "each group has a simulated replica");
    bandwidth += fleet.groups[g].replica.bandwidth() * count;
    total += dealt[g];
    if (samples[g].requests > 0.0) each_of[g] = dealt[g] / samples[g].requests;
  }
  for (const ReplicaOutcome& replica : replicas) {
    const GroupSample& sample = samples[replica.group];
    const ServingGroup& group = fleet.groups[replica.group];
    const double stands_for = replicas_of(group.plan) / sample.replicas;
    // Each waits without work until the last one ends.
    Ledger ledger = replica.ledger;
    ledger.book(Cause::kNoWork, end - replica.end, group.replica.peak());
    outcome.ledger.merge(ledger, stands_for);
    outcome.totals.add(replica.totals, stands_for);
    outcome.steps += replica.step_times.size();
    step_times.add(replica.step_times, stands_for);
    // Replicas that only compute prompts have hits, and no requests that end with them.
    prefix_query += replica.prefix_query_tokens * stands_for;
    prefix_hits += replica.prefix_hit_tokens * stands_for;
    host_hits += replica.host_hit_tokens * stands_for;
    offloads = offloads || group.limits.host_blocks > 0;
    if (replica.ttft.empty()) continue;
    const double each = each_of[replica.group];
    answered += static_cast<double>(replica.ttft.size()) * each;
    ttft.add(replica.ttft, each);
    tpot.add(replica.tpot, each);
    e2e_latency.add(replica.e2e_latency, each);
    kv_transfer.add(replica.kv_transfer, each);
    tokens += replica.tokens * each;
    kept += replica.kept * each;
    first_arrival = std::min(first_arrival, replica.first_arrival);
    last_token = std::max(last_token, replica.last_token);
  }
  std::map<std::string, double>& m = outcome.metrics;
  m["goodput"] = kept / total;
  if (limited) m["rejected_share"] = (total - answered) / total;
  if (ttft.empty()) return outcome;
  const double makespan = (last_token - first_arrival).count();
  for (std::size_t t = 0; t < replicas.front().tenants.size(); ++t)
    outcome.tenants.push_back(tenant_metrics(t, replicas, each_of, makespan, limited));
  m["output_tokens_per_s"] = tokens / makespan;
  m["requests_per_s"] = answered / makespan;
  m["ttft_s"] = ttft.quantile(0.5);
  // As ServingSummary: 0 where no request has two tokens.
  m["tpot_s"] = tpot.empty() ? 0.0 : tpot.quantile(0.5);
  m["e2e_latency_s"] = e2e_latency.quantile(0.5);
  if (!kv_transfer.empty()) m["kv_transfer_s"] = kv_transfer.quantile(0.5);
  m["step_time_s"] = step_times.quantile(0.5);
  // Of the groups that reuse prefixes.
  if (prefix_query > 0.0) m["prefix_hit_rate"] = prefix_hits / prefix_query;
  if (prefix_query > 0.0 && offloads) m["host_hit_rate"] = host_hits / prefix_query;
  const Utilisation used =
      utilisation({outcome.ledger.share(Cause::kUseful), outcome.totals.cold, outcome.totals.speed_of_light,
                   outcome.totals.busy, bandwidth, end});
  m["mfu"] = used.mfu;
  m["mbu"] = used.mbu;
  m["roofline_utilisation"] = used.roofline;
  if (const std::optional<ReplicaPower> power = power_of(fleet); power && end > Seconds{0}) {
    const Joules added = outcome.totals.added * std::exp(power->sigma * power_sigmas);
    const Watts mean = std::min(power->limit, power->idle + added / end);
    m["power_w"] = mean.value();
    m["energy_per_token_j"] = (mean * end).value() / tokens;
  }
  return outcome;
}

namespace {

// Of what `count` counts at a replica; `shares`: of all these requests, those of each group.
GoodputEstimate estimate(const Fleet& fleet, const std::vector<double>& shares,
                         const std::vector<ReplicaOutcome>& replicas,
                         const std::function<ClusterCount(const ReplicaOutcome&)>& count) {
  std::vector<std::vector<ClusterCount>> groups(fleet.groups.size());
  for (const ReplicaOutcome& replica : replicas) groups[replica.group].push_back(count(replica));
  GoodputEstimate estimate{0.0, 0.0};
  double variance = 0.0;
  double degrees = 0.0;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const RatioEstimate own = ratio_of(groups[g], replicas_of(fleet.groups[g].plan));
    estimate.goodput += shares[g] * own.ratio;
    variance += shares[g] * shares[g] * own.variance;
    degrees += own.degrees;
  }
  if (variance > 0.0) estimate.half_width = student_t(degrees) * std::sqrt(variance);
  return estimate;
}

}  // namespace

GoodputEstimate estimate_goodput(const Fleet& fleet, const std::vector<double>& dealt,
                                 const std::vector<ReplicaOutcome>& replicas) {
  const double total = std::accumulate(dealt.begin(), dealt.end(), 0.0);
  std::vector<double> shares;
  for (const double requests : dealt) shares.push_back(requests / total);
  return estimate(fleet, shares, replicas,
                  [](const ReplicaOutcome& replica) { return ClusterCount{replica.requests(), replica.kept}; });
}

std::vector<GoodputEstimate> estimate_goodput_of_tenants(const Fleet& fleet, const std::vector<double>& dealt,
                                                         const std::vector<ReplicaOutcome>& replicas) {
  std::vector<GoodputEstimate> estimates;
  const std::vector<GroupSample> samples = by_group(fleet.groups.size(), replicas);
  for (std::size_t t = 0; t < replicas.front().tenants.size(); ++t) {
    std::vector<double> shares(fleet.groups.size(), 0.0);
    for (const ReplicaOutcome& replica : replicas) {
      if (samples[replica.group].requests == 0.0) continue;
      shares[replica.group] += dealt[replica.group] * replica.tenants[t].requests() / samples[replica.group].requests;
    }
    const double total = std::accumulate(shares.begin(), shares.end(), 0.0);
    if (total == 0.0) {
      estimates.push_back({0.0, 0.0});
      continue;
    }
    for (double& share : shares) share /= total;
    estimates.push_back(estimate(fleet, shares, replicas, [t](const ReplicaOutcome& replica) {
      return ClusterCount{replica.tenants[t].requests(), replica.tenants[t].kept};
    }));
  }
  return estimates;
}

GoodputEstimate estimate_goodput_of_clusters(const std::vector<ClusterCount>& clusters, double count) {
  const RatioEstimate own = ratio_of(clusters, count);
  GoodputEstimate estimate{own.ratio, 0.0};
  if (own.variance > 0.0) estimate.half_width = student_t(own.degrees) * std::sqrt(own.variance);
  return estimate;
}

}  // namespace lindos::sim
