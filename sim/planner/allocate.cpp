// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/allocate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include <cblas.h>
#include <coin/Cbc_C_Interface.h>
#include <coin/Clp_C_Interface.h>

namespace lindos::sim {

namespace {

// How much power may weigh against rate: it decides between equals only.
constexpr double kTieBreak = 1e-7;
// Within a millionth of the optimum whole numbers of replicas make no difference that the prices know of.
constexpr const char* kGap = "1e-6";
// Nodes of the search, so that it ends whatever the numbers are, after the same work on every machine.
constexpr const char* kMostNodes = "2000";
// Of so many replicas a fraction of one makes none either: fleets are solved by the relaxed program and rounded.
constexpr std::int64_t kFleet = 1000;
// Of a demand, by which it is raised at least where rounding down leaves less.
constexpr double kLeastRaise = 1e-4;

double served(const ReplicaKind& kind) { return kind.role == Role::kPrefill ? 0.0 : kind.rate; }

// CBC factorises with LAPACK, which Debian runs on OpenBLAS: for such small programs its threads do nothing but wait for each
// other, on the cores that the planner's own threads want.
class OneBlasThread {
 public:
  OneBlasThread() { openblas_set_num_threads(1); }
  ~OneBlasThread() { openblas_set_num_threads(before_); }
  OneBlasThread(const OneBlasThread&) = delete;
  OneBlasThread& operator=(const OneBlasThread&) = delete;

 private:
  int before_ = openblas_get_num_threads();
};

struct DeleteModel {
  void operator()(Cbc_Model* model) const { Cbc_deleteModel(model); }
};
struct DeleteSimplex {
  void operator()(Clp_Simplex* model) const { Clp_deleteModel(model); }
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

  // In whole numbers. Nothing when the search finds no answer.
  [[nodiscard]] std::optional<std::vector<double>> whole() const {
    const Rows rows = make_rows();
    const std::unique_ptr<Cbc_Model, DeleteModel> model(Cbc_newModel());
    Cbc_setParameter(model.get(), "logLevel", "0");
    Cbc_setParameter(model.get(), "ratioGap", kGap);
    Cbc_setParameter(model.get(), "maxNodes", kMostNodes);
    Cbc_loadProblem(model.get(), columns(), rows.count(), rows.start.data(), rows.row.data(), rows.value.data(),
                    rows.least.data(), rows.most.data(), rows.cost.data(), rows.row_least.data(), rows.row_most.data());
    for (int i = 0; i < columns(); ++i) Cbc_setInteger(model.get(), i);
    Cbc_setObjSense(model.get(), 1.0);
    Cbc_solve(model.get());
    const double* solution = Cbc_bestSolution(model.get());
    if (Cbc_isProvenInfeasible(model.get()) != 0 || solution == nullptr) return std::nullopt;
    return std::vector<double>(solution, solution + columns());
  }

  // With fractions. Nothing when there is no answer.
  [[nodiscard]] std::optional<std::vector<double>> relaxed() const {
    const Rows rows = make_rows();
    const std::unique_ptr<Clp_Simplex, DeleteSimplex> model(Clp_newModel());
    Clp_setLogLevel(model.get(), 0);
    Clp_loadProblem(model.get(), columns(), rows.count(), rows.start.data(), rows.row.data(), rows.value.data(),
                    rows.least.data(), rows.most.data(), rows.cost.data(), rows.row_least.data(), rows.row_most.data());
    Clp_initialSolve(model.get());
    if (Clp_isProvenOptimal(model.get()) == 0) return std::nullopt;
    const double* solution = Clp_primalColumnSolution(model.get());
    return std::vector<double>(solution, solution + columns());
  }

 private:
  // The constraint matrix by column, with the bounds of columns and rows.
  struct Rows {
    std::vector<CoinBigIndex> start;
    std::vector<int> row;
    std::vector<double> value;
    std::vector<double> least, most, cost;  // [column]; the cost is minimised
    std::vector<double> row_least, row_most;
    [[nodiscard]] int count() const { return static_cast<int>(row_most.size()); }
  };

  [[nodiscard]] int columns() const { return static_cast<int>(kinds_.size()); }

  [[nodiscard]] Rows make_rows() const {
    const auto pools = static_cast<int>(limits_.devices.size());
    const int power_row = pools;
    const int rate_row = pools + 1;
    const int apart_row = pools + 2;
    Rows rows;
    rows.least.assign(kinds_.size(), 0.0);
    for (const ReplicaKind& kind : kinds_) {
      const double rate = kind.rate / most_rate_;
      const double power = kind.added.value() / most_power_;
      rows.start.push_back(static_cast<CoinBigIndex>(rows.row.size()));
      const auto add = [&](int row, double value) {
        rows.row.push_back(row);
        rows.value.push_back(value);
      };
      add(static_cast<int>(kind.pool), static_cast<double>(kind.devices));
      if (kind.other) add(static_cast<int>(kind.other->pool), static_cast<double>(kind.other->devices));
      add(power_row, power);
      if (kind.role != Role::kPrefill) add(rate_row, rate);
      if (kind.role != Role::kBoth) add(apart_row, kind.role == Role::kPrefill ? -rate : rate);
      rows.most.push_back(static_cast<double>(kind.most(limits_.devices)));
      rows.cost.push_back(limits_.demand > 0.0 ? kind.cost / most_cost_ : -served(kind) / most_rate_ + kTieBreak * power);
    }
    rows.start.push_back(static_cast<CoinBigIndex>(rows.row.size()));
    constexpr double kFree = std::numeric_limits<double>::max();
    rows.row_least.assign(limits_.devices.size() + 3, 0.0);
    for (const std::int64_t devices : limits_.devices) rows.row_most.push_back(static_cast<double>(devices));
    rows.row_most.push_back(limits_.added ? limits_.added->value() / most_power_ : kFree);
    rows.row_most.push_back(kFree);
    rows.row_least[static_cast<std::size_t>(rate_row)] = limits_.demand / most_rate_;
    rows.row_most.push_back(0.0);
    rows.row_least[static_cast<std::size_t>(apart_row)] = -kFree;
    return rows;
  }

  const std::vector<ReplicaKind>& kinds_;
  const AllocationLimits& limits_;
  double most_rate_ = 1e-9;
  double most_power_ = 1.0;
  double most_cost_ = 1e-9;
};

// Whether `b` serves as much as `a` in its place, for no more of anything that counts. Of equals the first one stays, so
// that nothing is held back where nothing is gained by it.
bool replaces(const ReplicaKind& b, const ReplicaKind& a, bool power_counts, bool cost_counts) {
  if (b.pool != a.pool || b.role != a.role || b.devices != a.devices || b.other != a.other || b.rate < a.rate) return false;
  if (cost_counts && b.cost > a.cost) return false;
  return !power_counts || b.added <= a.added;
}

bool is_fleet(const std::vector<ReplicaKind>& kinds, const AllocationLimits& limits) {
  return std::any_of(kinds.begin(), kinds.end(), [&](const ReplicaKind& kind) {
    return kind.most(limits.devices) > kFleet;
  });
}

// What replicas serve and take.
struct Use {
  Use(const std::vector<ReplicaKind>& kinds, const std::vector<std::int64_t>& replicas, const AllocationLimits& limits)
      : devices(limits.devices.size(), 0) {
    double both = 0.0, prompts = 0.0, decodes = 0.0;
    for (std::size_t k = 0; k < kinds.size(); ++k) {
      const auto n = static_cast<double>(replicas[k]);
      devices[kinds[k].pool] += kinds[k].devices * replicas[k];
      if (kinds[k].other) devices[kinds[k].other->pool] += kinds[k].other->devices * replicas[k];
      added += kinds[k].added * n;
      (kinds[k].role == Role::kBoth ? both : kinds[k].role == Role::kPrefill ? prompts : decodes) += kinds[k].rate * n;
    }
    rate = both + std::min(prompts, decodes);
    fits = !limits.added || added <= *limits.added;
    for (std::size_t p = 0; p < devices.size(); ++p) fits = fits && devices[p] <= limits.devices[p];
  }
  std::vector<std::int64_t> devices;
  Watts added{0};
  double rate = 0.0;
  bool fits = true;
};

// Relaxed and rounded down, then up again wherever that serves more within the limits. With a demand: of a demand that is as
// much higher as rounding takes.
std::optional<std::vector<std::int64_t>> rounded(const std::vector<ReplicaKind>& kinds, AllocationLimits limits) {
  const double demand = limits.demand;
  while (true) {
    const auto relaxed = Program(kinds, limits).relaxed();
    if (!relaxed) return std::nullopt;
    std::vector<std::int64_t> replicas;
    for (const double x : *relaxed) replicas.push_back(static_cast<std::int64_t>(std::floor(x + 1e-9)));
    double served = Use(kinds, replicas, limits).rate;
    for (std::size_t k = 0; k < kinds.size(); ++k) {
      if ((*relaxed)[k] < 1e-9 || (demand > 0.0 && served >= demand)) continue;
      ++replicas[k];
      const Use more(kinds, replicas, limits);
      if (more.fits && more.rate > served) {
        served = more.rate;
      } else {
        --replicas[k];
      }
    }
    if (demand <= 0.0 || served >= demand) return replicas;
    limits.demand += std::max(demand - served, kLeastRaise * demand);
  }
}

std::optional<std::vector<std::int64_t>> whole(const std::vector<ReplicaKind>& kinds, const AllocationLimits& limits) {
  std::vector<std::int64_t> replicas;
  if (const auto found = Program(kinds, limits).whole()) {
    for (const double x : *found) replicas.push_back(std::llround(x));
    return replicas;
  }
  // The search has given up, or there is none: the relaxed program says which.
  return rounded(kinds, limits);
}

std::optional<std::vector<std::int64_t>> solve(const std::vector<ReplicaKind>& kinds, const AllocationLimits& limits) {
  std::vector<std::size_t> kept;
  std::vector<ReplicaKind> few;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    bool needed = true;
    for (std::size_t j = 0; j < kinds.size() && needed; ++j) {
      if (j == i || !replaces(kinds[j], kinds[i], limits.added.has_value(), limits.demand > 0.0)) continue;
      needed = i < j && replaces(kinds[i], kinds[j], limits.added.has_value(), limits.demand > 0.0);
    }
    if (!needed) continue;
    kept.push_back(i);
    few.push_back(kinds[i]);
  }
  std::vector<std::int64_t> replicas(kinds.size(), 0);
  const auto found = is_fleet(few, limits) ? rounded(few, limits) : whole(few, limits);
  if (!found) return std::nullopt;
  for (std::size_t k = 0; k < kept.size(); ++k) replicas[kept[k]] = (*found)[k];
  return replicas;
}

}  // namespace

std::int64_t ReplicaKind::most(const std::vector<std::int64_t>& devices_of_pools) const {
  const std::int64_t own = devices_of_pools[pool] / devices;
  return other ? std::min(own, devices_of_pools[other->pool] / other->devices) : own;
}

std::optional<std::vector<std::int64_t>> allocate(const std::vector<ReplicaKind>& kinds,
                                                  const AllocationLimits& limits) {
  if (kinds.empty() || (limits.added && limits.added->value() < 0.0)) return std::nullopt;
  const OneBlasThread alone;
  if (limits.added) {
    // A limit that does not bind need not be searched under, and then all but the fastest kinds are out.
    AllocationLimits free = limits;
    free.added.reset();
    auto replicas = solve(kinds, free);
    if (!replicas) return std::nullopt;
    Watts added{0};
    for (std::size_t i = 0; i < kinds.size(); ++i) added += kinds[i].added * static_cast<double>((*replicas)[i]);
    if (added <= *limits.added) return replicas;
  }
  return solve(kinds, limits);
}

}  // namespace lindos::sim
