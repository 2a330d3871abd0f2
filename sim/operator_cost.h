// SPDX-License-Identifier: Apache-2.0
// The time of one op on one rank: speed of light divided by the utilisation that the device's
// profile measured near the op's shape (modelling handbook §1). sol = max(FLOP/rate,
// bytes/bandwidth); util = sol/time of a sample; util > 1 is legal and never clamped. Without a
// sample of the family a labelled analytic tier answers; without even a ceiling the answer is a
// Miss. Immutable after construction.
//
//   const OperatorCost cost(profile, {});
//   const Price price = cost.price(op, Dtype::kBf16, {.threads = 2, .active_ranks = 1});
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <variant>

#include "scenarios/dtype.h"
#include "scenarios/ops.h"
#include "scenarios/profile.h"
#include "scenarios/units.h"
#include "sim/interconnect.h"

namespace lindos::sim {

// What shares one systematic error: a family is one kernel, or one kind of message.
enum class Family : int { kGemm, kPrefillAttention, kDecodeAttention, kStream, kCollective, kHost };
inline constexpr std::size_t kFamilyCount = 6;
[[nodiscard]] const char* name_of(Family family);

// Best first. A step or run reports the share of its time in each.
enum class Tier : int {
  kMeasured,      // a sample of exactly this shape
  kInterpolated,  // between samples of the same kernel, weights and configuration
  kEdge,          // beyond the sampled range: utilisation of the last sample held
  kNeighbour,     // another shape family: other heads, weight matrix, dtype or thread count
  kAnalytic,      // datasheet formula, no sample
};
inline constexpr std::size_t kTierCount = 5;
[[nodiscard]] const char* name_of(Tier tier);
// Standard deviation of log(time) that the tier adds to the spread of the samples.
[[nodiscard]] double systematic_sigma(Tier tier, Family family);

// How the rank shares its machine. GPU: {1, 1}.
struct ExecutionContext {
  int threads = 1;       // of this rank
  int active_ranks = 1;  // ranks of the host that compute at the same time, this one included
  bool operator==(const ExecutionContext&) const = default;
};

struct Priced {
  Seconds time{0};          // of one of Op::count
  double sigma_random = 0;  // standard deviation of log(time) between repeats
  Family family = Family::kStream;
  Tier tier = Tier::kAnalytic;
  Watts power{0};           // of the board meanwhile, by samples of such kernels; 0 without any
};

// No answer, and why: nothing of the profile anchors this op.
struct Miss {
  std::string family;
  std::string device;
  std::string key;  // "all_reduce ranks=8 bytes=4096"
  std::string reason;
};
using Price = std::variant<Priced, Miss>;

class OperatorCost {
 public:
  // Copies what it needs. `interconnect` answers for messages where the profile has no collective
  // samples.
  explicit OperatorCost(const Profile& profile, const Interconnect& interconnect = {});
  ~OperatorCost();
  OperatorCost(OperatorCost&&) noexcept;
  OperatorCost& operator=(OperatorCost&&) noexcept;

  [[nodiscard]] Price price(const Op& op, Dtype weight_dtype, ExecutionContext context) const;
  // Speed of light of the op in this context; a lower bound while utilisation is at most 1.
  [[nodiscard]] Seconds speed_of_light(const Op& op, Dtype weight_dtype,
                                       ExecutionContext context) const;
  // Median spread of the family's samples; 0 without samples.
  [[nodiscard]] double spread(Family family) const;

 private:
  struct Tables;
  std::unique_ptr<const Tables> tables_;
};

}  // namespace lindos::sim
