// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/app/command_palette.h"

#include <QKeyEvent>
#include <QTimer>
#include <QVBoxLayout>
#include <algorithm>

namespace lindos::gui {

CommandPalette::CommandPalette(const Actions& actions, QWidget* parent)
    : QDialog(parent), input_(new QLineEdit), list_(new QListWidget), actions_(actions) {
  setAttribute(Qt::WA_DeleteOnClose);
  setWindowTitle(tr("Commands"));
  resize(460, 380);
  input_->setPlaceholderText(tr("Type a command"));
  input_->setAccessibleName(tr("Command"));
  list_->setAccessibleName(tr("Commands that match"));
  auto* column = new QVBoxLayout(this);
  column->addWidget(input_);
  column->addWidget(list_, 1);
  input_->installEventFilter(this);
  connect(input_, &QLineEdit::textChanged, this, &CommandPalette::filter);
  connect(list_, &QListWidget::itemActivated, this, &CommandPalette::run);
  filter({});
}

// All words must occur; what begins with the text comes first.
void CommandPalette::filter(const QString& text) {
  const QStringList words = text.simplified().toLower().split(' ', Qt::SkipEmptyParts);
  found_.clear();
  for (const Actions::Entry& entry : actions_.entries()) {
    const QString name = Actions::plain(entry.action->text()).toLower() + " " + Actions::plain(entry.group).toLower();
    if (std::all_of(words.begin(), words.end(), [&](const QString& word) { return name.contains(word); }))
      found_.push_back(entry.action);
  }
  std::stable_sort(found_.begin(), found_.end(), [&](const QAction* a, const QAction* b) {
    const auto rank = [&](const QAction* action) {
      return (action->isEnabled() ? 0 : 2) +
             (Actions::plain(action->text()).toLower().startsWith(text.toLower()) ? 0 : 1);
    };
    return rank(a) < rank(b);
  });
  list_->clear();
  for (const QAction* action : found_) {
    const QString key = action->shortcut().toString(QKeySequence::NativeText);
    auto* item =
        new QListWidgetItem(Actions::plain(action->text()) + (key.isEmpty() ? QString() : "   (" + key + ")"), list_);
    if (!action->isEnabled()) item->setFlags(item->flags() & ~Qt::ItemIsEnabled);
  }
  list_->setCurrentRow(0);
}

void CommandPalette::run() {
  const int row = list_->currentRow();
  if (row < 0 || !found_[static_cast<std::size_t>(row)]->isEnabled()) return;
  QAction* action = found_[static_cast<std::size_t>(row)];
  accept();
  // After the dialog has given the focus back.
  QTimer::singleShot(0, action, &QAction::trigger);
}

bool CommandPalette::eventFilter(QObject* watched, QEvent* event) {
  if (watched == input_ && event->type() == QEvent::KeyPress) {
    const int key = static_cast<QKeyEvent*>(event)->key();
    if (key == Qt::Key_Down || key == Qt::Key_Up) {
      list_->setCurrentRow(
          std::clamp(list_->currentRow() + (key == Qt::Key_Down ? 1 : -1), 0, std::max(0, list_->count() - 1)));
      return true;
    }
    if (key == Qt::Key_Return || key == Qt::Key_Enter) {
      run();
      return true;
    }
  }
  return QDialog::eventFilter(watched, event);
}

}  // namespace lindos::gui
