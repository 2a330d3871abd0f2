// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/work/kept_timelines.h"

#include <QDir>
#include <QStandardPaths>

namespace lindos::gui {

namespace {

constexpr qsizetype kKept = 30;

}  // namespace

QString kept_timelines_folder() {
  return QStandardPaths::writableLocation(QStandardPaths::AppDataLocation) + "/timelines";
}

QString kept_timeline(const std::string& scenario_digest, const std::string& plan_digest, const QString& fidelity,
                      std::uint64_t seed) {
  QDir folder(kept_timelines_folder());
  folder.mkpath(".");
  const QStringList kept = folder.entryList({"*.json"}, QDir::Files, QDir::Time);
  for (qsizetype i = kKept; i < kept.size(); ++i) folder.remove(kept[i]);
  return folder.filePath(QString("%1-%2-%3-%4.json")
                             .arg(QString::fromStdString(scenario_digest.substr(0, 16)),
                                  QString::fromStdString(plan_digest.substr(0, 16)), fidelity)
                             .arg(seed));
}

QString kept_timeline_of(const RunRecord& predicted) {
  if (predicted.source != RunSource::kPredicted || predicted.fidelity == "closed") return {};
  return kept_timeline(predicted.scenario_digest, predicted.plan_digest, QString::fromStdString(predicted.fidelity),
                       predicted.seed);
}

}  // namespace lindos::gui
