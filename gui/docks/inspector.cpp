// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/docks/inspector.h"

#include <QApplication>
#include <QClipboard>
#include <QVBoxLayout>

namespace lindos::gui {

Inspector::Inspector(QWidget* parent)
    : QScrollArea(parent),
      title_(new QLabel),
      path_(new QLabel),
      facts_(new QLabel),
      why_(new QLabel),
      on_map_(new QPushButton(tr("Show on the map"))),
      gate_(new QPushButton(tr("What the step waits for"))),
      copy_(new QPushButton(tr("Copy"))) {
  title_->setObjectName("headline");
  path_->setObjectName("muted");
  for (QLabel* label : {title_, path_, facts_, why_}) {
    label->setWordWrap(true);
    label->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
  }
  facts_->setTextFormat(Qt::RichText);
  why_->setTextFormat(Qt::RichText);
  auto* content = new QWidget;
  auto* column = new QVBoxLayout(content);
  column->setContentsMargins(14, 12, 14, 12);
  column->setSpacing(8);
  column->addWidget(title_);
  column->addWidget(path_);
  column->addWidget(facts_);
  column->addWidget(why_);
  for (QPushButton* button : {on_map_, gate_, copy_}) column->addWidget(button, 0, Qt::AlignLeft);
  column->addStretch();
  setWidget(content);
  setWidgetResizable(true);
  setFrameShape(QFrame::NoFrame);
  setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  setMinimumWidth(250);
  setAccessibleName(tr("Inspector"));
  connect(on_map_, &QPushButton::clicked, this, &Inspector::map_requested);
  connect(gate_, &QPushButton::clicked, this, [this] { emit selected(fleet_->gate()); });
  connect(copy_, &QPushButton::clicked, this, &Inspector::copy);
  show_nothing();
}

void Inspector::set_fleet(std::shared_ptr<const Fleet> fleet, std::vector<MissingField> missing) {
  fleet_ = std::move(fleet);
  missing_ = std::move(missing);
  pair_ = {};
  show_nothing();
}

void Inspector::set_comparison(FleetPair pair) {
  pair_ = std::move(pair);
  show_selection(Selection(selection_));
}

void Inspector::show_nothing() {
  selection_ = {};
  plain_.clear();
  title_->setText(tr("Nothing selected"));
  path_->setText(fleet_ ? tr("Click a GPU on the map, a bar in Why, or press Ctrl+F.") : tr("No fleet is shown."));
  facts_->clear();
  why_->clear();
  on_map_->hide();
  copy_->hide();
  gate_->setVisible(fleet_ && fleet_->predicted());
}

void Inspector::show_selection(const Selection& selection) {
  if (selection.empty() || !fleet_) return show_nothing();
  selection_ = selection;
  Inspection inspection = inspect(*fleet_, selection);
  if (pair_) {
    inspection.facts = inspect(*pair_.a, selection, pair_.b.get()).facts;
  } else {
    for (const MissingField& field : missing_)
      inspection.facts.push_back({field.label, field.state, QString("<p>%1</p>").arg(field.reason.toHtmlEscaped())});
  }
  title_->setText(inspection.title);
  path_->setText(inspection.path);
  plain_ = inspection.title + "\n" + inspection.path + "\n";
  QString rows = "<table cellspacing='0' cellpadding='0'>";
  for (const Fact& fact : inspection.facts) {
    rows += QString("<tr><td style='padding:2px 12px 2px 0'>%1</td><td style='padding:2px 0'><b>%2</b></td></tr>")
                .arg(fact.label.toHtmlEscaped(), fact.value.toHtmlEscaped());
    plain_ += fact.label + ": " + fact.value + "\n";
  }
  facts_->setText(rows + "</table>");
  QString definitions;
  for (const Fact& fact : inspection.facts) {
    if (!fact.tooltip.isEmpty())
      definitions += QString("<p><b>%1</b></p>%2").arg(fact.label.toHtmlEscaped(), fact.tooltip);
  }
  facts_->setToolTip(definitions);
  QString why;
  for (const QString& sentence : inspection.why) {
    why += QString("<p style='margin:0 0 7px 0'>%1</p>").arg(sentence.toHtmlEscaped());
    plain_ += sentence + "\n";
  }
  why_->setText(why.isEmpty() ? QString() : tr("<p style='margin:0 0 7px 0'><b>Why</b></p>") + why);
  on_map_->show();
  copy_->show();
  gate_->setVisible(fleet_->predicted() && fleet_->gate().devices != selection.devices);
}

QString Inspector::text() const { return plain_; }

void Inspector::copy() const { QApplication::clipboard()->setText(plain_); }

}  // namespace lindos::gui
