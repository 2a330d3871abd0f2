// SPDX-License-Identifier: Apache-2.0
#include "conformance.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <numeric>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/error.h"

namespace lindos::exec::conformance {
namespace {

// Spread over many magnitudes, so that another order of addition gives other bits.
float value(std::uint32_t seed, int rank, std::size_t index) {
  auto h = static_cast<std::uint32_t>(index * 2654435761u) ^
           (static_cast<std::uint32_t>(rank) * 40503u + seed);
  h = (h ^ (h >> 15)) * 2246822519u;
  h ^= h >> 13;
  const float magnitude = std::ldexp(1.0f, static_cast<int>(h % 24) - 12);
  return magnitude * (static_cast<float>(h >> 8) / 8388608.0f - 1.0f);
}

std::vector<float> vector_of(std::uint32_t seed, int rank, std::size_t size) {
  std::vector<float> v(size);
  for (std::size_t i = 0; i < size; ++i) v[i] = value(seed, rank, i);
  return v;
}

std::vector<float> rank_order_sum(std::uint32_t seed, int ranks, std::size_t size) {
  std::vector<float> sum = vector_of(seed, 0, size);
  for (int r = 1; r < ranks; ++r) {
    for (std::size_t i = 0; i < size; ++i) sum[i] += value(seed, r, i);
  }
  return sum;
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

template <class T>
std::span<std::byte> bytes_of(std::vector<T>& v) {
  return std::as_writable_bytes(std::span(v));
}

}  // namespace

void all_reduce_sums_in_rank_order(Communicator& comm) {
  std::uint32_t seed = 1;
  // 16 floats are a cache line, 1024 a tile of the thread backend, 4096 the last size that mpi sums
  // directly.
  for (const std::size_t size :
       {0, 1, 2, 7, 15, 16, 17, 33, 576, 1023, 1024, 1025, 2049, 4095, 4096, 4097, 8192, 50001}) {
    std::vector<float> data = vector_of(seed, comm.rank(), size);
    comm.all_reduce_sum(data);
    EXPECT_TRUE(same_bits(data, rank_order_sum(seed, comm.size(), size)))
        << size << " floats, rank " << comm.rank() << " of " << comm.size();
    ++seed;
  }
  // The order must be visible, or the check above could not fail.
  if (comm.size() >= 3) {
    std::vector<float> backwards = vector_of(1, comm.size() - 1, 576);
    for (int r = comm.size() - 2; r >= 0; --r) {
      for (std::size_t i = 0; i < backwards.size(); ++i) backwards[i] += value(1, r, i);
    }
    EXPECT_FALSE(same_bits(backwards, rank_order_sum(1, comm.size(), 576)));
  }
}

void all_gather_takes_uneven_and_zero_counts(Communicator& comm) {
  for (const std::size_t unit : {0, 1, 37, 4097}) {
    for (const bool in_place : {false, true}) {
      std::vector<std::int64_t> counts;
      std::vector<float> expected;
      std::size_t mine = 0;
      for (int r = 0; r < comm.size(); ++r) {
        const std::size_t count = r % 3 == 1 ? 0 : unit * static_cast<std::size_t>(r + 1);
        if (r == comm.rank()) mine = expected.size();
        const std::vector<float> part = vector_of(7, r, count);
        expected.insert(expected.end(), part.begin(), part.end());
        counts.push_back(static_cast<std::int64_t>(count));
      }
      const std::vector<float> part = vector_of(
          7, comm.rank(), static_cast<std::size_t>(counts[static_cast<std::size_t>(comm.rank())]));
      std::vector<float> all(expected.size(), -1.0f);
      if (in_place) {
        std::copy(part.begin(), part.end(), all.begin() + static_cast<std::ptrdiff_t>(mine));
        comm.all_gather_v(std::span<const float>(all).subspan(mine, part.size()), all, counts);
      } else {
        comm.all_gather_v(part, all, counts);
      }
      EXPECT_TRUE(same_bits(all, expected))
          << unit << " floats, rank " << comm.rank() << " of " << comm.size();
    }
  }
}

void broadcast_reaches_all_from_each_root(Communicator& comm) {
  for (int root = 0; root < comm.size(); ++root) {
    for (const std::size_t size : {0, 1, 3, 4099, 100003}) {
      std::vector<unsigned char> data(size);
      for (std::size_t i = 0; i < size; ++i) {
        data[i] = comm.rank() == root
                      ? static_cast<unsigned char>(i * 31 + static_cast<std::size_t>(root))
                      : 0;
      }
      comm.broadcast(bytes_of(data), root);
      for (std::size_t i = 0; i < size; ++i) {
        ASSERT_EQ(data[i], static_cast<unsigned char>(i * 31 + static_cast<std::size_t>(root)))
            << "byte " << i;
      }
    }
  }
}

void messages_keep_their_order(Communicator& comm) {
  if (comm.size() == 1) {
    std::vector<int> data(1);
    EXPECT_THROW(comm.send(bytes_of(data), 0), Error);
    EXPECT_THROW(comm.recv(bytes_of(data), 0), Error);
    return;
  }
  // Everybody sends before anybody receives: a send must not wait for its receiver.
  const int next = (comm.rank() + 1) % comm.size();
  const int previous = (comm.rank() + comm.size() - 1) % comm.size();
  const std::vector<std::size_t> sizes = {1, 0, 1000, 100000, 3};
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    std::vector<int> data(sizes[i], comm.rank() * 100 + static_cast<int>(i));
    comm.send(bytes_of(data), next);
    std::fill(data.begin(), data.end(), -1);  // the buffer is ours again
  }
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    std::vector<int> data(sizes[i], -2);
    comm.recv(bytes_of(data), previous);
    EXPECT_THAT(data, ::testing::Each(previous * 100 + static_cast<int>(i)));
  }
}

void messages_of_wrong_size_are_refused(Communicator& comm) {
  if (comm.size() == 1) return;
  std::vector<int> three(3);
  std::vector<int> two(2);
  if (comm.rank() == 0) comm.send(bytes_of(three), 1);
  if (comm.rank() == 1) {
    try {
      comm.recv(bytes_of(two), 0);
      ADD_FAILURE() << "12 bytes were taken for 8";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(),
                  ::testing::HasSubstr("rank 1 expected 8 bytes from rank 0, saw 12"));
    }
  }
}

void calls_mix(Communicator& comm) {
  for (std::uint32_t round = 0; round < 50; ++round) {
    std::vector<float> data = vector_of(round, comm.rank(), 64 + round);
    comm.all_reduce_sum(data);
    ASSERT_TRUE(same_bits(data, rank_order_sum(round, comm.size(), 64 + round)));
    comm.barrier();
    comm.broadcast(bytes_of(data), static_cast<int>(round) % comm.size());
    if (comm.size() > 1 && comm.rank() < 2) {
      std::vector<std::uint32_t> word = {round};
      if (comm.rank() == 0) comm.send(bytes_of(word), 1);
      if (comm.rank() == 1) {
        word[0] = 99;
        comm.recv(bytes_of(word), 0);
        ASSERT_EQ(word[0], round);
      }
    }
  }
}

void stats_count_calls_and_bytes(Communicator& comm) {
  comm.barrier();
  comm.reset_stats();
  std::vector<float> data(10, 1.0f);
  comm.all_reduce_sum(data);
  comm.broadcast(bytes_of(data), 0);
  comm.barrier();
  EXPECT_EQ(comm.stats().calls, 3u);
  EXPECT_EQ(comm.stats().bytes, 80u);
  EXPECT_GE(comm.stats().wait_s, 0.0);
  EXPECT_GE(comm.stats().transfer_s, 0.0);
}

void abort_releases_waiting_ranks(Communicator& comm) {
  EXPECT_NO_THROW(comm.throw_if_aborted());
  comm.barrier();
  const int culprit = comm.size() - 1;
  if (comm.rank() == culprit) {
    // Lets the others reach their wait, also the sleeping one; correct whatever the time.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    comm.abort("rank " + std::to_string(culprit) + " ran out of memory");
  }
  const auto call = [&comm] {
    std::vector<float> data(10000, 1.0f);
    switch (comm.rank() % 4) {
      case 0:
        return comm.all_reduce_sum(data);
      case 1:
        return comm.recv(bytes_of(data), (comm.rank() + 1) % comm.size());
      case 3:  // waits for something else, such as its device
        for (;;) comm.throw_if_aborted();
      default:
        return comm.barrier();
    }
  };
  for (int attempt = 0; attempt < 2; ++attempt) {  // an aborted group stays so
    try {
      call();
      ADD_FAILURE() << "rank " << comm.rank() << " was not released";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
      EXPECT_THAT(error.what(),
                  ::testing::HasSubstr("rank " + std::to_string(culprit) + " ran out of memory"));
    }
  }
  EXPECT_THROW(comm.throw_if_aborted(), Error);
}

void run_all(Communicator& comm) {
  all_reduce_sums_in_rank_order(comm);
  all_gather_takes_uneven_and_zero_counts(comm);
  broadcast_reaches_all_from_each_root(comm);
  messages_keep_their_order(comm);
  calls_mix(comm);
  stats_count_calls_and_bytes(comm);
  comm.barrier();
  messages_of_wrong_size_are_refused(comm);
  abort_releases_waiting_ranks(comm);
}

}  // namespace lindos::exec::conformance
