// SPDX-License-Identifier: Apache-2.0
#include "scenarios/training_plan.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "scenarios/balance.h"
#include "scenarios/error.h"
#include "tests/scenarios/models.h"

namespace lindos {
namespace {

GroupPlan group_of(const std::vector<std::int64_t>& layers, int chunks) {
  GroupPlan group;
  group.name = "g";
  group.role = Role::kTrain;
  std::int64_t begin = 0;
  for (const std::int64_t n : layers) {
    group.stages.push_back({{begin, begin + n}, {RankPlan{"pool", {}, 0}}});
    begin += n;
  }
  group.training.virtual_stages = chunks;
  return group;
}

// 24 layers, 4 stages, 2 chunks of 3: stage 1 holds layers 3–5 and 15–17 (SC21, figure 4, with 3 for 1).
TEST(ChunkLayers, ChunksOfAStageLieApart) {
  const GroupPlan group = group_of({6, 6, 6, 6}, 2);
  EXPECT_EQ(chunk_layers(group, 0, 0), (Range{0, 3}));
  EXPECT_EQ(chunk_layers(group, 1, 0), (Range{3, 6}));
  EXPECT_EQ(chunk_layers(group, 1, 1), (Range{15, 18}));
  EXPECT_EQ(chunk_layers(group, 3, 1), (Range{21, 24}));
  EXPECT_EQ(chunk_layers(group_of({6, 6, 6, 6}, 1), 1, 0), (Range{6, 12}));
}

// Llama 3 405B: 126 layers with embedding and head in the place of a layer each, 8 stages of 8 chunks of 2. So the
// first chunk of the first stage and the last chunk of the last stage have one layer (arXiv 2407.21783, 3.3.2).
TEST(ChunkLayers, ShortChunksAreAtTheEnds) {
  const GroupPlan group = group_of({15, 16, 16, 16, 16, 16, 16, 15}, 8);
  EXPECT_EQ(chunk_layers(group, 0, 0), (Range{0, 1}));
  EXPECT_EQ(chunk_layers(group, 0, 7).size(), 2);
  EXPECT_EQ(chunk_layers(group, 7, 0).size(), 2);
  EXPECT_EQ(chunk_layers(group, 7, 7), (Range{125, 126}));
}

RC_GTEST_PROP(ChunkLayers, PartitionTheModelInOrder, ()) {
  const int chunks = *rc::gen::inRange(1, 6);
  const auto extra = *rc::gen::container<std::vector<std::int64_t>>(
      *rc::gen::inRange(1, 7), rc::gen::inRange<std::int64_t>(0, 9));
  std::vector<std::int64_t> layers;
  for (const std::int64_t n : extra) layers.push_back(chunks + n);
  const GroupPlan group = group_of(layers, chunks);
  std::int64_t next = 0;
  std::vector<std::int64_t> held(layers.size(), 0);
  for (int c = 0; c < chunks; ++c) {
    for (std::size_t s = 0; s < layers.size(); ++s) {
      const Range range = chunk_layers(group, static_cast<int>(s), c);
      RC_ASSERT(range.begin == next);
      RC_ASSERT(!range.empty());
      held[s] += range.size();
      next = range.end;
    }
  }
  RC_ASSERT(held == layers);
}

// 1F1B: stage s has gone forward with pp − s micro-batches when the first comes back.
TEST(InFlight, OneForwardOneBackward) {
  const GroupPlan group = group_of({1, 1, 1, 1}, 1);
  EXPECT_EQ(in_flight(group, 16, 0, 0), 4);
  EXPECT_EQ(in_flight(group, 16, 3, 0), 1);
  EXPECT_EQ(in_flight(group, 2, 0, 0), 2);
}

// Interleaved, 4 stages × 3 chunks: the first stage has pp·v + pp − 1 = 15 passes in flight, 1 + (pp − 1)/(pp·v) times
// the 12 of 1F1B (arXiv 2205.05198): 4 + 4 + 4, then 3 of the next group in chunk 0. The last stage has
// 2 · 4 + 1 = 9, one of them in the last chunk.
TEST(InFlight, Interleaved) {
  const GroupPlan group = group_of({3, 3, 3, 3}, 3);
  EXPECT_EQ(in_flight(group, 16, 0, 0), 7);
  EXPECT_EQ(in_flight(group, 16, 0, 1), 4);
  EXPECT_EQ(in_flight(group, 16, 0, 2), 4);
  EXPECT_EQ(in_flight(group, 16, 3, 0), 4);
  EXPECT_EQ(in_flight(group, 16, 3, 1), 4);
  EXPECT_EQ(in_flight(group, 16, 3, 2), 1);
  EXPECT_EQ(in_flight(group, 4, 0, 0), 4);    // no more than there are
  EXPECT_EQ(in_flight(group, 6, 3, 2), 6);    // a ragged last group goes forward as a whole
}

TEST(MicroBatches, GroupsShareWhatOthersLeave) {
  GroupPlan fast = group_of({1}, 1);
  fast.replicas = 2;
  fast.training.micro_batches = 12;
  GroupPlan slow = group_of({1}, 1);
  slow.name = "slow";
  slow.replicas = 4;
  const Plan plan{"p", {fast, slow}};
  const TrainingWorkload training{.sequence = 8, .global_batch = 80, .micro_batch = 2};
  EXPECT_EQ(micro_batches_of(plan, fast, training), 12);
  EXPECT_EQ(micro_batches_of(plan, slow, training), 4);  // (40 − 2·12) / 4
  slow.training.context_parallel = 2;
  EXPECT_EQ(parameter_copies({"p", {fast, slow}}), 2 + 4 * 2);
}

// ---- Bad input -------------------------------------------------------------------------------------------------

struct Wanted {
  Plan plan;
  Model model = smollm2();
  TrainingWorkload training{.sequence = 4096, .global_batch = 96, .micro_batch = 2};
};

std::string complaint(const std::function<void(Wanted&, GroupPlan&)>& change) {
  Wanted wanted;
  wanted.plan = make_plan(wanted.model, "pool", 3, {1, 1}, {}, Dtype::kBf16, {}, kCpuGranule);
  GroupPlan& group = wanted.plan.groups[0];
  group.role = Role::kTrain;
  group.replicas = 4;
  change(wanted, group);
  try {
    validate_training(wanted.plan, wanted.model, wanted.training, "p.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "accepted";
}

TEST(ValidateTraining, Accepts) {
  EXPECT_EQ(complaint([](Wanted&, GroupPlan&) {}), "accepted");
  EXPECT_EQ(complaint([](Wanted&, GroupPlan& g) {
              g.training.context_parallel = 8;
              g.training.sequence_parallel = true;
              g.training.virtual_stages = 5;
              g.training.micro_batches = 12;
            }),
            "accepted");
}

TEST(ValidateTraining, Role) {
  EXPECT_EQ(complaint([](Wanted&, GroupPlan& g) { g.role = Role::kBoth; }),
            "p.json: /groups/0/role: the workload is training; expected \"train\"");
}

TEST(ValidateTraining, Formats) {
  EXPECT_EQ(complaint([](Wanted&, GroupPlan& g) { g.weight_dtype = Dtype::kFp4; }),
            "p.json: /groups/0/weight_dtype: training in fp4 is not described; expected bf16, f16, f32 or fp8");
  EXPECT_EQ(complaint([](Wanted&, GroupPlan& g) { g.training.gradient_dtype = Dtype::kFp8; }),
            "p.json: /groups/0/training/gradient_dtype: gradients in fp8 are too coarse to be summed; expected "
            "f32, bf16 or f16");
}

TEST(ValidateTraining, ContextRanksAndTheSequence) {
  EXPECT_EQ(complaint([](Wanted&, GroupPlan& g) { g.training.context_parallel = 12; }),
            "p.json: /groups/0/training/context_parallel: every context rank takes two pieces of a sequence, but "
            "24 do not divide 4096 tokens; the nearest degree is 8 or 16, the nearest sequence 4080 or 4104");
  EXPECT_EQ(complaint([](Wanted&, GroupPlan& g) {
              g.training.context_parallel = 2;
              g.training.fused_attention = false;
            }),
            "p.json: /groups/0/training/context_parallel: the attention ring needs fused_attention = true; or "
            "context_parallel = 1");
}

TEST(ValidateTraining, TensorRanksAndTheSequence) {
  EXPECT_EQ(complaint([](Wanted& w, GroupPlan& g) {
              w.training.sequence = 4095;
              g.training.sequence_parallel = true;
            }),
            "p.json: /groups/0/training/sequence_parallel: the 2 ranks of stage 0 do not divide the 4095 tokens "
            "of a sequence; the nearest degree is 1 or 3, or set it to false");
}

TEST(ValidateTraining, TensorRanksAndHeads) {
  EXPECT_EQ(complaint([](Wanted& w, GroupPlan& g) {
              g.stages = make_plan(w.model, "pool", 1, std::vector<double>(12, 1.0), {}, Dtype::kBf16,
                                   {}, kCpuGranule)
                             .groups[0]
                             .stages;
            }),
            "p.json: /groups/0/stages/0/ranks/9/share/q_heads: this tensor rank has no query head and would only "
            "wait; the model's 9 heads allow at most 9 tensor ranks, each with at least one");
}

TEST(ValidateTraining, ExpertRanks) {
  EXPECT_EQ(complaint([](Wanted&, GroupPlan& g) { g.training.expert_parallel = 2; }),
            "p.json: /groups/0/training/expert_parallel: a dense model has no experts to deal out; expected 1");
  const auto experts = [](std::int64_t degree) {
    return complaint([degree](Wanted& w, GroupPlan& g) {
      w.model.moe = {.experts = 6, .top_k = 2, .expert_ffn = 1536};
      for (StagePlan& stage : g.stages) {
        for (RankPlan& rank : stage.ranks) rank.share.experts = {0, 6};
      }
      g.training.expert_parallel = degree;
    });
  };
  EXPECT_EQ(experts(2), "accepted");
  EXPECT_EQ(experts(3),
            "p.json: /groups/0/training/expert_parallel: experts are dealt out over replicas × context ranks = 4, "
            "which 3 does not divide; the nearest degree is 2 or 4");
  EXPECT_EQ(experts(4),
            "p.json: /groups/0/training/expert_parallel: 4 ranks cannot share 6 experts out evenly; the nearest "
            "degree is 3 or 6");
}

// The head weighs as much as several layers: 30 layers over three stages are 13, 12 and 5.
TEST(ValidateTraining, ChunksNeedLayers) {
  EXPECT_EQ(complaint([](Wanted&, GroupPlan& g) { g.training.virtual_stages = 12; }),
            "p.json: /groups/0/training/virtual_stages: 3 stages × 12 chunks need 36 layers; the model's 30 leave "
            "5 to the shortest stage: at most 5 chunks");
  EXPECT_EQ(complaint([](Wanted& w, GroupPlan& g) {
              g.stages = make_plan(w.model, "pool", 1, {}, {}, Dtype::kBf16, {}, 16).groups[0].stages;
              g.training.virtual_stages = 2;
            }),
            "p.json: /groups/0/training/virtual_stages: interleaving needs at least two stages; expected 1");
}

TEST(ValidateTraining, MicroBatchesAddUpToTheGlobalBatch) {
  EXPECT_EQ(complaint([](Wanted& w, GroupPlan&) { w.training.global_batch = 98; }),
            "p.json: /groups/0/training/micro_batches: 4 replicas cannot share 49 micro-batches of 2 out evenly; "
            "the nearest global batch is 96 or 104");
  EXPECT_EQ(complaint([](Wanted&, GroupPlan& g) { g.training.micro_batches = 10; }),
            "p.json: /groups/0/training/micro_batches: the groups' replicas × micro_batches × micro_batch are 80 "
            "sequences, the global batch is 96; set it to 80");
  EXPECT_EQ(complaint([](Wanted&, GroupPlan& g) { g.replicas = 49; }),
            "p.json: /groups/0/replicas: 49 replicas with at least 1 micro-batch each exceed the 48 micro-batches "
            "of 2 in a global batch of 96; at most 48 replicas");
  EXPECT_EQ(complaint([](Wanted& w, GroupPlan& g) {
              GroupPlan other = g;
              other.name = "other";
              w.plan.groups[0].training.micro_batches = 11;
              w.plan.groups.push_back(other);
            }),
            "accepted");  // 48 − 44 leave one to each of four replicas
  EXPECT_EQ(complaint([](Wanted& w, GroupPlan& g) {
              GroupPlan other = g;
              other.name = "other";
              w.plan.groups[0].training.micro_batches = 12;
              w.plan.groups.push_back(other);
            }),
            "p.json: /groups/1/training/micro_batches: 4 replicas cannot share 0 micro-batches of 2 out evenly; "
            "the nearest global batch is 104");
}

}  // namespace
}  // namespace lindos
