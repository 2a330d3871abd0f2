// SPDX-License-Identifier: Apache-2.0
// The parts of the probe; internal to exec/probe. Each appends samples to the profile.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>

#include "exec/probe/probe.h"
#include "exec/runner/aligned_buffer.h"
#include "kernels/gemm.h"
#include "scenarios/ops.h"

namespace lindos::exec {

class ProbeSession {
 public:
  ProbeSession(const ProbeRequest& request, Profile& profile) : request_(&request), profile_(&profile) {}

  void gemm();
  void attention();
  void stream();
  void collectives();
  void step_overhead();

 private:
  // Layouts that the ranks of `group` run under, from one busy stage to all of them.
  [[nodiscard]] std::set<RankLayout> layouts_of(const GroupPlan& group) const;
  [[nodiscard]] BenchTeam& team(RankLayout layout);
  void report(const std::string& what, double fraction) const;
  void attention_of(const GroupPlan& group, const TensorShare& share, RankLayout layout);
  void stream_of(const GroupPlan& group, ShardId shard, RankLayout layout);

  const ProbeRequest* request_;
  Profile* profile_;
  std::map<RankLayout, std::unique_ptr<BenchTeam>> teams_;
};

// Bytes that a rotation of buffers must cover so that no copy is still in the last-level cache.
[[nodiscard]] std::size_t cold_bytes();
[[nodiscard]] kernels::WeightType weight_type(Dtype dtype);

}  // namespace lindos::exec
