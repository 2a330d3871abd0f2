// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>

#include "exec/cuda/device_info.h"
#include "exec/model/rank_model.h"
#include "exec/runner/rank_worker.h"
#include "scenarios/error.h"

#ifdef LINDOS_HAS_CUDA
#include "exec/cuda/cuda_model.h"
#include "exec/cuda/partitioned_model.h"
#endif

namespace lindos::exec {

void cut_device(EngineConfig& config) {
  if (config.multiprocessors.empty() || config.backend != Backend::kCuda) return;
  const auto ranks = static_cast<std::size_t>(config.group.ranks_per_replica());
  if (config.multiprocessors.size() != ranks) {
    throw Error(ErrorKind::kInput, "plan group " + config.group.name,
                "has " + std::to_string(ranks) + " ranks, and multiprocessors are given for " + std::to_string(config.multiprocessors.size()));
  }
  (void)cuda::device_or_throw();
#ifdef LINDOS_HAS_CUDA
  config.parts = cuda::DevicePartition::cut(config.multiprocessors);
#endif
}

std::unique_ptr<StageModel> make_stage_model(const EngineConfig& config, ShardId shard, kernels::CpuPool& pool,
                                             Communicator& tensor_group, OpTimer& timer) {
  const std::int64_t context = context_limit(config.model, config.group.limits);
  if (config.backend == Backend::kCpu) {
    return std::make_unique<RankModel>(config.model, config.group, shard, *config.checkpoint, config.kv_blocks,
                                       config.host_blocks, context, pool, tensor_group, timer);
  }
  (void)cuda::device_or_throw();
#ifdef LINDOS_HAS_CUDA
  const auto make = [&] {
    return std::make_unique<cuda::CudaModel>(config.model, config.group, shard, *config.checkpoint, config.kv_blocks,
                                             config.host_blocks, context, tensor_group, timer, config.tuned, config.all_reduce);
  };
  if (config.parts.empty()) return make();
  return std::make_unique<cuda::PartitionedModel>(config.parts[static_cast<std::size_t>(world_rank(config.group, shard))], make);
#else
  throw Error(ErrorKind::kEnvironment, "GPU", "this build has no CUDA backend");
#endif
}

}  // namespace lindos::exec
