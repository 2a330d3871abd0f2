// SPDX-License-Identifier: Apache-2.0
// All shapes of one way of computing a step, screened: when a replica's pipeline ends by its number of micro-batches,
// and how many of them its memory takes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "scenarios/profile.h"
#include "scenarios/scenario.h"
#include "sim/planner/layer_prices.h"
#include "sim/planner/pruned.h"
#include "sim/planner/training_space.h"

namespace lindos::sim {

struct ScreenedShape {
  TrainingShape shape;
  std::int64_t replicas = 0;         // that the pool has room for
  std::vector<double> ends;          // [m − 1]: seconds until m micro-batches have passed and the step has ended
  std::int64_t most_any = 0;         // micro-batches up to which every number fits in memory
  bool multiples_fit = false;        // beyond it, multiples of the stages (interleaving keeps fewer in flight)
  // The most micro-batches that fit in memory and end by then.
  [[nodiscard]] std::int64_t most_by(double seconds) const;
  [[nodiscard]] double end(std::int64_t micro_batches) const {
    return ends[static_cast<std::size_t>(micro_batches) - 1];
  }
};

// Devices and memory of the shape that overflows least, for a search that finds nothing.
struct Nearest {
  double overflow = 0.0;             // bytes needed / bytes there; 0: nothing was tried
  std::string arithmetic;
};

class ShapeScreen {
 public:
  // `scenario` with the way applied, which must outlive this. `slowest`: longer steps are of no interest; 0: all are.
  ShapeScreen(const Scenario& scenario, const TrainingSpace& space, const std::map<std::string, Profile>& profiles,
              double slowest, std::function<bool()> cancelled);

  // [pool of the cluster]: the shapes that fit and are fast enough, in the space's order.
  [[nodiscard]] const std::vector<std::vector<ScreenedShape>>& shapes() const { return shapes_; }
  // Screens replicas over two pools as well; longer steps than `slowest` are of no interest (0: as the others').
  void screen_over(double slowest, const std::function<bool()>& cancelled);
  [[nodiscard]] const std::vector<ScreenedShape>& over() const { return over_; }
  [[nodiscard]] const Pruned& pruned() const { return pruned_; }
  [[nodiscard]] const Nearest& nearest() const { return nearest_; }
  [[nodiscard]] std::int64_t looked_at() const { return looked_at_; }
  [[nodiscard]] std::int64_t priced() const { return priced_; }

  // Every pool of `pools` has the same shape and every replica equally many micro-batches; one pool: that pool alone.
  struct Uniform {
    double end = 0.0;                    // seconds of the step
    std::int64_t micro_batches = 0;
    std::vector<TrainingShape> shapes;   // one per pool
  };
  // Those that fit with the shortest steps, at most `count`, fastest first.
  [[nodiscard]] std::vector<Uniform> uniform_plans(const std::vector<std::size_t>& pools, std::size_t count);

 private:
  void screen(const TrainingShape& shape, std::vector<ScreenedShape>& out, double slowest);
  // Of the pool of its first stages.
  [[nodiscard]] const LayerPrices& prices(const TrainingShape& shape);
  [[nodiscard]] const LayerPrices& prices_of_last(const TrainingShape& shape);
  [[nodiscard]] TrainingJob job(const TrainingShape& shape, const std::vector<std::int64_t>& layers);
  // Seconds of the step with so many micro-batches per replica.
  [[nodiscard]] double end_of(TrainingJob& job, const TrainingShape& shape, const std::vector<std::int64_t>& layers,
                              std::int64_t micro_batches);
  [[nodiscard]] Interconnect way_between(std::size_t first, std::size_t last) const;
  [[nodiscard]] const std::vector<std::int64_t>& layers_of(const TrainingShape& shape);
  [[nodiscard]] std::int64_t copies_of(const TrainingShape& shape) const;
  [[nodiscard]] bool fits(const TrainingShape& shape, std::int64_t micro_batches);
  [[nodiscard]] double end_at(const TrainingShape& shape, std::int64_t micro_batches);
  // ZeRO stage, most_any and multiples_fit up to `most` micro-batches; false when not even one fits.
  [[nodiscard]] bool fill_memory(ScreenedShape& screened, std::int64_t most);

  const Scenario& scenario_;
  const TrainingSpace& space_;
  const std::map<std::string, Profile>& profiles_;
  double slowest_;
  std::vector<std::vector<ScreenedShape>> shapes_;
  std::vector<ScreenedShape> over_;
  std::vector<std::vector<TrainingShape>> all_;
  // By pool, tensor, context and expert degree, ZeRO stage.
  using PriceKey = std::tuple<std::size_t, std::int64_t, std::int64_t, std::int64_t, int>;
  std::map<PriceKey, std::unique_ptr<LayerPrices>> prices_;
  std::map<std::tuple<int, int, std::int64_t>, std::vector<std::int64_t>> layers_;  // by stages, those on the last pool, its layers
  Pruned pruned_;
  Nearest nearest_;
  std::int64_t looked_at_ = 0;
  std::int64_t priced_ = 0;
};

}  // namespace lindos::sim
