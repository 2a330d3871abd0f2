// SPDX-License-Identifier: Apache-2.0
// Collectives over point-to-point messages instead of MPI's own: the order of a sum is ours, a wait
// can be aborted, and waiting for late ranks can be told from moving bytes. Each call first sends
// an empty note to those it exchanges with, and the payload right behind it; `wait` ends when the
// notes of all peers are in. That includes one message latency (about 1 us within a host).
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <numeric>
#include <optional>
#include <utility>

#include <mpi.h>

#include "exec/comm/communicator.h"
#include "exec/comm/launch.h"
#include "exec/comm/rank_order.h"
#include "scenarios/error.h"

namespace lindos::exec {

namespace {

using Clock = std::chrono::steady_clock;

// Up to here every rank gets all vectors and sums alone: one exchange instead of two. Above, each
// rank sums one part and hands it on: 2·(n−1)/n instead of n−1 times the vector per rank.
constexpr std::size_t kDirectFloats = 4096;

enum Tag : int { kNote, kPayload, kMessage };

void check(int status, const char* call) {
  if (status == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(status, text.data(), &length);
  throw Error(ErrorKind::kEnvironment, call,
              std::string(text.data(), static_cast<std::size_t>(length)));
}

[[nodiscard]] double seconds_between(Clock::time_point a, Clock::time_point b) {
  return std::chrono::duration<double>(b - a).count();
}

class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(int colour, int key) {
    check(MPI_Comm_split(MPI_COMM_WORLD, colour, key, &data_), "MPI_Comm_split");
    check(MPI_Comm_dup(data_, &control_), "MPI_Comm_dup");
    check(MPI_Comm_set_errhandler(data_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check(MPI_Comm_set_errhandler(control_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check(MPI_Comm_rank(data_, &rank_), "MPI_Comm_rank");
    check(MPI_Comm_size(data_, &size_), "MPI_Comm_size");
  }

  ~MpiCommunicator() override {
    // Freeing is collective, so after an abort, when ranks are at different places, it could hang.
    if (aborted_) return;
    for (Outgoing& message : outbox_) {
      MPI_Waitall(static_cast<int>(message.requests.size()), message.requests.data(),
                  MPI_STATUSES_IGNORE);
    }
    MPI_Comm_free(&control_);
    MPI_Comm_free(&data_);
  }
  MpiCommunicator(const MpiCommunicator&) = delete;
  MpiCommunicator& operator=(const MpiCommunicator&) = delete;

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return size_; }
  [[nodiscard]] const char* backend() const override { return "mpi"; }

  void all_reduce_sum(std::span<float> data) override {
    begin(data.size_bytes());
    exchange_notes();
    if (data.size() <= kDirectFloats) {
      sum_from_all(data, {0, data.size()}, [&](int) { return data; });
    } else {
      const Part mine = part_of(data.size(), rank_, size_);
      sum_from_all(data, mine, [&](int peer) {
        const Part part = part_of(data.size(), peer, size_);
        return data.subspan(part.begin, part.size());
      });
      for_each_peer([&](int peer) {
        const Part theirs = part_of(data.size(), peer, size_);
        post_recv(std::as_writable_bytes(data.subspan(theirs.begin, theirs.size())), peer,
                  kPayload);
        post_send(std::as_bytes(data.subspan(mine.begin, mine.size())), peer, kPayload);
      });
      finish_requests();
    }
    end();
  }

  void all_gather_v(std::span<const float> local, std::span<float> all,
                    std::span<const std::int64_t> counts) override {
    LINDOS_ASSERT(counts.size() == static_cast<std::size_t>(size_), "one count per rank");
    LINDOS_ASSERT(
        counts[static_cast<std::size_t>(rank_)] == static_cast<std::int64_t>(local.size()),
        "my count is the size of my part");
    LINDOS_ASSERT(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}) ==
                      static_cast<std::int64_t>(all.size()),
                  "the counts add up to the gathered size");
    begin(all.size_bytes());
    exchange_notes();
    std::size_t offset = 0;
    for (int r = 0; r < size_; ++r) {
      const std::span<float> place =
          all.subspan(offset, static_cast<std::size_t>(counts[static_cast<std::size_t>(r)]));
      offset += place.size();
      if (r != rank_) {
        post_recv(std::as_writable_bytes(place), r, kPayload);
        post_send(std::as_bytes(local), r, kPayload);
      } else if (local.data() != place.data()) {
        std::copy(local.begin(), local.end(), place.begin());
      }
    }
    finish_requests();
    end();
  }

  void broadcast(std::span<std::byte> data, int root) override {
    LINDOS_ASSERT(root >= 0 && root < size_, "no such rank");
    begin(data.size());
    exchange_notes();
    if (rank_ == root) {
      for_each_peer([&](int peer) { post_send(data, peer, kPayload); });
    } else {
      post_recv(data, root, kPayload);
    }
    finish_requests();
    end();
  }

  // Buffered, like the thread backend: a stage hands its result on and goes back to work.
  void send(std::span<const std::byte> data, int peer) override {
    begin(data.size());
    there_ = begin_;
    reap_outbox();
    Outgoing& message = outbox_.emplace_back();
    message.bytes.assign(data.begin(), data.end());
    post_send(message.bytes, peer, kMessage);
    message.requests = std::exchange(requests_, {});
    reap_outbox();
    end();
  }

  // `wait` lasts until the head of the message is there. A wrong size is seen in the first piece
  // only.
  void recv(std::span<std::byte> data, int peer) override {
    begin(data.size());
    poll_until([&](MPI_Status* status) {
      int found = 0;
      check(MPI_Iprobe(peer, kMessage, data_, &found, status), "MPI_Iprobe");
      return found != 0;
    });
    there_ = Clock::now();
    int bytes = 0;
    check(MPI_Get_count(&probed_, MPI_BYTE, &bytes), "MPI_Get_count");
    if (static_cast<std::size_t>(bytes) != std::min(data.size(), kMpiPieceBytes)) {
      throw Error(ErrorKind::kEnvironment, "communicator",
                  "rank " + std::to_string(rank_) + " expected " + std::to_string(data.size()) +
                      " bytes from rank " + std::to_string(peer) + ", saw " +
                      std::to_string(bytes));
    }
    post_recv(data, peer, kMessage);
    finish_requests();
    end();
  }

  void barrier() override {
    begin(0);
    exchange_notes();
    end();
  }

  // Tells the others over a communicator of its own, which every wait polls. A process that dies
  // instead ends the whole job: Open MPI 4.1 has no fault tolerance.
  void abort(const std::string& reason) override {
    if (aborted_) return;
    aborted_ = reason.empty() ? "aborted" : reason;
    for_each_peer([&](int peer) {
      // Never waited for: `aborted_` outlives the message, since an aborted communicator is not
      // freed before the session, and the peer may already be gone.
      MPI_Request request = MPI_REQUEST_NULL;
      MPI_Isend(aborted_->data(),
                static_cast<int>(std::min<std::size_t>(aborted_->size(), kReasonBytes)), MPI_CHAR,
                peer, 0, control_, &request);
      if (request != MPI_REQUEST_NULL) MPI_Request_free(&request);
    });
  }
  void throw_if_aborted() override {
    throw_if_known();
    receive_abort();
  }

 private:
  // Below any eager limit of Open MPI.
  static constexpr std::size_t kReasonBytes = 1024;

  struct Outgoing {
    std::vector<std::byte> bytes;
    std::vector<MPI_Request> requests;
  };

  template <class Visit>
  void for_each_peer(Visit visit) const {
    for (int step = 1; step < size_; ++step) visit((rank_ + step) % size_);
  }

  void begin(std::size_t bytes) {
    throw_if_known();
    bytes_ = bytes;
    begin_ = Clock::now();
  }
  void end() {
    stats_.wait_s += seconds_between(begin_, there_);
    stats_.transfer_s += seconds_between(there_, Clock::now());
    stats_.bytes += bytes_;
    ++stats_.calls;
  }

  void exchange_notes() {
    for_each_peer([&](int peer) {
      check(MPI_Irecv(nullptr, 0, MPI_BYTE, peer, kNote, data_, &requests_.emplace_back()),
            "MPI_Irecv");
      check(MPI_Isend(nullptr, 0, MPI_BYTE, peer, kNote, data_, &requests_.emplace_back()),
            "MPI_Isend");
    });
    finish_requests();
    there_ = Clock::now();
  }

  // Sends outgoing(peer) to each peer, receives their vectors for `mine`, writes the sum into
  // data[mine].
  template <class OutgoingOf>
  void sum_from_all(std::span<float> data, Part mine, OutgoingOf outgoing) {
    const std::size_t count = mine.size();
    scratch_.resize(count * static_cast<std::size_t>(size_));
    inputs_.resize(static_cast<std::size_t>(size_));
    for (int r = 0; r < size_; ++r) {
      inputs_[static_cast<std::size_t>(r)] = scratch_.data() + static_cast<std::size_t>(r) * count;
    }
    const std::span<float> own = data.subspan(mine.begin, count);
    const auto place = [&](int r) {
      return std::span(scratch_).subspan(static_cast<std::size_t>(r) * count, count);
    };
    for_each_peer([&](int peer) {
      post_recv(std::as_writable_bytes(place(peer)), peer, kPayload);
      post_send(std::as_bytes(std::span<const float>(outgoing(peer))), peer, kPayload);
    });
    std::copy(own.begin(), own.end(), place(rank_).begin());
    finish_requests();
    sum_in_rank_order(inputs_, count, own.data());
  }

  // An empty message carries nothing that the note did not: skipped on both sides.
  void post_send(std::span<const std::byte> data, int peer, Tag tag) {
    if (data.empty() && tag == kPayload) return;
    do {
      const std::size_t piece = std::min(data.size(), kMpiPieceBytes);
      check(MPI_Isend(data.data(), static_cast<int>(piece), MPI_BYTE, peer, tag, data_,
                      &requests_.emplace_back()),
            "MPI_Isend");
      data = data.subspan(piece);
    } while (!data.empty());
  }
  void post_recv(std::span<std::byte> data, int peer, Tag tag) {
    if (data.empty() && tag == kPayload) return;
    do {
      const std::size_t piece = std::min(data.size(), kMpiPieceBytes);
      check(MPI_Irecv(data.data(), static_cast<int>(piece), MPI_BYTE, peer, tag, data_,
                      &requests_.emplace_back()),
            "MPI_Irecv");
      data = data.subspan(piece);
    } while (!data.empty());
  }

  void finish_requests() {
    poll_until([&](MPI_Status*) {
      int done = 0;
      check(MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done,
                        MPI_STATUSES_IGNORE),
            "MPI_Testall");
      return done != 0;
    });
    requests_.clear();
  }

  // Polls `ready` until it is true, and now and then whether another rank has aborted.
  template <class Ready>
  void poll_until(Ready ready) {
    constexpr int kPollsPerAbortCheck = 64;
    for (int polls = 1; !ready(&probed_); ++polls) {
      if (polls % kPollsPerAbortCheck == 0) receive_abort();
    }
  }

  void receive_abort() {
    int found = 0;
    MPI_Status status;
    check(MPI_Iprobe(MPI_ANY_SOURCE, 0, control_, &found, &status), "MPI_Iprobe");
    if (found == 0) return;
    int length = 0;
    check(MPI_Get_count(&status, MPI_CHAR, &length), "MPI_Get_count");
    std::string reason(static_cast<std::size_t>(length), '\0');
    check(MPI_Recv(reason.data(), length, MPI_CHAR, status.MPI_SOURCE, 0, control_,
                   MPI_STATUS_IGNORE),
          "MPI_Recv");
    aborted_ = std::move(reason);
    drop_requests();
    throw_if_known();
  }

  // Transfers that both sides have begun get a moment to end; the rest is called off, so that MPI
  // touches no buffer after the caller has left.
  void drop_requests() {
    constexpr auto kGrace = std::chrono::milliseconds(20);
    const Clock::time_point end = Clock::now() + kGrace;
    int done = 0;
    while (done == 0 && Clock::now() < end) {
      MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done, MPI_STATUSES_IGNORE);
    }
    for (MPI_Request& request : requests_) {
      if (request == MPI_REQUEST_NULL) continue;
      MPI_Cancel(&request);
      MPI_Request_free(&request);
    }
    requests_.clear();
  }

  void reap_outbox() {
    while (!outbox_.empty()) {
      Outgoing& oldest = outbox_.front();
      int done = 0;
      check(MPI_Testall(static_cast<int>(oldest.requests.size()), oldest.requests.data(), &done,
                        MPI_STATUSES_IGNORE),
            "MPI_Testall");
      if (done == 0) return;
      outbox_.pop_front();
    }
  }

  void throw_if_known() const {
    if (aborted_) throw Error(ErrorKind::kEnvironment, "communicator", *aborted_);
  }

  MPI_Comm data_ = MPI_COMM_NULL;
  MPI_Comm control_ = MPI_COMM_NULL;  // reasons of aborts only
  int rank_ = 0;
  int size_ = 1;
  std::optional<std::string> aborted_;
  std::vector<MPI_Request> requests_;  // of the call under way
  std::deque<Outgoing> outbox_;        // sends not yet taken over by MPI
  std::vector<float> scratch_;         // [size, count] vectors of all ranks
  std::vector<const float*> inputs_;
  MPI_Status probed_{};
  Clock::time_point begin_;
  Clock::time_point there_;
  std::size_t bytes_ = 0;
};

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator(int colour, int key) {
  return std::make_unique<MpiCommunicator>(colour, key);
}

MpiSession::MpiSession(int* argc, char*** argv) {
  int provided = MPI_THREAD_SINGLE;
  check(MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  if (provided < MPI_THREAD_FUNNELED) {
    throw Error(
        ErrorKind::kEnvironment, "MPI_Init_thread",
        "this MPI does not support threads beside the one that calls it (MPI_THREAD_FUNNELED)");
  }
}

MpiSession::~MpiSession() { MPI_Finalize(); }

int MpiSession::rank() const {
  int rank = 0;
  check(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "MPI_Comm_rank");
  return rank;
}

void MpiSession::abort(int exit_code) {
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);  // MPI_Abort does not return, but is not declared so
}

int MpiSession::size() const {
  int size = 0;
  check(MPI_Comm_size(MPI_COMM_WORLD, &size), "MPI_Comm_size");
  return size;
}

}  // namespace lindos::exec
