// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/pages/accuracy_page.h"

#include <QFileDialog>
#include <QHBoxLayout>
#include <QPushButton>
#include <QSplitter>
#include <QVBoxLayout>
#include <algorithm>

#include "gui/models/format.h"
#include "gui/pages/empty_or_filled.h"

namespace lindos::gui {

AccuracyPage::AccuracyPage(QWidget* parent)
    : QWidget(parent),
      pages_(new QStackedWidget),
      empty_(new QLabel),
      metric_(new QComboBox),
      statistics_(new QLabel),
      chart_(new ParityChart),
      pairs_table_(new TableView(tr("Pairs of this metric"))),
      by_metric_(new TableView(tr("Errors by metric"))),
      by_cause_(new TableView(tr("Errors by cause of loss"))),
      by_hardware_(new TableView(tr("Errors by hardware and driver, of this metric"))),
      history_(new TableView(tr("Errors over time, of this metric"))),
      evidence_(new QLabel),
      tables_(new QTabWidget),
      calibration_(new QWidget),
      calibration_text_(new QLabel),
      calibration_table_(new TableView(tr("Intervals before and after calibration"))),
      accept_(new QPushButton(tr("Accept: use this profile"))) {
  auto* label = new QLabel(tr("Metric"));
  label->setBuddy(metric_);
  metric_->setAccessibleName(tr("Metric"));
  metric_->setMinimumContentsLength(24);
  statistics_->setWordWrap(true);
  statistics_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  auto* export_button = new QPushButton(tr("Export chart…"));
  auto* row = new QHBoxLayout;
  row->addWidget(label);
  row->addWidget(metric_);
  row->addSpacing(10);
  row->addWidget(statistics_, 1);
  auto* calibrate = new QPushButton(tr("Calibrate… (F8)"));
  calibrate->setToolTip(tr("Widens the predicted intervals to what was measured, and shows the result on held-out pairs first"));
  row->addWidget(calibrate);
  row->addWidget(export_button);
  tables_->addTab(pairs_table_, tr("Pairs"));
  tables_->addTab(by_metric_, tr("By metric"));
  tables_->addTab(by_cause_, tr("By cause of loss"));
  tables_->addTab(by_hardware_, tr("By hardware"));
  tables_->addTab(history_, tr("Over time"));
  calibration_text_->setWordWrap(true);
  calibration_text_->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
  auto* drop = new QPushButton(tr("Drop it"));
  auto* choice = new QHBoxLayout;
  choice->addWidget(accept_);
  choice->addWidget(drop);
  choice->addStretch();
  auto* preview = new QVBoxLayout(calibration_);
  preview->addWidget(calibration_text_);
  preview->addWidget(calibration_table_, 1);
  preview->addLayout(choice);
  calibration_->setParent(this);
  calibration_->hide();
  auto* both = new QSplitter(Qt::Horizontal);
  both->addWidget(chart_);
  both->addWidget(tables_);
  both->setChildrenCollapsible(false);
  both->setHandleWidth(14);
  both->setStretchFactor(0, 1);
  both->setStretchFactor(1, 1);
  both->setSizes({1000, 1000});  // in equal parts: the table asks for more, and the chart's names need it
  auto* rule =
      new QLabel(tr("A pair is a measured run and the last prediction of the same scenario and plan. Bars are the "
                    "predicted P10 – P90, the band "
                    "is ±10 %. Double-click a point or a row to open the run."));
  rule->setObjectName("muted");
  rule->setWordWrap(true);
  auto* filled = new QWidget;
  auto* column = new QVBoxLayout(filled);
  column->setContentsMargins(14, 12, 14, 12);
  column->addLayout(row);
  column->addWidget(both, 1);
  evidence_->setWordWrap(true);
  evidence_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  column->addWidget(evidence_);
  column->addWidget(rule);
  show_empty_or_filled(*this, *pages_, *empty_, *filled);

  connect(metric_, &QComboBox::activated, this,
          [this] { show_metric(metric_->currentData().toString().toStdString()); });
  connect(export_button, &QPushButton::clicked, this, &AccuracyPage::export_chart);
  connect(calibrate, &QPushButton::clicked, this, &AccuracyPage::calibration_requested);
  connect(accept_, &QPushButton::clicked, this, &AccuracyPage::calibration_accepted);
  connect(drop, &QPushButton::clicked, this, &AccuracyPage::calibration_dropped);
  connect(chart_, &ParityChart::point_chosen, this, &AccuracyPage::run_chosen);
  connect(pairs_table_, &TableView::chosen, this, &AccuracyPage::run_chosen);
}

void AccuracyPage::show_pairs(const std::vector<RecordPair>& pairs) {
  pairs_ = pairs;
  points_ = parity_points(pairs);
  const QString wanted = metric_->currentData().toString();
  metric_->clear();
  const std::vector<std::string> metrics = metrics_with_points(points_);
  if (metrics.empty()) {
    show_empty(
        tr("No measurement in this store has a prediction of the same scenario and plan. Twin (F6) makes both."));
    return;
  }
  for (const std::string& name : metrics) {
    metric_->addItem(metric_label(name), QString::fromStdString(name));
    metric_->setItemData(metric_->count() - 1, metric_tooltip(name), Qt::ToolTipRole);
  }
  show_scope(scope_);
  by_metric_->set_table(metric_errors_table(points_));
  by_cause_->set_table(cause_errors_table(pairs_));
  const auto first =
      std::find(metrics.begin(), metrics.end(), "tpot_s") != metrics.end() ? std::string("tpot_s") : metrics.front();
  show_metric(metric_->findData(wanted) >= 0 ? wanted.toStdString() : first);
  pages_->setCurrentIndex(1);
}

void AccuracyPage::show_metric(const std::string& name) {
  const int index = metric_->findData(QString::fromStdString(name));
  if (index < 0) return;
  metric_->setCurrentIndex(index);
  const std::vector<ParityPoint> own = of_metric(points_, name);
  const QString text = statistics_text(statistics_of(own));
  statistics_->setText(text);
  chart_->show_points(own, metric_label(name) + ": " + text);
  pairs_table_->set_table(parity_table(own));
  by_hardware_->set_table(hardware_errors_table(own));
  history_->set_table(history_table(own));
}

void AccuracyPage::show_scope(const std::optional<OpenScope>& scope) {
  scope_ = scope;
  evidence_->setText(evidence_text(pairs_, scope_));
}

void AccuracyPage::select_run(std::int64_t measured) {
  tables_->setCurrentWidget(pairs_table_);
  pairs_table_->select_key(measured);
  pairs_table_->setFocus();
}

void AccuracyPage::show_calibration(const CalibrationPreview& preview) {
  calibration_text_->setText(tr("%1. An interval should hold 80 %. Held out: each half of the pairs, widened by what the "
                                "other half asks for. Medians stay as they are.")
                                 .arg(preview.summary));
  calibration_table_->set_table(preview.metrics);
  if (tables_->indexOf(calibration_) < 0) tables_->addTab(calibration_, tr("Calibration"));
  tables_->setCurrentWidget(calibration_);
  accept_->setFocus();
}

void AccuracyPage::drop_calibration() {
  tables_->removeTab(tables_->indexOf(calibration_));
  calibration_table_->set_table({});
}

void AccuracyPage::show_empty(const QString& text) {
  empty_->setText(text);
  pages_->setCurrentIndex(0);
}

void AccuracyPage::set_theme(const Theme& theme) { chart_->set_theme(theme); }

void AccuracyPage::export_chart() {
  if (!filled()) return;
  const QString file =
      QFileDialog::getSaveFileName(this, tr("Export chart"), metric_->currentData().toString() + "-parity.png",
                                   tr("Pictures (*.png *.svg *.pdf)"));
  if (file.isEmpty()) return;
  const QString error = chart_->export_to(file);
  if (!error.isEmpty()) emit export_failed(error);
}

}  // namespace lindos::gui
