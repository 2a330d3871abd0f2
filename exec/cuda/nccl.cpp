// SPDX-License-Identifier: Apache-2.0
#include "exec/cuda/nccl.h"

#include <exception>
#include <span>
#include <utility>
#include <variant>

#include "exec/cuda/nccl_api.h"
#include "exec/runner/dynamic_library.h"
#include "scenarios/error.h"

namespace lindos::exec::cuda {

namespace {

std::variant<DynamicLibrary, Unavailable> open_library() { return DynamicLibrary::open({"libnccl.so.2", "libnccl.so"}); }

DynamicLibrary library_or_throw() {
  auto opened = open_library();
  if (const auto* absent = std::get_if<Unavailable>(&opened)) {
    throw Error(ErrorKind::kEnvironment, "NCCL",
                "is needed by ranks with a GPU each and was not found (" + absent->reason +
                    "); install it or put its folder into LD_LIBRARY_PATH (tools/get-cuda fetches it)");
  }
  return std::get<DynamicLibrary>(std::move(opened));
}

}  // namespace

struct Nccl::Api {
  DynamicLibrary library = library_or_throw();
  nccl::Comm comm = nullptr;
  int version = 0;
#define LINDOS_NCCL(name, type) nccl::type& name = library.symbol_or_throw<nccl::type>("nccl" #type)
  LINDOS_NCCL(all_reduce, AllReduce);
  LINDOS_NCCL(comm_abort, CommAbort);
  LINDOS_NCCL(comm_destroy, CommDestroy);
  LINDOS_NCCL(async_error, CommGetAsyncError);
  LINDOS_NCCL(comm_init_rank, CommInitRank);
  LINDOS_NCCL(error_string, GetErrorString);
  LINDOS_NCCL(last_error, GetLastError);
  LINDOS_NCCL(unique_id, GetUniqueId);
  LINDOS_NCCL(get_version, GetVersion);
#undef LINDOS_NCCL
};

Nccl::Nccl(Communicator& comm) : api_(std::make_unique<Api>()) {
  (void)api_->get_version(&api_->version);
  nccl::UniqueId id{};
  if (comm.rank() == 0) check_result(api_->unique_id(&id), "start");
  comm.broadcast(std::as_writable_bytes(std::span<nccl::UniqueId, 1>(&id, 1)), 0);
  check_result(api_->comm_init_rank(&api_->comm, comm.size(), id, comm.rank()), "meeting of the ranks");
}

Nccl::~Nccl() {
  if (api_->comm == nullptr) return;
  // An end by an error does not wait for ranks that may be gone.
  if (std::uncaught_exceptions() > 0) {
    (void)api_->comm_abort(api_->comm);
  } else {
    (void)api_->comm_destroy(api_->comm);
  }
}

void Nccl::check_result(int result, const char* what) {
  if (result == nccl::kSuccess) return;
  std::string reason = api_->error_string(result);
  if (const char* detail = api_->last_error(api_->comm); detail != nullptr && *detail != '\0') reason += std::string(": ") + detail;
  if (result == nccl::kInvalidUsage && api_->comm == nullptr && api_->version < kFirstNcclWithSharedGpus) {
    reason += "; ranks need a GPU each before NCCL 2.30 (this is " + nccl_version_text(api_->version) + "): --ranks threads shares one";
  }
  throw Error(ErrorKind::kEnvironment, "NCCL, " + std::string(what), reason);
}

void Nccl::all_reduce(kernels::cuda::Element element, kernels::cuda::Number* data, std::size_t count, cudaStream_t stream) {
  const int type = element == kernels::cuda::Element::kF16 ? nccl::kFloat16 : nccl::kBfloat16;
  check_result(api_->all_reduce(data, data, count, type, nccl::kSum, api_->comm, stream), "all-reduce");
}

void Nccl::check() {
  nccl::Result state = nccl::kSuccess;
  (void)api_->async_error(api_->comm, &state);
  if (state != nccl::kSuccess && state != nccl::kInProgress) give_up(api_->error_string(state));
}

void Nccl::give_up(const std::string& reason) {
  std::string detail;
  if (const char* last = api_->last_error(api_->comm); last != nullptr && *last != '\0') detail = std::string(" (") + last + ")";
  (void)api_->comm_abort(std::exchange(api_->comm, nullptr));
  throw Error(ErrorKind::kEnvironment, "NCCL", reason + detail);
}

std::optional<int> nccl_version() {
  const auto opened = open_library();
  const auto* library = std::get_if<DynamicLibrary>(&opened);
  if (library == nullptr) return std::nullopt;
  int version = 0;
  auto* get = library->symbol<nccl::GetVersion>("ncclGetVersion");
  if (get == nullptr || get(&version) != nccl::kSuccess) return std::nullopt;
  return version;
}

std::string nccl_version_text(int version) {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." + std::to_string(version % 100);
}

}  // namespace lindos::exec::cuda
