// SPDX-License-Identifier: Apache-2.0
// What the ranks of an engine know of fast products: of earlier starts, and what they time themselves.
// Threading: any number of ranks at a time.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "scenarios/tuned_product.h"

namespace lindos::exec {

class TunedProducts {
 public:
  explicit TunedProducts(const std::vector<TunedProduct>& known = {});
  [[nodiscard]] std::optional<ProductAlgorithm> find(const ProductPlace& place, const ProductShape& shape) const;
  // Of several timings of one shape the last one counts.
  void keep(const TunedProduct& found);
  // All of it, of earlier starts and kept.
  [[nodiscard]] std::vector<TunedProduct> known() const;
  // What was kept since the last call.
  [[nodiscard]] std::vector<TunedProduct> take_found();

 private:
  using Key = std::pair<ProductPlace, ProductShape>;
  [[nodiscard]] static std::vector<TunedProduct> listed(const std::map<Key, ProductAlgorithm>& products);
  mutable std::mutex mutex_;
  std::map<Key, ProductAlgorithm> known_;
  std::map<Key, ProductAlgorithm> found_;
};

}  // namespace lindos::exec
