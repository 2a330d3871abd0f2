// SPDX-License-Identifier: Apache-2.0
#include "scenarios/run_record.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <rapidcheck/gtest.h>

#include "scenarios/error.h"
#include "scenarios/metrics.h"

namespace lindos {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

RunRecord sample_record() {
  RunRecord record;
  record.source = RunSource::kPredicted;
  record.fidelity = "simgrid";
  record.scenario_name = "this-machine";
  record.scenario_digest = "0123";
  record.plan_digest = "4567";
  record.plan_name = "tp2";
  record.seed = std::numeric_limits<std::uint64_t>::max();  // beyond the range of a double
  record.repeats = 3;
  record.started_utc = "2026-11-21T02:00:00Z";
  record.metrics["tpot_s"] = {0.009, 0.01, 0.012, "s", "modelled"};
  record.metrics["mfu"] = {0.1, 0.11, 0.12, "1", "modelled"};
  record.ledger = {{Cause::kUseful, 0.11, 0.1, 0.12}, {Cause::kMemoryBound, 0.89, 0.88, 0.9}};
  record.environment = {"abc", "2 × CPU", "", {{"simgrid", "3.32"}}, "2026-11-01", "89ab", "host"};
  return record;
}

// Reads the sample after `edit` changed its JSON; returns the complaint.
template <class Edit>
std::string complaint(Edit edit) {
  nlohmann::json json = nlohmann::json::parse(to_json(sample_record()));
  edit(json);
  try {
    static_cast<void>(run_record_from_json(json.dump(), "run.json"));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "accepted";
}

TEST(RunRecord, HasTheKeysOfTheDesign) {
  const auto json = nlohmann::json::parse(to_json(sample_record()));
  EXPECT_EQ(json["source"], "predicted");
  EXPECT_EQ(json["fidelity"], "simgrid");
  EXPECT_EQ(json["metrics"]["mfu"]["p50"], 0.11);
  EXPECT_EQ(json["metrics"]["mfu"]["definition"], "mfu/1");
  EXPECT_EQ(json["ledger"][1]["cause"], "memory_bound");
  EXPECT_EQ(json["environment"]["libraries"]["simgrid"], "3.32");
  EXPECT_EQ(json["seed"], std::numeric_limits<std::uint64_t>::max());
}

TEST(RunRecord, ReadsWhatItWrote) {
  const RunRecord record = sample_record();
  EXPECT_EQ(run_record_from_json(to_json(record), "x"), record);
  EXPECT_EQ(run_record_from_json(to_json(record, -1), "x"), record);
  EXPECT_EQ(environment_from_json(to_json(record.environment), "x"), record.environment);
}

TEST(RunRecord, CarriesEachTenantsFigures) {
  RunRecord record = sample_record();
  EXPECT_FALSE(nlohmann::json::parse(to_json(record)).contains("tenants"));
  record.tenants["chat \"a\""]["ttft_s"] = {0.1, 0.2, 0.3, "s", "modelled"};
  record.tenants["batch"]["rejected_share"] = {0.0, 0.5, 1.0, "1", "modelled"};
  const auto json = nlohmann::json::parse(to_json(record));
  EXPECT_EQ(json["tenants"]["batch"]["rejected_share"]["definition"], "rejected_share/1");
  EXPECT_EQ(run_record_from_json(to_json(record), "x"), record);
  record.tenants["batch"]["rejected_share"].unit = "s";
  try {
    validate_run_record(record, "run.json");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "run.json: /tenants/batch/rejected_share/unit: expected \"1\", saw \"s\"");
  }
}

RC_GTEST_PROP(RunRecordProperty, ReadsWhatItWrote,
              (std::uint64_t seed, bool measured, std::array<double, 3> values)) {
  RC_PRE(std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); }));
  std::sort(values.begin(), values.end());
  RunRecord record = sample_record();
  record.seed = seed;
  record.source = measured ? RunSource::kMeasured : RunSource::kPredicted;
  record.fidelity = measured ? "engine" : "closed";
  record.metrics.clear();
  for (const Metric& metric : metric_registry()) {
    if (!*rc::gen::arbitrary<bool>()) continue;
    record.metrics[std::string(metric.name)] = {values[0], values[1], values[2],
                                                std::string(metric.unit), "measured"};
  }
  record.environment.libraries["a/b~c"] = "ü \"quoted\"";
  RC_ASSERT(run_record_from_json(to_json(record), "x") == record);
}

TEST(RunRecord, ComplaintsNameThePlaceAndTheRemedy) {
  EXPECT_EQ(complaint([](auto& json) { json["metrics"]["tpot_ss"] = json["metrics"]["tpot_s"]; }),
            "run.json: /metrics/tpot_ss: unknown metric (did you mean \"tpot_s\"?)");
  EXPECT_EQ(complaint([](auto& json) { json["metrics"]["tpot_s"]["unit"] = "ms"; }),
            "run.json: /metrics/tpot_s/unit: expected \"s\", saw \"ms\"");
  EXPECT_THAT(complaint([](auto& json) { json["metrics"]["tpot_s"]["p10"] = 1.0; }),
              HasSubstr("/metrics/tpot_s: expected finite p10 <= p50 <= p90"));
  EXPECT_EQ(complaint([](auto& json) { json["metrics"]["tpot_s"]["p10"] = "fast"; }),
            "run.json: /metrics/tpot_s/p10: expected a number, saw \"fast\"");
  EXPECT_THAT(complaint([](auto& json) { json["metrics"]["mfu"]["provenance"] = "guessed"; }),
              HasSubstr("expected one of measured, modelled, extrapolated, saw \"guessed\""));
  EXPECT_THAT(complaint([](auto& json) { json["metrics"]["mfu"]["definition"] = "mfu/0"; }),
              HasSubstr("this build defines mfu/1"));
  EXPECT_EQ(complaint([](auto& json) { json["ledger"][0]["cause"] = "usefull"; }),
            "run.json: /ledger/0/cause: unknown cause \"usefull\" (did you mean \"useful\"?)");
  EXPECT_THAT(complaint([](auto& json) { json["ledger"][0]["share"] = 0.2; }),
              HasSubstr("/ledger: the shares sum to 1"));
  EXPECT_THAT(complaint([](auto& json) { json["ledger"][1]["cause"] = "useful"; }),
              HasSubstr("/ledger/1/cause: \"useful\" stands twice"));
  EXPECT_THAT(complaint([](auto& json) { json["ledger"][0]["share"] = -0.1; }),
              HasSubstr("/ledger/0: expected shares in [0, 1]"));
  EXPECT_THAT(complaint([](auto& json) { json["fidelity"] = "engine"; }),
              HasSubstr("belongs to measured runs"));
  EXPECT_EQ(complaint([](auto& json) {
              json["sead"] = 1;
              json.erase("seed");
            }),
            "run.json: missing key \"seed\"; \"sead\" is unknown and looks like it");
  EXPECT_EQ(complaint([](auto& json) { json["sead"] = 1; }),
            "run.json: /sead: unknown key (did you mean \"seed\"?)");
  EXPECT_EQ(complaint([](auto& json) { json["seed"] = -1; }),
            "run.json: /seed: expected an integer from 0 to 2^64 - 1, saw -1");
  EXPECT_EQ(complaint([](auto& json) { json["repeats"] = 1.5; }),
            "run.json: /repeats: expected an integer, saw 1.5");
  EXPECT_EQ(complaint([](auto& json) { json["environment"]["libraries"]["a/b"] = 3; }),
            "run.json: /environment/libraries/a~1b: expected a string, saw 3");
  EXPECT_EQ(complaint([](auto& json) { json["metrics"] = nlohmann::json::array(); }),
            "run.json: /metrics: expected an object, saw an array of 0");
}

TEST(RunRecord, SyntaxErrorsNameLineAndColumn) {
  const auto reading = [](const std::string& text) -> std::string {
    try {
      static_cast<void>(run_record_from_json(text, "run.json"));
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_THAT(reading("{\n  \"seed\": ]\n}"), StartsWith("run.json:2:11: not JSON: "));
  EXPECT_THAT(reading(""), StartsWith("run.json:1:1: not JSON: "));
  EXPECT_THAT(reading("{\"seed\": 1, \"seed\": 2}"), HasSubstr("\"seed\" stands twice"));
  EXPECT_THAT(reading("{\"seed\": 1e999}"), HasSubstr("1e999"));
  EXPECT_THAT(reading(std::string(100000, '[')), HasSubstr("nested deeper than 64 levels"));
  EXPECT_THAT(reading("[]"), HasSubstr("expected an object, saw an array of 0"));
}

TEST(RunRecord, WhatCannotBeReadIsNotWritten) {
  RunRecord record = sample_record();
  record.metrics["mfu"].p90 = std::nan("");
  EXPECT_THROW(static_cast<void>(to_json(record)), Error);
  record = sample_record();
  record.environment.host = "\xff";
  EXPECT_THROW(static_cast<void>(to_json(record)), Error);
}

}  // namespace
}  // namespace lindos
