// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/infiniband.h"

#include <cstdlib>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lindos::exec {
namespace {

using ::testing::HasSubstr;

// A sysfs tree of our own, removed afterwards.
class Infiniband : public ::testing::Test {
 protected:
  Infiniband() {
    std::string name = (std::filesystem::temp_directory_path() / "lindos-ib-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
  }
  ~Infiniband() override { std::filesystem::remove_all(root_); }

  void put(const std::string& file, const std::string& text) {
    const std::filesystem::path path = root_ / file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text << '\n';
  }
  // A port as an NDR adapter shows it.
  void put_port(const std::string& port) {
    put(port + "/state", "4: ACTIVE");
    put(port + "/phys_state", "5: LinkUp");
    put(port + "/rate", "400 Gb/sec (4X NDR)");
    put(port + "/link_layer", "InfiniBand");
    for (const char* name : {"port_xmit_data", "port_rcv_data", "port_xmit_packets", "port_rcv_packets",
                             "port_xmit_wait", "port_xmit_discards", "port_rcv_errors", "symbol_error",
                             "link_error_recovery", "link_downed", "local_link_integrity_errors",
                             "excessive_buffer_overrun_errors", "VL15_dropped"}) {
      put(port + "/counters/" + name, "1000");
    }
    for (const char* name : {"out_of_sequence", "packet_seq_err", "local_ack_timeout_err", "rnr_nak_retry_err",
                             "np_cnp_sent", "rp_cnp_handled", "np_ecn_marked_roce_packets", "roce_slow_restart"}) {
      put(port + "/hw_counters/" + name, "7");
    }
  }
  std::vector<InfinibandPort> read() { return std::get<0>(read_infiniband(root_)); }

  std::filesystem::path root_;
};

TEST_F(Infiniband, ReadsAPort) {
  put_port("mlx5_0/ports/1");
  const auto ports = read();
  ASSERT_EQ(ports.size(), 1u);
  const InfinibandPort& p = ports.front();
  EXPECT_EQ(p.device, "mlx5_0");
  EXPECT_EQ(p.port, 1);
  EXPECT_EQ(p.state, "ACTIVE");
  EXPECT_EQ(p.physical_state, "LinkUp");
  EXPECT_EQ(p.link_layer, "InfiniBand");
  EXPECT_EQ(p.rate_text, "400 Gb/sec (4X NDR)");
  EXPECT_EQ(p.rate, BytesPerSecond{50e9});
  EXPECT_EQ(p.counters.size(), 21u);
  EXPECT_EQ(p.counters.at("port_xmit_data"), 1000u);
  EXPECT_EQ(p.counters.at("np_cnp_sent"), 7u);
  EXPECT_TRUE(p.unavailable.empty());
}

TEST_F(Infiniband, OrdersDevicesAndPorts) {
  for (const char* port : {"mlx5_1/ports/1", "mlx5_0/ports/10", "mlx5_0/ports/2"}) put_port(port);
  put("mlx5_0/ports/extra/state", "4: ACTIVE");   // not a port number
  std::vector<std::string> seen;
  for (const InfinibandPort& p : read()) seen.push_back(p.device + "/" + std::to_string(p.port));
  EXPECT_THAT(seen, ::testing::ElementsAre("mlx5_0/2", "mlx5_0/10", "mlx5_1/1"));
}

TEST_F(Infiniband, SaysWhatIsNotThere) {
  EXPECT_THAT(std::get<Unavailable>(read_infiniband(root_ / "absent")).reason, HasSubstr("absent: not there"));
  EXPECT_THAT(std::get<Unavailable>(read_infiniband(root_)).reason, HasSubstr("has no port"));
  put_port("mlx5_0/ports/1");
  put("mlx5_0/ports/1/counters/port_rcv_data", "N/A (no PMA)");
  put("mlx5_0/ports/1/counters/symbol_error", "-1");
  put("mlx5_0/ports/1/rate", "fast");
  std::filesystem::remove(root_ / "mlx5_0/ports/1/state");
  std::filesystem::remove_all(root_ / "mlx5_0/ports/1/hw_counters");
  std::ofstream(root_ / "mlx5_0/ports/1/counters/link_downed", std::ios::trunc).close();
  const InfinibandPort p = read().front();
  EXPECT_EQ(p.counters.count("port_rcv_data"), 0u);
  EXPECT_EQ(p.unavailable.at("port_rcv_data"), "says \"N/A (no PMA)\"");
  EXPECT_EQ(p.unavailable.at("symbol_error"), "says \"-1\"");
  EXPECT_EQ(p.unavailable.at("link_downed"), "cannot be read");
  EXPECT_EQ(p.unavailable.at("out_of_sequence"), "not offered by this driver");
  EXPECT_EQ(p.unavailable.at("state"), "not offered by this driver");
  EXPECT_EQ(p.state, "");
  EXPECT_EQ(p.unavailable.at("rate"), "says \"fast\"");
  EXPECT_EQ(p.rate, std::nullopt);
}

TEST_F(Infiniband, CountsWhatPassedInBytes) {
  put_port("mlx5_0/ports/1");
  const InfinibandPort before = read().front();
  put("mlx5_0/ports/1/counters/port_xmit_data", "251000");
  put("mlx5_0/ports/1/counters/port_rcv_data", "1001");
  put("mlx5_0/ports/1/counters/port_xmit_wait", "1500");
  put("mlx5_0/ports/1/hw_counters/rp_cnp_handled", "9");
  const InfinibandTraffic t = traffic_between(before, read().front());
  EXPECT_EQ(t.sent, Bytes{1e6});   // 250,000 units of 4 bytes
  EXPECT_EQ(t.received, Bytes{4});
  EXPECT_EQ(t.counters.at("port_xmit_wait"), 500u);
  EXPECT_EQ(t.counters.at("rp_cnp_handled"), 2u);
  EXPECT_EQ(t.counters.at("port_rcv_errors"), 0u);
  EXPECT_EQ(t.counters.size(), 19u);
  EXPECT_TRUE(t.unavailable.empty());
}

TEST_F(Infiniband, TakesASmallerValueForAReset) {
  put_port("mlx5_0/ports/1");
  put("mlx5_0/ports/1/counters/port_rcv_packets", "N/A (no PMA)");
  const InfinibandPort before = read().front();
  put("mlx5_0/ports/1/counters/port_xmit_data", "12");
  put("mlx5_0/ports/1/counters/link_downed", "0");
  put("mlx5_0/ports/1/counters/port_rcv_packets", "5");
  std::filesystem::remove(root_ / "mlx5_0/ports/1/hw_counters/packet_seq_err");
  const InfinibandPort reset = read().front();
  const InfinibandTraffic t = traffic_between(before, reset);
  EXPECT_EQ(t.sent, std::nullopt);
  EXPECT_EQ(t.unavailable, (Absences{{"port_xmit_data", "was reset: 1000 → 12"},
                                     {"link_downed", "was reset: 1000 → 0"},
                                     {"port_rcv_packets", "says \"N/A (no PMA)\""},
                                     {"packet_seq_err", "not offered by this driver"}}));
  // The reading after the reset is the new base.
  put("mlx5_0/ports/1/counters/port_xmit_data", "15");
  EXPECT_EQ(traffic_between(reset, read().front()).sent, Bytes{12});
}

}  // namespace
}  // namespace lindos::exec
