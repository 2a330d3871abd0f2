// SPDX-License-Identifier: Apache-2.0
#include "scenarios/workload.h"

#include <algorithm>
#include <cmath>

#include "scenarios/error.h"
#include "scenarios/request_stream.h"

namespace lindos {

namespace {

// Of a log-normal whose ends are taken as the bounds: the bounds with what lies beyond them, and the partial expectation
// between, exp(mu + sigma^2/2) [Phi(b - sigma) - Phi(a - sigma)] with a and b the bounds in sigmas (Aitchison and Brown, The
// Lognormal Distribution, 2.5).
double mean_of(const LengthRange& range) {
  if (range.median > 0.0 && range.sigma > 0.0) {
    const auto normal = [](double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); };
    const auto in_sigmas = [&](std::int64_t tokens) {
      return std::log(std::max(1e-9, static_cast<double>(tokens)) / range.median) / range.sigma;
    };
    const double a = in_sigmas(range.low);
    const double b = in_sigmas(range.high);
    const double between = normal(b - range.sigma) - normal(a - range.sigma);
    return static_cast<double>(range.low) * normal(a) + static_cast<double>(range.high) * normal(-b) +
           range.median * std::exp(0.5 * range.sigma * range.sigma) * between;
  }
  if (range.median > 0.0) return std::clamp(range.median, static_cast<double>(range.low), static_cast<double>(range.high));
  double sum = 0.0;
  for (std::size_t i = 1; i < range.quantiles.size(); ++i)
    sum += 0.5 * static_cast<double>(range.quantiles[i - 1] + range.quantiles[i]);
  if (!range.quantiles.empty()) return sum / static_cast<double>(range.quantiles.size() - 1);
  return 0.5 * static_cast<double>(range.low + range.high);
}

}  // namespace

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

MeanTokens mean_tokens(const ServingWorkload& workload) {
  MeanTokens sum;
  double shares = 0.0;
  for (const Tenant& tenant : workload.tenants) {
    shares += tenant.share;
    sum.prompt += tenant.share * mean_of(tenant.prompt.value_or(workload.prompt));
    sum.output += tenant.share * mean_of(tenant.output.value_or(workload.output));
  }
  if (shares == 0.0) return {mean_of(workload.prompt), mean_of(workload.output)};
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
