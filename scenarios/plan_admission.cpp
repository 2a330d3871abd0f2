// SPDX-License-Identifier: Apache-2.0
#include "scenarios/plan_admission.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <string_view>

#include "scenarios/text_layout.h"

namespace lindos {
namespace {

using Json = nlohmann::ordered_json;

// Far beyond any fleet; bounds what a hostile file can ask for.
constexpr std::int64_t kMost = 1'000'000'000'000;
constexpr std::int64_t kHighest = 1'000'000;  // priority, either way

void put(Json& json, const char* key, std::int64_t value) {
  if (value != 0) json[key] = value;
}

void put(Json& json, const char* rate, const char* burst, const RateLimit& limit) {
  if (limit == RateLimit{}) return;
  json[rate] = limit.rate.value();
  json[burst] = limit.burst;
}

void put(Json& json, const UnfinishedBounds& bounds) {
  put(json, "replica_unfinished", bounds.replica);
  put(json, "router_unfinished", bounds.router);
}

UnfinishedBounds bounds_of(JsonObject& object) {
  UnfinishedBounds bounds;
  if (object.optional("replica_unfinished")) bounds.replica = object.integer("replica_unfinished", 1, kMost);
  if (object.optional("router_unfinished")) bounds.router = object.integer("router_unfinished", 1, kMost);
  return bounds;
}

// A rate is nothing without its burst, and the other way round: asking for one asks for both.
RateLimit rate_of(JsonObject& object, const char* rate, const char* burst) {
  const bool has_rate = object.optional(rate);
  const bool has_burst = object.optional(burst);
  if (!has_rate && !has_burst) return {};
  return {Hertz{object.number(rate, 0.0, static_cast<double>(kMost))}, object.integer(burst, 1, kMost)};
}

UnfinishedBounds read_bounds(const TomlTable& table) {
  UnfinishedBounds bounds;
  bounds.replica = table.integer_or("replica_unfinished", 0, 1, kMost);
  bounds.router = table.integer_or("router_unfinished", 0, 1, kMost);
  return bounds;
}

RateLimit read_rate(const TomlTable& table, std::string_view rate, std::string_view burst) {
  if (!table.has(rate) && !table.has(burst)) return {};
  return {table.quantity<Hertz>(rate), table.integer(burst, 1, kMost)};
}

void check_rate(const RateLimit& limit, const Place& place, const char* rate) {
  if (limit == RateLimit{}) return;
  place.at(rate).require(std::isfinite(limit.rate.value()) && limit.rate.value() > 0.0,
                         "expected a finite rate above 0; leave it and its burst out for no limit");
  place.require(limit.burst >= 1, "a burst below 1 lets nothing in");
}

std::string text(const UnfinishedBounds& bounds) {
  std::string out;
  if (bounds.replica > 0) out = plural(bounds.replica, "request") + " unfinished per replica";
  if (bounds.router > 0) {
    out += (out.empty() ? "" : ", ") + plural(bounds.router, "request") + " unfinished per router";
  }
  return out;
}

std::string text(const RateLimit& limit, const char* noun) {
  return number_text(limit.rate.value(), 6) + ' ' + noun + "s/s with a burst of " + with_thousands(limit.burst);
}

}  // namespace

Json json_of(const AdmissionLimits& limits) {
  Json json = Json::object();
  put(json, limits.unfinished);
  for (const AdmissionLimits::OfPriority& own : limits.priorities) {
    Json entry = {{"priority", own.priority}};
    put(entry, own.unfinished);
    json["priorities"].push_back(std::move(entry));
  }
  for (const TenantLimits& own : limits.tenants) {
    Json entry = {{"tenant", own.tenant}};
    put(entry, "request_rate_per_s", "request_burst", own.requests);
    put(entry, "token_rate_per_s", "token_burst", own.tokens);
    json["tenants"].push_back(std::move(entry));
  }
  return json;
}

AdmissionLimits admission_of(JsonObject object) {
  AdmissionLimits limits;
  limits.unfinished = bounds_of(object);
  if (object.optional("priorities")) {
    for (JsonObject& entry : object.objects("priorities")) {
      AdmissionLimits::OfPriority& own = limits.priorities.emplace_back();
      own.priority = static_cast<int>(entry.integer("priority", -kHighest, kHighest));
      own.unfinished = bounds_of(entry);
      entry.finish();
    }
  }
  if (object.optional("tenants")) {
    for (JsonObject& entry : object.objects("tenants")) {
      TenantLimits& own = limits.tenants.emplace_back();
      own.tenant = entry.text("tenant");
      own.requests = rate_of(entry, "request_rate_per_s", "request_burst");
      own.tokens = rate_of(entry, "token_rate_per_s", "token_burst");
      entry.finish();
    }
  }
  object.finish();
  return limits;
}

AdmissionLimits read_admission(const TomlTable& table) {
  table.allow({"replica_unfinished", "router_unfinished", "priority", "tenant"});
  AdmissionLimits limits;
  limits.unfinished = read_bounds(table);
  for (const TomlTable& entry : table.tables_or_none("priority")) {
    entry.allow({"priority", "replica_unfinished", "router_unfinished"});
    AdmissionLimits::OfPriority& own = limits.priorities.emplace_back();
    own.priority = static_cast<int>(entry.integer("priority", -kHighest, kHighest));
    own.unfinished = read_bounds(entry);
  }
  for (const TomlTable& entry : table.tables_or_none("tenant")) {
    entry.allow({"tenant", "request_rate", "request_burst", "token_rate", "token_burst"});
    TenantLimits& own = limits.tenants.emplace_back();
    own.tenant = entry.text("tenant");
    own.requests = read_rate(entry, "request_rate", "request_burst");
    own.tokens = read_rate(entry, "token_rate", "token_burst");
  }
  if (!limits.any()) table.fail("", "limits nothing; give replica_unfinished, router_unfinished, [[priority]] or [[tenant]]");
  return limits;
}

void check_admission(const AdmissionLimits& limits, const std::vector<Tenant>& tenants, const Place& place) {
  for (std::size_t i = 0; i < limits.priorities.size(); ++i) {
    const AdmissionLimits::OfPriority& own = limits.priorities[i];
    const Place entry = place.at("priorities").at(i);
    entry.require(own.unfinished.any(), "bounds nothing; give replica_unfinished or router_unfinished");
    entry.at("priority").require(i == 0 || limits.priorities[i - 1].priority < own.priority,
                                 "priorities ascend, each stands once: the first that covers a request counts");
  }
  std::vector<std::string> names;
  for (const Tenant& tenant : tenants) names.push_back(tenant.name);
  std::set<std::string> seen;
  for (std::size_t i = 0; i < limits.tenants.size(); ++i) {
    const TenantLimits& own = limits.tenants[i];
    const Place entry = place.at("tenants").at(i);
    const bool known = std::find(names.begin(), names.end(), own.tenant) != names.end();
    if (!known) {
      entry.at("tenant").fail("the workload has no tenant \"" + own.tenant + '"' + did_you_mean(own.tenant, names));
    }
    entry.at("tenant").require(seen.insert(own.tenant).second, "tenant \"" + own.tenant + "\" stands twice");
    entry.require(own.requests != RateLimit{} || own.tokens != RateLimit{},
                  "limits nothing; give a request rate or a token rate, each with its burst");
    check_rate(own.requests, entry, "request_rate");
    check_rate(own.tokens, entry, "token_rate");
  }
}

std::vector<std::string> show_admission(const AdmissionLimits& limits) {
  std::vector<std::string> lines;
  if (limits.unfinished.any()) lines.push_back("turned away beyond " + text(limits.unfinished));
  for (const AdmissionLimits::OfPriority& own : limits.priorities) {
    lines.push_back("priority " + std::to_string(own.priority) + " and below: turned away beyond " +
                    text(own.unfinished));
  }
  for (const TenantLimits& own : limits.tenants) {
    std::string line = "tenant " + own.tenant + ": at most ";
    if (own.requests != RateLimit{}) line += text(own.requests, "request");
    if (own.tokens != RateLimit{}) {
      line += (own.requests != RateLimit{} ? " and " : "") + text(own.tokens, "token");
    }
    lines.push_back(line);
  }
  return lines;
}

}  // namespace lindos
