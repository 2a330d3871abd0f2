// SPDX-License-Identifier: Apache-2.0
#include "scenarios/timeline.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "scenarios/error.h"

namespace lindos {
namespace {

// One promise; zero means that none was made.
bool holds(Seconds value, Seconds promise) { return promise.count() == 0.0 || value <= promise; }

}  // namespace

bool RequestTimes::keeps(const Slo& slo) const {
  return holds(ttft(), slo.ttft) && (tokens < 2 || holds(tpot(), slo.tpot));
}

RequestTimes times_of(const RequestTimeline& timeline) {
  LINDOS_ASSERT(!timeline.token_times.empty(), "a served request has a token");
  return {timeline.arrival, timeline.token_times.front(), timeline.token_times.back(),
          static_cast<std::int64_t>(timeline.token_times.size())};
}

double quantile(std::vector<double> values, double q) {
  LINDOS_ASSERT(!values.empty(), "a quantile needs a value");
  LINDOS_ASSERT(q >= 0.0 && q <= 1.0, "a quantile lies in [0, 1]");
  // Type 7 of Hyndman and Fan (1996): position (n − 1)·q, linear between the neighbours.
  const double position = static_cast<double>(values.size() - 1) * q;
  const auto below = static_cast<std::size_t>(std::floor(position));
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(below);
  std::nth_element(values.begin(), middle, values.end());
  const double low = *middle;
  const double fraction = position - static_cast<double>(below);
  if (fraction == 0.0) return low;
  const double high = *std::min_element(middle + 1, values.end());
  return low + fraction * (high - low);
}

ServingSummary summarise(const std::vector<RequestTimeline>& timelines, const Promises& promises) {
  LINDOS_ASSERT(!timelines.empty(), "a summary needs a request");
  std::vector<double> ttft;
  std::vector<double> tpot;
  std::vector<double> e2e_latency;
  Seconds first_arrival{std::numeric_limits<double>::infinity()};
  Seconds last_token{-std::numeric_limits<double>::infinity()};
  std::size_t tokens = 0;
  std::size_t kept = 0;
  for (const RequestTimeline& request : timelines) {
    if (request.turned_away()) continue;
    const RequestTimes times = times_of(request);
    ttft.push_back(times.ttft().count());
    e2e_latency.push_back(times.e2e_latency().count());
    if (times.tokens > 1) tpot.push_back(times.tpot().count());
    kept += times.keeps(promises.of(request.tenant)) ? 1U : 0U;
    tokens += static_cast<std::size_t>(times.tokens);
    first_arrival = std::min(first_arrival, times.arrival);
    last_token = std::max(last_token, times.last);
  }
  const auto asked = static_cast<double>(timelines.size());
  ServingSummary summary;
  summary.answered = e2e_latency.size();
  summary.goodput = static_cast<double>(kept) / asked;
  summary.rejected_share = (asked - static_cast<double>(summary.answered)) / asked;
  if (summary.answered == 0) return summary;
  summary.ttft = Seconds{quantile(ttft, 0.5)};
  summary.tpot = Seconds{tpot.empty() ? 0.0 : quantile(tpot, 0.5)};
  summary.e2e_latency = Seconds{quantile(e2e_latency, 0.5)};
  summary.makespan = last_token - first_arrival;
  summary.output_tokens_per_s = static_cast<double>(tokens) / summary.makespan.count();
  summary.requests_per_s = static_cast<double>(summary.answered) / summary.makespan.count();
  return summary;
}

std::vector<std::optional<ServingSummary>> summarise_tenants(const std::vector<RequestTimeline>& timelines,
                                                             const Promises& promises, Seconds makespan) {
  if (promises.tenants.empty()) return {};
  std::vector<std::vector<RequestTimeline>> own(promises.tenants.size());
  for (const RequestTimeline& request : timelines) own[request.tenant].push_back(request);
  std::vector<std::optional<ServingSummary>> summaries(own.size());
  for (std::size_t t = 0; t < own.size(); ++t) {
    if (own[t].empty()) continue;
    ServingSummary& summary = summaries[t].emplace(summarise(own[t], promises));
    if (summary.answered == 0) continue;
    // From rates over the tenant's own time to rates over everybody's.
    const double share = summary.makespan / makespan;
    summary.output_tokens_per_s *= share;
    summary.requests_per_s *= share;
    summary.makespan = makespan;
  }
  return summaries;
}

}  // namespace lindos
