// SPDX-License-Identifier: Apache-2.0
// Utilisation of the roofline by GEMM samples: one curve over m per weight matrix (n, k), per dtype
// and per (threads, active ranks). Queried anywhere (modelling handbook §1.2, rules 1, 3 and 4).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "scenarios/profile.h"
#include "sim/operator_cost.h"

namespace lindos::sim {

struct Utilisation {
  double value = 1.0;
  double spread = 0.0;  // of the samples it comes from
  Tier tier = Tier::kInterpolated;
};

class GemmTable {
 public:
  explicit GemmTable(const Profile& profile);

  // Empty only when the profile has no GEMM samples. Known (n, k): its own curve; unknown: the
  // nearest sites in log2(n, k), at most eight, the mean of 1/util weighted by 1/d². Curves of the nearest dtype and
  // context answer. REQUIRES: m, n, k > 0.
  [[nodiscard]] std::optional<Utilisation> utilisation(double m, double n, double k, Dtype dtype,
                                                       ExecutionContext context) const;

 private:
  struct Point {
    double log_m = 0;
    double util = 1;
    double spread = 0;
  };
  using Curve = std::vector<Point>;  // ascending in m
  struct Place {
    double log_n = 0, log_k = 0;
  };
  struct Configuration {
    Dtype dtype = Dtype::kF32;
    ExecutionContext context;
    std::vector<Place> places;  // of the weight matrices; apart from their curves, because every query scans them
    std::vector<Curve> curves;  // as places
  };
  [[nodiscard]] static Utilisation on_curve(const Curve& curve, double log_m);
  [[nodiscard]] const Configuration* nearest(Dtype dtype, ExecutionContext context) const;

  std::vector<Configuration> configurations_;
};

// How unlike two contexts are: octaves of threads, then octaves of ranks. 0 for equal ones.
[[nodiscard]] double distance(ExecutionContext a, ExecutionContext b);

}  // namespace lindos::sim
