// SPDX-License-Identifier: Apache-2.0
#include "exec/cuda/nccl.h"

#include <span>
#include <utility>
#include <variant>

#include <nccl.h>

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
  ncclComm_t comm = nullptr;
  int version = 0;
#define LINDOS_NCCL(name) std::remove_reference_t<decltype(::name)>& name = library.symbol_or_throw<decltype(::name)>(#name)
  LINDOS_NCCL(ncclAllReduce);
  LINDOS_NCCL(ncclCommAbort);
  LINDOS_NCCL(ncclCommDestroy);
  LINDOS_NCCL(ncclCommGetAsyncError);
  LINDOS_NCCL(ncclCommInitRank);
  LINDOS_NCCL(ncclGetErrorString);
  LINDOS_NCCL(ncclGetLastError);
  LINDOS_NCCL(ncclGetUniqueId);
  LINDOS_NCCL(ncclGetVersion);
#undef LINDOS_NCCL
};

Nccl::Nccl(Communicator& comm) : api_(std::make_unique<Api>()) {
  (void)api_->ncclGetVersion(&api_->version);
  ncclUniqueId id{};
  if (comm.rank() == 0) check_result(api_->ncclGetUniqueId(&id), "start");
  comm.broadcast(std::as_writable_bytes(std::span<ncclUniqueId, 1>(&id, 1)), 0);
  check_result(api_->ncclCommInitRank(&api_->comm, comm.size(), id, comm.rank()), "meeting of the ranks");
}

Nccl::~Nccl() {
  if (api_->comm != nullptr) (void)api_->ncclCommDestroy(api_->comm);
}

void Nccl::check_result(int result, const char* what) {
  if (result == ncclSuccess) return;
  const auto code = static_cast<ncclResult_t>(result);
  std::string reason = api_->ncclGetErrorString(code);
  if (const char* detail = api_->ncclGetLastError(api_->comm); detail != nullptr && *detail != '\0') reason += std::string(": ") + detail;
  if (code == ncclInvalidUsage && api_->comm == nullptr && api_->version < kFirstNcclWithSharedGpus) {
    reason += "; ranks need a GPU each before NCCL 2.30 (this is " + nccl_version_text(api_->version) + "): --ranks threads shares one";
  }
  throw Error(ErrorKind::kEnvironment, "NCCL, " + std::string(what), reason);
}

void Nccl::all_reduce(__nv_bfloat16* data, std::size_t count, cudaStream_t stream) {
  check_result(api_->ncclAllReduce(data, data, count, ncclBfloat16, ncclSum, api_->comm, stream), "all-reduce");
}

void Nccl::check() {
  ncclResult_t state = ncclSuccess;
  (void)api_->ncclCommGetAsyncError(api_->comm, &state);
  if (state != ncclSuccess && state != ncclInProgress) give_up(api_->ncclGetErrorString(state));
}

void Nccl::give_up(const std::string& reason) {
  std::string detail;
  if (const char* last = api_->ncclGetLastError(api_->comm); last != nullptr && *last != '\0') detail = std::string(" (") + last + ")";
  (void)api_->ncclCommAbort(std::exchange(api_->comm, nullptr));
  throw Error(ErrorKind::kEnvironment, "NCCL", reason + detail);
}

std::optional<int> nccl_version() {
  const auto opened = open_library();
  const auto* library = std::get_if<DynamicLibrary>(&opened);
  if (library == nullptr) return std::nullopt;
  int version = 0;
  auto* get = library->symbol<decltype(::ncclGetVersion)>("ncclGetVersion");
  if (get == nullptr || get(&version) != ncclSuccess) return std::nullopt;
  return version;
}

std::string nccl_version_text(int version) {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." + std::to_string(version % 100);
}

}  // namespace lindos::exec::cuda
