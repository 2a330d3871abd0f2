// SPDX-License-Identifier: GPL-3.0-or-later
// One replica of each group of a plan: stages from left to right, as wide as their layers; in each the ranks from top
// to bottom, as high as their shares, coloured by pool.
#pragma once

#include <QWidget>

#include "gui/app/theme.h"
#include "gui/models/plan_shape.h"

namespace lindos::gui {

class ShardingDiagram : public QWidget {
  Q_OBJECT

 public:
  explicit ShardingDiagram(QWidget* parent = nullptr);
  void show_plan(std::vector<GroupBox> groups);
  void set_theme(const Theme& theme);
  // As WaterfallChart::export_to.
  [[nodiscard]] QString export_to(const QString& file);
  // For tests: the rectangle of a rank.
  [[nodiscard]] QRectF rank_box(std::size_t group, std::size_t stage, std::size_t rank) const;
  [[nodiscard]] QSize sizeHint() const override;

 protected:
  void paintEvent(QPaintEvent* event) override;
  bool event(QEvent* event) override;

 private:
  [[nodiscard]] double group_top(std::size_t group) const;
  [[nodiscard]] QRectF stage_box(std::size_t group, std::size_t stage) const;
  [[nodiscard]] QString text_at(const QPointF& position) const;

  std::vector<GroupBox> groups_;
  std::vector<std::string> pools_;
  const Theme* theme_ = &light_theme();
};

}  // namespace lindos::gui
