// SPDX-License-Identifier: Apache-2.0
#include "exec/runner/share_products.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace lindos::exec {

namespace {

constexpr std::int64_t kNone = -1;

std::string encode(const std::vector<TunedProduct>& products) {
  nlohmann::json out = nlohmann::json::array();
  for (const auto& [place, s, algorithm] : products)
    out.push_back({place.device, place.multiprocessors, place.library, s.m, s.n, s.k, s.logits, s.accumulate, s.dtype, algorithm});
  return out.dump();
}

std::vector<TunedProduct> decode(const std::string& text) {
  std::vector<TunedProduct> products;
  for (const nlohmann::json& p : nlohmann::json::parse(text))
    products.push_back({{p[0], p[1], p[2]}, {p[3], p[4], p[5], p[6], p[7], p[8]}, p[9]});
  return products;
}

std::span<std::byte> bytes_of(std::int64_t& value) { return std::as_writable_bytes(std::span(&value, 1)); }
std::span<std::byte> bytes_of(std::string& text) { return std::as_writable_bytes(std::span(text)); }

}  // namespace

std::shared_ptr<TunedProducts> share_known(const std::shared_ptr<TunedProducts>& own, Communicator& world) {
  const bool first = world.rank() == 0;
  std::string text = first && own ? encode(own->known()) : std::string();
  std::int64_t size = own ? static_cast<std::int64_t>(text.size()) : kNone;
  world.broadcast(bytes_of(size), 0);
  if (size == kNone) return nullptr;
  text.resize(static_cast<std::size_t>(size));
  world.broadcast(bytes_of(text), 0);
  return first ? own : std::make_shared<TunedProducts>(decode(text));
}

void gather_found(TunedProducts& own, Communicator& world) {
  if (world.rank() != 0) {
    std::string text = encode(own.take_found());
    auto size = static_cast<std::int64_t>(text.size());
    world.send(bytes_of(size), 0);
    world.send(bytes_of(text), 0);
    return;
  }
  for (int rank = 1; rank < world.size(); ++rank) {
    std::int64_t size = 0;
    world.recv(bytes_of(size), rank);
    std::string text(static_cast<std::size_t>(size), '\0');
    world.recv(bytes_of(text), rank);
    for (const TunedProduct& found : decode(text)) own.keep(found);
  }
}

}  // namespace lindos::exec
