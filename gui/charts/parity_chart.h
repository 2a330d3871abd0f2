// SPDX-License-Identifier: GPL-3.0-or-later
// Measured over predicted: one point a pair, y = x with a band of ±10 %, bars for the predicted P10 – P90; below it
// the error of each point on the same axis.
#pragma once

#include <QWidget>
#include <vector>

#include "gui/app/theme.h"
#include "gui/models/accuracy.h"

class QCustomPlot;

namespace lindos::gui {

class ParityChart : public QWidget {
  Q_OBJECT

 public:
  explicit ParityChart(QWidget* parent = nullptr);

  // All of one metric.
  void show_points(const std::vector<ParityPoint>& points, const QString& subtitle);
  void set_theme(const Theme& theme);
  // As WaterfallChart::export_to.
  [[nodiscard]] QString export_to(const QString& file);
  // What is drawn, for tests: predicted and measured in the metric's display unit.
  [[nodiscard]] std::vector<std::pair<double, double>> drawn() const;

 signals:
  void point_chosen(std::int64_t measured_id);

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void draw();
  [[nodiscard]] int point_at(const QPointF& position) const;  // −1: none

  QCustomPlot* plot_;
  const Theme* theme_ = &light_theme();
  std::vector<ParityPoint> points_;
  QString subtitle_;
};

}  // namespace lindos::gui
