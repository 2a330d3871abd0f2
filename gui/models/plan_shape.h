// SPDX-License-Identifier: GPL-3.0-or-later
// A plan as boxes: the stages of one replica of each group, and in each stage the ranks as large as their shares.
// Pure numbers.
#pragma once

#include <QString>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "gui/models/table_model.h"
#include "scenarios/scenario.h"

namespace lindos::gui {

struct RankBox {
  int rank = 0;
  std::string pool;
  double share = 0.0;  // of the stage's heads and FFN columns, 0 … 1; sums to 1 over a stage
  QString text;        // "heads 0 – 7, FFN columns 0 – 6,655"
};
struct StageBox {
  int stage = 0;
  std::int64_t layers = 0;
  double layer_share = 0.0;  // of all layers
  bool even = true;          // all ranks have the same share
  std::vector<RankBox> ranks;
};
struct GroupBox {
  QString name;
  QString text;  // "1,171 replicas · 16 stages · 8 tensor ranks · 128 GPUs each"; without GPUs "… · on CPU cores"
  std::int64_t replicas = 1;
  bool even = true;
  std::vector<StageBox> stages;
};

// `cpu_pools`: whose ranks share a machine's cores.
[[nodiscard]] std::vector<GroupBox> plan_boxes(const Plan& plan, const std::set<std::string>& cpu_pools);
[[nodiscard]] std::vector<GroupBox> plan_boxes(const Scenario& scenario);
// Group, stage, rank, pool, layers, heads, FFN columns, share.
[[nodiscard]] Table shares_table(const std::vector<GroupBox>& groups);

}  // namespace lindos::gui
