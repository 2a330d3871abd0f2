// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/models/dropped_file.h"

#include <QFile>
#include <QFileInfo>

namespace lindos::gui {

namespace {

constexpr qint64 kFirstBytes = 65536;

}  // namespace

FileKind kind_of_file(const QString& path) {
  const QString ending = QFileInfo(path).suffix().toLower();
  if (ending == "toml") return FileKind::kScenario;
  if (ending == "sql") return FileKind::kLlamaBench;
  if (ending == "csv" || ending == "jsonl") return FileKind::kTrace;
  if (ending != "json") return FileKind::kUnknown;
  QFile file(path);
  const QByteArray first = file.open(QIODevice::ReadOnly) ? file.read(kFirstBytes) : QByteArray();
  if (first.contains("\"lindos-plan\"")) return FileKind::kPlan;
  if (first.contains("\"lindos-profile\"")) return FileKind::kProfile;
  if (first.contains("\"num_prompts\"") && first.contains("\"tokenizer_id\"")) return FileKind::kVllm;
  return FileKind::kTimeline;
}

}  // namespace lindos::gui
