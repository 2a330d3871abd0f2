// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/models/plan_shape.h"

#include <QObject>
#include <QStringList>
#include <algorithm>
#include <cmath>

#include "gui/models/format.h"

namespace lindos::gui {

namespace {

constexpr double kSame = 1e-9;

QString range_text(const Range& range) {
  return range.empty() ? QObject::tr("none") : QString("%1 – %2").arg(counted(range.begin), counted(range.end - 1));
}

// What a rank holds of its stage's work. Heads and FFN columns weigh alike as shares; a model with routed experts
// alone has those.
double weight_of(const TensorShare& share, const TensorShare& all) {
  const auto part = [](const Range& own, const Range& whole) {
    return whole.empty() ? 0.0 : static_cast<double>(own.size()) / static_cast<double>(whole.size());
  };
  double sum = 0.0;
  int kinds = 0;
  for (const auto& [own, whole] : {std::pair{share.q_heads, all.q_heads}, std::pair{share.ffn, all.ffn},
                                   std::pair{share.experts, all.experts}}) {
    if (whole.empty()) continue;
    sum += part(own, whole);
    ++kinds;
  }
  return kinds > 0 ? sum / kinds : 0.0;
}

TensorShare whole_of(const StagePlan& stage) {
  TensorShare all;
  const auto cover = [](Range& whole, const Range& own) {
    if (own.empty()) return;
    whole = whole.empty() ? own : Range{std::min(whole.begin, own.begin), std::max(whole.end, own.end)};
  };
  for (const RankPlan& rank : stage.ranks) {
    cover(all.q_heads, rank.share.q_heads);
    cover(all.ffn, rank.share.ffn);
    cover(all.experts, rank.share.experts);
  }
  return all;
}

QString share_text(const TensorShare& share) {
  QStringList parts;
  if (!share.q_heads.empty()) parts << QObject::tr("heads %1").arg(range_text(share.q_heads));
  if (!share.ffn.empty()) parts << QObject::tr("FFN columns %1").arg(range_text(share.ffn));
  if (!share.experts.empty()) parts << QObject::tr("experts %1").arg(range_text(share.experts));
  return parts.isEmpty() ? QObject::tr("everything") : parts.join(", ");
}

StageBox stage_box(const StagePlan& stage, int index, std::int64_t all_layers) {
  StageBox box;
  box.stage = index;
  box.layers = stage.layers.size();
  box.layer_share = all_layers > 0 ? static_cast<double>(box.layers) / static_cast<double>(all_layers) : 0.0;
  const TensorShare all = whole_of(stage);
  double sum = 0.0;
  for (std::size_t r = 0; r < stage.ranks.size(); ++r) {
    const RankPlan& rank = stage.ranks[r];
    box.ranks.push_back({static_cast<int>(r), rank.pool, weight_of(rank.share, all), share_text(rank.share)});
    sum += box.ranks.back().share;
  }
  for (RankBox& rank : box.ranks) {
    rank.share = sum > 0.0 ? rank.share / sum : 1.0 / static_cast<double>(box.ranks.size());
    box.even = box.even && std::abs(rank.share - box.ranks.front().share) < kSame;
  }
  return box;
}

}  // namespace

std::vector<GroupBox> plan_boxes(const Plan& plan, const std::set<std::string>& cpu_pools) {
  std::vector<GroupBox> groups;
  for (const GroupPlan& group : plan.groups) {
    GroupBox box;
    box.name = QString::fromStdString(group.name);
    box.replicas = group.replicas;
    std::int64_t layers = 0;
    for (const StagePlan& stage : group.stages) layers += stage.layers.size();
    std::size_t ranks = 0;
    std::int64_t gpus = 0;
    bool on_cpu = false;
    for (std::size_t s = 0; s < group.stages.size(); ++s) {
      box.stages.push_back(stage_box(group.stages[s], static_cast<int>(s), layers));
      ranks = std::max(ranks, group.stages[s].ranks.size());
      for (const RankPlan& rank : group.stages[s].ranks) {
        if (cpu_pools.contains(rank.pool)) {
          on_cpu = true;
        } else {
          gpus += group.training.context_parallel;
        }
      }
      box.even = box.even && box.stages.back().even && box.stages.back().layers == box.stages.front().layers;
    }
    QStringList words{
        group.replicas == 1 ? QObject::tr("1 replica") : QObject::tr("%1 replicas").arg(counted(group.replicas)),
        group.stages.size() == 1 ? QObject::tr("1 stage") : QObject::tr("%1 stages").arg(group.stages.size()),
        ranks == 1 ? QObject::tr("1 rank a stage") : QObject::tr("%1 tensor ranks").arg(ranks)};
    if (group.training.context_parallel > 1) words << QObject::tr("context × %1").arg(group.training.context_parallel);
    if (group.training.virtual_stages > 1) words << QObject::tr("%1 chunks a stage").arg(group.training.virtual_stages);
    if (group.training.micro_batches > 0 && group.role == Role::kTrain)
      words << QObject::tr("%1 micro-batches").arg(group.training.micro_batches);
    if (gpus > 0) words << (gpus == 1 ? QObject::tr("1 GPU each") : QObject::tr("%1 GPUs each").arg(counted(gpus)));
    if (on_cpu) words << QObject::tr("on CPU cores");
    box.text = words.join(" · ");
    groups.push_back(std::move(box));
  }
  return groups;
}

std::vector<GroupBox> plan_boxes(const Scenario& scenario) {
  std::set<std::string> cpu_pools;
  for (const Pool& pool : scenario.cluster.pools) {
    if (scenario.devices.at(pool.node.device).compute_capability == 0) cpu_pools.insert(pool.name);
  }
  return plan_boxes(scenario.plan, cpu_pools);
}

Table shares_table(const std::vector<GroupBox>& groups) {
  Table table{{QObject::tr("Group"), QObject::tr("Stage"), QObject::tr("Layers"), QObject::tr("Rank"),
               QObject::tr("Pool"), QObject::tr("Share of the stage"), QObject::tr("Holds")},
              {}};
  const auto number = [](const QString& text, double value) {
    Cell cell;
    cell.text = text;
    cell.sort = value;
    cell.number = true;
    return cell;
  };
  const auto word = [](const QString& text) {
    Cell cell;
    cell.text = text;
    return cell;
  };
  for (const GroupBox& group : groups) {
    for (const StageBox& stage : group.stages) {
      for (const RankBox& rank : stage.ranks) {
        TableRow row;
        row.cells = {word(group.name),
                     number(QString::number(stage.stage), stage.stage),
                     number(QString::number(stage.layers), static_cast<double>(stage.layers)),
                     number(QString::number(rank.rank), rank.rank),
                     word(QString::fromStdString(rank.pool)),
                     number(percent(rank.share), rank.share),
                     word(rank.text)};
        table.rows.push_back(std::move(row));
      }
    }
  }
  return table;
}

}  // namespace lindos::gui
