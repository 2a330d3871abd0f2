// SPDX-License-Identifier: Apache-2.0
#include "scenarios/workload.h"

#include <algorithm>
#include <cmath>

#include "scenarios/error.h"
#include "scenarios/request_stream.h"

namespace lindos {

const char* name_of(Recompute recompute) {
  switch (recompute) {
    case Recompute::kNone: return "none";
    case Recompute::kSelective: return "selective";
    case Recompute::kFull: return "full";
  }
  return "";
}

std::string_view name_of(Arrival arrival) {
  switch (arrival) {
    case Arrival::kTogether: return "together";
    case Arrival::kPoisson: return "poisson";
    case Arrival::kUniform: return "uniform";
    case Arrival::kClosedLoop: return "closed-loop";
    case Arrival::kGamma: return "gamma";
    case Arrival::kBursty: return "bursty";
    case Arrival::kDiurnal: return "diurnal";
    case Arrival::kRecorded: return "recorded";
  }
  return "";
}

std::int64_t expected_requests(const ServingWorkload& workload) {
  if (workload.requests > 0) return workload.requests;
  if (workload.duration <= Seconds{0}) return workload.trace.rows;
  return std::max<std::int64_t>(1, std::llround(workload.rate.value() * workload.duration.count()));
}

std::int64_t longest_request(const ServingWorkload& workload) {
  if (workload.arrival == Arrival::kRecorded) return workload.trace.longest;
  std::int64_t longest = 0;
  for (const Tenant& tenant : workload.tenants) {
    longest = std::max(longest, tenant.prompt.value_or(workload.prompt).high +
                                    tenant.output.value_or(workload.output).high);
  }
  return workload.tenants.empty() ? workload.prompt.high + workload.output.high : longest;
}

MiddleTokens middle_tokens(const ServingWorkload& workload) {
  const auto middle = [](const LengthRange& range) { return 0.5 * static_cast<double>(range.low + range.high); };
  MiddleTokens sum;
  double shares = 0.0;
  for (const Tenant& tenant : workload.tenants) {
    shares += tenant.share;
    sum.prompt += tenant.share * middle(tenant.prompt.value_or(workload.prompt));
    sum.output += tenant.share * middle(tenant.output.value_or(workload.output));
  }
  if (shares == 0.0) return {middle(workload.prompt), middle(workload.output)};
  return {sum.prompt / shares, sum.output / shares};
}

Promises promises_of(const ServingWorkload& workload, const Slo& slo) {
  Promises promises{slo};
  for (const Tenant& tenant : workload.tenants)
    promises.tenants.push_back({tenant.ttft.value_or(slo.ttft), tenant.tpot.value_or(slo.tpot), slo.percentile});
  return promises;
}

std::vector<std::string> recorded_names(const std::vector<Tenant>& tenants) {
  std::vector<std::string> names;
  for (const Tenant& tenant : tenants) {
    if (tenant.share == 0.0) names.push_back(tenant.name);
  }
  return names;
}

bool operator==(const RequestSpec& a, const RequestSpec& b) {
  const bool begin_alike = a.beginning && b.beginning ? *a.beginning == *b.beginning : a.beginning == b.beginning;
  return begin_alike && a.id == b.id && a.arrival == b.arrival && a.prompt_tokens == b.prompt_tokens &&
         a.output_tokens == b.output_tokens && a.on_completion == b.on_completion && a.prefix == b.prefix &&
         a.kv_tokens == b.kv_tokens && a.tenant == b.tenant && a.priority == b.priority;
}

std::vector<RequestSpec> generate_requests(const ServingWorkload& workload, std::uint64_t seed) {
  std::vector<RequestSpec> requests;
  requests.reserve(static_cast<std::size_t>(workload.requests));
  const std::unique_ptr<RequestStream> stream = open_requests(workload, seed);
  while (const std::optional<RequestSpec> request = stream->next()) requests.push_back(*request);
  return requests;
}

}  // namespace lindos
