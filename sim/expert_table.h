// SPDX-License-Identifier: Apache-2.0
// Utilisation of the roofline by samples of grouped expert kernels: one curve over the rows per expert for each shape of
// experts (hidden size, columns, experts held), per number format. Queried anywhere, as GemmTable is.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "scenarios/profile.h"
#include "sim/gemm_table.h"
#include "sim/roofline.h"

namespace lindos::sim {

// Exponent of the power law by which the samples' tokens choose experts (tools/distil_operators.py).
inline constexpr double kSampledExpertSkew = 1.01;

// Gate, up and down of the experts that one rank holds of one layer.
struct ExpertShape {
  double rows_per_expert = 1;  // (token, expert) pairs over experts held
  double held = 1;
  double hidden = 1;
  double ffn = 1;              // columns of each expert on this rank
};

class ExpertTable {
 public:
  explicit ExpertTable(const Profile& profile);
  [[nodiscard]] bool has(Dtype dtype) const;
  // Empty without samples of this format: another format is another kernel. REQUIRES: all dimensions > 0.
  [[nodiscard]] std::optional<Utilisation> utilisation(const ExpertShape& shape, Dtype dtype) const;

 private:
  struct Point {
    double log_rows = 0;
    double util = 1;
    double spread = 0;
  };
  struct Site {
    Dtype dtype = Dtype::kBf16;
    double log_hidden = 0, log_ffn = 0, log_held = 0;
    std::int64_t experts = 0, top_k = 0;
    std::vector<Point> curve;  // ascending in rows
  };
  [[nodiscard]] static Utilisation on_curve(const Site& site, double log_rows);

  std::vector<Site> sites_;
};

// Work of `pairs` rows over `hit` experts: weights of those experts once, rows of both products in and out.
[[nodiscard]] Work expert_work(double pairs, double hit, double n, double k, double weight_element_bytes);

}  // namespace lindos::sim
