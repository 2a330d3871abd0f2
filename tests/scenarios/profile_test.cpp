// SPDX-License-Identifier: Apache-2.0
#include "scenarios/profile.h"

#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <rapidcheck/gtest.h>

#include "scenarios/error.h"
#include "scenarios/scenario.h"

namespace lindos {
namespace {

using ::testing::HasSubstr;

Profile sample_profile() {
  Profile profile;
  profile.device = "this-machine";
  profile.label = "2 cores";
  profile.source = "lindos probe";
  profile.date = "2026-11-21";
  profile.git_revision = "abc";
  profile.cores = 2;
  profile.memory = Bytes{8e9};
  profile.matrix_rate = FlopPerSecond{120e9};
  profile.read_bandwidth = BytesPerSecond{20e9};
  profile.read_bandwidth_by_threads = {BytesPerSecond{12e9}, BytesPerSecond{20e9}};
  profile.step_overhead = Seconds{1e-5};
  profile.step_overhead_spread = 0.1;
  profile.per_sequence_overhead = Seconds{1e-6};
  profile.gemm = {{Dtype::kBf16, 1, 576, 1536, 2, 1, Seconds{1e-4}, 0.02, Watts{310}}};
  profile.attention = {{Dtype::kF32, 4, 1, 128, 9, 3, 64, 2, 1, Seconds{2e-5}, 0.03}};
  profile.stream = {{"norm", Bytes{4096}, 1, 2, Seconds{1e-6}, 0.0}};
  profile.collectives = {{"all_reduce", "thread", 2, Bytes{2304}, Seconds{3e-6}, 0.2}};
  profile.stages = {{Dtype::kBf16, Dtype::kF32, 576, 64, {{6, 2, 1024, 1}, {3, 1, 512, 1}}, 1, 14, 4, 1, 64,
                     Seconds{2e-3}, 0.04}};
  profile.power_spread = 0.14;
  profile.power_limit = Watts{700};
  profile.power = {{"idle", 0, 0, Watts{75.5}, FlopPerSecond{0}, BytesPerSecond{0}, Seconds{1.1}},
                   {"steps", 8, 1, Watts{520}, FlopPerSecond{2e13}, BytesPerSecond{3.5e12}, Seconds{1.05}}};
  return profile;
}

template <class Edit>
std::string complaint(Edit edit) {
  nlohmann::json json = nlohmann::json::parse(to_json(sample_profile()));
  edit(json);
  try {
    static_cast<void>(profile_from_json(json.dump(), "p.json"));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "accepted";
}

TEST(Profile, ReadsWhatItWrote) {
  const Profile profile = sample_profile();
  EXPECT_EQ(profile_from_json(to_json(profile), "p.json"), profile);
  EXPECT_EQ(to_json(profile_from_json(to_json(profile), "p.json")), to_json(profile));
}

RC_GTEST_PROP(ProfileProperty, ReadsWhatItWrote, ()) {
  Profile profile = sample_profile();
  const auto positive =
      rc::gen::map(rc::gen::inRange(1, 1 << 30), [](int n) { return n * 1.7e-9; });
  for (int i = *rc::gen::inRange(0, 20); i > 0; --i) {
    GemmSample sample = profile.gemm.front();
    sample.m = *rc::gen::inRange<std::int64_t>(1, std::numeric_limits<std::int64_t>::max());
    sample.time = Seconds{*positive};
    sample.spread = *positive;
    profile.gemm.push_back(sample);
  }
  profile.matrix_rate = FlopPerSecond{*positive};
  RC_ASSERT(profile_from_json(to_json(profile), "p.json") == profile);
}

// Version 1 knew no stages; profiles of then stand in stores and files.
TEST(Profile, ReadsTheOlderVersion) {
  Profile profile = sample_profile();
  profile.stages.clear();
  nlohmann::json json = nlohmann::json::parse(to_json(profile));
  EXPECT_FALSE(json.contains("stages"));
  json["version"] = 1;
  EXPECT_EQ(profile_from_json(json.dump(), "p.json"), profile);
}

// Version 2 knew no power; without a sample of it a profile says nothing of it.
TEST(Profile, PowerIsAbsentWhereItWasNotMeasured) {
  Profile profile = sample_profile();
  profile.power.clear();
  profile.power_limit = Watts{0};
  nlohmann::json json = nlohmann::json::parse(to_json(profile));
  EXPECT_FALSE(json.contains("power"));
  EXPECT_FALSE(json.contains("power_limit_w"));
  json["version"] = 2;
  EXPECT_EQ(profile_from_json(json.dump(), "p.json"), profile);
}

// Version 4 knew no watts of kernels.
TEST(Profile, WattsOfKernelsAreAbsentWhereTheyWereNotMeasured) {
  Profile profile = sample_profile();
  profile.gemm.front().power = Watts{0};
  profile.power_spread = 0.0;
  nlohmann::json json = nlohmann::json::parse(to_json(profile));
  EXPECT_FALSE(json["gemm"][0].contains("power_w"));
  EXPECT_FALSE(json.contains("power_spread"));
  json["version"] = 4;
  EXPECT_EQ(profile_from_json(json.dump(), "p.json"), profile);
  json["attention"][0]["power_w"] = 0;
  EXPECT_THAT([&] { (void)profile_from_json(json.dump(), "p.json"); },
              testing::ThrowsMessage<Error>(HasSubstr("/attention/0/power_w: expected at least")));
}

// Version 3 knew no interval factors.
TEST(Profile, IntervalFactorsAreAbsentWhereNothingWasCalibrated) {
  Profile profile = sample_profile();
  nlohmann::json json = nlohmann::json::parse(to_json(profile));
  EXPECT_FALSE(json.contains("interval_factors"));
  json["version"] = 3;
  EXPECT_EQ(profile_from_json(json.dump(), "p.json"), profile);
  profile.interval_factors = {{"ttft_s", 1.7, 32}};
  EXPECT_EQ(profile_from_json(to_json(profile), "p.json"), profile);
  json = nlohmann::json::parse(to_json(profile));
  const auto refused = [&](const char* key, const nlohmann::json& value, const std::string& message) {
    nlohmann::json bad = json;
    bad["interval_factors"][0][key] = value;
    EXPECT_THAT([&] { (void)profile_from_json(bad.dump(), "p.json"); },
                testing::ThrowsMessage<Error>(testing::HasSubstr(message)));
  };
  refused("factor", 0.5, "/interval_factors/0/factor: expected at least 1");
  refused("metric", "ttft", "/interval_factors/0/metric: no metric is called \"ttft\"");
}

TEST(Profile, DigestIsOfTheContentNotOfTheSpelling) {
  const Profile profile = sample_profile();
  const auto sorted_keys = nlohmann::json::parse(to_json(profile)).dump();
  EXPECT_EQ(digest(profile_from_json(sorted_keys, "p.json")), digest(profile));
  Profile other = profile;
  other.gemm.front().time = Seconds{1.0000001e-4};
  EXPECT_NE(digest(other), digest(profile));
}

// XXH3-128 of nothing, as the reference implementation's sanity table prints it.
TEST(Digest, KnownAnswer) { EXPECT_EQ(digest_of_text(""), "99aa06d3014798d86001c324468d497f"); }

TEST(Profile, ComplaintsNameThePlaceAndTheRemedy) {
  EXPECT_EQ(complaint([](auto& json) {
              json["gemm"][0]["time_s"] = 0;
            }).find("p.json: /gemm/0/time_s: expected at least"),
            0U);
  EXPECT_EQ(complaint([](auto& json) { json["power"][1]["load"] = "decode"; }),
            "p.json: /power/1/load: expected one of idle, read, matrix, steps, saw \"decode\"");
  EXPECT_EQ(complaint([](auto& json) { json["power"][0]["power_w"] = 0; })
                .find("p.json: /power/0/power_w: expected at least"),
            0U);
  EXPECT_EQ(complaint([](auto& json) { json["gemm"][0]["dtype"] = "fp16"; }),
            "p.json: /gemm/0/dtype: expected one of f32, f16, bf16, fp8, fp4, int8, saw \"fp16\"");
  EXPECT_EQ(complaint([](auto& json) {
              json["atention"] = json["attention"];
              json.erase("attention");
            }),
            "p.json: missing key \"attention\"; \"atention\" is unknown and looks like it");
  EXPECT_EQ(complaint([](auto& json) { json["stream"][0]["bites"] = 1; }),
            "p.json: /stream/0/bites: unknown key (did you mean \"bytes\"?)");
  EXPECT_EQ(complaint([](auto& json) { json["version"] = 6; }),
            "p.json: /version: this build reads version 1 to 5, saw 6");
  EXPECT_EQ(complaint([](auto& json) { json["stages"][0]["ranks"] = nlohmann::json::array(); }),
            "p.json: /stages/0/ranks: expected at least one rank");
  EXPECT_EQ(complaint([](auto& json) { json["stages"][0]["sequences"] = 1 << 21; }),
            "p.json: /stages/0/sequences: expected at most 1048576, saw 2097152");
  EXPECT_EQ(complaint([](auto& json) { json["format"] = "lindos-plan"; }),
            "p.json: /format: expected \"lindos-profile\", saw \"lindos-plan\"");
  EXPECT_EQ(complaint([](auto& json) { json["cores"] = 0; }),
            "p.json: /cores: expected at least 1, saw 0");
  EXPECT_THAT(complaint([](auto& json) { json["gemm"][0]["m"] = 18446744073709551615U; }),
              HasSubstr("/gemm/0/m: expected at most 9223372036854775807"));
  EXPECT_THAT(
      complaint([](auto& json) { json["read_bandwidth_by_threads_bytes_per_s"][1] = -1.0; }),
      HasSubstr("/read_bandwidth_by_threads_bytes_per_s"));
}

TEST(Profile, WhatCannotBeReadIsNotWritten) {
  Profile profile = sample_profile();
  profile.stream.front().time = Seconds{std::numeric_limits<double>::quiet_NaN()};
  EXPECT_THROW(static_cast<void>(to_json(profile)), Error);
  profile = sample_profile();
  profile.read_bandwidth = BytesPerSecond{0};
  EXPECT_THROW(static_cast<void>(to_json(profile)), Error);
}

}  // namespace
}  // namespace lindos
