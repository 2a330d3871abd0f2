// SPDX-License-Identifier: Apache-2.0
// The parts of the GPU's probe; internal to exec/probe. Kernels are timed as replays of a captured graph of launches
// over operands that rotate through more than the L2 cache holds; steps as the engine runs them.
#pragma once

#include <string>
#include <vector>

#include "exec/cuda/launch_timing.h"
#include "exec/cuda/products.h"
#include "exec/cuda/step_layout.h"
#include "exec/probe/cuda_probe.h"
#include "exec/probe/cuda_shapes.h"
#include "exec/probe/power_meter.h"
#include "kernels/cuda/attention.h"
#include "scenarios/ops.h"

namespace lindos::exec {

inline constexpr std::int64_t kSquare = 8192;  // of the product that stands for the matrix rate

class CudaProbeSession {
 public:
  CudaProbeSession(const CudaProbeRequest& request, Profile& profile);

  void read_bandwidth();
  // Operands for what follows.
  void prepare();
  // Unless the model has such a matrix; after its products.
  void square_product();
  void gemm(const GroupPlan& group);
  void attention(const GroupPlan& group);
  void experts(const GroupPlan& group);
  void stream(const GroupPlan& group);
  // Power while memory is read, and while the square product runs, without end. After prepare().
  void power_at_ceilings(const PowerMeter& meter);

 private:
  struct Site {
    GemmSite site = GemmSite::kQkv;
    std::int64_t n = 0, k = 0;
    std::int64_t most = 1;  // rows
    bool alone = true;      // one rank: sums go straight into the residual stream
    bool fp8 = false;       // weights
    [[nodiscard]] double bytes() const;
  };
  // A packed step on the device, and the cold pages that its slices use.
  struct Step {
    StepInput input;
    cuda::StepLayout layout;
    cuda::PackedStep counts;
    cuda::DeviceBuffer packed;
  };
  void report(const std::string& what, double fraction) const;
  void tune_square();
  void multiply_square(std::int64_t visit);
  void gemm_site(const Site& site);
  [[nodiscard]] cuda::Timed time_product(const Site& site, std::int64_t m);
  void attention_of(const TensorShare& share, const StageShape& shape, bool alone);
  void stream_of(const GroupPlan& group, ShardId shard, std::int64_t rows);
  void experts_of(const GroupPlan& group, ShardId shard);
  [[nodiscard]] Step step_of(const StageShape& shape) const;
  [[nodiscard]] kernels::cuda::RopeKvWrite rope_write(const Step& step, const TensorShare& share,
                                                      kernels::cuda::Number* pages) const;
  // Place of the `visit`-th visit to an operand of `bytes` in the cold region.
  [[nodiscard]] kernels::cuda::Number* cold(std::int64_t visit, double bytes) const;
  // Such a matrix there.
  [[nodiscard]] cuda::DeviceMatrix cold_matrix(const Site& site, std::int64_t visit) const;
  // Launches of about `seconds` each that make a graph long enough to be timed.
  [[nodiscard]] static int launches_of(double seconds);
  [[nodiscard]] double estimate(double bytes, double flop) const;

  const CudaProbeRequest* request_;
  Profile* profile_;
  kernels::cuda::Element element_;
  cuda::Stream stream_;
  cuda::Products products_;
  cuda::DeviceBuffer cold_, x_, y_, vector_;
  cuda::DeviceBuffer cold_fp8_, scales_;  // the cold region quantised; empty without fp8 weights
  cuda::DeviceBuffer cos_, sin_;
  double done_ = 0.0;
};

// A step of such slices with logits for the last row of each. Blocks of one sequence follow those of the one before.
[[nodiscard]] StepInput step_input_of(const StageShape& shape, std::int64_t vocab);

// Whole steps of a few layers, for every stage of one rank (ranks that share a device are not what a plan of several
// devices will run), and what a step costs beyond its layers and LM head.
void cuda_stages(const CudaProbeRequest& request, const GroupPlan& group, Profile& profile);
void cuda_step_overhead(const CudaProbeRequest& request, Profile& profile);
// First of all, while the device is cool and has nothing to do but hold a context. Returns whether it says its power.
[[nodiscard]] bool cuda_idle_power(const CudaProbeRequest& request, const PowerMeter& meter, Profile& profile);
// Power at both ceilings and in steps. After all times, since these loads heat the device.
void cuda_loaded_power(const CudaProbeRequest& request, const PowerMeter& meter, Profile& profile);
// Power while the engine's own steps of a few layers run: decodes of some batch sizes and a prompt. For the first stage
// of one rank; none without one.
void cuda_power_of_steps(const CudaProbeRequest& request, const PowerMeter& meter, Profile& profile);

}  // namespace lindos::exec
