// SPDX-License-Identifier: GPL-3.0-or-later
// Cluster: the map of a run's fleet, what it is coloured by, and finding a GPU, node, rack, hall or replica by name.
#pragma once

#include <QComboBox>
#include <QLabel>
#include <QLineEdit>
#include <QStackedWidget>
#include <QWidget>
#include <memory>

#include "gui/map/map_widget.h"
#include "gui/pages/elided_label.h"

namespace lindos::gui {

class ClusterPage : public QWidget {
  Q_OBJECT

 public:
  explicit ClusterPage(QWidget* parent = nullptr);

  // `what`: which run or scenario it is, with provenance.
  void show_fleet(std::shared_ptr<const Fleet> fleet, const QString& what);
  void show_empty(const QString& text);
  void show_selection(const Selection& selection);
  void set_theme(const Theme& theme);
  // As in the list, e.g. "slowdown"; false when this run does not have it.
  bool colour_by(const std::string& name);
  void focus_find();
  void find(const QString& text);

  [[nodiscard]] MapWidget& map() { return *map_; }
  [[nodiscard]] QString note() const { return note_->text(); }
  [[nodiscard]] QString find_error() const { return find_error_->text(); }

 signals:
  void selected(const lindos::gui::Selection& selection);

 private:
  void fill_choices();

  QStackedWidget* pages_;
  QLabel* empty_;
  QComboBox* colour_;
  QLineEdit* find_;
  QLabel* find_error_;
  ElidedLabel* note_;
  MapWidget* map_;
  QString wanted_;  // the quantity the user chose last, also while a run lacks it
};

}  // namespace lindos::gui
