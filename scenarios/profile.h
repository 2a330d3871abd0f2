// SPDX-License-Identifier: Apache-2.0
// What one device type can do, as measured by `lindos probe`/`calibrate` or distilled from public tables:
// per operator family, time at shapes, with the spread of the repeats. sim interpolates utilisation of the
// roofline between the shapes. JSON file, dated, with source ("format": "lindos-profile", "version": 5, which reads 1
// to 4 too).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/dtype.h"
#include "scenarios/units.h"

namespace lindos {

// One timed shape. `time` is the median of the repeats; `spread` the standard deviation of log(time)
// between repeats.
struct GemmSample {
  Dtype dtype = Dtype::kF32;
  std::int64_t m = 0, n = 0, k = 0;
  int threads = 1;                 // CPU; 1 for GPU
  int active_ranks = 1;            // ranks that ran the same op at the same time (share memory bandwidth)
  Seconds time{0};
  double spread = 0.0;
  Watts power{0};                  // of the board while it ran over and over; 0 = not known
  bool operator==(const GemmSample&) const = default;
};

struct AttentionSample {
  Dtype dtype = Dtype::kF32;
  std::int64_t sequences = 0;      // slices in the batch, all alike
  std::int64_t tokens = 0;         // new tokens per slice (1 = decode)
  std::int64_t context = 0;        // cached positions before them
  std::int64_t q_heads = 0, kv_heads = 0, head_dim = 0;
  int threads = 1;
  int active_ranks = 1;
  Seconds time{0};
  double spread = 0.0;
  Watts power{0};                  // as GemmSample::power
  bool operator==(const AttentionSample&) const = default;
};

// Routed experts of one layer on one rank as one grouped kernel: gate and up, activation, down and weighted sum, of
// `tokens` tokens that pick `top_k` of `experts`, of which the rank holds `held`. Per number format of the weights.
struct ExpertSample {
  Dtype dtype = Dtype::kBf16;
  std::int64_t tokens = 0;
  std::int64_t hidden = 0;
  std::int64_t ffn = 0;            // columns of each expert on the rank
  std::int64_t top_k = 0;
  std::int64_t experts = 0;
  std::int64_t held = 0;
  Seconds time{0};
  double spread = 0.0;
  bool operator==(const ExpertSample&) const = default;
};

// StreamSample::op of KV blocks that a host copies between its pool and the memory beside it.
inline constexpr const char* kKvCopyLoad = "kv_copy";

// Byte-bound ops (norm, RoPE, SwiGLU, residual, embedding): time of `bytes` moved by one call.
struct StreamSample {
  std::string op;                  // name_of(OpKind), or kKvCopyLoad
  Bytes bytes{0};
  int threads = 1;
  int active_ranks = 1;
  Seconds time{0};
  double spread = 0.0;
  bool operator==(const StreamSample&) const = default;
};

struct CollectiveSample {
  std::string op;                  // "all_reduce", "all_gather", "send_recv"
  std::string backend;             // "thread", "mpi", "nccl", "peer"
  int ranks = 1;
  Bytes bytes{0};
  Seconds time{0};
  double spread = 0.0;
  bool operator==(const CollectiveSample&) const = default;
};

// What one rank holds of each layer, and the threads it runs on.
struct StageRank {
  std::int64_t q_heads = 0, kv_heads = 0, ffn = 0;
  int threads = 1;
  std::int64_t experts = 0, expert_ffn = 0;  // routed experts, and columns of each; 0 without
  bool operator==(const StageRank&) const = default;
};

// Layers of a pipeline stage as the engine runs them: kernel after kernel on weights that no cache holds, all
// ranks with their collectives. Beside the samples above it tells what kernels cost each other inside a step.
struct StageSample {
  Dtype weight_dtype = Dtype::kF32, kv_dtype = Dtype::kF32;
  std::int64_t hidden = 0, head_dim = 0;
  std::vector<StageRank> ranks;
  int stages_at_once = 1;          // like stages that computed at the same time, each on ranks of its own
  std::int64_t layers = 0;         // timed in one go
  std::int64_t sequences = 0;      // slices in the batch, all alike
  std::int64_t tokens = 0;         // new tokens per slice (1 = decode)
  std::int64_t context = 0;        // cached positions before them
  Seconds time{0};                 // of all `layers`
  double spread = 0.0;
  bool operator==(const StageSample&) const = default;
};

// Mean board power while one load ran over and over on a warm device, and the work that it did meanwhile: FLOP and
// bytes as scenarios/ops counts them, per second of wall time.
struct PowerSample {
  std::string load;                // "idle", "read" (of memory), "matrix" (one large product), "steps" (of the engine)
  std::int64_t sequences = 0;      // "steps": slices in the batch, all alike; else 0
  std::int64_t tokens = 0;         // new tokens per slice (1 = decode)
  Watts power{0};
  FlopPerSecond flop_rate{0};
  BytesPerSecond byte_rate{0};
  Seconds window{0};               // over which power is the mean
  bool operator==(const PowerSample&) const = default;
};

// How much wider than its draws the interval of a metric must be to hold what was measured (sim/interval_calibration.h).
struct IntervalFactor {
  std::string metric;              // registry name
  double factor = 1.0;             // >= 1, on a logarithmic scale
  std::int64_t points = 0;         // pairs of prediction and measurement behind it
  bool operator==(const IntervalFactor&) const = default;
};

struct Profile {
  std::string device;              // catalogue name, or "this-machine"
  std::string label;               // "AMD EPYC, 2 cores, AVX2"
  std::string source;              // "lindos probe", or citation
  std::string date;                // ISO date
  std::string git_revision;
  int cores = 1;                   // CPU
  int compute_capability = 0;      // 90 = sm_90; 0 = not a CUDA device
  Bytes memory{0};                 // usable
  // Ceiling that MFU refers to: best measured dense rate of a CPU, a GPU's dense peak in bf16 or f16 by its datasheet.
  FlopPerSecond matrix_rate{0};
  std::map<Dtype, FlopPerSecond> matrix_rates;  // per format, where they differ; else matrix_rate
  BytesPerSecond read_bandwidth{0};// best measured read-only rate of the device (ceiling)
  std::vector<BytesPerSecond> read_bandwidth_by_threads;  // [t-1] = rate with t threads
  Seconds step_overhead{0};        // scheduling + bookkeeping per step, without kernels
  double step_overhead_spread = 0.0;
  Seconds per_sequence_overhead{0};// sampling and bookkeeping per sequence and step
  std::vector<GemmSample> gemm;
  std::vector<AttentionSample> attention;
  std::vector<ExpertSample> experts; // empty = not measured: a dense product of their width stands for them
  std::vector<StreamSample> stream;
  std::vector<CollectiveSample> collectives;
  std::vector<StageSample> stages;
  Watts power_limit{0};            // enforced by the driver while power was sampled; 0 = not known
  std::vector<PowerSample> power;  // empty = not measured
  double power_spread = 0.0;       // standard deviation of log(power above idle) between engines; 0 = of this very engine
  std::vector<IntervalFactor> interval_factors;  // by `lindos calibrate`; empty = not calibrated
  bool operator==(const Profile&) const = default;
};

// Both throw Error{kInput} naming the JSON pointer; to_json writes only what profile_from_json accepts.
[[nodiscard]] std::string to_json(const Profile& profile);
[[nodiscard]] Profile profile_from_json(std::string_view text, const std::string& where);
[[nodiscard]] std::string digest(const Profile& profile);

}  // namespace lindos
