// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/process_usage.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <stdlib.h>

namespace lindos::exec {
namespace {

class ProcessUsageTest : public ::testing::Test {
 protected:
  ProcessUsageTest() {
    std::string pattern = ::testing::TempDir() + "lindos-proc-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no scratch folder");
    root_ = pattern;
  }
  ~ProcessUsageTest() override { std::filesystem::remove_all(root_); }
  // Fields 14, 15 (ticks) and 24 (pages); a name with spaces and a parenthesis, as proc(5) allows.
  void process(int id, const std::string& name, int parent, int user, int system, int pages) {
    std::filesystem::create_directories(root_ / std::to_string(id));
    std::ofstream(root_ / std::to_string(id) / "stat")
        << id << " (" << name << ") R " << parent << " 1 1 0 -1 4194304 100 0 0 0 " << user << " " << system
        << " 0 0 20 0 3 0 1234 999999 " << pages << " 1844 1 1\n";
  }
  std::filesystem::path root_;
};

TEST_F(ProcessUsageTest, SumsTheRanksOfOneLaunch) {
  process(10, "lin) dos", 5, 100, 50, 7);
  process(11, "lin) dos", 5, 200, 0, 3);
  process(12, "lin) dos", 6, 1000, 0, 100);  // another launch
  process(13, "mpirun", 5, 1000, 0, 100);
  std::filesystem::create_directories(root_ / "self");
  EXPECT_EQ(processes_of_run(false, root_, 11), std::vector<int>{11});
  EXPECT_EQ(processes_of_run(true, root_, 11), (std::vector<int>{10, 11}));
  const ProcessUsage usage = read_processes({10, 11}, root_).value();
  const auto tick = static_cast<double>(::sysconf(_SC_CLK_TCK));
  EXPECT_DOUBLE_EQ(usage.cpu.count(), 350.0 / tick);
  EXPECT_DOUBLE_EQ(usage.resident.value(), 10.0 * static_cast<double>(::sysconf(_SC_PAGESIZE)));
}

TEST_F(ProcessUsageTest, WhatCannotBeReadIsNotZero) {
  EXPECT_FALSE(read_processes({10}, root_));
  std::filesystem::create_directories(root_ / "10");
  for (const char* text : {"", "10 lindos R 5", "10 (lindos) R 5 1 1", "10 (lindos) R 5 1 1 0 -1 4 1 0 0 0 x y 0 0 20 0 3 0 1 9 7"}) {
    std::ofstream(root_ / "10" / "stat") << text << "\n";
    EXPECT_FALSE(read_processes({10}, root_)) << text;
  }
}

TEST(ProcessUsage, OfThisProcess) {
  const std::vector<int> self = processes_of_run(false);
  EXPECT_EQ(self, std::vector<int>{static_cast<int>(::getpid())});
  EXPECT_GT(read_processes(self).value().resident.value(), 1e5);
}

}  // namespace
}  // namespace lindos::exec
