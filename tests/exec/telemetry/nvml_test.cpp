// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/nvml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/exec/telemetry/fake_nvml.h"

namespace lindos::exec {
namespace {

using ::testing::HasSubstr;

// The test holds the library too, so that its state lives beyond the Nvml under test.
class NvmlTest : public ::testing::Test {
 protected:
  void use(const char* path) {
    library_.emplace(DynamicLibrary::open({path}));
    state_ = std::get<DynamicLibrary>(*library_).symbol_or_throw<fake::StateFunction>("fake_nvml_state")();
    *state_ = fake::NvmlState{};
    state_->instant_power.type = nvml::ValueType::kUnsignedInt;
    state_->instant_power.value.as_unsigned = 698'500;
    path_ = path;
  }
  void SetUp() override { use(LINDOS_FAKE_NVML); }

  std::shared_ptr<const Nvml> load() { return std::get<std::shared_ptr<const Nvml>>(Nvml::load({path_})); }
  NvmlDevice device() { return std::get<NvmlDevice>(NvmlDevice::find(load(), fake::kBusId)); }

  std::optional<std::variant<DynamicLibrary, Unavailable>> library_;
  fake::NvmlState* state_ = nullptr;
  std::string path_;
};

TEST_F(NvmlTest, ReadsEveryFieldInItsUnit) {
  const DeviceReading r = device().read();
  EXPECT_DOUBLE_EQ(r.power.value().value(), 698.5);
  EXPECT_DOUBLE_EQ(r.energy.value().value(), 12'345'678.901);
  EXPECT_DOUBLE_EQ(r.sm_clock.value().value(), 1.98e9);
  EXPECT_DOUBLE_EQ(r.memory_clock.value().value(), 3.201e9);
  EXPECT_EQ(r.temperature_c, 61.0);
  EXPECT_EQ(r.memory_used, Bytes{120.0 * kGiB});
  EXPECT_DOUBLE_EQ(r.utilisation.value(), 0.97);
  EXPECT_DOUBLE_EQ(r.enforced_power_limit.value().value(), 700.0);
  EXPECT_EQ(r.clock_reasons, ClockReasons{0x4});
  EXPECT_EQ(r.ecc_uncorrected, 0u);
  EXPECT_TRUE(r.unavailable.empty());
}

TEST_F(NvmlTest, NamesDeviceAndDriver) {
  const auto nvml = load();
  EXPECT_EQ(std::get<std::string>(nvml->driver_version()), "580.95.05");
  EXPECT_EQ(std::get<std::string>(nvml->library_version()), "13.580.95.05");
  EXPECT_EQ(std::get<std::string>(device().name()), "NVIDIA H200");
}

TEST_F(NvmlTest, ReadsPowerByItsTypeTag) {
  const NvmlDevice gpu = device();
  const auto power_as = [&](nvml::ValueType type, const auto& set) {
    state_->instant_power.type = type;
    state_->instant_power.value.as_unsigned_long_long = ~0ULL;
    set(state_->instant_power.value);
    return gpu.read().power.value().value();
  };
  EXPECT_DOUBLE_EQ(power_as(nvml::ValueType::kDouble, [](auto& v) { v.as_double = 1500.5; }), 1.5005);
  EXPECT_DOUBLE_EQ(power_as(nvml::ValueType::kUnsignedInt, [](auto& v) { v.as_unsigned = 1500; }), 1.5);
  EXPECT_DOUBLE_EQ(power_as(nvml::ValueType::kUnsignedLong, [](auto& v) { v.as_unsigned_long = 1500; }), 1.5);
  EXPECT_DOUBLE_EQ(power_as(nvml::ValueType::kUnsignedLongLong, [](auto& v) { v.as_unsigned_long_long = 1500; }), 1.5);
  EXPECT_DOUBLE_EQ(power_as(nvml::ValueType::kSignedLongLong, [](auto& v) { v.as_long_long = 1500; }), 1.5);
  EXPECT_DOUBLE_EQ(power_as(nvml::ValueType::kSignedInt, [](auto& v) { v.as_int = 1500; }), 1.5);
  EXPECT_DOUBLE_EQ(power_as(nvml::ValueType::kUnsignedShort, [](auto& v) { v.as_unsigned_short = 1500; }), 1.5);
  // A type that this version does not know: the average stands in.
  EXPECT_DOUBLE_EQ(power_as(static_cast<nvml::ValueType>(99), [](auto&) {}), 650.25);
}

TEST_F(NvmlTest, TakesAveragePowerWhereThereIsNoInstantOne) {
  state_->instant_power.status = 3;
  EXPECT_DOUBLE_EQ(device().read().power.value().value(), 650.25);
  state_->failing["nvmlDeviceGetPowerUsage"] = 3;
  const DeviceReading none = device().read();
  EXPECT_EQ(none.power, std::nullopt);
  EXPECT_EQ(none.unavailable.at("power"), "Not Supported (NVML 3)");
}

TEST_F(NvmlTest, SaysWhyAFieldIsAbsent) {
  const NvmlDevice gpu = device();
  state_->failing = {{"nvmlDeviceGetTotalEnergyConsumption", 3}, {"nvmlDeviceGetTotalEccErrors", 3},
                     {"nvmlDeviceGetName", 15}};
  const DeviceReading r = gpu.read();
  EXPECT_EQ(r.energy, std::nullopt);
  EXPECT_EQ(r.ecc_uncorrected, std::nullopt);
  EXPECT_EQ(r.unavailable, (Absences{{"energy", "Not Supported (NVML 3)"},
                                     {"ecc_uncorrected", "Not Supported (NVML 3)"}}));
  EXPECT_EQ(std::get<Unavailable>(gpu.name()).reason, "GPU is lost (NVML 15)");
}

TEST_F(NvmlTest, WorksWithAnOldDriver) {
  use(LINDOS_FAKE_NVML_OLD);
  state_->reasons = 0x40 | 0x8;
  const DeviceReading r = device().read();
  EXPECT_DOUBLE_EQ(r.power.value().value(), 650.25);
  EXPECT_EQ(r.clock_reasons, ClockReasons{0x48});
  EXPECT_EQ(r.unavailable, (Absences{{"ecc_uncorrected", "this driver's NVML lacks the call"}}));
}

TEST_F(NvmlTest, SaysWhyThereIsNoNvml) {
  const auto absent = Nvml::load({"/nowhere/libnvidia-ml.so.1"});
  EXPECT_THAT(std::get<Unavailable>(absent).reason, HasSubstr("/nowhere/libnvidia-ml.so.1: "));
  state_->init_status = 9;
  const auto no_driver = Nvml::load({path_});
  EXPECT_EQ(std::get<Unavailable>(no_driver).reason, path_ + ": Driver Not Loaded (NVML 9)");
  EXPECT_EQ(state_->initialised, 0);
  const auto another_library = Nvml::load({"libz.so.1", "libc.so.6"});
  EXPECT_THAT(std::get<Unavailable>(another_library).reason, HasSubstr("lacks the call nvmlInit_v2"));
}

TEST_F(NvmlTest, SaysThatItDoesNotKnowADevice) {
  const auto found = NvmlDevice::find(load(), "0000:aa:00.0");
  EXPECT_EQ(std::get<Unavailable>(found).reason, "device 0000:aa:00.0: Not Found (NVML 6)");
}

TEST_F(NvmlTest, ShutsDownOnceTheLastDeviceIsGone) {
  {
    const NvmlDevice gpu = device();   // the only owner of its library
    EXPECT_EQ(state_->initialised, 1);
    EXPECT_TRUE(gpu.read().power.has_value());
  }
  EXPECT_EQ(state_->initialised, 0);
}

}  // namespace
}  // namespace lindos::exec
