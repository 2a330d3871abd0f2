// SPDX-License-Identifier: Apache-2.0
#include "scenarios/tenants_toml.h"

#include <string>
#include <utility>

#include "scenarios/lengths_toml.h"

namespace lindos {
namespace {

Tenant read_tenant(const TomlTable& table, const ServingWorkload& serving, const std::filesystem::path& base) {
  const bool recorded = serving.arrival == Arrival::kRecorded;
  if (recorded) {
    // The trace has the rest.
    table.allow({"name", "share", "priority", "ttft", "tpot"});
  } else {
    table.allow({"name", "share", "priority", "prompt", "output", "shared_prefix", "prefix_groups", "ttft", "tpot"});
  }
  Tenant tenant;
  tenant.name = table.text("name");
  constexpr double kLargestShare = 1e9;
  if (!recorded || table.has("share")) {
    tenant.share = table.number("share", 0.0, kLargestShare);
    if (tenant.share == 0.0) table.fail("share", "must be above zero; leave out a tenant that asks nothing");
  }
  constexpr int kHighest = 1'000'000;
  tenant.priority = table.small_or("priority", 0, -kHighest, kHighest);
  if (table.has("prompt")) tenant.prompt = read_length(table, "prompt", base);
  if (table.has("output")) tenant.output = read_length(table, "output", base);
  read_shared_prefix(table, tenant.prompt.value_or(serving.prompt).low, tenant.shared_prefix, tenant.prefix_groups);
  for (const auto& [key, promise] : {std::pair{"ttft", &tenant.ttft}, std::pair{"tpot", &tenant.tpot}}) {
    if (table.has(key)) *promise = table.quantity<Seconds>(key);
  }
  return tenant;
}

}  // namespace

void read_tenants(const TomlTable& table, const std::filesystem::path& base, ServingWorkload& serving) {
  for (const TomlTable& entry : table.tables_or_none("tenant")) {
    Tenant tenant = read_tenant(entry, serving, base);
    for (const Tenant& other : serving.tenants) {
      if (other.name == tenant.name) entry.fail("name", "second tenant named \"" + tenant.name + '"');
    }
    if (!serving.tenants.empty() && (serving.tenants.front().share > 0.0) != (tenant.share > 0.0))
      entry.fail("share", "either all tenants have a share, by which they are drawn, or the trace names them all");
    if (tenant.share == 0.0 && !names_tenants(serving.trace.format)) {
      entry.fail("share", "a trace of format \"" + std::string(name_of(serving.trace.format)) +
                              "\" does not say whose a request is; give each tenant its share of them");
    }
    const std::int64_t shortest = tenant.prompt.value_or(serving.prompt).low;
    if (tenant.shared_prefix == 0 && serving.shared_prefix > 0 && serving.shared_prefix >= shortest) {
      entry.fail("prompt", "its shortest of " + std::to_string(shortest) + " tokens does not hold the workload's "
                               "shared_prefix of " + std::to_string(serving.shared_prefix) + "; give the tenant its own");
    }
    serving.tenants.push_back(std::move(tenant));
  }
  constexpr std::size_t kMostTenants = 10'000;
  if (serving.tenants.size() > kMostTenants)
    table.fail("tenant", "at most " + std::to_string(kMostTenants) + " tenants");
}

void write_tenants(TomlText& out, const ServingWorkload& serving) {
  for (const Tenant& tenant : serving.tenants) {
    out.array_header("workload.tenant");
    out.text("name", tenant.name);
    if (tenant.share > 0.0) out.number("share", tenant.share);
    if (tenant.priority != 0) out.integer("priority", tenant.priority);
    if (tenant.prompt) write_length(out, "prompt", *tenant.prompt);
    if (tenant.output) write_length(out, "output", *tenant.output);
    if (tenant.shared_prefix > 0) {
      out.integer("shared_prefix", tenant.shared_prefix);
      out.integer("prefix_groups", tenant.prefix_groups);
    }
    if (tenant.ttft) out.quantity("ttft", *tenant.ttft);
    if (tenant.tpot) out.quantity("tpot", *tenant.tpot);
  }
}

}  // namespace lindos
