// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/app/actions.h"

#include <utility>

namespace lindos::gui {

QAction* Actions::add(const QString& group, const QString& text, const QKeySequence& key, std::function<void()> act) {
  auto* action = new QAction(text, window_);
  action->setShortcut(key);
  QObject::connect(action, &QAction::triggered, window_, [act = std::move(act)] { act(); });
  window_->addAction(action);
  entries_.push_back({group, action});
  return action;
}

QString Actions::sheet_html() const {
  QString out = "<table cellspacing='0' cellpadding='4'>";
  QString group;
  for (const Entry& entry : entries_) {
    if (entry.action->shortcut().isEmpty()) continue;
    if (entry.group != group) out += "<tr><td colspan='2'><b>" + entry.group.toHtmlEscaped() + "</b></td></tr>";
    group = entry.group;
    out += QString("<tr><td>%1&nbsp;&nbsp;&nbsp;</td><td>%2</td></tr>")
               .arg(entry.action->shortcut().toString(QKeySequence::NativeText).toHtmlEscaped(),
                    plain(entry.action->text()).toHtmlEscaped());
  }
  return out + "</table>";
}

}  // namespace lindos::gui
