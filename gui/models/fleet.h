// SPDX-License-Identifier: GPL-3.0-or-later
// The fleet of a run, device by device: names, places, the job's ranks, values, and what holds what up. Immutable
// once made (on the store's thread: 220,000 devices). Names count from 0, as ranks and plans do.
#pragma once

#include <QString>
#include <QStringList>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gui/map/fleet_layout.h"
#include "gui/state/selection.h"
#include "scenarios/device_map.h"
#include "scenarios/ledger.h"

namespace lindos::gui {

// What one device does in the job.
struct JobPlace {
  std::size_t stage = 0;  // position in DeviceMap::stages
  std::int64_t replica = 0;
  std::int64_t rank = 0;  // of its stage
};

class Fleet {
 public:
  // Throws lindos::Error as decode_field.
  explicit Fleet(DeviceMap map);

  [[nodiscard]] const DeviceMap& map() const { return map_; }
  [[nodiscard]] const FleetLayout& layout() const { return layout_; }
  [[nodiscard]] std::int64_t devices() const { return layout_.devices(); }
  [[nodiscard]] bool predicted() const { return !map_.steps.empty(); }
  // nullptr: this run does not have the quantity per device.
  [[nodiscard]] const std::vector<float>* values(std::string_view quantity) const;
  [[nodiscard]] std::optional<float> value(std::string_view quantity, std::int64_t device) const;
  // Groups of the plan in order, and the group of a device.
  [[nodiscard]] const QStringList& groups() const { return groups_; }
  [[nodiscard]] std::optional<JobPlace> job_place(std::int64_t device) const;
  [[nodiscard]] std::size_t group_of(const JobPlace& place) const;

  // "h100/8011/5": pool, node of the pool, device of the node.
  [[nodiscard]] QString name_of(std::int64_t device) const;
  // "h100 › hall 2 › array 125 › rack 1001 › node 8011 › GPU 5", without the units that the scenario does not name.
  [[nodiscard]] QString path_of(std::int64_t device) const;
  [[nodiscard]] QString hall_name(const HallBox& hall) const;
  // "group h100, replica 512, stage 7".
  [[nodiscard]] QString stage_name(std::size_t stage, std::int64_t replica) const;

  [[nodiscard]] Selection device(std::int64_t device) const;
  [[nodiscard]] Selection node_of(std::int64_t device) const;
  [[nodiscard]] Selection stage(std::size_t stage, std::int64_t replica) const;
  [[nodiscard]] Selection group(std::size_t group) const;
  // Whom the shown step waits for; empty without a step.
  [[nodiscard]] Selection gate() const;
  // The devices that these causes of loss come from, as far as the prediction names any; the reason says how far.
  [[nodiscard]] Selection of_causes(const std::vector<Cause>& causes, const QString& title) const;
  // "h100/8011/5", "h100/8011", "h100 hall 2", "h100 array 125", "h100 rack 1001", "h100 replica 512", "h100 replica
  // 512 stage 7", or a pool or group alone. On failure empty, and `error` says what was expected.
  [[nodiscard]] Selection find(const QString& text, QString& error) const;

 private:
  struct Field {
    std::string quantity;
    std::vector<float> values;
  };
  // The devices for which `holds(value)`.
  template <class Holds>
  [[nodiscard]] std::vector<DeviceRange> where(std::string_view quantity, const Holds& holds) const;
  [[nodiscard]] std::vector<DeviceRange> in_job(bool wanted) const;
  [[nodiscard]] std::optional<std::size_t> find_group(const QString& name) const;
  [[nodiscard]] std::optional<int> find_pool(const QString& name) const;

  DeviceMap map_;
  FleetLayout layout_;
  std::vector<Field> fields_;
  QStringList groups_;
};

// One line of facts about what is selected.
struct Fact {
  QString label, value, tooltip;
};
struct Inspection {
  QString title, path;
  std::vector<Fact> facts;
  QStringList why;  // the chain from the headline to these devices, one sentence each
};
// `b`: a fleet of the same shape whose values stand behind those of `fleet`, as "×1.147 → ×1.020"; nullptr: none. REQUIRES: the
// selection is not empty.
[[nodiscard]] Inspection inspect(const Fleet& fleet, const Selection& selection, const Fleet* b = nullptr);

// A value as the registry shows it: "×1.147", "38.0 %", "700 W".
[[nodiscard]] QString quantity_text(const Metric& quantity, double value);

}  // namespace lindos::gui
