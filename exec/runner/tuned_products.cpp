// SPDX-License-Identifier: Apache-2.0
#include "exec/runner/tuned_products.h"

namespace lindos::exec {

TunedProducts::TunedProducts(const std::vector<TunedProduct>& known) {
  for (const TunedProduct& product : known) known_[{product.place, product.shape}] = product.algorithm;
}

std::optional<ProductAlgorithm> TunedProducts::find(const ProductPlace& place, const ProductShape& shape) const {
  const std::scoped_lock lock(mutex_);
  const auto known = known_.find({place, shape});
  return known == known_.end() ? std::nullopt : std::optional(known->second);
}

void TunedProducts::keep(const TunedProduct& found) {
  const std::scoped_lock lock(mutex_);
  const Key key{found.place, found.shape};
  known_[key] = found.algorithm;
  found_[key] = found.algorithm;
}

std::vector<TunedProduct> TunedProducts::known() const {
  const std::scoped_lock lock(mutex_);
  return listed(known_);
}

std::vector<TunedProduct> TunedProducts::take_found() {
  const std::scoped_lock lock(mutex_);
  return listed(std::exchange(found_, {}));
}

std::vector<TunedProduct> TunedProducts::listed(const std::map<Key, ProductAlgorithm>& products) {
  std::vector<TunedProduct> out;
  for (const auto& [key, algorithm] : products) out.push_back({key.first, key.second, algorithm});
  return out;
}

}  // namespace lindos::exec
