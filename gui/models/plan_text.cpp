// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/models/plan_text.h"

#include <QObject>
#include <QRegularExpression>
#include <QStringList>
#include <algorithm>
#include <optional>
#include <vector>

namespace lindos::gui {

namespace {

const QString kPlan = "plan";
const QString kRouting = "plan.routing";
const QString kGroup = "plan.group";
const QString kAdmission = "plan.admission";
const QString kTenant = "plan.admission.tenant";

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

// As a TOML string.
QString quoted(QString text) { return '"' + text.replace('\\', "\\\\").replace('"', "\\\"") + '"'; }

// A header at the end, behind an empty line, and the line break behind it.
void end_with_section(QStringList& lines, const QString& header) {
  while (!lines.isEmpty() && lines.back().trimmed().isEmpty()) lines.removeLast();
  lines << QString() << header << QString();
}

// The sections move with every change.
const Section* find(const std::vector<Section>& sections, const QString& name) {
  for (const Section& section : sections) {
    if (section.name == name) return &section;
  }
  return nullptr;
}

// What stands behind "key =", without a comment; empty: there is no such key.
QString value_of(const QStringList& lines, const Section& section, const QString& key) {
  static const QRegularExpression kComment("\\s+#[^\"]*$");
  for (qsizetype i = section.begin; i < section.end; ++i) {
    if (line_of(key).match(lines[i]).hasMatch()) return lines[i].section('=', 1).remove(kComment).trimmed();
  }
  return {};
}

// A table that says nothing goes, with the empty lines behind it.
void drop_if_empty(QStringList& lines, const QString& name) {
  const std::vector<Section> sections = sections_of(lines);
  const Section* own = find(sections, name);
  if (own == nullptr) return;
  for (qsizetype i = own->begin; i < own->end; ++i) {
    if (!lines[i].trimmed().isEmpty()) return;
  }
  lines.remove(own->header, own->end - own->header);
}

// In [plan], or in each of its groups.
QString with_group_key(const QString& text, const QString& key, const QString& value) {
  QStringList lines = text.split('\n');
  const std::vector<Section> sections = sections_of(lines);
  const bool groups = find(sections, kGroup) != nullptr;
  // From the last to the first, so that those before keep their place.
  for (auto section = sections.rbegin(); section != sections.rend(); ++section) {
    if (section->name == (groups ? kGroup : kPlan)) set_key(lines, *section, key, value);
  }
  return lines.join('\n');
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
  if (has_key(lines, *plan, "admission")) return QObject::tr("Admission stands on one line in [plan].");
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
    end_with_section(lines, "[" + kRouting + "]");
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

QString with_prefix_reuse(const QString& text, bool on) { return with_group_key(text, "prefix_reuse", on ? "true" : QString()); }

QString with_kv_offload(const QString& text, const QString& size) {
  return with_group_key(text, "kv_offload", size.trimmed().isEmpty() ? QString() : quoted(size.trimmed()));
}

QString with_unfinished_bounds(const QString& text, const UnfinishedBounds& bounds) {
  QStringList lines = text.split('\n');
  if (find(sections_of(lines), kAdmission) == nullptr && bounds.any()) {
    const std::vector<Section> sections = sections_of(lines);
    const auto first = std::find_if(sections.begin(), sections.end(), [](const Section& s) { return s.name.startsWith(kAdmission); });
    if (first == sections.end()) {
      end_with_section(lines, "[" + kAdmission + "]");
    } else {  // above its own arrays
      lines.insert(first->header, QString());
      lines.insert(first->header, "[" + kAdmission + "]");
    }
  }
  for (const auto& [key, value] : {std::pair{"replica_unfinished", bounds.replica}, {"router_unfinished", bounds.router}}) {
    const std::vector<Section> sections = sections_of(lines);
    if (const Section* own = find(sections, kAdmission))
      set_key(lines, *own, key, value > 0 ? QString::number(value) : QString());
  }
  drop_if_empty(lines, kAdmission);
  return lines.join('\n');
}

QString with_tenant_limits(const QString& text, const TenantLimits& limits) {
  QStringList lines = text.split('\n');
  const QString name = QString::fromStdString(limits.tenant);
  const auto own_section = [&]() -> std::optional<Section> {
    for (const Section& section : sections_of(lines)) {
      if (section.name == kTenant && value_of(lines, section, "tenant") == quoted(name)) return section;
    }
    return std::nullopt;
  };
  if (limits.requests == RateLimit{} && limits.tokens == RateLimit{}) {
    if (const auto own = own_section()) lines.remove(own->header, own->end - own->header);
    drop_if_empty(lines, kAdmission);
    return lines.join('\n');
  }
  if (!own_section()) {
    end_with_section(lines, "[[" + kTenant + "]]");
    lines.insert(lines.size() - 1, "tenant = " + quoted(name));
  }
  for (const auto& [kind, rate] : {std::pair{QString("request"), limits.requests}, {QString("token"), limits.tokens}}) {
    const bool none = rate == RateLimit{};
    set_key(lines, *own_section(), kind + "_rate",
            none ? QString() : QString("\"%1 /s\"").arg(QString::number(rate.rate.value(), 'g', 9)));
    set_key(lines, *own_section(), kind + "_burst", none ? QString() : QString::number(rate.burst));
  }
  return lines.join('\n');
}

QString with_plan_file(const QString& text, const QString& file) {
  QStringList lines = text.split('\n');
  for (std::vector<Section> all = sections_of(lines); !all.empty(); all.pop_back()) {
    const Section& section = all.back();
    if (section.name == kPlan || section.name.startsWith(kPlan + ".")) lines.remove(section.header, section.end - section.header);
  }
  end_with_section(lines, "[" + kPlan + "]");
  lines.insert(lines.size() - 1, "file = " + quoted(file));
  return lines.join('\n');
}

}  // namespace lindos::gui
