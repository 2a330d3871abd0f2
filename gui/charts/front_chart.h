// SPDX-License-Identifier: GPL-3.0-or-later
// Plans as points: what they reach over what they cost, with the line that no plan beats; for serving the front of
// one device's tokens over one user's.
#pragma once

#include <QWidget>
#include <optional>

#include "gui/app/theme.h"
#include "gui/models/found_plans.h"

class QCustomPlot;

namespace lindos::gui {

class FrontChart : public QWidget {
  Q_OBJECT

 public:
  explicit FrontChart(QWidget* parent = nullptr);
  void show_search(const PlanSearch& search);
  // Position in PlanSearch::plans; −1: none.
  void mark(int plan);
  void set_theme(const Theme& theme);
  // As WaterfallChart::export_to.
  [[nodiscard]] QString export_to(const QString& file);

 signals:
  void plan_chosen(int plan);

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void draw();
  void draw_plans();
  void draw_front();
  [[nodiscard]] int plan_at(const QPointF& position) const;

  QCustomPlot* plot_;
  const Theme* theme_ = &light_theme();
  std::optional<PlanSearch> search_;
  int marked_ = -1;
};

}  // namespace lindos::gui
