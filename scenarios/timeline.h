// SPDX-License-Identifier: Apache-2.0
// What happened to each request, on a real or virtual clock, and the serving metrics that follow from it.
// One definition for predicted and measured runs. Metric definitions (registry, metrics.h):
//   ttft_s      median over requests of first token − arrival
//   tpot_s      median over requests with ≥ 2 tokens of (last − first token)/(tokens − 1)
//   e2e_latency_s  median over requests of last token − arrival
//   output_tokens_per_s, requests_per_s   totals / (last token of all − first arrival)
//   goodput     share of all requests that kept both promises (all that were answered when there is none)
//   rejected_share  share of all requests that were turned away; they are in no latency and no rate
// A tenant's figures are those of its requests alone, its rates over the same time as all requests'.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "scenarios/units.h"
#include "scenarios/workload.h"

namespace lindos {

struct RequestTimeline {
  std::uint64_t id = 0;
  Seconds arrival{0};
  std::int64_t prompt_tokens = 0;
  std::vector<Seconds> token_times;   // one per output token, ascending; none: turned away
  std::uint32_t tenant = 0;           // as RequestSpec's
  [[nodiscard]] bool turned_away() const { return token_times.empty(); }
  bool operator==(const RequestTimeline&) const = default;
};

// What the metrics need of a timeline. REQUIRES: at least one token.
struct RequestTimes {
  Seconds arrival{0};
  Seconds first{0}, last{0};          // token
  std::int64_t tokens = 0;
  [[nodiscard]] Seconds ttft() const { return first - arrival; }
  [[nodiscard]] Seconds e2e_latency() const { return last - arrival; }
  // REQUIRES: at least two tokens.
  [[nodiscard]] Seconds tpot() const { return (last - first) / static_cast<double>(tokens - 1); }
  // Both promises; a request of one token keeps the one on TPOT.
  [[nodiscard]] bool keeps(const Slo& slo) const;
};
[[nodiscard]] RequestTimes times_of(const RequestTimeline& timeline);

struct ServingSummary {
  std::size_t answered = 0;           // requests; 0: there is nothing to say of the next five
  Seconds ttft{0};
  Seconds tpot{0};
  Seconds e2e_latency{0};
  double output_tokens_per_s = 0.0;
  double requests_per_s = 0.0;
  double goodput = 1.0;
  double rejected_share = 0.0;
  Seconds makespan{0};                // last token − first arrival of the requests that were answered
};

// tpot is 0 when no request has two tokens: there is nothing to report then. REQUIRES: at least one request.
[[nodiscard]] ServingSummary summarise(const std::vector<RequestTimeline>& timelines, const Promises& promises);
[[nodiscard]] inline ServingSummary summarise(const std::vector<RequestTimeline>& timelines, const Slo& slo) {
  return summarise(timelines, Promises{slo});
}
// [tenant], none without tenants; nothing for one that asked nothing. `makespan`: of all requests.
[[nodiscard]] std::vector<std::optional<ServingSummary>> summarise_tenants(
    const std::vector<RequestTimeline>& timelines, const Promises& promises, Seconds makespan);

// Quantile with linear interpolation (type 7), q in [0, 1]. REQUIRES: values not empty.
[[nodiscard]] double quantile(std::vector<double> values, double q);

}  // namespace lindos
