// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/models/slurm_jobs.h"

#include <QFileInfo>
#include <QJsonArray>
#include <QObject>
#include <algorithm>

#include "gui/models/cells.h"

namespace lindos::gui {

namespace {

QString word_of(const QString& state) {
  static const std::vector<std::pair<QString, QString>> kWords = {
      {"PENDING", QObject::tr("waiting")},     {"RUNNING", QObject::tr("running")},     {"COMPLETING", QObject::tr("ending")},
      {"COMPLETED", QObject::tr("done")},      {"FAILED", QObject::tr("failed")},       {"CANCELLED", QObject::tr("cancelled")},
      {"TIMEOUT", QObject::tr("out of time")}, {"NODE_FAIL", QObject::tr("node failed")}, {"OUT_OF_MEMORY", QObject::tr("out of memory")}};
  for (const auto& [name, word] : kWords) {
    if (name == state) return word;
  }
  return state.toLower();
}

QString state_of(const QJsonObject& states) {
  QStringList parts;
  for (auto it = states.begin(); it != states.end(); ++it) {
    const int count = it.value().toInt();
    parts << (states.size() == 1 && count == 1 ? word_of(it.key()) : QString("%1 %2").arg(count).arg(word_of(it.key())));
  }
  return parts.isEmpty() ? QObject::tr("left the queue") : parts.join(", ");
}

}  // namespace

std::optional<std::vector<SlurmJob>> submitted_from(const QJsonObject& result) {
  if (!result.value("submitted").isArray()) return std::nullopt;
  std::vector<SlurmJob> jobs;
  for (const QJsonValue& value : result.value("submitted").toArray()) {
    SlurmJob job;
    job.id = value.toObject().value("id").toString();
    job.script = value.toObject().value("script").toString();
    jobs.push_back(std::move(job));
  }
  return jobs;
}

std::optional<std::vector<SlurmJob>> update_jobs(std::vector<SlurmJob>& jobs, const QJsonObject& result) {
  if (!result.value("jobs").isArray()) return std::nullopt;
  std::vector<SlurmJob> just_ended;
  for (const QJsonValue& value : result.value("jobs").toArray()) {
    const QJsonObject said = value.toObject();
    const auto job = std::find_if(jobs.begin(), jobs.end(), [&](const SlurmJob& j) { return j.id == said.value("id").toString(); });
    if (job == jobs.end()) continue;
    const bool ended_before = job->ended;
    job->state = state_of(said.value("states").toObject());
    job->reason = said.value("states").toObject().isEmpty() ? QObject::tr("sacct does not know how") : said.value("reason").toString();
    job->nodes = said.value("nodes").toString();
    job->elapsed = said.value("elapsed").toString();
    job->ended = said.value("ended").toBool();
    if (job->ended && !ended_before) just_ended.push_back(*job);
  }
  return just_ended;
}

QStringList open_ids(const std::vector<SlurmJob>& jobs) {
  QStringList ids;
  for (const SlurmJob& job : jobs) {
    if (!job.ended) ids << job.id;
  }
  return ids;
}

QString sentence_of(const SlurmJob& job) {
  QString text = QObject::tr("Job %1 (%2): %3").arg(job.id, QFileInfo(job.script).fileName(),
                                                    job.state.isEmpty() ? QObject::tr("submitted") : job.state);
  if (!job.nodes.isEmpty()) text += QObject::tr(" on %1").arg(job.nodes);
  if (!job.elapsed.isEmpty() && job.elapsed != "0:00") text += QObject::tr(" for %1").arg(job.elapsed);
  if (!job.reason.isEmpty()) text += QString("; %1").arg(job.reason);
  return text + ".";
}

Table slurm_table(const std::vector<SlurmJob>& jobs) {
  Table table{{QObject::tr("Job"), QObject::tr("State"), QObject::tr("For"), QObject::tr("Where, or why not"), QObject::tr("File")}, {}};
  for (const SlurmJob& job : jobs) {
    TableRow row;
    row.key = static_cast<std::int64_t>(table.rows.size());
    row.cells = {word(job.id), word(job.state.isEmpty() ? QObject::tr("submitted") : job.state), word(job.elapsed),
                 word(job.reason.isEmpty() ? job.nodes : job.reason), word(QFileInfo(job.script).fileName(), job.script)};
    table.rows.push_back(std::move(row));
  }
  return table;
}

QStringList to_settings(const std::vector<SlurmJob>& jobs) {
  QStringList lines;
  for (const SlurmJob& job : jobs) {
    if (!job.ended) lines << job.id + " " + job.script;
  }
  return lines;
}

std::vector<SlurmJob> from_settings(const QStringList& lines) {
  std::vector<SlurmJob> jobs;
  for (const QString& line : lines) {
    SlurmJob job;
    job.id = line.section(' ', 0, 0);
    job.script = line.section(' ', 1);
    jobs.push_back(std::move(job));
  }
  return jobs;
}

}  // namespace lindos::gui
