// SPDX-License-Identifier: Apache-2.0
// Board power of one device from the power samples of its profile.
//   energy of a run  = idle power × time + Σ over steps of what its work adds
//   a step's work    = c × (byte energy × bytes + FLOP energy × FLOP), at most (limit - idle power) × its time
// Bytes and FLOP are those of the shared ops (scenarios/ops), which the samples were counted in as well. The ceilings
// give the two energies, of rates per second:
//   e_byte = (P_read - P_idle) / bytes    e_flop = (P_matrix - P_idle - e_byte × its bytes) / FLOP
// c is 1 at the ceilings; samples of the engine's own steps give it between them: measured over what the two energies
// say, log-linear over the share of FLOP in that sum. So what a kernel draws whether or not it waits (clocks, caches,
// scheduling) is in c, as much of it as such a step has.
// Without samples of steps, of a GPU: a kernel whose watts the profile has adds (those - idle power) × its time; what
// is left costs per byte and FLOP what kernels of other devices do, relative to the ceilings (typical).
// Assumed: work costs what it did in the samples, at the same clocks and within the heat of the probe; between kernels
// a device draws what it does idle.
//
//   if (const auto model = PowerModel::of(profile, device.power_max)) {
//     PowerWork work;
//     model->count(work, priced.power, priced.time, op.flop, op.bytes());
//     energy += model->added(work);
//   }
#pragma once

#include <optional>
#include <vector>

#include "scenarios/profile.h"
#include "scenarios/units.h"

namespace lindos::sim {

// Work of a step as a model's energy follows from it.
struct PowerWork {
  Flop flop{0};
  Bytes bytes{0};
  Joules kernels{0};  // above idle power × time, of kernels with watts of their own; not in flop and bytes
  bool operator==(const PowerWork&) const = default;
};

class PowerModel {
 public:
  // Nothing without samples idle, of reading and of the matrix ceiling, or where they contradict each other (a load
  // that draws no more than idle). The limit is the profile's, else `board_limit`; none where both are 0.
  [[nodiscard]] static std::optional<PowerModel> of(const Profile& profile, Watts board_limit);

  // Of a GPU whose profile has no samples of steps, from what it draws idle and at most: c is 1, a byte and a FLOP cost what
  // they do in the kernels of other devices, relative to their ceilings, but for kernels whose watts the profile has.
  // Nothing where idle or limit are not known.
  [[nodiscard]] static std::optional<PowerModel> typical(const Profile& profile, Watts idle, Watts limit);

  // Samples of this device, not those of others, are behind it.
  [[nodiscard]] bool sampled() const { return by_kernels_ || !points_.empty(); }
  [[nodiscard]] Watts idle() const { return idle_; }
  // Infinite where it is not known.
  [[nodiscard]] Watts limit() const { return limit_; }
  // Adds a kernel to `work`: `own` are its watts where the profile has them, else 0.
  void count(PowerWork& work, Watts own, Seconds time, Flop flop, Bytes bytes) const;
  // What such work adds to idle power × time; the limit is the caller's to apply, who knows the time.
  [[nodiscard]] Joules added(const PowerWork& work) const;
  // Standard deviation of log(added): samples against each other, or an assumption where only ceilings are known.
  [[nodiscard]] double sigma() const { return sigma_; }

 private:
  struct Point {
    double share = 0.0;      // of FLOP in the energy by the ceilings
    double log_ratio = 0.0;  // measured over that energy
  };
  PowerModel() = default;
  [[nodiscard]] double log_ratio(double share) const;

  Watts idle_{0}, limit_{0};
  double joules_per_byte_ = 0.0, joules_per_flop_ = 0.0;
  std::vector<Point> points_;  // ascending by share, no two alike; ceilings among them; none without samples
  bool by_kernels_ = false;
  double sigma_ = 0.0;
};

}  // namespace lindos::sim
