// SPDX-License-Identifier: Apache-2.0
// Which GPU a process of several on one host takes; no GPU needed.
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "exec/cuda/device_info.h"

namespace lindos::exec::cuda {

namespace {

// Variables for the time of a test; the places of launchers are gone unless given.
class OwnDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID", "LOCAL_RANK", "CUDA_VISIBLE_DEVICES"}) {
      if (const char* value = std::getenv(name)) before_[name] = value;
      (void)unsetenv(name);
      names_.emplace_back(name);
    }
  }
  void TearDown() override {
    for (const std::string& name : names_) {
      (void)unsetenv(name.c_str());
      if (const auto old = before_.find(name); old != before_.end()) (void)setenv(name.c_str(), old->second.c_str(), 1);
    }
  }
  static std::string visible_after(const std::map<std::string, std::string>& environment) {
    for (const auto& [name, value] : environment) (void)setenv(name.c_str(), value.c_str(), 1);
    take_own_device();
    const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
    return visible == nullptr ? "all" : visible;
  }

 private:
  std::vector<std::string> names_;
  std::map<std::string, std::string> before_;
};

TEST_F(OwnDevice, AProcessAloneSeesAll) { EXPECT_EQ(visible_after({}), "all"); }
TEST_F(OwnDevice, OpenMpi) { EXPECT_EQ(visible_after({{"OMPI_COMM_WORLD_LOCAL_RANK", "3"}}), "3"); }
TEST_F(OwnDevice, Slurm) { EXPECT_EQ(visible_after({{"SLURM_LOCALID", "1"}}), "1"); }
TEST_F(OwnDevice, Torchrun) { EXPECT_EQ(visible_after({{"LOCAL_RANK", "2"}}), "2"); }
TEST_F(OwnDevice, OfAListThePlacesOwn) {
  EXPECT_EQ(visible_after({{"SLURM_LOCALID", "1"}, {"CUDA_VISIBLE_DEVICES", "4,GPU-aa,6"}}), "GPU-aa");
}
TEST_F(OwnDevice, BeyondTheListNone) { EXPECT_EQ(visible_after({{"LOCAL_RANK", "2"}, {"CUDA_VISIBLE_DEVICES", "4,5"}}), "-1"); }
TEST_F(OwnDevice, TheOnlyOneIsKept) { EXPECT_EQ(visible_after({{"SLURM_LOCALID", "5"}, {"CUDA_VISIBLE_DEVICES", "0"}}), "0"); }

}  // namespace

}  // namespace lindos::exec::cuda
