// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/work/store_reader.h"

#include <QDir>
#include <QSaveFile>
#include <utility>

#include "data/catalogue.h"
#include "gui/models/format.h"
#include "gui/work/job.h"
#include "scenarios/error.h"
#include "scenarios/profile.h"
#include "scenarios/scenario.h"
#include "scenarios/text_file.h"
#include "scenarios/text_layout.h"

namespace lindos::gui {

namespace {

std::optional<double> useful_share(const RunRecord& record) {
  for (const LedgerEntry& entry : record.ledger) {
    if (entry.cause == Cause::kUseful) return entry.share;
  }
  return std::nullopt;
}

std::optional<RunRecord> prediction_before(const data::Store& store, std::int64_t id, const RunRecord& measured) {
  data::RunFilter filter;
  filter.source = RunSource::kPredicted;
  filter.scenario_digest = measured.scenario_digest;
  filter.plan_digest = measured.plan_digest;
  for (const data::RunSummary& prediction : store.list(filter)) {
    if (prediction.id < id) return store.load(prediction.id);
  }
  return std::nullopt;
}

std::shared_ptr<const Fleet> fleet_of(const data::Store& store, std::int64_t id) {
  auto map = store.load_device_map(id);
  return map ? std::make_shared<const Fleet>(std::move(*map)) : nullptr;
}

std::shared_ptr<const RunTimeline> timeline_of(const data::Store& store, std::int64_t measured) {
  const auto text = store.find_artifact(measured, data::kTimelineArtifact);
  if (!text) return nullptr;
  return std::make_shared<const RunTimeline>(
      run_timeline_from_json(*text, QObject::tr("timeline of run %1").arg(measured).toStdString()));
}

std::shared_ptr<const RunTimeline> timeline_in(const QString& path) {
  const std::string file = path.toStdString();
  return std::make_shared<const RunTimeline>(run_timeline_from_json(read_text_file(file, file), file));
}

RunPairShown shown_pair(const data::Store& store, std::int64_t a, std::int64_t b) {
  RunPairShown pair{a, b, store.load(a), store.load(b), {fleet_of(store, a), fleet_of(store, b)}, {}, {}};
  if (pair.a.source == RunSource::kMeasured) pair.a_timeline = timeline_of(store, a);
  if (pair.b.source == RunSource::kMeasured) pair.b_timeline = timeline_of(store, b);
  return pair;
}

ShownRun shown(const data::Store& store, std::int64_t id) {
  ShownRun run;
  run.id = id;
  run.record = store.load(id);
  run.fleet = fleet_of(store, id);
  if (const auto measured = store.measurement_of(run.record)) {
    run.measured_id = *measured;
    run.measured = store.load(*measured);
  }
  if (run.record.source == RunSource::kPredicted) {
    if (auto samples = store.load_run_samples(id))
      run.predicted_samples = std::make_shared<const RunSamples>(std::move(*samples));
  }
  const std::int64_t measured = run.record.source == RunSource::kMeasured ? id : run.measured_id;
  if (measured == 0) return run;
  if (auto samples = store.load_run_samples(measured)) {
    run.samples = std::make_shared<const RunSamples>(std::move(*samples));
  }
  run.measured_timeline = timeline_of(store, measured);
  if (measured == id) run.prediction = prediction_before(store, id, run.record);
  return run;
}

// The place, file:line:column where there is one, and the message with the key that it is about.
std::pair<QString, QString> told(const Error& error) {
  const QString text = QString::fromUtf8(error.what());
  const auto [place, message] = split_place(text);
  if (!place.isEmpty()) return {place, message};
  return {QString::fromStdString(error.where()), text};
}

OpenedScenario described(const QString& path, const Scenario& scenario) {
  OpenedScenario out;
  out.path = path;
  out.name = QString::fromStdString(scenario.name);
  out.description = QString::fromStdString(scenario.description);
  out.training = scenario.workload.kind == WorkloadKind::kTraining;
  for (const Tenant& tenant : scenario.workload.serving.tenants) out.tenants << QString::fromStdString(tenant.name);
  std::int64_t devices = 0;
  for (const auto& pool : scenario.cluster.pools) devices += pool.devices();
  out.summary = QObject::tr("%1 · %2 · %3")
                    .arg(QString::fromStdString(plural(devices, "device")), QString::fromStdString(scenario.model.name),
                         out.training ? QObject::tr("training") : QObject::tr("serving"));
  out.scenario_digest = digest(scenario);
  out.plan_digest = digest(scenario.plan);
  DeviceMap installed;
  installed.pools = pool_shapes(scenario);
  out.fleet = std::make_shared<const Fleet>(std::move(installed));
  out.plan = scenario.plan;
  out.plan_boxes = plan_boxes(scenario);
  out.power = site_power(scenario);
  return out;
}

}  // namespace

StoreReader::StoreReader(std::filesystem::path store, QObject* parent)
    : QObject(parent), path_(std::move(store)), worker_(new QObject) {
  worker_->moveToThread(&thread_);
  connect(&thread_, &QThread::finished, worker_, &QObject::deleteLater);
  thread_.start();
}

StoreReader::~StoreReader() {
  thread_.quit();
  thread_.wait();
}

void StoreReader::ask(int& generation, std::function<Answer()> work) {
  const int mine = ++generation;
  const int* current = &generation;
  QMetaObject::invokeMethod(
      worker_,
      [this, mine, current, work = std::move(work)] {
        Answer answer = work();
        QMetaObject::invokeMethod(
            this,
            [mine, current, answer = std::move(answer)] {
              if (mine == *current) answer();
            },
            Qt::QueuedConnection);
      },
      Qt::QueuedConnection);
}

data::Store StoreReader::open_store() const {
  data::StoreOptions options;
  options.busy_timeout = busy_timeout_;
  return data::Store::open(path_, data::Store::Mode::kReadOnly, options);
}

bool StoreReader::store_is_missing() const {
  std::error_code unknown;
  return !std::filesystem::exists(path_, unknown) && !unknown;
}

void StoreReader::list_runs() {
  ask(list_generation_, [this]() -> Answer {
    RunList list;
    if (store_is_missing()) {
      list.state = StoreState::kMissing;
      return [this, list] { emit runs_listed(list); };
    }
    try {
      const data::Store store = open_store();
      data::RunFilter filter;
      filter.limit = kListed;
      for (data::RunSummary& summary : store.list(filter)) {
        auto found = useful_.find(summary.id);
        if (found == useful_.end()) found = useful_.emplace(summary.id, useful_share(store.load(summary.id))).first;
        list.runs.push_back({std::move(summary), found->second});
      }
    } catch (const std::exception& e) {
      list.state = StoreState::kRefused;
      list.message = QString::fromUtf8(e.what());
      list.runs.clear();
    }
    return [this, list] { emit runs_listed(list); };
  });
}

void StoreReader::show_run(std::int64_t id) {
  ask(show_generation_, [this, id]() -> Answer {
    try {
      return [this, run = shown(open_store(), id)] { emit run_shown(run); };
    } catch (const std::exception& e) {
      return [this, message = QString::fromUtf8(e.what())] { emit store_failed(message); };
    }
  });
}

void StoreReader::show_latest(const std::string& scenario_digest, const std::string& plan_digest) {
  ask(show_generation_, [this, scenario_digest, plan_digest]() -> Answer {
    if (store_is_missing()) return [this] { emit no_run(); };
    try {
      const data::Store store = open_store();
      data::RunFilter filter;
      filter.source = RunSource::kPredicted;
      filter.scenario_digest = scenario_digest;
      filter.plan_digest = plan_digest;
      auto latest = store.latest(filter);
      filter.source = RunSource::kMeasured;
      if (!latest) latest = store.latest(filter);
      if (!latest) return [this] { emit no_run(); };
      return [this, run = shown(store, latest->id)] { emit run_shown(run); };
    } catch (const std::exception& e) {
      return [this, message = QString::fromUtf8(e.what())] { emit store_failed(message); };
    }
  });
}

void StoreReader::compare_runs(std::int64_t a, std::int64_t b) {
  ask(compare_generation_, [this, a, b]() -> Answer {
    try {
      return [this, pair = shown_pair(open_store(), a, b)] { emit runs_compared(pair); };
    } catch (const std::exception& e) {
      return [this, message = QString::fromUtf8(e.what())] { emit store_failed(message); };
    }
  });
}

void StoreReader::list_pairs() {
  ask(pairs_generation_, [this]() -> Answer {
    std::vector<RecordPair> pairs;
    if (store_is_missing()) return [this, pairs] { emit pairs_listed(pairs); };
    try {
      const data::Store store = open_store();
      for (const data::RunPair& ids : store.list_pairs(kListed)) {
        RecordPair pair{ids.predicted, ids.measured, store.load(ids.predicted), store.load(ids.measured), {}, {}};
        try {
          pair.metrics = store.compare(ids.predicted, ids.measured);
        } catch (const Error& e) {
          // Builds with different definitions of a metric wrote them: not comparable, and left out.
          if (e.kind() != ErrorKind::kInput) throw;
        }
        if (!pair.predicted.ledger.empty() && !pair.measured.ledger.empty())
          pair.causes = store.compare_ledgers(ids.predicted, ids.measured);
        pairs.push_back(std::move(pair));
      }
    } catch (const std::exception& e) {
      return [this, message = QString::fromUtf8(e.what())] { emit store_failed(message); };
    }
    return [this, pairs = std::move(pairs)] { emit pairs_listed(pairs); };
  });
}

void StoreReader::find_probed_profile(const QString& folder) {
  ask(profile_generation_, [this, folder]() -> Answer {
    if (store_is_missing()) return [this] { emit no_profile(); };
    try {
      const data::Store store = open_store();
      for (const data::RunPair& pair : store.list_pairs(kListed)) {
        const std::string digest = store.load(pair.predicted).environment.profile_digest;
        const auto json = store.profile_json(digest);
        if (!json) continue;
        const Profile profile = profile_from_json(*json, "stored profile");
        if (!profile.interval_factors.empty()) continue;
        QDir().mkpath(folder);
        const QString name = QString::fromStdString(profile.device + "-" + digest.substr(0, 12) + ".json");
        QSaveFile file(QDir(folder).filePath(name));
        if (!file.open(QIODevice::WriteOnly) || file.write(json->data(), static_cast<qint64>(json->size())) < 0 || !file.commit())
          return [this, text = tr("%1 cannot be written: %2").arg(file.fileName(), file.errorString())] { emit store_failed(text); };
        return [this, path = file.fileName()] { emit profile_found(path); };
      }
      return [this] { emit no_profile(); };
    } catch (const std::exception& e) {
      return [this, message = QString::fromUtf8(e.what())] { emit store_failed(message); };
    }
  });
}

void StoreReader::open_scenario(const QString& path) {
  ask(scenario_generation_, [this, path]() -> Answer {
    try {
      const Catalogue catalogue = load_catalogue(default_catalogue_dir());
      return [this, scenario = described(path, load_scenario(path.toStdString(), catalogue))] {
        emit scenario_opened(scenario);
      };
    } catch (const Error& e) {
      return [this, path, where = told(e).first, message = told(e).second] {
        emit scenario_refused(path, where, message);
      };
    } catch (const std::exception& e) {
      return [this, path, message = QString::fromUtf8(e.what())] { emit scenario_refused(path, path, message); };
    }
  });
}

void StoreReader::read_plan(const QString& path, const QString& title) {
  ask(plan_generation_, [this, path, title]() -> Answer {
    try {
      const Catalogue catalogue = load_catalogue(default_catalogue_dir());
      return [this, title, plan = plan_boxes(load_scenario(path.toStdString(), catalogue))] { emit plan_read(plan, title); };
    } catch (const std::exception& e) {
      return [this, message = QString::fromUtf8(e.what())] { emit store_failed(message); };
    }
  });
}

void StoreReader::read_timeline(const QString& path) {
  ask(timeline_generation_, [this, path]() -> Answer {
    try {
      return [this, path, timeline = timeline_in(path)] { emit timeline_read(path, timeline); };
    } catch (const Error& e) {
      return [this, path, where = told(e).first, message = told(e).second] {
        emit timeline_refused(path, where, message);
      };
    } catch (const std::exception& e) {
      return [this, path, message = QString::fromUtf8(e.what())] { emit timeline_refused(path, path, message); };
    }
  });
}

void StoreReader::read_other_timeline(const QString& path) {
  ask(other_timeline_generation_, [this, path]() -> Answer {
    try {
      return [this, path, timeline = timeline_in(path)] { emit other_timeline_read(path, timeline); };
    } catch (const std::exception& e) {
      return [this, path, message = QString::fromUtf8(e.what())] { emit other_timeline_refused(path, message); };
    }
  });
}

void StoreReader::check_scenario(const QString& text, const QString& path) {
  ask(check_generation_, [this, text, path]() -> Answer {
    try {
      const Catalogue catalogue = load_catalogue(default_catalogue_dir());
      const std::filesystem::path file = path.toStdString();
      const Scenario scenario = parse_scenario(text.toStdString(), file.string(), file.parent_path(), catalogue);
      return [this, checked = described(path, scenario)] { emit scenario_checked(checked); };
    } catch (const Error& e) {
      return [this, where = told(e).first, message = told(e).second] { emit scenario_faulty(where, message); };
    } catch (const std::exception& e) {
      return [this, message = QString::fromUtf8(e.what())] { emit scenario_faulty({}, message); };
    }
  });
}

}  // namespace lindos::gui
