// SPDX-License-Identifier: Apache-2.0
#include "exec/cuda/blas_lt.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <cublasLt.h>

#include "exec/runner/dynamic_library.h"
#include "scenarios/error.h"

namespace lindos::exec::cuda {

namespace {

constexpr std::size_t kWorkspace = std::size_t{32} << 20;
constexpr int kCandidates = 32;

// The library promises that these bytes serve again with the same version of it.
static_assert(sizeof(cublasLtMatmulAlgo_t) == sizeof(ProductAlgorithm));

// Runs of each candidate: few of a product that takes long by itself.
constexpr int kTimedRuns = 4;
constexpr int kTimedRunsOfFewRows = 12;
constexpr std::int64_t kFewRows = 512;

}  // namespace

struct BlasLt::Api {
  DynamicLibrary library;
  cublasLtHandle_t handle = nullptr;
#define LINDOS_CUBLASLT(name) std::remove_reference_t<decltype(::name)>& name = library.symbol_or_throw<decltype(::name)>(#name)
  LINDOS_CUBLASLT(cublasLtCreate);
  LINDOS_CUBLASLT(cublasLtDestroy);
  LINDOS_CUBLASLT(cublasLtGetVersion);
  LINDOS_CUBLASLT(cublasLtMatmul);
  LINDOS_CUBLASLT(cublasLtMatmulAlgoCheck);
  LINDOS_CUBLASLT(cublasLtMatmulAlgoGetHeuristic);
  LINDOS_CUBLASLT(cublasLtMatmulDescCreate);
  LINDOS_CUBLASLT(cublasLtMatmulDescDestroy);
  LINDOS_CUBLASLT(cublasLtMatmulDescSetAttribute);
  LINDOS_CUBLASLT(cublasLtMatmulPreferenceCreate);
  LINDOS_CUBLASLT(cublasLtMatmulPreferenceDestroy);
  LINDOS_CUBLASLT(cublasLtMatmulPreferenceSetAttribute);
  LINDOS_CUBLASLT(cublasLtMatrixLayoutCreate);
  LINDOS_CUBLASLT(cublasLtMatrixLayoutDestroy);
#undef LINDOS_CUBLASLT
  explicit Api(DynamicLibrary opened) : library(std::move(opened)) {}
};

namespace {

void check_blas(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(ErrorKind::kEnvironment, "cuBLASLt, " + std::string(what), "status " + std::to_string(static_cast<int>(status)));
}

}  // namespace

struct BlasLt::Plan {
  Api* api;
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t w = nullptr, x = nullptr, y = nullptr;
  std::vector<cublasLtMatmulHeuristicResult_t> candidates;   // best first
  explicit Plan(Api* a) : api(a) {}
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan() {
    if (y != nullptr) api->cublasLtMatrixLayoutDestroy(y);
    if (x != nullptr) api->cublasLtMatrixLayoutDestroy(x);
    if (w != nullptr) api->cublasLtMatrixLayoutDestroy(w);
    if (operation != nullptr) api->cublasLtMatmulDescDestroy(operation);
  }
};

BlasLt::BlasLt(std::shared_ptr<TunedProducts> memory) : memory_(std::move(memory)), workspace_(kWorkspace) {
  auto opened = DynamicLibrary::open({"libcublasLt.so.13", "libcublasLt.so"});
  if (const auto* absent = std::get_if<Unavailable>(&opened)) {
    throw Error(ErrorKind::kEnvironment, "cuBLASLt",
                "is needed on the GPU and was not found (" + absent->reason +
                    "); install the CUDA 13 libraries or put their folder into LD_LIBRARY_PATH (tools/get-cuda fetches them)");
  }
  api_ = std::make_unique<Api>(std::get<DynamicLibrary>(std::move(opened)));
  check_blas(api_->cublasLtCreate(&api_->handle), "start");
  int device = 0;
  check(cudaGetDevice(&device), "asking for the device");
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), "asking for the device");
  const auto part = DevicePartition::current();
  place_ = {properties.name, part ? part->multiprocessors() : properties.multiProcessorCount,
            "cuBLASLt " + std::to_string(version())};
}

BlasLt::~BlasLt() {
  plans_.clear();
  if (api_ && api_->handle != nullptr) api_->cublasLtDestroy(api_->handle);
}

std::size_t BlasLt::version() const { return api_->cublasLtGetVersion(); }

BlasLt::Family BlasLt::family_of(const BlasGemm& gemm) { return {gemm.n, gemm.k, gemm.logits, gemm.accumulate, gemm.operands()}; }

// Column-major, as the library sees it: Yᵀ [n, m] = (W as [k, n])ᵀ · (X as [k, m]).
BlasLt::Plan& BlasLt::plan_of(const BlasGemm& gemm) {
  auto& slot = plans_[Key{family_of(gemm), gemm.m}];
  if (slot) return *slot;
  auto plan = std::make_unique<Plan>(api_.get());
  check_blas(api_->cublasLtMatmulDescCreate(&plan->operation, CUBLAS_COMPUTE_32F, CUDA_R_32F), "description");
  const cublasOperation_t transposed = CUBLAS_OP_T;
  check_blas(api_->cublasLtMatmulDescSetAttribute(plan->operation, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed),
             "description");
  if (const auto part = DevicePartition::current()) {
    const std::int32_t count = part->multiprocessors();
    check_blas(api_->cublasLtMatmulDescSetAttribute(plan->operation, CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET, &count, sizeof count),
               "description of a product on a part of the device");
  }
  const cudaDataType wide = gemm.element == Element::kF16 ? CUDA_R_16F : CUDA_R_16BF;
  const cudaDataType operand = gemm.fp8() ? CUDA_R_8F_E4M3 : wide;
  if (gemm.fp8()) {
    const std::int8_t fast = 1;
    const std::int32_t per_row = CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
    for (const auto& [attribute, value, size] :
         {std::tuple<cublasLtMatmulDescAttributes_t, const void*, std::size_t>{CUBLASLT_MATMUL_DESC_FAST_ACCUM, &fast, sizeof fast},
          {CUBLASLT_MATMUL_DESC_A_SCALE_MODE, &per_row, sizeof per_row},
          {CUBLASLT_MATMUL_DESC_B_SCALE_MODE, &per_row, sizeof per_row}}) {
      check_blas(api_->cublasLtMatmulDescSetAttribute(plan->operation, attribute, value, size), "description of an FP8 product");
    }
    set_scales(*plan, gemm);
  }
  const auto u = [](std::int64_t v) { return static_cast<std::uint64_t>(v); };
  check_blas(api_->cublasLtMatrixLayoutCreate(&plan->w, operand, u(gemm.k), u(gemm.n), gemm.k), "layout");
  check_blas(api_->cublasLtMatrixLayoutCreate(&plan->x, operand, u(gemm.k), u(gemm.m), gemm.k), "layout");
  check_blas(api_->cublasLtMatrixLayoutCreate(&plan->y, gemm.logits ? CUDA_R_32F : wide, u(gemm.n), u(gemm.m), gemm.n),
             "layout");
  cublasLtMatmulPreference_t preference = nullptr;
  check_blas(api_->cublasLtMatmulPreferenceCreate(&preference), "preference");
  const std::size_t workspace = workspace_.bytes();
  (void)api_->cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                                   sizeof workspace);
  plan->candidates.resize(kCandidates);
  int found = 0;
  const cublasStatus_t status = api_->cublasLtMatmulAlgoGetHeuristic(api_->handle, plan->operation, plan->w, plan->x, plan->y,
                                                                     plan->y, preference, kCandidates, plan->candidates.data(),
                                                                     &found);
  api_->cublasLtMatmulPreferenceDestroy(preference);
  if (status != CUBLAS_STATUS_SUCCESS || found == 0) {
    throw Error(ErrorKind::kEnvironment, "cuBLASLt",
                "has no algorithm for m " + std::to_string(gemm.m) + ", n " + std::to_string(gemm.n) + ", k " +
                    std::to_string(gemm.k) + ", " + std::string(name_of(gemm.operands())) + " (status " +
                    std::to_string(static_cast<int>(status)) + ")");
  }
  plan->candidates.resize(static_cast<std::size_t>(found));
  adopt_tuned(*plan, gemm);
  slot = std::move(plan);
  return *slot;
}

void BlasLt::adopt_tuned(Plan& plan, const BlasGemm& gemm) const {
  const auto family = tuned_.find(family_of(gemm));
  if (family == tuned_.end()) return;
  const auto larger = family->second.lower_bound(gemm.m);
  if (larger == family->second.end()) return;
  (void)prefer(plan, &larger->second->candidates.front().algo);
}

bool BlasLt::prefer(Plan& plan, const void* algorithm) const {
  cublasLtMatmulHeuristicResult_t checked{};
  const cublasLtMatmulAlgo_t wanted = *static_cast<const cublasLtMatmulAlgo_t*>(algorithm);
  if (api_->cublasLtMatmulAlgoCheck(api_->handle, plan.operation, plan.w, plan.x, plan.y, plan.y, &wanted, &checked) !=
          CUBLAS_STATUS_SUCCESS ||
      checked.workspaceSize > workspace_.bytes()) {
    return false;
  }
  checked.algo = wanted;
  plan.candidates.insert(plan.candidates.begin(), checked);
  return true;
}

ProductShape BlasLt::shape_of(const BlasGemm& gemm) {
  return {gemm.m, gemm.n, gemm.k, gemm.logits, gemm.accumulate, gemm.operands()};
}

void BlasLt::set_scales(const Plan& plan, const BlasGemm& gemm) {
  for (const auto& [attribute, scales] : {std::pair{CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, gemm.weight_scales},
                                          std::pair{CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, gemm.x_scales}}) {
    check_blas(api_->cublasLtMatmulDescSetAttribute(plan.operation, attribute, &scales, sizeof scales), "scales of an FP8 product");
  }
}

int BlasLt::run(const Plan& plan, const void* algorithm, const BlasGemm& gemm, cudaStream_t stream) {
  const float one = 1.0F;
  const float beta = gemm.accumulate ? 1.0F : 0.0F;
  if (gemm.fp8()) set_scales(plan, gemm);
  return static_cast<int>(api_->cublasLtMatmul(api_->handle, plan.operation, &one, gemm.weights, plan.w, gemm.x, plan.x, &beta,
                                               gemm.y, plan.y, gemm.y, plan.y,
                                               static_cast<const cublasLtMatmulAlgo_t*>(algorithm), workspace_.as<void>(),
                                               workspace_.bytes(), stream));
}

void BlasLt::gemm(const BlasGemm& gemm, cudaStream_t stream) {
  if (gemm.m == 0 || gemm.n == 0 || gemm.k == 0) return;
  const Plan& plan = plan_of(gemm);
  check_blas(static_cast<cublasStatus_t>(run(plan, &plan.candidates.front().algo, gemm, stream)), "product");
}

void BlasLt::tune(const BlasGemm& gemm, cudaStream_t stream, std::span<const void* const> more_weights) {
  if (gemm.m == 0 || gemm.n == 0 || gemm.k == 0) return;
  Plan& plan = plan_of(gemm);
  if (memory_) {
    const std::optional<ProductAlgorithm> known = memory_->find(place_, shape_of(gemm));
    if (known && prefer(plan, known->data())) {
      tuned_[family_of(gemm)][gemm.m] = &plan;
      return;
    }
  }
  const Event begin(true);
  const Event end(true);
  const int runs = gemm.m <= kFewRows ? kTimedRunsOfFewRows : kTimedRuns;
  std::size_t best = 0;
  float best_ms = 0.0F;
  std::size_t turn = 0;
  const auto next = [&] {
    BlasGemm one = gemm;
    if (!more_weights.empty()) one.weights = more_weights[turn++ % more_weights.size()];
    return one;
  };
  for (std::size_t c = 0; c < plan.candidates.size(); ++c) {
    const void* algorithm = &plan.candidates[c].algo;
    if (run(plan, algorithm, next(), stream) != CUBLAS_STATUS_SUCCESS) continue;
    check(cudaEventRecord(begin.get(), stream), "recording an event");
    for (int i = 0; i < runs; ++i) (void)run(plan, algorithm, next(), stream);
    check(cudaEventRecord(end.get(), stream), "recording an event");
    check(cudaEventSynchronize(end.get()), "tuning of a product");
    float ms = 0.0F;
    check(cudaEventElapsedTime(&ms, begin.get(), end.get()), "tuning of a product");
    if (best_ms == 0.0F || ms < best_ms) {
      best_ms = ms;
      best = c;
    }
  }
  std::rotate(plan.candidates.begin(), plan.candidates.begin() + static_cast<std::ptrdiff_t>(best),
              plan.candidates.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  tuned_[family_of(gemm)][gemm.m] = &plan;
  if (!memory_ || best_ms == 0.0F) return;
  TunedProduct found{place_, shape_of(gemm), {}};
  std::memcpy(found.algorithm.data(), &plan.candidates.front().algo, sizeof found.algorithm);
  memory_->keep(found);
}

}  // namespace lindos::exec::cuda
