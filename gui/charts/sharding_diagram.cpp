// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/charts/sharding_diagram.h"

#include <QHelpEvent>
#include <QPainter>
#include <QToolTip>
#include <algorithm>
#include <utility>

#include "gui/charts/chart_export.h"
#include "gui/map/map_colours.h"
#include "gui/models/format.h"

namespace lindos::gui {

namespace {

constexpr double kMargin = 12.0;
constexpr double kLegend = 26.0;
constexpr double kTitle = 24.0;    // above each group
constexpr double kFoot = 18.0;     // layers below each stage
constexpr double kStageHeight = 128.0;
constexpr double kGroupGap = 16.0;
constexpr double kStageGap = 5.0;
constexpr double kTextFrom = 15.0; // a rank this high carries its number

}  // namespace

ShardingDiagram::ShardingDiagram(QWidget* parent) : QWidget(parent) {
  setAccessibleName(tr("How the plan shares one replica out"));
  setAccessibleDescription(tr("Stages from left to right, ranks as large as their shares; the table has the numbers."));
  setMouseTracking(true);
}

void ShardingDiagram::show_plan(std::vector<GroupBox> groups) {
  groups_ = std::move(groups);
  pools_.clear();
  for (const GroupBox& group : groups_) {
    for (const StageBox& stage : group.stages) {
      for (const RankBox& rank : stage.ranks) {
        if (std::find(pools_.begin(), pools_.end(), rank.pool) == pools_.end()) pools_.push_back(rank.pool);
      }
    }
  }
  updateGeometry();
  setMinimumHeight(sizeHint().height());
  update();
}

void ShardingDiagram::set_theme(const Theme& theme) {
  theme_ = &theme;
  update();
}

QSize ShardingDiagram::sizeHint() const {
  const double height =
      kMargin * 2 + kLegend + static_cast<double>(groups_.size()) * (kTitle + kStageHeight + kFoot + kGroupGap);
  return {420, static_cast<int>(height)};
}

double ShardingDiagram::group_top(std::size_t group) const {
  return kMargin + kLegend + static_cast<double>(group) * (kTitle + kStageHeight + kFoot + kGroupGap) + kTitle;
}

QRectF ShardingDiagram::stage_box(std::size_t group, std::size_t stage) const {
  const std::vector<StageBox>& stages = groups_[group].stages;
  const double room = width() - 2 * kMargin - kStageGap * static_cast<double>(stages.size() - 1);
  double left = kMargin;
  for (std::size_t s = 0; s < stage; ++s) left += stages[s].layer_share * room + kStageGap;
  return {left, group_top(group), std::max(3.0, stages[stage].layer_share * room), kStageHeight};
}

QRectF ShardingDiagram::rank_box(std::size_t group, std::size_t stage, std::size_t rank) const {
  QRectF box = stage_box(group, stage);
  const std::vector<RankBox>& ranks = groups_[group].stages[stage].ranks;
  double top = 0.0;
  for (std::size_t r = 0; r < rank; ++r) top += ranks[r].share;
  return {box.left(), box.top() + top * box.height(), box.width(), ranks[rank].share * box.height()};
}

void ShardingDiagram::paintEvent(QPaintEvent* /*event*/) {
  QPainter painter(this);
  painter.fillRect(rect(), theme_->base);
  const QFontMetricsF metrics(font());
  QFont bold = font();
  bold.setBold(true);
  double x = kMargin;
  for (std::size_t p = 0; p < pools_.size(); ++p) {
    painter.fillRect(QRectF(x, kMargin + 2, 12, 12), kind_colour(p, theme_->dark));
    painter.setPen(theme_->text);
    const QString name = QString::fromStdString(pools_[p]);
    painter.drawText(QPointF(x + 18, kMargin + 13), name);
    x += 18 + metrics.horizontalAdvance(name) + 22;
  }
  const QString key = tr("column: stage, as wide as its layers (number below) · box: tensor rank, as high as its share");
  const double room = width() - kMargin - x;
  painter.setPen(theme_->muted);
  painter.drawText(QRectF(x, kMargin, room, metrics.height()), Qt::AlignRight,
                   metrics.elidedText(key, Qt::ElideRight, room));
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const GroupBox& group = groups_[g];
    const double base = group_top(g) - 8;
    painter.setFont(bold);
    painter.setPen(theme_->text);
    painter.drawText(QPointF(kMargin, base), group.name);
    const double name_width = QFontMetricsF(bold).horizontalAdvance(group.name);
    painter.setFont(font());
    painter.setPen(theme_->muted);
    const QString text = group.text + (group.even ? QString() : tr(" · uneven"));
    painter.drawText(QRectF(kMargin + name_width + 10, base - metrics.ascent(),
                            width() - name_width - 2 * kMargin - 10, metrics.height()),
                     Qt::AlignLeft,
                     metrics.elidedText(text, Qt::ElideRight, width() - name_width - 2 * kMargin - 10));
    for (std::size_t s = 0; s < group.stages.size(); ++s) {
      const QRectF box = stage_box(g, s);
      const StageBox& stage = group.stages[s];
      for (std::size_t r = 0; r < stage.ranks.size(); ++r) {
        const QRectF own = rank_box(g, s, r);
        const auto pool =
            static_cast<std::size_t>(std::find(pools_.begin(), pools_.end(), stage.ranks[r].pool) - pools_.begin());
        const QColor colour = kind_colour(pool, theme_->dark);
        painter.fillRect(own.adjusted(0.5, 0.5, -0.5, -0.5), colour);
        const QString number = stage.even || own.width() < 70
                                   ? QString::number(r)
                                   : QString("%1: %2").arg(r).arg(percent(stage.ranks[r].share));
        if (own.height() < kTextFrom || metrics.horizontalAdvance(number) > own.width() - 4) continue;
        painter.setPen(contrast(colour, Qt::white) > contrast(colour, Qt::black) ? Qt::white : Qt::black);
        painter.drawText(own, Qt::AlignCenter, number);
      }
      painter.setPen(theme_->muted);
      const QString layers = box.width() > 90
                                 ? (stage.layers == 1 ? tr("1 layer") : tr("%1 layers").arg(stage.layers))
                                 : QString::number(stage.layers);
      if (metrics.horizontalAdvance(layers) <= box.width() + kStageGap) {
        painter.drawText(QRectF(box.left() - 2, box.bottom() + 1, box.width() + 4, kFoot), Qt::AlignCenter, layers);
      }
    }
  }
}

QString ShardingDiagram::text_at(const QPointF& position) const {
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    for (std::size_t s = 0; s < groups_[g].stages.size(); ++s) {
      if (!stage_box(g, s).contains(position)) continue;
      const StageBox& stage = groups_[g].stages[s];
      for (std::size_t r = 0; r < stage.ranks.size(); ++r) {
        if (!rank_box(g, s, r).contains(position)) continue;
        const RankBox& rank = stage.ranks[r];
        return tr("Group %1, stage %2: %3 layers\nrank %4 on %5: %6 of the stage, %7")
            .arg(groups_[g].name)
            .arg(s)
            .arg(stage.layers)
            .arg(r)
            .arg(QString::fromStdString(rank.pool), percent(rank.share), rank.text);
      }
    }
  }
  return {};
}

QString ShardingDiagram::export_to(const QString& file) {
  const Theme* shown = std::exchange(theme_, &light_theme());
  const QString error = export_widget(*this, file, accessibleName(), theme_->base);
  theme_ = shown;
  return error;
}

bool ShardingDiagram::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    const auto* help = static_cast<QHelpEvent*>(event);
    QToolTip::showText(help->globalPos(), text_at(help->pos()), this);
    return true;
  }
  return QWidget::event(event);
}

}  // namespace lindos::gui
