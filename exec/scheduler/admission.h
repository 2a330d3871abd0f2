// SPDX-License-Identifier: Apache-2.0
// Whether a request is let in at all, before anything is computed for it: token buckets per tenant and bounds on what is
// unfinished. A pure state machine beside the router: no clock, times are arguments. The simulated cell asks the same
// code as the engine's driver, so that the twin predicts whom the engine turns away.
//
//   AdmissionControl control(plan.admission, workload.tenants);
//   if (!control.admits(request, arrival, [&] { return unfinished(arrival); })) turn_away(request);
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "scenarios/plan.h"
#include "scenarios/units.h"
#include "scenarios/workload.h"

namespace lindos::scheduler {

// Full at first; fills at its rate up to its burst. What is taken in any time of length t is at most burst + rate × t.
class TokenBucket {
 public:
  // Holds as much as anybody asks.
  TokenBucket() = default;
  // `part` of the rate, and the whole burst.
  TokenBucket(const RateLimit& limit, double part);

  // REQUIRES of both: times do not go back, amount >= 0.
  [[nodiscard]] bool holds(double amount, Seconds now) const { return amount <= level(now); }
  // REQUIRES: holds it.
  void take(double amount, Seconds now);

 private:
  [[nodiscard]] double level(Seconds now) const;

  double rate_ = 0.0;  // 1/s
  double burst_ = std::numeric_limits<double>::infinity();
  double level_ = burst_;  // at at_
  Seconds at_{0};
};

class AdmissionControl {
 public:
  // `part`: of the tenants' rates, where several routers share them. REQUIRES: the limits' tenants are among `tenants`.
  AdmissionControl(const AdmissionLimits& limits, const std::vector<Tenant>& tenants, double part = 1.0);

  // Of the replica that the request would go to, and of all that its router sees.
  struct Unfinished {
    std::int64_t replica = 0;
    std::int64_t router = 0;
  };
  // Takes from the tenant's buckets what the request asks, or leaves them as they are and returns false. Asks for what is
  // unfinished only where a bound depends on it. A request of more tokens than its tenant's burst is never let in.
  // REQUIRES: times do not go back.
  [[nodiscard]] bool admits(const RequestSpec& request, Seconds now, const std::function<Unfinished()>& unfinished);

 private:
  struct Buckets {
    TokenBucket requests;
    TokenBucket tokens;
  };
  [[nodiscard]] const UnfinishedBounds& bounds_for(int priority) const;

  AdmissionLimits limits_;
  std::vector<Buckets> buckets_;  // [tenant]
};

}  // namespace lindos::scheduler
