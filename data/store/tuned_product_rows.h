// SPDX-License-Identifier: Apache-2.0
// Rows of the table tuned_product.
#pragma once

#include <vector>

#include "scenarios/tuned_product.h"

namespace SQLite {
class Database;
}

namespace lindos::data {

[[nodiscard]] std::vector<TunedProduct> read_tuned_products(SQLite::Database& database);
// REQUIRES: a transaction.
void put_tuned_products(SQLite::Database& database, const std::vector<TunedProduct>& products);

}  // namespace lindos::data
