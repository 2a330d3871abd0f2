// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/pages/runs_page.h"

#include <QHBoxLayout>
#include <QItemSelectionModel>
#include <QVBoxLayout>

#include "gui/models/tables.h"

namespace lindos::gui {

RunsPage::RunsPage(QWidget* parent)
    : QWidget(parent),
      filter_(new QLineEdit),
      pages_(new QStackedWidget),
      empty_(new QLabel),
      note_(new QLabel),
      table_(new TableView(tr("Runs in the store"))) {
  filter_->setPlaceholderText(tr("Filter: scenario, plan, kind, fidelity"));
  filter_->setClearButtonEnabled(true);
  filter_->setAccessibleName(tr("Filter runs"));
  note_->setObjectName("muted");
  note_->setWordWrap(true);
  note_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  auto* open = new QPushButton(tr("Show in Why"));
  auto* a = new QPushButton(tr("Use as A"));
  auto* b = new QPushButton(tr("Use as B"));
  auto* row = new QHBoxLayout;
  row->addWidget(filter_, 1);
  for (QPushButton* button : {open, a, b}) {
    button->setEnabled(false);
    row->addWidget(button);
  }
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(14, 12, 14, 12);
  column->addLayout(row);
  empty_->setAlignment(Qt::AlignCenter);
  empty_->setWordWrap(true);
  pages_->addWidget(empty_);
  pages_->addWidget(table_);
  column->addWidget(pages_, 1);
  column->addWidget(note_);

  connect(filter_, &QLineEdit::textChanged, this, [this](const QString& text) {
    table_->set_filter(text);
    say_count();
  });
  connect(table_, &TableView::chosen, this, &RunsPage::run_chosen);
  const auto with_current = [this](void (RunsPage::*chosen)(std::int64_t)) {
    if (const auto key = table_->current_key()) emit(this->*chosen)(*key);
  };
  connect(open, &QPushButton::clicked, this, [with_current] { with_current(&RunsPage::run_chosen); });
  connect(a, &QPushButton::clicked, this, [with_current] { with_current(&RunsPage::a_chosen); });
  connect(b, &QPushButton::clicked, this, [with_current] { with_current(&RunsPage::b_chosen); });
  connect(table_->selectionModel(), &QItemSelectionModel::selectionChanged, this, [this, open, a, b] {
    for (QPushButton* button : {open, a, b}) button->setEnabled(table_->selectionModel()->hasSelection());
  });
}

void RunsPage::show_list(const RunList& list, const QString& store) {
  store_ = store;
  total_ = static_cast<qsizetype>(list.runs.size());
  table_->set_table(runs_table(list.runs));
  filter_->setEnabled(total_ > 0);
  pages_->setCurrentIndex(total_ > 0 ? 1 : 0);
  empty_->setText(list.state == StoreState::kRefused
                      ? list.message
                      : tr("No runs yet.\n\nPredict a scenario (Ctrl+O, F5), or run the twin of "
                           "this machine from the start "
                           "page (Alt+Home)."));
  switch (list.state) {
    case StoreState::kReady:
      say_count();
      break;
    case StoreState::kMissing:
      note_->setText(tr("No store yet at %1. The first prediction makes it.").arg(store));
      break;
    case StoreState::kRefused:
      note_->clear();
      break;
  }
}

void RunsPage::say_count() {
  const int shown = table_->visible_rows();
  QString text = shown == total_ ? (total_ == 1 ? tr("1 run in %1").arg(store_) : tr("%1 runs in %2").arg(total_).arg(store_))
                                 : tr("%1 of %2 runs match “%4”, in %3")
                                       .arg(shown)
                                       .arg(total_)
                                       .arg(store_, filter_->text());
  if (total_ == StoreReader::kListed) text += tr(" (the newest; older ones: lindos compare, sqlite3)");
  note_->setText(text);
}

}  // namespace lindos::gui
