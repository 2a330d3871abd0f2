// SPDX-License-Identifier: Apache-2.0
// Two processes on one GPU that map each other's memory, or sum by an NCCL that lets ranks share a GPU. The second is this program again, with the socket by which they talk in its
// environment; no launcher is needed. Needs a GPU.
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exec/cuda/nccl.h"
#include "scenarios/error.h"
#include "tests/exec/cuda/tensor_sums.h"

namespace lindos::exec::cuda::test {

namespace {

constexpr const char* kSocketVariable = "LINDOS_TEST_PEER_SOCKET";
constexpr int kRounds = 8;
constexpr std::int64_t kRows = 5;

// Two ranks over a socket.
class SocketCommunicator final : public Communicator {
 public:
  SocketCommunicator(int socket, int rank) : socket_(socket), rank_(rank) {}
  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return 2; }
  [[nodiscard]] const char* backend() const override { return "socket"; }
  void all_reduce_sum(std::span<float> data) override {
    std::vector<float> other(data.begin(), data.end());
    exchange(std::as_writable_bytes(std::span(other)));
    for (std::size_t i = 0; i < data.size(); ++i) data[i] += other[i];
  }
  void all_gather_v(std::span<const float>, std::span<float>, std::span<const std::int64_t>) override { FAIL() << "not needed"; }
  void broadcast(std::span<std::byte> data, int root) override { rank_ == root ? send(data, 1 - rank_) : recv(data, root); }
  void send(std::span<const std::byte> data, int) override {
    while (!data.empty()) data = data.subspan(moved(::send(socket_, data.data(), data.size(), MSG_NOSIGNAL)));
  }
  void recv(std::span<std::byte> data, int) override {
    while (!data.empty()) data = data.subspan(moved(::read(socket_, data.data(), data.size())));
  }
  void barrier() override {
    std::byte token{};
    exchange(std::span<std::byte>(&token, 1));
  }
  void abort(const std::string&) override { (void)::shutdown(socket_, SHUT_RDWR); }
  void throw_if_aborted() override {}

 private:
  // Mine for the other's; small enough for the socket's buffer.
  void exchange(std::span<std::byte> data) {
    send(data, 1 - rank_);
    recv(data, 1 - rank_);
  }
  static std::size_t moved(ssize_t bytes) {
    if (bytes <= 0) throw Error(ErrorKind::kEnvironment, "socket", "the other process is gone");
    return static_cast<std::size_t>(bytes);
  }
  int socket_;
  int rank_;
};

void expect_sums(int socket, int rank, AllReduce way) {
  SocketCommunicator comm(socket, rank);
  for (const Element element : kElements) {
    const auto results = sums_of(comm, element, way, kRounds, kRows);
    for (int round = 0; round < kRounds; ++round) EXPECT_EQ(results[static_cast<std::size_t>(round)], expected(element, 2, round, kRows));
  }
}

// The running test by both processes.
void expect_sums_of_two(AllReduce way) {
  if (const char* socket = std::getenv(kSocketVariable)) return expect_sums(std::atoi(socket), 1, way);
  int sockets[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
  // The other process holds no end of this one: it sees when this one is gone.
  ASSERT_EQ(::fcntl(sockets[0], F_SETFD, FD_CLOEXEC), 0);
  ASSERT_EQ(::setenv(kSocketVariable, std::to_string(sockets[1]).c_str(), 1), 0);
  std::string program = "/proc/self/exe";
  std::string filter = std::string("--gtest_filter=PeerProcessesTest.") + ::testing::UnitTest::GetInstance()->current_test_info()->name();
  char* const arguments[] = {program.data(), filter.data(), nullptr};
  pid_t other = 0;
  const int spawned = ::posix_spawn(&other, program.c_str(), nullptr, nullptr, arguments, environ);
  (void)::unsetenv(kSocketVariable);
  ASSERT_EQ(spawned, 0);
  (void)::close(sockets[1]);
  expect_sums(sockets[0], 0, way);
  int status = 0;
  ASSERT_EQ(::waitpid(other, &status, 0), other);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the other process: " << status;
  (void)::close(sockets[0]);
}

using PeerProcessesTest = TensorGroupTest;

TEST_F(PeerProcessesTest, BothGetTheSumFromPeerMemory) {
  const DeviceBuffer memory(1);
  cudaIpcMemHandle_t handle;
  if (const cudaError_t status = cudaIpcGetMemHandle(&handle, memory.as<void>()); status != cudaSuccess) {
    (void)cudaGetLastError();
    GTEST_SKIP() << "memory cannot be shared between processes here: " << cudaGetErrorString(status);
  }
  expect_sums_of_two(AllReduce::kPeer);
}

TEST_F(PeerProcessesTest, BothGetTheSumFromNccl) {
  const std::optional<int> version = nccl_version();
  if (!version || *version < kFirstNcclWithSharedGpus) {
    GTEST_SKIP() << "NCCL " << (version ? nccl_version_text(*version) : "is missing") << "; ranks may share a GPU from 2.30 on (tools/get-cuda)";
  }
  expect_sums_of_two(AllReduce::kNccl);
}

}  // namespace

}  // namespace lindos::exec::cuda::test
