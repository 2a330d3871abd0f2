// SPDX-License-Identifier: Apache-2.0
#include "exec/scheduler/admission.h"

#include <algorithm>
#include <cstddef>

#include "scenarios/error.h"

namespace lindos::scheduler {

TokenBucket::TokenBucket(const RateLimit& limit, double part) {
  if (limit.rate == Hertz{0}) return;
  rate_ = limit.rate.value() * part;
  burst_ = static_cast<double>(limit.burst);
  level_ = burst_;
}

double TokenBucket::level(Seconds now) const { return std::min(burst_, level_ + rate_ * (now - at_).count()); }

void TokenBucket::take(double amount, Seconds now) {
  level_ = level(now) - amount;
  at_ = now;
}

AdmissionControl::AdmissionControl(const AdmissionLimits& limits, const std::vector<Tenant>& tenants, double part)
    : limits_(limits), buckets_(tenants.size()) {
  for (const TenantLimits& own : limits.tenants) {
    const auto found =
        std::find_if(tenants.begin(), tenants.end(), [&](const Tenant& t) { return t.name == own.tenant; });
    LINDOS_ASSERT(found != tenants.end(), "a limit is one of the workload's tenants");
    buckets_[static_cast<std::size_t>(found - tenants.begin())] = {{own.requests, part}, {own.tokens, part}};
  }
}

const UnfinishedBounds& AdmissionControl::bounds_for(int priority) const {
  const auto own = std::find_if(limits_.priorities.begin(), limits_.priorities.end(),
                                [&](const AdmissionLimits::OfPriority& p) { return priority <= p.priority; });
  return own == limits_.priorities.end() ? limits_.unfinished : own->unfinished;
}

bool AdmissionControl::admits(const RequestSpec& request, Seconds now, const std::function<Unfinished()>& unfinished) {
  const auto tokens = static_cast<double>(request.prompt_tokens + request.output_tokens);
  Buckets* const own = buckets_.empty() ? nullptr : &buckets_[request.tenant];
  if (own != nullptr && !(own->requests.holds(1.0, now) && own->tokens.holds(tokens, now))) return false;
  if (const UnfinishedBounds& bounds = bounds_for(request.priority); bounds.any()) {
    const Unfinished at_hand = unfinished();
    if (bounds.replica > 0 && at_hand.replica >= bounds.replica) return false;
    if (bounds.router > 0 && at_hand.router >= bounds.router) return false;
  }
  if (own != nullptr) {
    own->requests.take(1.0, now);
    own->tokens.take(tokens, now);
  }
  return true;
}

}  // namespace lindos::scheduler
