// SPDX-License-Identifier: GPL-3.0-or-later
// Inspector: what is selected, its values, and the chain from the step to it, with the next things to look at.
#pragma once

#include <QLabel>
#include <QPushButton>
#include <QScrollArea>
#include <QWidget>
#include <memory>
#include <vector>

#include "gui/models/fleet_change.h"
#include "gui/models/missing_fields.h"

namespace lindos::gui {

class Inspector : public QScrollArea {
  Q_OBJECT

 public:
  explicit Inspector(QWidget* parent = nullptr);

  // `missing` is said below the values of what is selected.
  void set_fleet(std::shared_ptr<const Fleet> fleet, std::vector<MissingField> missing);
  // Values are shown as A → B; an empty pair: as they are.
  void set_comparison(FleetPair pair);
  void show_selection(const Selection& selection);
  [[nodiscard]] QString text() const;  // what it says, plain
  void copy() const;

 signals:
  void selected(const lindos::gui::Selection& selection);
  void map_requested();

 private:
  void show_nothing();

  std::shared_ptr<const Fleet> fleet_;
  FleetPair pair_;
  std::vector<MissingField> missing_;
  Selection selection_;
  QLabel* title_;
  QLabel* path_;
  QLabel* facts_;
  QLabel* why_;
  QPushButton* on_map_;
  QPushButton* gate_;
  QPushButton* copy_;
  QString plain_;
};

}  // namespace lindos::gui
