// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "exec/cuda/device_info.h"
#include "exec/model/rank_model.h"
#include "exec/runner/rank_worker.h"
#include "scenarios/error.h"

#ifdef LINDOS_HAS_CUDA
#include "exec/cuda/cuda_model.h"
#endif

namespace lindos::exec {

std::unique_ptr<StageModel> make_stage_model(const EngineConfig& config, ShardId shard, kernels::CpuPool& pool,
                                             Communicator& tensor_group, OpTimer& timer) {
  const std::int64_t context = context_limit(config.model, config.group.limits);
  if (config.backend == Backend::kCpu) {
    return std::make_unique<RankModel>(config.model, config.group, shard, *config.checkpoint, config.kv_blocks,
                                       config.host_blocks, context, pool, tensor_group, timer);
  }
  (void)cuda::device_or_throw();
#ifdef LINDOS_HAS_CUDA
  return std::make_unique<cuda::CudaModel>(config.model, config.group, shard, *config.checkpoint, config.kv_blocks,
                                           config.host_blocks, context, tensor_group, timer);
#else
  throw Error(ErrorKind::kEnvironment, "GPU", "this build has no CUDA backend");
#endif
}

}  // namespace lindos::exec
