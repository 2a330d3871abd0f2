// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/work/progress_reader.h"

#include <QJsonDocument>
#include <QJsonObject>
#include <algorithm>
#include <cmath>

#include "scenarios/error.h"

namespace lindos::gui {

namespace {

// Quantities that this version does not know are left out; so is what is no number.
std::optional<RunSample> sample_of(const QJsonObject& object) {
  const double t = object.value("t_s").toDouble(-1.0);
  if (!std::isfinite(t) || t < 0.0 || !object.value("subjects").isObject()) return std::nullopt;
  RunSample sample;
  sample.t_s = t;
  sample.phase = object.value("phase").toString().toStdString();
  const QJsonObject subjects = object.value("subjects").toObject();
  for (auto it = subjects.begin(); it != subjects.end(); ++it) {
    SampledSubject subject;
    subject.name = it.key().toStdString();
    const QJsonObject values = it.value().toObject().value("values").toObject();
    for (auto value = values.begin(); value != values.end(); ++value) {
      const std::string quantity = value.key().toStdString();
      if (value.value().isDouble() && find_sample_quantity(quantity) != nullptr)
        subject.values[quantity] = value.value().toDouble();
    }
    const QJsonObject absent = it.value().toObject().value("absent").toObject();
    for (auto reason = absent.begin(); reason != absent.end(); ++reason) {
      const std::string quantity = reason.key().toStdString();
      if (find_sample_quantity(quantity) != nullptr) subject.absent[quantity] = reason.value().toString().toStdString();
    }
    sample.subjects.push_back(std::move(subject));
  }
  return sample;
}

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
  if (event == "telemetry") {
    if (auto sample = sample_of(object)) return SampleEvent{std::move(*sample)};
  }
  if (event == "partial" && object.value("record").isObject()) {
    try {
      const QByteArray text = QJsonDocument(object.value("record").toObject()).toJson(QJsonDocument::Compact);
      return PartialEvent{run_record_from_json(text.toStdString(), "partial")};
    } catch (const Error&) {
      // Of another build: nothing that the window could show, so it goes to the Log.
    }
  }
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
