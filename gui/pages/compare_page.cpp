// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/pages/compare_page.h"

#include <QSplitter>
#include <QVBoxLayout>

#include "gui/models/format.h"
#include "gui/models/tables.h"
#include "gui/pages/empty_or_filled.h"

namespace lindos::gui {

namespace {

QString described(const QString& letter, std::int64_t id, const RunRecord& record) {
  return QObject::tr("<b>%1</b>&nbsp; run %2 · %3 · plan %4 · %5")
      .arg(letter)
      .arg(id)
      .arg(QString::fromStdString(record.scenario_name).toHtmlEscaped(),
           QString::fromStdString(record.plan_name).toHtmlEscaped(), provenance_text(record).toHtmlEscaped());
}

}  // namespace

ComparePage::ComparePage(QWidget* parent)
    : QWidget(parent),
      pages_(new QStackedWidget),
      empty_(new QLabel),
      a_(new QLabel),
      b_(new QLabel),
      metrics_(new TableView(tr("Metrics of A and B"))),
      causes_(new TableView(tr("Ledgers of A and B"))) {
  for (QLabel* label : {a_, b_}) {
    label->setTextFormat(Qt::RichText);
    label->setWordWrap(true);
    label->setTextInteractionFlags(Qt::TextSelectableByMouse);
  }
  auto* tables = new QSplitter(Qt::Vertical);
  tables->addWidget(metrics_);
  tables->addWidget(causes_);
  tables->setChildrenCollapsible(false);
  tables->setHandleWidth(12);
  auto* filled = new QWidget;
  auto* column = new QVBoxLayout(filled);
  column->setContentsMargins(14, 12, 14, 12);
  column->addWidget(a_);
  column->addWidget(b_);
  column->addWidget(tables, 1);
  auto* rule = new QLabel(compare_rule());
  rule->setObjectName("muted");
  rule->setWordWrap(true);
  column->addWidget(rule);
  show_empty_or_filled(*this, *pages_, *empty_, *filled);
}

void ComparePage::show_pair(const RunPairShown& pair) {
  a_->setText(described("A", pair.a_id, pair.a));
  b_->setText(described("B", pair.b_id, pair.b));
  metrics_->set_table(compared_metrics(pair.a, pair.b));
  causes_->set_table(compared_ledgers(pair.a, pair.b));
  pages_->setCurrentIndex(1);
}

void ComparePage::show_empty(const QString& text) {
  empty_->setText(text);
  pages_->setCurrentIndex(0);
}

}  // namespace lindos::gui
