// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/pages/power_page.h"
#include "gui/pages/empty_or_filled.h"

#include <QFileDialog>
#include <QHBoxLayout>
#include <QPushButton>
#include <QSplitter>
#include <QVBoxLayout>

namespace lindos::gui {

PowerPage::PowerPage(QWidget* parent)
    : QWidget(parent),
      pages_(new QStackedWidget),
      empty_(new QLabel),
      headline_(new QLabel),
      about_(new QLabel),
      chart_(new PowerChart),
      table_(new TableView(tr("Power of the pools"))),
      time_(new QWidget),
      time_headline_(new QLabel),
      time_views_(new QStackedWidget),
      time_chart_(new PowerTimeChart),
      time_table_(new TableView(tr("Power over time"))),
      as_table_(new QPushButton(tr("Show as table"))) {
  headline_->setObjectName("headline");
  headline_->setWordWrap(true);
  headline_->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
  about_->setObjectName("muted");
  about_->setWordWrap(true);
  about_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  auto* export_button = new QPushButton(tr("Export chart…"));
  auto* texts = new QVBoxLayout;
  texts->addWidget(headline_);
  texts->addWidget(about_);
  auto* top = new QHBoxLayout;
  top->addLayout(texts, 1);
  top->addWidget(export_button, 0, Qt::AlignTop);
  time_headline_->setWordWrap(true);
  time_headline_->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
  as_table_->setCheckable(true);
  auto* export_time = new QPushButton(tr("Export…"));
  export_time->setAccessibleName(tr("Export power over time"));
  auto* time_top = new QHBoxLayout;
  time_top->addWidget(time_headline_, 1);
  time_top->addWidget(as_table_, 0, Qt::AlignTop);
  time_top->addWidget(export_time, 0, Qt::AlignTop);
  time_views_->addWidget(time_chart_);
  time_views_->addWidget(time_table_);
  auto* time_column = new QVBoxLayout(time_);
  time_column->setContentsMargins(0, 0, 0, 0);
  time_column->addLayout(time_top);
  time_column->addWidget(time_views_, 1);
  auto* both = new QSplitter(Qt::Vertical);
  both->addWidget(chart_);
  both->addWidget(time_);
  both->addWidget(table_);
  both->setChildrenCollapsible(false);
  both->setHandleWidth(12);
  both->setStretchFactor(0, 1);
  both->setStretchFactor(1, 1);
  both->setStretchFactor(2, 0);
  both->setSizes({300, 300, 150});
  auto* rule =
      new QLabel(tr("At the meter, with cooling and losses, where a bar does not say otherwise. "
                    "Power drawn in training is not predicted; over time predictions of "
                    "serving have it, at fidelity maxplus or simgrid."));
  rule->setObjectName("muted");
  rule->setWordWrap(true);
  auto* filled = new QWidget;
  auto* column = new QVBoxLayout(filled);
  column->setContentsMargins(14, 12, 14, 12);
  column->addLayout(top);
  column->addWidget(both, 1);
  column->addWidget(rule);
  show_empty_or_filled(*this, *pages_, *empty_, *filled);
  connect(export_button, &QPushButton::clicked, this, &PowerPage::export_chart);
  connect(export_time, &QPushButton::clicked, this, &PowerPage::export_over_time);
  connect(as_table_, &QPushButton::toggled, this, [this](bool table) { time_views_->setCurrentIndex(table ? 1 : 0); });
}

void PowerPage::show_power(const PowerView& view, const std::optional<PowerOverTime>& over_time, const QString& what) {
  headline_->setText(view.headline);
  about_->setText(what);
  chart_->show_power(view, view.headline + "\n" + what);
  table_->set_table(view.table);
  time_->setVisible(over_time.has_value());
  if (over_time) {
    time_headline_->setText(over_time->headline);
    time_chart_->show_power(*over_time, over_time->headline + "\n" + what);
    time_table_->set_table(over_time->table);
  }
  pages_->setCurrentIndex(1);
}

void PowerPage::show_empty(const QString& text) {
  empty_->setText(text);
  pages_->setCurrentIndex(0);
}

void PowerPage::set_theme(const Theme& theme) {
  chart_->set_theme(theme);
  time_chart_->set_theme(theme);
}

void PowerPage::save(const QString& name, const std::function<QString(const QString&)>& write) {
  const QString file =
      QFileDialog::getSaveFileName(this, tr("Export chart"), name, tr("Pictures (*.png *.svg *.pdf)"));
  if (file.isEmpty()) return;
  const QString error = write(file);
  if (!error.isEmpty()) emit export_failed(error);
}

void PowerPage::toggle_table() {
  if (as_table_->isVisibleTo(this)) as_table_->toggle();
}

void PowerPage::export_chart() {
  if (filled()) save("power.png", [this](const QString& file) { return chart_->export_to(file); });
}

void PowerPage::export_over_time() {
  if (has_time()) save("power-over-time.png", [this](const QString& file) { return time_chart_->export_to(file); });
}

}  // namespace lindos::gui
