// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/pages/why_page.h"

#include <QFileDialog>
#include <QHBoxLayout>
#include <QSplitter>
#include <QTabWidget>
#include <QVBoxLayout>

#include "gui/models/format.h"
#include "gui/models/tables.h"

namespace lindos::gui {

namespace {

QWidget* titled(const QString& title, QWidget* content) {
  auto* box = new QWidget;
  auto* column = new QVBoxLayout(box);
  column->setContentsMargins(0, 6, 0, 0);
  column->setSpacing(5);
  auto* label = new QLabel(title);
  label->setObjectName("section");
  label->setBuddy(content);
  column->addWidget(label);
  column->addWidget(content, 1);
  return box;
}

}  // namespace

WhyPage::WhyPage(QWidget* parent)
    : QWidget(parent),
      pages_(new QStackedWidget),
      empty_(new QLabel),
      predict_(new QPushButton(tr("Predict"))),
      headline_(new QLabel),
      provenance_(new QLabel),
      picture_(new QStackedWidget),
      chart_(new WaterfallChart),
      causes_(new TableView(tr("Losses"))),
      metrics_(new TableView(tr("Metrics"))),
      changes_(new QStackedWidget),
      changes_text_(new QLabel),
      explain_(new QPushButton(tr("Explain"))),
      apply_(new QPushButton(tr("Apply and compare"))),
      mitigations_(new TableView(tr("Changes that regain losses"))),
      restored_(new TableView(tr("Each cause made ideal"))),
      as_table_(new QPushButton(tr("Show as table"))) {
  headline_->setObjectName("headline");
  headline_->setWordWrap(true);
  headline_->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
  provenance_->setObjectName("muted");
  provenance_->setWordWrap(true);
  provenance_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  picture_->addWidget(chart_);
  picture_->addWidget(causes_);
  as_table_->setCheckable(true);
  auto* export_button = new QPushButton(tr("Export chart…"));

  auto* heading = new QVBoxLayout;
  heading->setSpacing(3);
  heading->addWidget(headline_);
  heading->addWidget(provenance_);
  auto* top = new QHBoxLayout;
  top->addLayout(heading, 1);
  top->addWidget(as_table_, 0, Qt::AlignTop);
  top->addWidget(export_button, 0, Qt::AlignTop);

  auto* not_yet = new QWidget;
  auto* not_yet_column = new QVBoxLayout(not_yet);
  changes_text_->setWordWrap(true);
  changes_text_->setObjectName("muted");
  not_yet_column->addWidget(changes_text_);
  not_yet_column->addWidget(explain_, 0, Qt::AlignLeft);
  not_yet_column->addStretch();
  auto* changes = new QWidget;
  auto* changes_column = new QVBoxLayout(changes);
  changes_column->setContentsMargins(0, 0, 0, 0);
  changes_column->addWidget(mitigations_, 1);
  apply_->setToolTip(tr("Opens the scenario with this change, predicts it and compares it with this run"));
  apply_->setEnabled(false);
  changes_column->addWidget(apply_, 0, Qt::AlignLeft);
  auto* tables = new QTabWidget;
  tables->addTab(changes, tr("What would regain it"));
  tables->addTab(restored_, tr("What each cause costs"));
  changes_->addWidget(not_yet);
  changes_->addWidget(tables);

  auto* below = new QSplitter(Qt::Horizontal);
  below->addWidget(titled(tr("Metrics"), metrics_));
  changes_box_ = titled(tr("Changes"), changes_);
  below->addWidget(changes_box_);
  below->setChildrenCollapsible(false);
  below->setStretchFactor(0, 1);
  below->setStretchFactor(1, 1);
  below->setHandleWidth(14);
  auto* both = new QSplitter(Qt::Vertical);
  both->addWidget(picture_);
  both->addWidget(below);
  both->setChildrenCollapsible(false);
  both->setStretchFactor(0, 3);
  both->setStretchFactor(1, 2);

  auto* filled = new QWidget;
  auto* column = new QVBoxLayout(filled);
  column->setContentsMargins(14, 12, 14, 12);
  column->addLayout(top);
  column->addWidget(both, 1);

  auto* nothing = new QWidget;
  auto* nothing_column = new QVBoxLayout(nothing);
  empty_->setAlignment(Qt::AlignCenter);
  empty_->setWordWrap(true);
  nothing_column->addStretch();
  nothing_column->addWidget(empty_);
  nothing_column->addWidget(predict_, 0, Qt::AlignHCenter);
  nothing_column->addStretch();
  pages_->addWidget(nothing);
  pages_->addWidget(filled);
  auto* all = new QVBoxLayout(this);
  all->setContentsMargins(0, 0, 0, 0);
  all->addWidget(pages_);

  connect(as_table_, &QPushButton::toggled, this, [this](bool on) { picture_->setCurrentIndex(on ? 1 : 0); });
  connect(export_button, &QPushButton::clicked, this, &WhyPage::export_chart);
  connect(mitigations_, &TableView::chosen, this, &WhyPage::change_chosen);
  connect(mitigations_->selectionModel(), &QItemSelectionModel::selectionChanged, this,
          [this] { apply_->setEnabled(mitigations_->current_key().has_value()); });
  connect(apply_, &QPushButton::clicked, this, [this] {
    if (const auto key = mitigations_->current_key()) emit change_chosen(*key);
  });
  connect(explain_, &QPushButton::clicked, this, &WhyPage::explain_requested);
  connect(chart_, &WaterfallChart::step_chosen, this, &WhyPage::step_chosen);
  connect(predict_, &QPushButton::clicked, this, &WhyPage::predict_requested);
}

void WhyPage::show_run(const ShownRun& run) {
  run_ = run;
  pair_.reset();
  const RunRecord* measured = run.measured ? &*run.measured : nullptr;
  headline_->setText(QString::fromStdString(headline_of(run.record)));
  QString provenance =
      tr("%1 · plan %2 · run %3 · %4 UTC\n%5")
          .arg(QString::fromStdString(run.record.scenario_name), QString::fromStdString(run.record.plan_name))
          .arg(run.id)
          .arg(time_text(run.record.started_utc), provenance_text(run.record));
  if (measured != nullptr) {
    provenance += tr("   ◇ %1 · run %2").arg(provenance_text(*measured)).arg(run.measured_id);
  }
  provenance_->setText(provenance);
  draw();
  picture_->setVisible(!run.record.ledger.empty());
  pages_->setCurrentIndex(1);
}

void WhyPage::draw() {
  if (!run_) return;
  const bool shows_a = pair_ && run_->id == pair_->a_id;
  const RunRecord* measured = run_->measured ? &*run_->measured : nullptr;
  const RunRecord* beside = !pair_ ? measured : shows_a ? &pair_->b : &pair_->a;
  QString other;
  if (pair_) other = shows_a ? tr("B: run %1").arg(pair_->b_id) : tr("A: run %1").arg(pair_->a_id);
  metrics_->set_table(pair_ ? compared_metrics(pair_->a, pair_->b) : metrics_table(run_->record, measured));
  const auto waterfall = waterfall_of(run_->record, beside);
  if (!waterfall) return;
  chart_->set_waterfall(*waterfall, headline_->text() + "\n" + provenance_->text(), other);
  causes_->set_table(waterfall_table(*waterfall, other));
}

void WhyPage::show_comparison(const RunPairShown& pair) {
  pair_ = pair;
  draw();
}

void WhyPage::end_comparison() {
  pair_.reset();
  draw();
}

void WhyPage::show_empty(const QString& text) {
  run_.reset();
  headline_->clear();
  empty_->setText(text);
  pages_->setCurrentIndex(0);
}

void WhyPage::set_can_predict(bool can) { predict_->setVisible(can); }

void WhyPage::show_explanation(const std::optional<ExplanationResult>& explanation, const QString& why_not) {
  changes_->setCurrentIndex(explanation ? 1 : 0);
  explain_->setVisible(why_not.isEmpty());
  // Only training has causes to make ideal.
  changes_box_->setVisible(run_ && run_->record.metrics.count("trained_tokens_per_s") > 0);
  if (explanation) {
    mitigations_->set_table(mitigations_table(*explanation));
    restored_->set_table(restored_table(*explanation));
    return;
  }
  changes_text_->setText(why_not.isEmpty()
                             ? tr("Not computed. Explain predicts again with each cause made ideal and with each "
                                  "change that would regain it.")
                             : why_not);
}

void WhyPage::set_theme(const Theme& theme) { chart_->set_theme(theme); }

void WhyPage::focus_changes() {
  if (mitigations_->visible_rows() == 0) return explain_->setFocus();
  if (!mitigations_->current_key()) mitigations_->selectRow(0);
  mitigations_->setFocus();
}

void WhyPage::toggle_table() { as_table_->toggle(); }

void WhyPage::export_chart() {
  if (!run_) return;
  const QString name = QString::fromStdString(run_->record.scenario_name) + "-waterfall.png";
  const QString file = QFileDialog::getSaveFileName(this, tr("Export chart"), name, tr("Pictures (*.png *.svg *.pdf)"));
  if (file.isEmpty()) return;
  const QString error = chart_->export_to(file);
  if (!error.isEmpty()) emit export_failed(error);
}

}  // namespace lindos::gui
