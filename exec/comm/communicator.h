// SPDX-License-Identifier: Apache-2.0
// Collectives between the ranks of one group (tensor-parallel stage) and between pipeline stages. One
// interface, backends single, thread, mpi, one conformance suite. Sums on GPUs go other ways (exec/cuda/tensor_group.h).
// Ownership: buffers are the caller's. Threading: one Communicator object per rank, used by that rank's
// thread only. CPU backends complete before they return.
// Sums are taken in rank order in fp32, so every rank holds the same bits.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace lindos::exec {

struct CommStats {
  double wait_s = 0.0;        // waiting for other ranks to arrive
  double transfer_s = 0.0;    // moving and summing
  std::uint64_t bytes = 0;
  std::uint64_t calls = 0;
};

class Communicator {
 public:
  virtual ~Communicator() = default;
  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int size() const = 0;
  [[nodiscard]] virtual const char* backend() const = 0;   // "single", "thread", "mpi"

  virtual void all_reduce_sum(std::span<float> data) = 0;
  // all.size() == Σ counts; counts[rank] == local.size(); zero counts are allowed.
  virtual void all_gather_v(std::span<const float> local, std::span<float> all,
                            std::span<const std::int64_t> counts) = 0;
  virtual void broadcast(std::span<std::byte> data, int root) = 0;
  // Matched pairs; returns when the buffer may be reused.
  virtual void send(std::span<const std::byte> data, int peer) = 0;
  virtual void recv(std::span<std::byte> data, int peer) = 0;
  virtual void barrier() = 0;

  // Releases every rank that waits in a call of this group: they throw Error{kEnvironment, reason}.
  virtual void abort(const std::string& reason) = 0;
  // For waits outside of this group: throws as calls do once a rank has aborted. Cheap.
  virtual void throw_if_aborted() = 0;

  // Since construction or the last reset.
  [[nodiscard]] const CommStats& stats() const { return stats_; }
  void reset_stats() { stats_ = {}; }

 protected:
  CommStats stats_;
};

// One rank: no-ops (all_gather copies).
[[nodiscard]] std::unique_ptr<Communicator> make_single_communicator();
// n communicators over threads of this process, index = rank.
[[nodiscard]] std::vector<std::unique_ptr<Communicator>> make_thread_communicators(int n);
// The processes of an MPI job. `colour`/`key` split the world as MPI_Comm_split does.
// REQUIRES: MpiSession alive.
[[nodiscard]] std::unique_ptr<Communicator> make_mpi_communicator(int colour, int key);

// MPI_Init_thread(FUNNELED) … MPI_Finalize. At most one per process.
class MpiSession {
 public:
  MpiSession(int* argc, char*** argv);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;
  [[nodiscard]] int rank() const;
  [[nodiscard]] int size() const;
  // Ends all processes of the job; the launcher reports the exit code.
  [[noreturn]] void abort(int exit_code);
};

// True when this process was started by mpirun/srun with more than one task.
[[nodiscard]] bool launched_by_mpi();

}  // namespace lindos::exec
