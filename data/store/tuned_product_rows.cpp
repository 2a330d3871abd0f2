// SPDX-License-Identifier: Apache-2.0
#include "data/store/tuned_product_rows.h"

#include <cstddef>
#include <cstdint>
#include <string>

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/VariadicBind.h>

#include "data/store/little_endian.h"

namespace lindos::data {

namespace {

constexpr int kWordBits = 32;
constexpr std::size_t kWordBytes = 4;

std::string bytes_of(const ProductAlgorithm& algorithm) {
  std::string bytes;
  for (const std::uint64_t value : algorithm) {
    append_word(bytes, static_cast<std::uint32_t>(value));
    append_word(bytes, static_cast<std::uint32_t>(value >> kWordBits));
  }
  return bytes;
}

// REQUIRES: 64 bytes, which the table checks.
ProductAlgorithm algorithm_of(const std::string& bytes) {
  ProductAlgorithm algorithm{};
  for (std::size_t i = 0; i < algorithm.size(); ++i) {
    const std::size_t at = 2 * i * kWordBytes;
    algorithm[i] = word_at(bytes, at) | std::uint64_t{word_at(bytes, at + kWordBytes)} << kWordBits;
  }
  return algorithm;
}

}  // namespace

std::vector<TunedProduct> read_tuned_products(SQLite::Database& database) {
  SQLite::Statement rows(database,
                         "SELECT device, multiprocessors, library, m, n, k, logits, accumulate, dtype, algorithm FROM tuned_product");
  std::vector<TunedProduct> products;
  while (rows.executeStep()) {
    int column = 0;
    const auto text = [&] { return rows.getColumn(column++).getString(); };
    const auto number = [&] { return rows.getColumn(column++).getInt64(); };
    TunedProduct product;
    product.place.device = text();
    product.place.multiprocessors = static_cast<int>(number());
    product.place.library = text();
    product.shape.m = number();
    product.shape.n = number();
    product.shape.k = number();
    product.shape.logits = number() != 0;
    product.shape.accumulate = number() != 0;
    // The table holds no other than these.
    product.shape.dtype = find_dtype(text()).value();
    product.algorithm = algorithm_of(text());
    products.push_back(std::move(product));
  }
  return products;
}

void put_tuned_products(SQLite::Database& database, const std::vector<TunedProduct>& products) {
  SQLite::Statement row(database, "INSERT OR REPLACE INTO tuned_product VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  for (const TunedProduct& product : products) {
    SQLite::bind(row, product.place.device, product.place.multiprocessors, product.place.library, product.shape.m,
                 product.shape.n, product.shape.k, product.shape.logits ? 1 : 0, product.shape.accumulate ? 1 : 0,
                 std::string(name_of(product.shape.dtype)));
    const std::string bytes = bytes_of(product.algorithm);
    row.bind(row.getBindParameterCount(), bytes.data(), static_cast<int>(bytes.size()));
    row.exec();
    row.reset();
  }
}

}  // namespace lindos::data
