// SPDX-License-Identifier: GPL-3.0-or-later
// Accuracy: predictions against what was measured, one metric at a time as a parity chart, and the errors by metric,
// by cause of loss and over time.
#pragma once

#include <QComboBox>
#include <QLabel>
#include <QStackedWidget>
#include <QTabWidget>
#include <QWidget>

#include "gui/charts/parity_chart.h"
#include "gui/models/accuracy.h"
#include "gui/pages/table_view.h"

namespace lindos::gui {

class AccuracyPage : public QWidget {
  Q_OBJECT

 public:
  explicit AccuracyPage(QWidget* parent = nullptr);
  void show_pairs(const std::vector<RecordPair>& pairs);
  void show_empty(const QString& text);
  void set_theme(const Theme& theme);
  void show_metric(const std::string& name);
  void export_chart();

  [[nodiscard]] ParityChart& chart() { return *chart_; }
  [[nodiscard]] TableView& pairs() { return *pairs_table_; }
  [[nodiscard]] TableView& by_metric() { return *by_metric_; }
  [[nodiscard]] QString statistics() const { return statistics_->text(); }
  [[nodiscard]] bool filled() const { return pages_->currentIndex() == 1; }

 signals:
  void run_chosen(std::int64_t id);
  void export_failed(const QString& message);

 private:
  std::vector<RecordPair> pairs_;
  std::vector<ParityPoint> points_;
  QStackedWidget* pages_;
  QLabel* empty_;
  QComboBox* metric_;
  QLabel* statistics_;
  ParityChart* chart_;
  TableView* pairs_table_;
  TableView* by_metric_;
  TableView* by_cause_;
  TableView* history_;
};

}  // namespace lindos::gui
