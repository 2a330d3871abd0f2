// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/app/comparison_bar.h"

#include <QHBoxLayout>

namespace lindos::gui {

ComparisonBar::ComparisonBar(QWidget* parent)
    : QFrame(parent),
      names_(new QPushButton),
      headline_(new QLabel),
      note_(new ElidedLabel),
      swap_(new QPushButton(tr("Swap"))) {
  setObjectName("comparison");
  names_->setObjectName("link");
  names_->setToolTip(tr("Show the comparison (Ctrl+7)"));
  headline_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  headline_->setObjectName("section");
  note_->setObjectName("muted");
  note_->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
  swap_->setToolTip(tr("Swap A and B (Ctrl+Shift+D)"));
  auto* end = new QPushButton(tr("End"));
  end->setAccessibleName(tr("End the comparison"));
  end->setToolTip(tr("End the comparison"));
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(9, 4, 8, 4);
  row->addWidget(names_);
  row->addWidget(headline_);
  row->addWidget(note_, 1);
  row->addSpacing(6);
  row->addWidget(swap_);
  row->addWidget(end);
  connect(names_, &QPushButton::clicked, this, &ComparisonBar::compare_requested);
  connect(swap_, &QPushButton::clicked, this, &ComparisonBar::swap_requested);
  connect(end, &QPushButton::clicked, this, &ComparisonBar::ended);
  hide();
}

void ComparisonBar::show_pair(const QString& names, const QString& headline, bool complete) {
  names_->setText(names);
  headline_->setText(headline);
  swap_->setEnabled(complete);
  show();
}

void ComparisonBar::set_theme(const Theme& theme) {
  setStyleSheet(QString("QFrame#comparison { background: %1; border-bottom: 1px solid %2; }")
                    .arg(theme.alternate.name(), theme.border.name()));
}

}  // namespace lindos::gui
