// SPDX-License-Identifier: Apache-2.0
// Whether a training group fits, and what would make it fit.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "scenarios/balance.h"
#include "scenarios/error.h"
#include "scenarios/training_memory.h"
#include "scenarios/training_plan.h"

namespace lindos {
namespace {

std::string gib(Bytes bytes) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.1f", bytes.value() / kGiB);
  return buffer;
}

// Everything that decides about memory, to be varied.
struct Case {
  GroupPlan group;
  TrainingWorkload training;
  std::int64_t copies = 1;
  std::int64_t micro_batches = 1;
};

bool same_sizes(const TensorShare& a, const TensorShare& b) {
  return a.q_heads.size() == b.q_heads.size() && a.kv_heads.size() == b.kv_heads.size() &&
         a.ffn.size() == b.ffn.size() && a.vocab.size() == b.vocab.size() &&
         a.experts.size() == b.experts.size();
}

FullestRank fullest(const Model& model, const Case& c,
                    const std::vector<std::vector<Bytes>>& memory) {
  std::optional<FullestRank> found;
  for (std::size_t s = 0; s < c.group.stages.size(); ++s) {
    const std::vector<RankPlan>& ranks = c.group.stages[s].ranks;
    for (std::size_t r = 0; r < ranks.size(); ++r) {
      // Ranks with equal shares need equally much.
      if (r > 0 && memory[s][r] == memory[s][r - 1] &&
          same_sizes(ranks[r].share, ranks[r - 1].share)) {
        continue;
      }
      const ShardId shard{static_cast<int>(s), static_cast<int>(r)};
      const TrainingMemory needed =
          training_memory(model, c.group, c.training, shard, c.copies, c.micro_batches);
      if (!found || memory[s][r] - needed.total() < found->available - found->memory.total()) {
        found = FullestRank{shard, needed, memory[s][r]};
      }
    }
  }
  LINDOS_ASSERT(found, "a group has ranks");
  return *found;
}

// The same devices in longer pipelines of the first stage's ranks, hence fewer copies.
std::optional<Case> with_stages(const Model& model, const Case& c, std::size_t stages) {
  Case longer = c;
  const std::size_t now = c.group.stages.size();
  const std::vector<Range> layers = balance_layers(model, std::vector<double>(stages, 1.0));
  longer.group.stages.assign(stages, c.group.stages.front());
  for (std::size_t s = 0; s < stages; ++s) {
    longer.group.stages[s].layers = layers[s];
    if (layers[s].size() < c.group.training.virtual_stages) return std::nullopt;
  }
  const double shorter = static_cast<double>(now) / static_cast<double>(stages);
  const auto scaled = [&](std::int64_t count, double by) {
    return std::max<std::int64_t>(1, std::llround(static_cast<double>(count) * by));
  };
  longer.copies = std::max(scaled(c.copies, shorter), c.group.training.expert_parallel);
  longer.micro_batches = scaled(c.micro_batches, 1.0 / shorter);
  return longer;
}

class WayOut {
 public:
  WayOut(const Model& model, Case wanted, const std::vector<std::vector<Bytes>>& memory)
      : model_(model), wanted_(std::move(wanted)), memory_(memory) {
    for (const auto& stage : memory) {
      for (const Bytes bytes : stage) least_ = std::min(least_, bytes);
    }
  }

  std::string text() {
    try_alone();
    if (!found_.empty()) return listed() + " would fit";
    Case all = wanted_;
    all.group.training.zero_stage = wanted_.copies > 1 ? 3 : wanted_.group.training.zero_stage;
    all.group.training.sequence_parallel = may_split_sequence();
    all.training.recompute = Recompute::kFull;
    all.training.micro_batch = 1;
    const std::string measures =
        std::string(wanted_.copies > 1 ? "ZeRO-3, " : "") + "full recompute" +
        (may_split_sequence() ? ", sequence parallelism" : "") + " and micro-batches of 1";
    if (fits(all, memory_)) return "no change alone is enough; " + measures + " together would fit";
    if (const auto stages = stages_that_fit(all)) {
      return "no change alone is enough; " + measures + " on " + std::to_string(*stages) +
             " stages would fit";
    }
    const FullestRank rank = fullest(model_, all, memory_);
    return "even with " + measures + " it needs " + gib(rank.memory.total()) +
           " GiB; use more tensor ranks or larger devices";
  }

 private:
  [[nodiscard]] bool fits(const Case& c, const std::vector<std::vector<Bytes>>& memory) const {
    const FullestRank rank = fullest(model_, c, memory);
    return rank.memory.total() <= rank.available;
  }

  // With sequence parallelism, if the plan has it or could have it.
  [[nodiscard]] bool may_split_sequence() const {
    const std::int64_t own =
        wanted_.training.sequence / wanted_.group.training.context_parallel;
    bool useful = false;
    for (const StagePlan& stage : wanted_.group.stages) {
      const auto ranks = static_cast<std::int64_t>(stage.ranks.size());
      if (own % ranks != 0) return false;
      useful = useful || ranks > 1;
    }
    return useful;
  }

  [[nodiscard]] std::optional<std::size_t> stages_that_fit(const Case& c) const {
    const auto most = static_cast<std::size_t>(model_.layers);
    for (std::size_t stages = c.group.stages.size() + 1; stages <= most; ++stages) {
      const std::optional<Case> longer = with_stages(model_, c, stages);
      if (!longer) return std::nullopt;
      const std::vector<std::vector<Bytes>> memory(
          stages, std::vector<Bytes>(longer->group.stages.front().ranks.size(), least_));
      if (fits(*longer, memory)) return stages;
    }
    return std::nullopt;
  }

  void try_alone() {
    for (int zero = wanted_.group.training.zero_stage + 1; wanted_.copies > 1 && zero <= 3; ++zero) {
      Case c = wanted_;
      c.group.training.zero_stage = zero;
      if (!fits(c, memory_)) continue;
      found_.push_back("ZeRO-" + std::to_string(zero));
      break;
    }
    for (const Recompute recompute : {Recompute::kSelective, Recompute::kFull}) {
      if (recompute <= wanted_.training.recompute) continue;
      Case c = wanted_;
      c.training.recompute = recompute;
      if (!fits(c, memory_)) continue;
      found_.push_back(std::string(name_of(recompute)) + " recompute");
      break;
    }
    if (!wanted_.group.training.sequence_parallel && may_split_sequence()) {
      Case c = wanted_;
      c.group.training.sequence_parallel = true;
      if (fits(c, memory_)) found_.emplace_back("sequence parallelism");
    }
    for (std::int64_t size = wanted_.training.micro_batch - 1; size >= 1; --size) {
      if (wanted_.training.micro_batch % size != 0) continue;
      Case c = wanted_;
      c.training.micro_batch = size;
      c.micro_batches *= wanted_.training.micro_batch / size;
      if (!fits(c, memory_)) continue;
      found_.push_back("micro-batches of " + std::to_string(size));
      break;
    }
    if (const auto stages = stages_that_fit(wanted_)) {
      found_.push_back(std::to_string(*stages) + " stages");
    }
  }

  [[nodiscard]] std::string listed() const {
    std::string out;
    for (std::size_t i = 0; i < found_.size(); ++i) {
      if (i > 0) out += i + 1 == found_.size() ? " or " : ", ";
      out += found_[i];
    }
    return out;
  }

  const Model& model_;
  Case wanted_;
  const std::vector<std::vector<Bytes>>& memory_;
  Bytes least_{1e30};
  std::vector<std::string> found_;
};

}  // namespace

std::string arithmetic(const TrainingMemory& memory) {
  return "weights " + gib(memory.weights) + ", gradients " + gib(memory.gradients) +
         ", optimizer " + gib(memory.optimizer) + ", activations " + gib(memory.activations) +
         " (" + std::to_string(memory.in_flight) +
         (memory.in_flight == 1 ? " micro-batch" : " micro-batches") + " in flight), logits " +
         gib(memory.logits) + ", working " + gib(memory.working) + ", communication " +
         gib(memory.communication) + ", reserve " + gib(memory.reserve);
}

std::variant<FullestRank, Infeasible> fits_in_training(
    const Plan& plan, const GroupPlan& group, const Model& model, const TrainingWorkload& training,
    const std::vector<std::vector<Bytes>>& memory, WaysOut ways_out) {
  LINDOS_ASSERT(memory.size() == group.stages.size(), "one list of memories per stage");
  const Case wanted{group, training, parameter_copies(plan),
                    micro_batches_of(plan, group, training)};
  const FullestRank rank = fullest(model, wanted, memory);
  if (rank.memory.total() <= rank.available) return rank;
  Infeasible answer{"group " + group.name + ", stage " + std::to_string(rank.shard.stage) +
                    " rank " + std::to_string(rank.shard.rank) + " needs " +
                    gib(rank.memory.total()) + " GiB of " + gib(rank.available) + " GiB (" +
                    arithmetic(rank.memory) + ")"};
  if (ways_out == WaysOut::kNearest) answer.reason += "; " + WayOut(model, wanted, memory).text();
  return answer;
}

}  // namespace lindos
