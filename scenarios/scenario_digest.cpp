// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdio>
#include <string>
#include <string_view>

#include <xxhash.h>

#include "scenarios/plan_json.h"
#include "scenarios/scenario.h"

namespace lindos {

std::string digest_of_text(std::string_view canonical) {
  const XXH128_hash_t hash = XXH3_128bits(canonical.data(), canonical.size());
  std::array<char, 33> hex{};
  std::snprintf(hex.data(), hex.size(), "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return hex.data();
}

std::string digest(const Scenario& scenario) { return digest_of_text(to_toml(scenario)); }
std::string digest(const Plan& plan) { return digest_of_text(to_json(plan)); }

}  // namespace lindos
