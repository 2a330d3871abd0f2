// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/models/fleet.h"

#include <QObject>
#include <QRegularExpression>
#include <algorithm>
#include <cmath>
#include <utility>

#include "gui/models/format.h"

namespace lindos::gui {

namespace {

QString gpus(std::int64_t n) { return n == 1 ? QObject::tr("1 GPU") : QObject::tr("%1 GPUs").arg(counted(n)); }

const std::string kSlowdown = "slowdown";

}  // namespace

QString quantity_text(const Metric& quantity, double value) {
  // "×" stands before its number, all other units behind.
  if (quantity.display == "×") return "×" + QString::number(value, 'f', 3);
  return to_qt(format_value(quantity, value));
}

Fleet::Fleet(DeviceMap map) : map_(std::move(map)), layout_(map_.pools) {
  for (const DeviceField& field : map_.fields)
    fields_.push_back({field.quantity, decode_field(field, layout_.devices())});
  map_.fields.clear();  // decoded
  for (const PlacedStage& stage : map_.stages) {
    const QString name = QString::fromStdString(stage.group);
    if (!groups_.contains(name)) groups_ << name;
  }
}

const std::vector<float>* Fleet::values(std::string_view quantity) const {
  for (const Field& field : fields_) {
    if (field.quantity == quantity) return &field.values;
  }
  return nullptr;
}

std::optional<float> Fleet::value(std::string_view quantity, std::int64_t device) const {
  const std::vector<float>* all = values(quantity);
  if (all == nullptr || std::isnan((*all)[static_cast<std::size_t>(device)])) return std::nullopt;
  return (*all)[static_cast<std::size_t>(device)];
}

std::optional<JobPlace> Fleet::job_place(std::int64_t device) const {
  const int pool = layout_.place(device).pool;
  const std::int64_t local = device - layout_.pool_begin(pool);
  for (std::size_t s = 0; s < map_.stages.size(); ++s) {
    const PlacedStage& stage = map_.stages[s];
    const std::int64_t offset = local - stage.first;
    if (stage.pool != pool || offset < 0 || offset / stage.stride >= stage.replicas ||
        offset % stage.stride >= stage.devices)
      continue;
    return JobPlace{s, offset / stage.stride, offset % stage.stride};
  }
  return std::nullopt;
}

std::size_t Fleet::group_of(const JobPlace& place) const {
  return static_cast<std::size_t>(groups_.indexOf(QString::fromStdString(map_.stages[place.stage].group)));
}

QString Fleet::name_of(std::int64_t device) const {
  const DevicePlace place = layout_.place(device);
  return QString("%1/%2/%3")
      .arg(QString::fromStdString(map_.pools[static_cast<std::size_t>(place.pool)].name))
      .arg(place.node)
      .arg(place.device);
}

QString Fleet::path_of(std::int64_t device) const {
  const DevicePlace place = layout_.place(device);
  QStringList words{QString::fromStdString(map_.pools[static_cast<std::size_t>(place.pool)].name)};
  if (place.hall >= 0) words << QObject::tr("hall %1").arg(place.hall);
  if (place.array >= 0) words << QObject::tr("array %1").arg(place.array);
  if (place.rack >= 0) words << QObject::tr("rack %1").arg(place.rack);
  words << QObject::tr("node %1").arg(place.node) << QObject::tr("GPU %1").arg(place.device);
  return words.join(" › ");
}

QString Fleet::hall_name(const HallBox& hall) const {
  const QString pool = QString::fromStdString(map_.pools[static_cast<std::size_t>(hall.pool)].name);
  return hall.hall >= 0 ? QObject::tr("%1 hall %2").arg(pool).arg(hall.hall) : pool;
}

QString Fleet::stage_name(std::size_t stage, std::int64_t replica) const {
  const PlacedStage& placed = map_.stages[stage];
  return QObject::tr("group %1, replica %2, stage %3")
      .arg(QString::fromStdString(placed.group))
      .arg(replica)
      .arg(placed.stage);
}

Selection Fleet::device(std::int64_t device) const { return {{{device, device + 1}}, name_of(device), {}, false}; }

Selection Fleet::node_of(std::int64_t device) const {
  const DevicePlace place = layout_.place(device);
  const PoolShape& pool = map_.pools[static_cast<std::size_t>(place.pool)];
  const std::int64_t first = layout_.pool_begin(place.pool) + place.node * pool.devices_per_node;
  return {{{first, first + pool.devices_per_node}},
          QString("%1/%2").arg(QString::fromStdString(pool.name)).arg(place.node),
          {},
          false};
}

Selection Fleet::stage(std::size_t stage, std::int64_t replica) const {
  const PlacedStage& placed = map_.stages[stage];
  const std::int64_t first = layout_.pool_begin(placed.pool) + placed.first + replica * placed.stride;
  return {{{first, first + placed.devices}}, stage_name(stage, replica), {}, false};
}

Selection Fleet::group(std::size_t group) const {
  Selection selection{{}, QObject::tr("group %1").arg(groups_[static_cast<qsizetype>(group)]), {}, true};
  std::vector<DeviceRange> ranges;
  for (const PlacedStage& placed : map_.stages) {
    if (QString::fromStdString(placed.group) != groups_[static_cast<qsizetype>(group)]) continue;
    for (std::int64_t r = 0; r < placed.replicas; ++r) {
      const std::int64_t first = layout_.pool_begin(placed.pool) + placed.first + r * placed.stride;
      ranges.push_back({first, first + placed.devices});
    }
  }
  std::sort(ranges.begin(), ranges.end(), [](const DeviceRange& a, const DeviceRange& b) { return a.begin < b.begin; });
  for (const DeviceRange& range : ranges) {
    if (!selection.devices.empty() && selection.devices.back().end == range.begin) {
      selection.devices.back().end = range.end;
    } else {
      selection.devices.push_back(range);
    }
  }
  return selection;
}

Selection Fleet::gate() const {
  if (!predicted()) return {};
  const DrawnStep& step = map_.steps[static_cast<std::size_t>(map_.shown)];
  return stage(static_cast<std::size_t>(step.stage), step.replica);
}

template <class Holds>
std::vector<DeviceRange> Fleet::where(std::string_view quantity, const Holds& holds) const {
  std::vector<DeviceRange> ranges;
  const std::vector<float>* all = values(quantity);
  if (all == nullptr) return ranges;
  for (std::size_t i = 0; i < all->size(); ++i) {
    if (!holds((*all)[i])) continue;
    const auto device = static_cast<std::int64_t>(i);
    if (!ranges.empty() && ranges.back().end == device) {
      ++ranges.back().end;
    } else {
      ranges.push_back({device, device + 1});
    }
  }
  return ranges;
}

std::vector<DeviceRange> Fleet::in_job(bool wanted) const {
  std::vector<DeviceRange> job;
  for (qsizetype g = 0; g < groups_.size(); ++g) {
    for (const DeviceRange& range : group(static_cast<std::size_t>(g)).devices) job.push_back(range);
  }
  std::sort(job.begin(), job.end(), [](const DeviceRange& a, const DeviceRange& b) { return a.begin < b.begin; });
  if (wanted) return job;
  std::vector<DeviceRange> rest;
  std::int64_t next = 0;
  for (const DeviceRange& range : job) {
    if (range.begin > next) rest.push_back({next, range.begin});
    next = range.end;
  }
  if (next < devices()) rest.push_back({next, devices()});
  return rest;
}

Selection Fleet::of_causes(const std::vector<Cause>& causes, const QString& title) const {
  Selection selection{{}, title, {}, true};
  if (causes.size() != 1 || !predicted()) {
    selection.devices = in_job(true);
    selection.reason = causes.size() > 1 ? QObject::tr("Several causes, booked on the devices of the job.")
                                         : QObject::tr("This run does not say which devices it comes from.");
    return selection;
  }
  const DrawnStep& step = map_.steps[static_cast<std::size_t>(map_.shown)];
  const QString gate_name = stage_name(static_cast<std::size_t>(step.stage), step.replica);
  const std::string& gate_group = map_.stages[static_cast<std::size_t>(step.stage)].group;
  switch (causes.front()) {
    case Cause::kStragglerMix:
      selection.devices = group(static_cast<std::size_t>(groups_.indexOf(QString::fromStdString(gate_group)))).devices;
      selection.reason = QObject::tr("The step ends with group %1; the faster kinds wait for it in every step.")
                             .arg(QString::fromStdString(gate_group));
      return selection;
    case Cause::kStragglerJitter:
      selection = stage(static_cast<std::size_t>(step.stage), step.replica);
      selection.title = title;
      selection.reason =
          QObject::tr(
              "The shown step waits for %1. Another step waits for others: which devices are slow is drawn "
              "anew for every draw.")
              .arg(gate_name);
      return selection;
    case Cause::kThermal:
      selection.devices = where("heat", [](float v) { return v > 1.0F; });
      selection.reason = QObject::tr("Devices in nodes that are throttled by heat in the shown step.");
      break;
    case Cause::kExposedData: {
      float most = 1.0F;
      if (const std::vector<float>* network = values("network")) {
        for (const float v : *network) most = v > most ? v : most;
      }
      selection.devices = where("network", [most](float v) { return most > 1.0F && v == most; });
      selection.reason = QObject::tr("The exchange of gradients waits for the slowest NICs, ×%1 in the shown step.")
                             .arg(most, 0, 'f', 3);
      break;
    }
    case Cause::kSpare:
    case Cause::kNotAllocated:
      selection.devices = in_job(false);
      selection.reason = QObject::tr(
          "Devices that the job does not take. Which of them are the spares, the prediction does not say.");
      break;
    case Cause::kRestart:
    case Cause::kLostWork:
      selection.devices = in_job(true);
      selection.reason =
          QObject::tr("A failure stops every device of the job. How often nodes fail is drawn, not which ones.");
      return selection;
    default:
      selection.devices = in_job(true);
      selection.reason = QObject::tr("Booked on every device of the job.");
      return selection;
  }
  if (selection.devices.empty()) {
    selection.devices = in_job(true);
    selection.reason = QObject::tr("Booked on the devices of the job; the shown step has none that stands out.");
  }
  return selection;
}

std::optional<std::size_t> Fleet::find_group(const QString& name) const {
  const qsizetype found = groups_.indexOf(name);
  return found >= 0 ? std::optional(static_cast<std::size_t>(found)) : std::nullopt;
}

std::optional<int> Fleet::find_pool(const QString& name) const {
  for (std::size_t p = 0; p < map_.pools.size(); ++p) {
    if (QString::fromStdString(map_.pools[p].name) == name) return static_cast<int>(p);
  }
  return std::nullopt;
}

Selection Fleet::find(const QString& text, QString& error) const {
  error.clear();
  const QString wanted = text.simplified();
  static const QRegularExpression kNode("^([^/ ]+)/(\\d+)(?:/(\\d+))?$");
  static const QRegularExpression kUnit("^(\\S+) (hall|array|rack|node|replica) (\\d+)(?: stage (\\d+))?$");
  QStringList pools;
  for (const PoolShape& pool : map_.pools) pools << QString::fromStdString(pool.name);
  const QString names = QObject::tr("pools: %1").arg(pools.join(", "));

  if (const auto match = kNode.match(wanted); match.hasMatch()) {
    const auto pool = find_pool(match.captured(1));
    if (!pool) return error = QObject::tr("no pool “%1”; %2").arg(match.captured(1), names), Selection{};
    const PoolShape& shape = map_.pools[static_cast<std::size_t>(*pool)];
    const qlonglong node = match.captured(2).toLongLong();
    if (node >= shape.nodes)
      return error = QObject::tr("%1 has nodes 0 … %2").arg(match.captured(1)).arg(shape.nodes - 1), Selection{};
    const std::int64_t first = layout_.pool_begin(*pool) + node * shape.devices_per_node;
    if (match.captured(3).isEmpty()) return node_of(first);
    const int device = match.captured(3).toInt();
    if (device >= shape.devices_per_node) {
      return error =
                 QObject::tr("a node of %1 has GPUs 0 … %2").arg(match.captured(1)).arg(shape.devices_per_node - 1),
             Selection{};
    }
    return this->device(first + device);
  }
  if (const auto match = kUnit.match(wanted); match.hasMatch()) {
    const QString unit = match.captured(2);
    const qlonglong number = match.captured(3).toLongLong();
    if (unit == "replica") {
      const auto group = find_group(match.captured(1));
      if (!group)
        return error = QObject::tr("no group “%1”; groups: %2").arg(match.captured(1), groups_.join(", ")),
               Selection{};
      Selection selection{{}, wanted, {}, false};
      for (std::size_t s = 0; s < map_.stages.size(); ++s) {
        const PlacedStage& placed = map_.stages[s];
        if (QString::fromStdString(placed.group) != match.captured(1)) continue;
        if (!match.captured(4).isEmpty() && placed.stage != match.captured(4).toInt()) continue;
        if (number >= placed.replicas)
          return error = QObject::tr("%1 has replicas 0 … %2").arg(match.captured(1)).arg(placed.replicas - 1),
                 Selection{};
        selection.devices.push_back(stage(s, number).devices.front());
      }
      std::sort(selection.devices.begin(), selection.devices.end(),
                [](const auto& a, const auto& b) { return a.begin < b.begin; });
      if (selection.empty()) error = QObject::tr("%1 has no such stage").arg(match.captured(1));
      return selection;
    }
    const auto pool = find_pool(match.captured(1));
    if (!pool) return error = QObject::tr("no pool “%1”; %2").arg(match.captured(1), names), Selection{};
    Selection selection{{}, wanted, {}, false};
    for (const RackBox& rack : layout_.racks()) {
      if (rack.pool != *pool) continue;
      const DevicePlace place = layout_.place(rack.first);
      if ((unit == "hall" && place.hall == number) || (unit == "array" && place.array == number) ||
          (unit == "rack" && place.rack == number)) {
        selection.devices.push_back({rack.first, rack.first + rack.devices});
      }
    }
    if (unit == "node" && number < map_.pools[static_cast<std::size_t>(*pool)].nodes) {
      return node_of(layout_.pool_begin(*pool) + number * map_.pools[static_cast<std::size_t>(*pool)].devices_per_node);
    }
    if (selection.empty()) error = QObject::tr("%1 has no %2 %3").arg(match.captured(1), unit).arg(number);
    return selection;
  }
  if (const auto group = find_group(wanted)) return this->group(*group);
  if (const auto pool = find_pool(wanted)) {
    const std::int64_t begin = layout_.pool_begin(*pool);
    return {{{begin, begin + map_.pools[static_cast<std::size_t>(*pool)].devices()}},
            QObject::tr("pool %1").arg(wanted),
            {},
            true};
  }
  const QString pool = pools.value(0);
  error = QObject::tr("expected %1/12/3, %1 rack 7, %1 hall 0 or %2 replica 5 stage 2; %3")
              .arg(pool, groups_.value(0, pool), names);
  return {};
}

namespace {

// "×1.010 … ×1.147", or what they all have; empty: none has the quantity.
QString values_text(const Fleet& fleet, const Selection& selection, const Metric& quantity) {
  const std::vector<float>* values = fleet.values(quantity.name);
  if (values == nullptr) return {};
  double low = HUGE_VAL;
  double high = -HUGE_VAL;
  for (const DeviceRange& range : selection.devices) {
    for (std::int64_t d = range.begin; d < range.end; ++d) {
      const auto v = static_cast<double>((*values)[static_cast<std::size_t>(d)]);
      if (std::isnan(v)) continue;
      low = std::min(low, v);
      high = std::max(high, v);
    }
  }
  if (low > high) return {};
  const QString least = quantity_text(quantity, low);
  return low == high ? least : least + " … " + quantity_text(quantity, high);
}

void add_values(const Fleet& fleet, const Selection& selection, const Fleet* b, Inspection& out) {
  for (const Metric& quantity : device_quantity_registry()) {
    QString text = values_text(fleet, selection, quantity);
    const QString then = b != nullptr ? values_text(*b, selection, quantity) : QString();
    if (text.isEmpty() && then.isEmpty()) continue;
    if (b != nullptr) text = (text.isEmpty() ? "–" : text) + " → " + (then.isEmpty() ? "–" : then);
    out.facts.push_back(
        {to_qt(quantity.label), text,
         QString("<p>%1<br><br>%2 = %3</p>")
             .arg(to_qt(quantity.sentence).toHtmlEscaped(), to_qt(quantity.definition).toHtmlEscaped(),
                  to_qt(quantity.formula).toHtmlEscaped())});
  }
}

QString slowdown_sentence(const Fleet& fleet, std::int64_t device, std::int64_t in_node) {
  const double all = fleet.value(kSlowdown, device).value_or(1.0F);
  const double node = fleet.value("node_slowdown", device).value_or(1.0F);
  const double heat = fleet.value("heat", device).value_or(1.0F);
  const double spread = all / node / heat;
  QStringList parts;
  if (node != 1.0)
    parts << QObject::tr("×%1 because its node is a slow one or in a fail-slow episode").arg(node, 0, 'f', 3);
  parts << (in_node > 1
                ? QObject::tr("×%1 the slowest of its %2 GPUs (spread and jitter; which of them is not drawn)")
                      .arg(spread, 0, 'f', 3)
                      .arg(in_node)
                : QObject::tr("×%1 by spread and jitter").arg(spread, 0, 'f', 3));
  if (heat != 1.0) parts << QObject::tr("×%1 by heat").arg(heat, 0, 'f', 3);
  return QObject::tr("Computation in %1 takes ×%2: %3.")
      .arg(fleet.name_of(device).section('/', 0, 1))
      .arg(all, 0, 'f', 3)
      .arg(parts.join(", "));
}

// The slowest device of a range.
std::int64_t slowest_in(const Fleet& fleet, const DeviceRange& range) {
  const std::vector<float>* slowdown = fleet.values(kSlowdown);
  if (slowdown == nullptr) return range.begin;
  const auto begin = slowdown->begin() + range.begin;
  return range.begin +
         (std::max_element(begin, slowdown->begin() + range.end, [](float a, float b) { return !(a >= b); }) - begin);
}

void add_chain(const Fleet& fleet, std::int64_t device, const std::optional<JobPlace>& job, Inspection& out) {
  if (!fleet.predicted()) return;
  const DeviceMap& map = fleet.map();
  const DrawnStep& step = map.steps[static_cast<std::size_t>(map.shown)];
  const auto gate_stage = static_cast<std::size_t>(step.stage);
  const PlacedStage& gate = map.stages[gate_stage];
  const DeviceRange gate_devices = fleet.stage(gate_stage, step.replica).devices.front();
  const std::int64_t slowest = slowest_in(fleet, gate_devices);
  const bool drawn = fleet.values(kSlowdown) != nullptr;
  std::int64_t gated = 0;
  for (const DrawnStep& s : map.steps) gated += map.stages[static_cast<std::size_t>(s.stage)].group == gate.group;
  out.why << QObject::tr("Step of draw %1 of %2, the one with the median time: %3 s.")
                 .arg(step.draw)
                 .arg(map.steps.size())
                 .arg(step.step_s, 0, 'g', 4);
  const bool is_gate = job && job->stage == gate_stage && job->replica == step.replica;
  if (!drawn) {
    out.why << QObject::tr("By the formula it ends with group %1. Single devices are drawn by maxplus and simgrid.")
                   .arg(QString::fromStdString(gate.group));
    return;
  }
  if (is_gate) {
    out.why << QObject::tr("It ends with this stage: %1 finishes its passes last, and all others wait for it.")
                   .arg(fleet.stage_name(gate_stage, step.replica));
  } else {
    out.why << QObject::tr("It waits for %1: %2.")
                   .arg(fleet.stage_name(gate_stage, step.replica), fleet.node_of(slowest).title);
    out.why << slowdown_sentence(
        fleet, slowest,
        std::min<std::int64_t>(gate.devices, map.pools[static_cast<std::size_t>(gate.pool)].devices_per_node));
  }
  if (job) {
    const PlacedStage& own = map.stages[job->stage];
    out.why << slowdown_sentence(
        fleet, device,
        std::min<std::int64_t>(own.devices, map.pools[static_cast<std::size_t>(own.pool)].devices_per_node));
    if (const auto waiting = fleet.value("waiting", device)) {
      out.why << QObject::tr(
                     "%1 waits %2 of the step: for its pipeline, for other replicas, for the exchange of gradients.")
                     .arg(fleet.name_of(device), percent(*waiting));
    }
  }
  out.why << QObject::tr("Group %1 ends the step in %2 of %3 draws.")
                 .arg(QString::fromStdString(gate.group))
                 .arg(gated)
                 .arg(map.steps.size());
}

}  // namespace

Inspection inspect(const Fleet& fleet, const Selection& selection, const Fleet* b) {
  Inspection out;
  out.title = selection.title;
  const std::int64_t count = selection.size();
  const std::int64_t first = selection.devices.front().begin;
  const DevicePlace place = fleet.layout().place(first);
  const PoolShape& pool = fleet.map().pools[static_cast<std::size_t>(place.pool)];
  const std::optional<JobPlace> job = fleet.job_place(first);
  const auto fact = [&](const QString& label, const QString& value) { out.facts.push_back({label, value, {}}); };
  if (count == 1) {
    out.path = fleet.path_of(first);
    fact(QObject::tr("Kind"), QString::fromStdString(pool.label));
  } else {
    out.path = gpus(count);
    const std::int64_t last = selection.devices.back().end - 1;
    if (fleet.layout().place(last).pool == place.pool) fact(QObject::tr("Kind"), QString::fromStdString(pool.label));
    if (selection.devices.size() == 1)
      fact(QObject::tr("From – to"), fleet.name_of(first) + " – " + fleet.name_of(last));
  }
  if (!fleet.map().stages.empty() && (count == 1 || !selection.among_others)) {
    if (!job) {
      fact(QObject::tr("Job"), QObject::tr("not in the job: spare or not allocated"));
    } else if (count == 1) {
      fact(QObject::tr("Job"),
           QObject::tr("%1, rank %2").arg(fleet.stage_name(job->stage, job->replica)).arg(job->rank));
    } else {
      fact(QObject::tr("Job"), QObject::tr("starts in %1").arg(fleet.stage_name(job->stage, job->replica)));
    }
  }
  add_values(fleet, selection, b, out);
  if (!selection.reason.isEmpty()) out.why << selection.reason;
  if (count <= 1024) {
    std::int64_t slowest = first;
    for (const DeviceRange& range : selection.devices) {
      const std::int64_t candidate = slowest_in(fleet, range);
      if (fleet.value(kSlowdown, candidate).value_or(0.0F) > fleet.value(kSlowdown, slowest).value_or(0.0F))
        slowest = candidate;
    }
    add_chain(fleet, slowest, fleet.job_place(slowest), out);
  } else {
    add_chain(fleet, first, std::nullopt, out);
  }
  return out;
}

}  // namespace lindos::gui
