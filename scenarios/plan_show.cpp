// SPDX-License-Identifier: Apache-2.0
#include "scenarios/plan_show.h"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <variant>
#include <vector>

#include "scenarios/plan_admission.h"
#include "scenarios/quantity_text.h"
#include "scenarios/text_layout.h"
#include "scenarios/training_memory.h"
#include "scenarios/training_plan.h"

namespace lindos {
namespace {

constexpr std::size_t kWidth = 100;
constexpr std::size_t kShownStages = 8;
constexpr std::size_t kShownRanks = 8;

// First to last, both inclusive.
std::string range(Range r) {
  if (r.empty()) return "–";
  return with_thousands(r.begin) + (r.size() == 1 ? "" : "–" + with_thousands(r.end - 1));
}

// Stages that follow `first` with equal ranks and equally many layers; they are shown as one row.
std::size_t run_of_equals(const GroupPlan& group, std::size_t first) {
  std::size_t last = first;
  while (last + 1 < group.stages.size() &&
         group.stages[last + 1].ranks == group.stages[first].ranks &&
         group.stages[last + 1].layers.size() == group.stages[first].layers.size()) {
    ++last;
  }
  return last - first + 1;
}

std::string stages(const GroupPlan& group) {
  TextColumns table({false, false, false, false, false, false, false});
  table.row({"stage", "layers", "rank", "q heads", "KV heads", "FFN columns", "LM head rows"});
  std::size_t rows = 0;
  std::size_t i = 0;
  while (i < group.stages.size() && rows < kShownStages) {
    const StagePlan& stage = group.stages[i];
    const std::size_t run = run_of_equals(group, i);
    const StagePlan& last = group.stages[i + run - 1];
    const auto first_index = static_cast<std::int64_t>(i);
    const std::string name = range({first_index, first_index + static_cast<std::int64_t>(run)});
    std::string layers = range({stage.layers.begin, last.layers.end}) +
                         (run > 1 ? " (" + with_thousands(stage.layers.size()) + " each)" : "");
    // Chunks of a stage lie apart; the plan says how many layers it holds.
    if (group.training.virtual_stages > 1) {
      layers = with_thousands(stage.layers.size()) + " in " +
               plural(group.training.virtual_stages, "chunk");
    }
    if (i > 0 && stage.ranks == group.stages[i - 1].ranks) {
      table.row({name, layers, "as above", "", "", "", ""});
    } else {
      const std::size_t ranks = std::min(stage.ranks.size(), kShownRanks);
      for (std::size_t r = 0; r < ranks; ++r) {
        const TensorShare& share = stage.ranks[r].share;
        table.row({r == 0 ? name : "", r == 0 ? layers : "",
                   std::to_string(r) + " " + stage.ranks[r].pool, range(share.q_heads),
                   range(share.kv_heads), range(share.ffn), range(share.vocab)});
      }
      const auto hidden = static_cast<std::int64_t>(stage.ranks.size() - ranks);
      if (hidden > 0) table.row({"", "", "+ " + with_thousands(hidden) + " more", "", "", "", ""});
    }
    i += run;
    ++rows;
  }
  std::string out = table.str(4);
  const auto hidden = static_cast<std::int64_t>(group.stages.size() - i);
  if (hidden > 0) out += "    + " + plural(hidden, "stage") + '\n';
  return out;
}

// "TP 8 with sequence parallelism × PP 16 × DP 1,171; ZeRO-1, …"
std::string training_degrees(const Scenario& s, const GroupPlan& g) {
  const TrainingPlan& t = g.training;
  std::size_t narrowest = g.stages.front().ranks.size();
  std::size_t widest = narrowest;
  for (const StagePlan& stage : g.stages) {
    narrowest = std::min(narrowest, stage.ranks.size());
    widest = std::max(widest, stage.ranks.size());
  }
  const auto count = [](std::size_t n) { return with_thousands(static_cast<std::int64_t>(n)); };
  std::string out = "TP " + count(narrowest) + (widest > narrowest ? "–" + count(widest) : "");
  if (t.sequence_parallel) out += " with sequence parallelism";
  if (t.context_parallel > 1) out += " × CP " + with_thousands(t.context_parallel);
  out += " × PP " + count(g.stages.size());
  if (t.virtual_stages > 1) {
    out += " of " + plural(t.virtual_stages, "chunk") + " each";
  }
  out += " × DP " + with_thousands(g.replicas);
  if (t.expert_parallel > 1) out += ", EP " + with_thousands(t.expert_parallel);
  out += ", ZeRO-" + std::to_string(t.zero_stage) + ", gradients " +
         std::string(name_of(t.gradient_dtype)) +
         (t.hierarchical_exchange ? " exchanged by domains" : "");
  if (!t.fused_attention) out += ", unfused attention";
  if (t.portable_attention) out += ", portable attention";
  if (!t.fused_loss) out += ", unfused loss";
  out += "; " + plural(micro_batches_of(s.plan, g, s.workload.training), "micro-batch", "es") +
         " per step";
  std::string exposed;
  if (!t.overlap_gradient_reduce) exposed += " gradient reduction";
  if (!t.overlap_parameter_gather) exposed += (exposed.empty() ? "" : ",") + std::string(" parameter gather");
  if (!exposed.empty()) out += "; not overlapped:" + exposed;
  if (t.overlap_tensor == TensorOverlap::kTiles) out += "; tensor messages overlap GEMMs in tiles";
  if (t.overlap_tensor == TensorOverlap::kNone) out += "; tensor messages overlap nothing";
  return out;
}

// Memory of the rank with the least room, or why the group does not fit. Nothing on devices whose memory the
// probe measures.
std::string training_memory_line(const Scenario& s, const GroupPlan& g) {
  std::vector<std::vector<Bytes>> memory;
  for (const StagePlan& stage : g.stages) {
    std::vector<Bytes>& ranks = memory.emplace_back();
    for (const RankPlan& rank : stage.ranks) {
      const auto pool = std::find_if(s.cluster.pools.begin(), s.cluster.pools.end(),
                                     [&](const Pool& p) { return p.name == rank.pool; });
      ranks.push_back(s.devices.at(pool->node.device).memory);
      if (ranks.back() == Bytes{0}) return "";
    }
  }
  const auto answer = fits_in_training(s.plan, g, s.model, s.workload.training, memory);
  if (const auto* infeasible = std::get_if<Infeasible>(&answer)) {
    return "does not fit: " + infeasible->reason;
  }
  const auto& rank = std::get<FullestRank>(answer);
  const auto gib = [](Bytes bytes) { return number_text(bytes.value() / kGiB, 3) + " GiB"; };
  return "fullest rank (stage " + std::to_string(rank.shard.stage) + "): " +
         gib(rank.memory.total()) + " of " + gib(rank.available) + ": " +
         arithmetic(rank.memory);
}

}  // namespace

std::string_view name_of(Role role) {
  switch (role) {
    case Role::kBoth:
      return "prefill and decode";
    case Role::kPrefill:
      return "prefill";
    case Role::kDecode:
      return "decode";
    case Role::kTrain:
      return "training";
  }
  return "";
}

std::string show_plan(const Scenario& s) {
  std::string out =
      "\nPlan  " + s.plan.name + (s.plan_given ? "" : " (default; the scenario gives none)") + '\n';
  if (s.plan.routing != Routing{}) {
    out += "  requests routed by " + std::string(name_of(s.plan.routing.policy));
    if (looks_at_load(s.plan.routing.policy) || s.plan.admission.any())
      out += ", " + plural(s.plan.routing.replicas_per_router, "replica") + " per router";
    out += '\n';
  }
  for (const std::string& line : show_admission(s.plan.admission)) out += "  " + wrapped(line, kWidth, 4) + '\n';
  for (const GroupPlan& g : s.plan.groups) {
    std::string line = g.name + ": " + std::string(name_of(g.role)) + ", " +
                       plural(g.replicas, "replica") + " of " +
                       plural(static_cast<std::int64_t>(g.stages.size()), "stage") + " with " +
                       plural(g.devices_per_replica(), "rank") + " = " +
                       plural(g.replicas * g.devices_per_replica(), "rank") + ", weights " +
                       std::string(name_of(g.weight_dtype));
    if (g.role != Role::kTrain) {
      line += ", KV " + std::string(name_of(g.kv_dtype)) + "; per step " +
              with_thousands(g.limits.max_batched_tokens) + " tokens, " +
              with_thousands(g.limits.max_sequences) + " sequences, chunks of " +
              with_thousands(g.limits.prefill_chunk) + "; KV blocks of " +
              with_thousands(g.limits.block_tokens) + " in " + number_text(g.limits.memory_fraction * 100.0, 3) + " %" +
              " of memory";
      if (g.limits.prefix_reuse) line += ", reused by prompts that begin alike";
      if (g.limits.kv_offload > Bytes{0}) line += ", " + number_text(g.limits.kv_offload.value() / 1e9, 4) + " GB more in host memory";
    }
    if (g.power_limit > Watts{0}) line += "; each device held to " + format(g.power_limit);
    out += "  " + wrapped(line, kWidth, 4) + '\n';
    if (g.role == Role::kTrain) {
      out += "    " + wrapped(training_degrees(s, g), kWidth, 4) + '\n';
      const std::string memory = training_memory_line(s, g);
      if (!memory.empty()) out += "    " + wrapped(memory, kWidth, 4) + '\n';
    }
    out += stages(g);
  }
  return out;
}

}  // namespace lindos
