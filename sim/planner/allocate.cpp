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

// In units of the largest rate and power, so that the solver sees numbers of one size.
class Program {
 public:
  Program(const std::vector<ReplicaKind>& kinds, const AllocationLimits& limits) : kinds_(kinds), limits_(limits) {
    for (const ReplicaKind& kind : kinds) {
      most_rate_ = std::max(most_rate_, kind.rate);
      most_power_ = std::max(most_power_, kind.added.value());
      most_cost_ = std::max(most_cost_, kind.cost);
    }
  }

  // Nothing when the solver finds no answer.
  [[nodiscard]] std::optional<std::vector<double>> solve(bool integer) const {
    const auto pools = static_cast<int>(limits_.devices.size());
    Columns columns;
    std::vector<double> least(kinds_.size(), 0.0);
    std::vector<double> most;
    std::vector<double> cost;  // minimised
    for (const ReplicaKind& kind : kinds_) {
      const double rate = kind.rate / most_rate_;
      const double power = kind.added.value() / most_power_;
      columns.start.push_back(static_cast<CoinBigIndex>(columns.row.size()));
      const auto add = [&](int row, double value) {
        columns.row.push_back(row);
        columns.value.push_back(value);
      };
      add(static_cast<int>(kind.pool), static_cast<double>(kind.devices));
      add(pools, power);
      add(pools + 1, rate);
      most.push_back(std::floor(static_cast<double>(limits_.devices[kind.pool]) / static_cast<double>(kind.devices)));
      cost.push_back(limits_.demand > 0.0 ? kind.cost / most_cost_ : -rate + kTieBreak * power);
    }
    columns.start.push_back(static_cast<CoinBigIndex>(columns.row.size()));
    constexpr double kFree = std::numeric_limits<double>::max();
    std::vector<double> row_least(limits_.devices.size() + 2, 0.0);
    std::vector<double> row_most;
    for (const std::int64_t devices : limits_.devices) row_most.push_back(static_cast<double>(devices));
    row_most.push_back(limits_.added ? limits_.added->value() / most_power_ : kFree);
    row_most.push_back(kFree);
    row_least.back() = limits_.demand / most_rate_;

    const std::unique_ptr<Cbc_Model, DeleteModel> model(Cbc_newModel());
    Cbc_setParameter(model.get(), "logLevel", "0");
    // Within a millionth of the optimum whole numbers of replicas make no difference that the prices know of.
    Cbc_setParameter(model.get(), "ratioGap", "1e-6");
    Cbc_loadProblem(model.get(), static_cast<int>(kinds_.size()), pools + 2, columns.start.data(), columns.row.data(),
                    columns.value.data(), least.data(), most.data(), cost.data(), row_least.data(), row_most.data());
    for (int i = 0; integer && i < static_cast<int>(kinds_.size()); ++i) Cbc_setInteger(model.get(), i);
    Cbc_setObjSense(model.get(), 1.0);
    Cbc_solve(model.get());
    const double* solution = Cbc_getColSolution(model.get());
    if (Cbc_isProvenInfeasible(model.get()) != 0 || solution == nullptr) return std::nullopt;
    return std::vector<double>(solution, solution + kinds_.size());
  }

 private:
  const std::vector<ReplicaKind>& kinds_;
  const AllocationLimits& limits_;
  double most_rate_ = 1e-9;
  double most_power_ = 1.0;
  double most_cost_ = 1e-9;
};

}  // namespace

std::optional<std::vector<std::int64_t>> allocate(const std::vector<ReplicaKind>& kinds,
                                                  const AllocationLimits& limits) {
  if (kinds.empty() || (limits.added && limits.added->value() < 0.0)) return std::nullopt;
  const Program program(kinds, limits);
  std::vector<std::int64_t> replicas;
  if (const auto whole = program.solve(true)) {
    for (const double x : *whole) replicas.push_back(std::llround(x));
    return replicas;
  }
  if (limits.demand > 0.0) return std::nullopt;
  // Without a demand no replica at all is allowed, so that an answer exists: should the search have given up, the
  // relaxed one rounded down loses less than a replica of each kind.
  const auto relaxed = program.solve(false);
  if (!relaxed) return std::nullopt;
  for (const double x : *relaxed) replicas.push_back(static_cast<std::int64_t>(std::floor(x + 1e-9)));
  return replicas;
}

}  // namespace lindos::sim
