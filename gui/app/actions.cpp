// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/app/actions.h"

#include <QObject>
#include <array>
#include <utility>
#include <vector>

namespace lindos::gui {

QAction* Actions::add(const QString& group, const QString& text, const QKeySequence& key, std::function<void()> act) {
  auto* action = new QAction(text, window_);
  action->setShortcut(key);
  QObject::connect(action, &QAction::triggered, window_, [act = std::move(act)] { act(); });
  window_->addAction(action);
  entries_.push_back({group, action});
  return action;
}

namespace {

// Single keys that act while the view has the focus; not actions, since letters are typed elsewhere.
struct ViewKeys {
  const char* view;
  std::vector<std::pair<const char*, const char*>> keys;
};

const std::vector<ViewKeys>& view_keys() {
  static const std::vector<ViewKeys> kKeys = {
      {QT_TR_NOOP("On the map"),
       {{"← → ↑ ↓", "move the selection"}, {"Enter, Esc", "zoom in, out"}, {"+ − 0", "zoom, fit"}, {"N, P", "next, previous of the worst"}}},
      {QT_TR_NOOP("In the timeline"),
       {{"← → ↑ ↓, Enter", "from span to span, zoom to it"}, {"W S, A D, 0", "zoom, move, all"}, {"PgUp, PgDn", "lanes"}}},
      {QT_TR_NOOP("In the waterfall"), {{"← →, Enter", "choose a bar, select its GPUs"}}},
      {QT_TR_NOOP("In Live"), {{"A D, W S, 0", "move, zoom, all"}, {"M, End", "marker, back to now"}}},
      {QT_TR_NOOP("In tables"), {{"Ctrl+C", "copy rows"}, {"Enter", "open"}}}};
  return kKeys;
}

QString heading(const QString& text) { return "<tr><td colspan='2'><b>" + text.toHtmlEscaped() + "</b></td></tr>"; }

QString row(const QString& key, const QString& what) {
  return QString("<tr><td>%1&nbsp;&nbsp;&nbsp;</td><td>%2</td></tr>").arg(key.toHtmlEscaped(), what.toHtmlEscaped());
}

}  // namespace

QString Actions::sheet_html() const {
  // Menus in two columns, with the keys of the views in a third one: a single column is taller than a screen.
  std::array<QString, 3> columns;
  QString group;
  for (const Entry& entry : entries_) {
    if (entry.action->shortcut().isEmpty()) continue;
    QString& column = columns[plain(entry.group) == QObject::tr("View") ? 1 : 0];
    if (entry.group != group) column += heading(plain(entry.group));
    group = entry.group;
    column += row(entry.action->shortcut().toString(QKeySequence::NativeText), plain(entry.action->text()));
  }
  for (const ViewKeys& view : view_keys()) {
    columns[2] += heading(QObject::tr(view.view));
    for (const auto& [key, what] : view.keys) columns[2] += row(QString::fromUtf8(key), QObject::tr(what));
  }
  QString out = "<table cellspacing='0' cellpadding='8'><tr>";
  for (const QString& column : columns) out += "<td valign='top'><table cellspacing='0' cellpadding='3'>" + column + "</table></td>";
  return out + "</tr></table>";
}

}  // namespace lindos::gui
