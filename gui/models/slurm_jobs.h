// SPDX-License-Identifier: GPL-3.0-or-later
// Jobs in Slurm's queue, as `lindos slurm` says. Values and texts, no widgets.
#pragma once

#include <QJsonObject>
#include <QString>
#include <QStringList>
#include <optional>
#include <vector>

#include "gui/models/table_model.h"

namespace lindos::gui {

struct SlurmJob {
  QString id;
  QString script;   // file that was submitted
  QString state;    // "3 run, 97 wait"; empty: not asked yet
  QString reason;   // why it waits, or how it ended
  QString nodes;
  QString elapsed;  // as Slurm writes it
  bool ended = false;
};

// Of `lindos slurm submit`; nothing where `result` is none.
[[nodiscard]] std::optional<std::vector<SlurmJob>> submitted_from(const QJsonObject& result);
// Takes over what `lindos slurm state` or `cancel` says; returns those that have just ended. Nothing where `result` is none.
std::optional<std::vector<SlurmJob>> update_jobs(std::vector<SlurmJob>& jobs, const QJsonObject& result);
// Those that have not ended.
[[nodiscard]] QStringList open_ids(const std::vector<SlurmJob>& jobs);
// "Job 123 (h100.sbatch) waits: Resources."
[[nodiscard]] QString sentence_of(const SlurmJob& job);
[[nodiscard]] Table slurm_table(const std::vector<SlurmJob>& jobs);

// For the settings: a later window finds them again by their numbers.
[[nodiscard]] QStringList to_settings(const std::vector<SlurmJob>& jobs);
[[nodiscard]] std::vector<SlurmJob> from_settings(const QStringList& lines);

}  // namespace lindos::gui
