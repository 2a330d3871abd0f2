// SPDX-License-Identifier: GPL-3.0-or-later
// Why: one run's headline, the waterfall of its ledger, its metrics, and for training what would regain the losses.
#pragma once

#include <QLabel>
#include <QPushButton>
#include <QStackedWidget>
#include <QWidget>
#include <optional>

#include "gui/charts/waterfall_chart.h"
#include "gui/models/explanation.h"
#include "gui/pages/table_view.h"
#include "gui/work/store_reader.h"

namespace lindos::gui {

class WhyPage : public QWidget {
  Q_OBJECT

 public:
  explicit WhyPage(QWidget* parent = nullptr);

  void show_run(const ShownRun& run);
  // Nothing to show yet; the text says what to do.
  void show_empty(const QString& text);
  // A scenario is open and free of errors, and no job runs.
  void set_can_predict(bool can);
  // nullopt: not computed. `why_not`: why Explain cannot compute it; empty: it can.
  void show_explanation(const std::optional<ExplanationResult>& explanation, const QString& why_not);
  void set_theme(const Theme& theme);

  [[nodiscard]] const std::optional<ShownRun>& run() const { return run_; }
  [[nodiscard]] QString headline() const { return headline_->text(); }
  [[nodiscard]] WaterfallChart& chart() { return *chart_; }
  [[nodiscard]] TableView& metrics() { return *metrics_; }
  [[nodiscard]] TableView& mitigations() { return *mitigations_; }
  // The other one of A and B, in place of the measured run. REQUIRES: A or B is shown.
  void show_comparison(const RunPairShown& pair);
  void end_comparison();
  void toggle_table();
  // The ranked changes, from the best on; Enter applies one.
  void focus_changes();
  // Asks for a file and writes the chart.
  void export_chart();

 signals:
  void explain_requested();
  // A change was chosen to be tried: position in the explanation.
  void change_chosen(std::int64_t mitigation);
  void predict_requested();
  void export_failed(const QString& message);
  void step_chosen(const lindos::WaterfallStep& step);

 private:
  void draw();

  std::optional<ShownRun> run_;
  std::optional<RunPairShown> pair_;
  QStackedWidget* pages_;
  QLabel* empty_;
  QPushButton* predict_;
  QLabel* headline_;
  QLabel* provenance_;
  QStackedWidget* picture_;
  WaterfallChart* chart_;
  TableView* causes_;
  TableView* metrics_;
  QStackedWidget* changes_;
  QWidget* changes_box_ = nullptr;
  QLabel* changes_text_;
  QPushButton* explain_;
  QPushButton* apply_;
  TableView* mitigations_;
  TableView* restored_;
  QPushButton* as_table_;
};

}  // namespace lindos::gui
