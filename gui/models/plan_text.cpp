// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/models/plan_text.h"

#include <QObject>
#include <QRegularExpression>
#include <QStringList>
#include <vector>

namespace lindos::gui {

namespace {

const QString kPlan = "plan";
const QString kRouting = "plan.routing";
const QString kGroup = "plan.group";

struct Section {
  QString name;         // "" before the first header
  qsizetype header = -1;  // line of the header
  qsizetype begin = 0, end = 0;  // lines after it
};

// Headers inside texts of several lines are none.
std::vector<Section> sections_of(const QStringList& lines) {
  static const QRegularExpression kHeader("^\\s*\\[{1,2}\\s*([^\\[\\]#]+?)\\s*\\]{1,2}\\s*(#.*)?$");
  std::vector<Section> sections{{QString(), -1, 0, 0}};
  QString quote;  // of the text that is open
  for (qsizetype i = 0; i < lines.size(); ++i) {
    const auto match = quote.isEmpty() ? kHeader.match(lines[i]) : QRegularExpressionMatch();
    if (match.hasMatch()) {
      sections.back().end = i;
      sections.push_back({match.captured(1), i, i + 1, i + 1});
      continue;
    }
    for (qsizetype at = 0; at + 3 <= lines[i].size();) {
      const QString three = lines[i].mid(at, 3);
      if ((quote.isEmpty() && (three == "\"\"\"" || three == "'''")) || three == quote) {
        quote = quote.isEmpty() ? three : QString();
        at += 3;
      } else {
        ++at;
      }
    }
  }
  sections.back().end = lines.size();
  return sections;
}

QRegularExpression line_of(const QString& key) {
  return QRegularExpression("^\\s*" + QRegularExpression::escape(key) + "\\s*=");
}

bool has_key(const QStringList& lines, const Section& section, const QString& key) {
  for (qsizetype i = section.begin; i < section.end; ++i) {
    if (line_of(key).match(lines[i]).hasMatch()) return true;
  }
  return false;
}

// An empty value takes the key out. A comment behind the old value stays.
void set_key(QStringList& lines, const Section& section, const QString& key, const QString& value) {
  static const QRegularExpression kComment("(\\s+#.*)$");
  for (qsizetype i = section.begin; i < section.end; ++i) {
    if (!line_of(key).match(lines[i]).hasMatch()) continue;
    if (value.isEmpty()) {
      lines.removeAt(i);
    } else {
      lines[i] = key + " = " + value + kComment.match(lines[i]).captured(1);
    }
    return;
  }
  if (value.isEmpty()) return;
  // Behind the last line of the section that holds something.
  qsizetype at = section.end;
  while (at > section.begin && (lines[at - 1].trimmed().isEmpty() || lines[at - 1].trimmed().startsWith('#'))) --at;
  lines.insert(at, key + " = " + value);
}

// The sections move with every change.
const Section* find(const std::vector<Section>& sections, const QString& name) {
  for (const Section& section : sections) {
    if (section.name == name) return &section;
  }
  return nullptr;
}

}  // namespace

QString why_plan_is_fixed(const QString& text) {
  const QStringList lines = text.split('\n');
  const std::vector<Section> sections = sections_of(lines);
  const Section* plan = find(sections, kPlan);
  if (plan == nullptr && find(sections, kGroup) == nullptr)
    return QObject::tr("This file has no [plan]: that of the file it extends is taken, or the default one.");
  if (plan == nullptr) return {};
  if (has_key(lines, *plan, "file")) return QObject::tr("The plan stands in a file of its own.");
  if (has_key(lines, *plan, "json")) return QObject::tr("The plan stands here as JSON.");
  if (has_key(lines, *plan, "routing")) return QObject::tr("Routing stands on one line in [plan].");
  return {};
}

QString with_routing(const QString& text, const Routing& routing) {
  const Routing standard;
  const bool at_load = looks_at_load(routing.policy);
  const bool bounded = routing.policy == RoutingPolicy::kPrefixAffinity;
  const std::vector<std::pair<QString, QString>> keys = {
      {"policy", routing.policy == standard.policy ? QString() : QString("\"%1\"").arg(name_of(routing.policy))},
      {"replicas_per_router", at_load && routing.replicas_per_router != standard.replicas_per_router
                                  ? QString::number(routing.replicas_per_router)
                                  : QString()},
      {"load_bound",
       bounded && routing.load_bound != standard.load_bound ? QString::number(routing.load_bound, 'g', 6) : QString()}};
  QStringList lines = text.split('\n');
  if (find(sections_of(lines), kRouting) == nullptr) {
    if (routing == standard) return text;
    while (!lines.isEmpty() && lines.back().trimmed().isEmpty()) lines.removeLast();
    lines << QString() << "[" + kRouting + "]" << QString();
  }
  for (const auto& [key, value] : keys) set_key(lines, *find(sections_of(lines), kRouting), key, value);
  const auto sections = sections_of(lines);
  const Section routed = *find(sections, kRouting);
  for (qsizetype i = routed.begin; i < routed.end; ++i) {
    if (lines[i].trimmed().isEmpty()) continue;
    // A comment stays, and a table needs its policy.
    if (!has_key(lines, routed, "policy")) set_key(lines, routed, "policy", QString("\"%1\"").arg(name_of(routing.policy)));
    return lines.join('\n');
  }
  // Nothing is left to say: the table goes, with the empty line before it.
  const qsizetype first = routed.header > 0 && lines[routed.header - 1].trimmed().isEmpty() ? routed.header - 1 : routed.header;
  lines.remove(first, routed.header + 1 - first);
  return lines.join('\n');
}

QString with_prefix_reuse(const QString& text, bool on) {
  QStringList lines = text.split('\n');
  const bool groups = find(sections_of(lines), kGroup) != nullptr;
  // From the last to the first, so that those before keep their place.
  const std::vector<Section> sections = sections_of(lines);
  for (auto section = sections.rbegin(); section != sections.rend(); ++section) {
    if (section->name == (groups ? kGroup : kPlan)) set_key(lines, *section, "prefix_reuse", on ? "true" : QString());
  }
  return lines.join('\n');
}

}  // namespace lindos::gui
