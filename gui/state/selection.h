// SPDX-License-Identifier: GPL-3.0-or-later
// The one selection of the window: some devices of the shown fleet, and what they were chosen for. Every view shows
// and sets it.
#pragma once

#include <QObject>
#include <QString>
#include <cstdint>
#include <vector>

namespace lindos::gui {

// Half open, numbered through the fleet.
struct DeviceRange {
  std::int64_t begin = 0, end = 0;
  [[nodiscard]] std::int64_t size() const { return end - begin; }
  bool operator==(const DeviceRange&) const = default;
};

struct Selection {
  std::vector<DeviceRange> devices;  // rising, disjoint; empty: nothing
  QString title;                     // "h100/8011/5", "group h100", "Straggler wait (jitter)"
  QString reason;                    // why these, for people; empty: they were pointed at
  bool among_others = false;         // a set whose other devices fade on the map; else it is pointed at
  [[nodiscard]] bool empty() const { return devices.empty(); }
  [[nodiscard]] std::int64_t size() const {
    std::int64_t n = 0;
    for (const DeviceRange& range : devices) n += range.size();
    return n;
  }
  bool operator==(const Selection&) const = default;
};

class SelectionState : public QObject {
  Q_OBJECT

 public:
  using QObject::QObject;
  [[nodiscard]] const Selection& current() const { return current_; }
  void select(Selection selection) {
    if (selection == current_) return;
    current_ = std::move(selection);
    emit changed(current_);
  }
  void clear() { select({}); }

 signals:
  void changed(const lindos::gui::Selection& selection);

 private:
  Selection current_;
};

}  // namespace lindos::gui
