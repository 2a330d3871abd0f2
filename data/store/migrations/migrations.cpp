// SPDX-License-Identifier: Apache-2.0
#include "data/store/migrations/migrations.h"

#include <array>

namespace lindos::data {

std::span<const char* const> migrations() {
  static const std::array<const char*, 6> kMigrations = {kMigration001Initial, kMigration002DeviceMap,
                                                         kMigration003RunSamples, kMigration004Tenants,
                                                         kMigration005TunedProducts, kMigration006ProductFormats};
  return kMigrations;
}

}  // namespace lindos::data
