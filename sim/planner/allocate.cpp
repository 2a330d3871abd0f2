// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/allocate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include <coin/Cbc_C_Interface.h>

namespace lindos::sim {

namespace {

// How much power may weigh against rate: it decides between equals only.
constexpr double kTieBreak = 1e-7;

struct DeleteModel {
  void operator()(Cbc_Model* model) const { Cbc_deleteModel(model); }
};

// Entries of a constraint matrix, by column.
struct Columns {
  std::vector<CoinBigIndex> start;
  std::vector<int> row;
  std::vector<double> value;
};

}  // namespace

std::optional<std::vector<std::int64_t>> allocate(const std::vector<ReplicaKind>& kinds,
                                                  const AllocationLimits& limits) {
  if (kinds.empty()) return std::nullopt;
  const auto pools = static_cast<int>(limits.devices.size());
  const int power_row = pools;
  const int demand_row = pools + 1;
  double most_rate = 0.0;
  double most_power = 1.0;
  for (const ReplicaKind& kind : kinds) {
    most_rate = std::max(most_rate, kind.rate);
    most_power = std::max(most_power, kind.added.value());
  }
  Columns columns;
  std::vector<double> least(kinds.size(), 0.0);
  std::vector<double> most;
  std::vector<double> cost;
  for (const ReplicaKind& kind : kinds) {
    columns.start.push_back(static_cast<CoinBigIndex>(columns.row.size()));
    const auto add = [&](int row, double value) {
      columns.row.push_back(row);
      columns.value.push_back(value);
    };
    add(static_cast<int>(kind.pool), static_cast<double>(kind.devices));
    add(power_row, kind.added.value());
    add(demand_row, kind.rate);
    most.push_back(std::floor(static_cast<double>(limits.devices[kind.pool]) / static_cast<double>(kind.devices)));
    // Minimised.
    cost.push_back(limits.demand > 0.0 ? kind.added.value() / most_power
                                       : -kind.rate / most_rate + kTieBreak * kind.added.value() / most_power);
  }
  columns.start.push_back(static_cast<CoinBigIndex>(columns.row.size()));
  std::vector<double> row_least(static_cast<std::size_t>(pools) + 2, 0.0);
  std::vector<double> row_most;
  for (const std::int64_t devices : limits.devices) row_most.push_back(static_cast<double>(devices));
  row_most.push_back(limits.added ? limits.added->value() : std::numeric_limits<double>::max());
  row_most.push_back(std::numeric_limits<double>::max());
  row_least.back() = limits.demand;

  const std::unique_ptr<Cbc_Model, DeleteModel> model(Cbc_newModel());
  Cbc_setParameter(model.get(), "logLevel", "0");
  // Within a millionth of the optimum whole numbers of replicas make no difference that the prices know of.
  Cbc_setParameter(model.get(), "ratioGap", "1e-6");
  Cbc_loadProblem(model.get(), static_cast<int>(kinds.size()), pools + 2, columns.start.data(), columns.row.data(),
                  columns.value.data(), least.data(), most.data(), cost.data(), row_least.data(), row_most.data());
  for (int i = 0; i < static_cast<int>(kinds.size()); ++i) Cbc_setInteger(model.get(), i);
  Cbc_setObjSense(model.get(), 1.0);
  Cbc_solve(model.get());
  const double* solution = Cbc_getColSolution(model.get());
  if (Cbc_isProvenInfeasible(model.get()) != 0 || solution == nullptr) return std::nullopt;
  std::vector<std::int64_t> replicas;
  for (std::size_t i = 0; i < kinds.size(); ++i) replicas.push_back(std::llround(solution[i]));
  return replicas;
}

}  // namespace lindos::sim
