// SPDX-License-Identifier: GPL-3.0-or-later
// The cluster map: every GPU a cell, coloured by one quantity; zoom, pan, hover, selection, legend with histogram,
// minimap. Keyboard: arrows move, Enter drills in, Esc out, + − 0 zoom, N and P the next and previous of the worst
// GPUs.
#pragma once

#include <QImage>
#include <QWidget>
#include <memory>
#include <optional>

#include "gui/app/theme.h"
#include "gui/map/map_raster.h"
#include "gui/models/fleet.h"
#include "gui/models/fleet_change.h"
#include "gui/state/selection.h"

namespace lindos::gui {

class MapWidget : public QWidget {
  Q_OBJECT

 public:
  // What the colours mean: a quantity of the registry, or one of these.
  static constexpr std::string_view kByDevice = "device";
  static constexpr std::string_view kByGroup = "group";

  explicit MapWidget(QWidget* parent = nullptr);

  // nullptr: nothing to show. The view is kept for a fleet of the same shape.
  void set_fleet(std::shared_ptr<const Fleet> fleet);
  [[nodiscard]] const std::shared_ptr<const Fleet>& fleet() const { return fleet_; }
  // REQUIRES: a quantity that the fleet has, kByDevice or kByGroup.
  void set_colour_by(const std::string& name);
  [[nodiscard]] const std::string& colour_by() const { return colour_by_; }
  // Quantities that both have are shown as what changes from A to B; an empty pair: as they are. REQUIRES: comparable, the
  // shown fleet one of them.
  void set_comparison(FleetPair pair, ChangeMode mode);
  void show_selection(const Selection& selection);
  void set_theme(const Theme& theme);

  void fit();
  void zoom(double factor, const QPointF& around);
  // All of them in view. REQUIRES: not empty.
  void zoom_to(const std::vector<DeviceRange>& ranges);
  // Selects the next or previous of the worst.
  void step_worst(int direction);
  // Of the coloured quantity, worst first, or the largest changes; a thousand at most, none where kinds are coloured.
  [[nodiscard]] const std::vector<std::int64_t>& worst();

  // For tests and the benchmark.
  [[nodiscard]] const MapView& view() const { return view_; }
  [[nodiscard]] std::optional<std::int64_t> device_at(const QPointF& position) const;
  [[nodiscard]] QPointF centre_of(std::int64_t device) const;
  [[nodiscard]] const std::vector<Level>& levels() const { return levels_; }
  [[nodiscard]] const ValueScale& scale() const { return scale_; }
  // What the colours say: of each device the value, or its change. REQUIRES: a quantity is coloured.
  [[nodiscard]] const std::vector<float>& shown_values() const;
  [[nodiscard]] bool shows_change() const { return !changes_.empty(); }
  [[nodiscard]] QString shown_text(double value) const;
  // "GPU h100/8011/5: Slowdown ×1.147".
  [[nodiscard]] QString text_of(std::int64_t device) const;
  [[nodiscard]] QString rule_text() const;  // how cells that share a pixel are reduced

 signals:
  void selected(const lindos::gui::Selection& selection);
  void moved();  // the view

 protected:
  void paintEvent(QPaintEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void wheelEvent(QWheelEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void mouseDoubleClickEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  bool event(QEvent* event) override;

 private:
  void recolour();
  void mark_selected();
  void paint_devices(QImage& image, const MapView& view);
  [[nodiscard]] ColourMap colour_map() const { return shows_change() ? ColourMap::kBrownTeal : colour_map_of(colour_by_); }
  void render_cells();
  // False: the device is no picture that can be written, or only a part is asked for.
  [[nodiscard]] bool paint_cells_in_place(const QPainter& painter, const QRegion& asked);
  void paint_names(QPainter& painter) const;
  void paint_values(QPainter& painter) const;
  void paint_place(QPainter& painter) const;
  void paint_selection(QPainter& painter) const;
  void paint_legend(QPainter& painter) const;
  void paint_kinds(QPainter& painter, const QRectF& area) const;
  void paint_scale(QPainter& painter, const QRectF& area) const;
  void paint_minimap(QPainter& painter);
  void clamp_view();
  void show_all();
  void move_selection(int dx, int dy);
  void drill(bool in);
  [[nodiscard]] QRectF map_area() const;
  [[nodiscard]] QRectF minimap_area() const;
  [[nodiscard]] QRectF screen(const Box& box) const;
  [[nodiscard]] double fit_scale() const;
  [[nodiscard]] double largest_scale() const;
  [[nodiscard]] const Metric* quantity() const;
  [[nodiscard]] bool by_kind() const { return colour_by_ == kByDevice || colour_by_ == kByGroup; }
  [[nodiscard]] QStringList kinds() const;
  [[nodiscard]] QString without_text() const;  // of devices without a value
  void view_changed();

  std::shared_ptr<const Fleet> fleet_;
  std::string colour_by_{kByDevice};
  FleetPair pair_;
  ChangeMode mode_ = ChangeMode::kDifference;
  std::vector<float> changes_;  // of the coloured quantity; empty: it is shown as it is
  SignedRule rule_;             // of the changes
  const Theme* theme_ = &light_theme();
  Selection selection_;
  MapView view_;            // scale in device pixels per cell
  bool fitted_ = true;      // follows the size of the window
  ValueScale scale_;
  std::vector<std::int64_t> kind_counts_;
  std::vector<Level> levels_;
  LevelColours colours_{};
  std::vector<Level> scratch_;
  QImage cells_;            // in device pixels
  bool cells_stale_ = true;
  QImage minimap_;
  bool minimap_stale_ = true;
  std::vector<std::int64_t> worst_;  // devices, worst first; filled when asked for
  std::ptrdiff_t worst_at_ = -1;
  std::optional<QPointF> dragged_from_;
  bool dragging_ = false;
  bool dragging_minimap_ = false;
};

}  // namespace lindos::gui
