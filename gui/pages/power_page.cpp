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
      table_(new TableView(tr("Power of the pools"))) {
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
  auto* both = new QSplitter(Qt::Vertical);
  both->addWidget(chart_);
  both->addWidget(table_);
  both->setChildrenCollapsible(false);
  both->setHandleWidth(12);
  both->setStretchFactor(0, 1);
  both->setStretchFactor(1, 0);
  both->setSizes({420, 170});
  auto* rule =
      new QLabel(tr("At the meter, with cooling and losses, where a bar does not say otherwise. "
                    "Power over time, and power "
                    "drawn in training, are not predicted."));
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
}

void PowerPage::show_power(const PowerView& view, const QString& what) {
  headline_->setText(view.headline);
  about_->setText(what);
  chart_->show_power(view, view.headline + "\n" + what);
  table_->set_table(view.table);
  pages_->setCurrentIndex(1);
}

void PowerPage::show_empty(const QString& text) {
  empty_->setText(text);
  pages_->setCurrentIndex(0);
}

void PowerPage::set_theme(const Theme& theme) { chart_->set_theme(theme); }

void PowerPage::export_chart() {
  if (!filled()) return;
  const QString file = QFileDialog::getSaveFileName(this, tr("Export chart"), "power.png",
                                                    tr("Pictures (*.png *.svg *.pdf)"));
  if (file.isEmpty()) return;
  const QString error = chart_->export_to(file);
  if (!error.isEmpty()) emit export_failed(error);
}

}  // namespace lindos::gui
