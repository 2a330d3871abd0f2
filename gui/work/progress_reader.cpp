// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/work/progress_reader.h"

#include <QJsonDocument>
#include <QJsonObject>
#include <algorithm>

namespace lindos::gui {

namespace {

VerbEvent event_of(const QByteArray& line) {
  const QJsonObject object = QJsonDocument::fromJson(line).object();
  const QString event = object.value("event").toString();
  if (event == "progress" && object.value("fraction").isDouble()) {
    ProgressEvent progress;
    progress.phase = object.value("phase").toString();
    progress.fraction = std::clamp(object.value("fraction").toDouble(), 0.0, 1.0);
    if (object.value("remaining_s").isDouble()) progress.remaining_s = object.value("remaining_s").toDouble();
    return progress;
  }
  if (event == "phase") return PhaseEvent{object.value("text").toString()};
  return TextLine{QString::fromUtf8(line)};
}

}  // namespace

std::vector<VerbEvent> ProgressReader::feed(const QByteArray& bytes) {
  std::vector<VerbEvent> events;
  qsizetype start = 0;
  while (start < bytes.size()) {
    const qsizetype end = bytes.indexOf('\n', start);
    const qsizetype length = (end < 0 ? bytes.size() : end) - start;
    if (!skipping_) pending_.append(bytes.constData() + start, std::min(length, kMaxLine - pending_.size()));
    const bool full = pending_.size() == kMaxLine;
    if (end >= 0 || (full && !skipping_)) {
      if (!skipping_ && !pending_.trimmed().isEmpty()) events.push_back(event_of(pending_));
      pending_.clear();
      skipping_ = end < 0;
    }
    start += length + 1;
  }
  return events;
}

std::vector<VerbEvent> ProgressReader::finish() {
  std::vector<VerbEvent> events;
  if (!pending_.trimmed().isEmpty()) events.push_back(event_of(pending_));
  pending_.clear();
  skipping_ = false;
  return events;
}

}  // namespace lindos::gui
