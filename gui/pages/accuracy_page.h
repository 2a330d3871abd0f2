// SPDX-License-Identifier: GPL-3.0-or-later
// Accuracy: predictions against what was measured, one metric at a time as a parity chart, and the errors by metric,
// by cause of loss and over time; and what a calibration of the intervals would come to, before it is taken.
#pragma once

#include <QComboBox>
#include <QLabel>
#include <QPushButton>
#include <QStackedWidget>
#include <QTabWidget>
#include <QWidget>

#include "gui/charts/parity_chart.h"
#include "gui/models/accuracy.h"
#include "gui/models/calibration.h"
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
  // What is open, for the line that says where the evidence ends.
  void show_scope(const std::optional<OpenScope>& scope);
  [[nodiscard]] QString evidence() const { return evidence_->text(); }
  // Marks the pair of this measured run, if it has one.
  void select_run(std::int64_t measured);
  // What a calibrated profile would change; it is not in use until it is accepted.
  void show_calibration(const CalibrationPreview& preview);
  void drop_calibration();

  [[nodiscard]] TableView& calibration() { return *calibration_table_; }
  [[nodiscard]] QPushButton& accept() { return *accept_; }
  [[nodiscard]] QString calibration_text() const { return calibration_text_->text(); }
  [[nodiscard]] ParityChart& chart() { return *chart_; }
  [[nodiscard]] TableView& pairs() { return *pairs_table_; }
  [[nodiscard]] TableView& by_metric() { return *by_metric_; }
  [[nodiscard]] QString statistics() const { return statistics_->text(); }
  [[nodiscard]] bool filled() const { return pages_->currentIndex() == 1; }

 signals:
  void run_chosen(std::int64_t id);
  void calibration_requested();
  void calibration_accepted();
  void calibration_dropped();
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
  TableView* by_hardware_;
  TableView* history_;
  QLabel* evidence_;
  std::optional<OpenScope> scope_;
  QTabWidget* tables_;
  QWidget* calibration_;
  QLabel* calibration_text_;
  TableView* calibration_table_;
  QPushButton* accept_;
};

}  // namespace lindos::gui
