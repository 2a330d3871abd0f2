// SPDX-License-Identifier: Apache-2.0
// Tests of CUDA kernels: data on the device, skips with the reason where there is none, poisoned outputs.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include "kernels/bf16.h"

namespace lindos::kernels::cuda::test {

// Two of each: floats as the reference sees them, rounded to bf16, and those bits.
inline std::vector<float> rounded(std::vector<float> values) {
  for (float& v : values) v = from_bf16(to_bf16(v));
  return values;
}

inline std::vector<float> random_values(std::size_t n, unsigned seed, float scale = 1.0F) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0F, scale);
  std::vector<float> values(n);
  for (float& v : values) v = normal(generator);
  return rounded(values);
}

template <class T>
class Device {
 public:
  explicit Device(std::size_t n) : size_(n) {
    EXPECT_EQ(cudaMalloc(&data_, n * sizeof(T) + 16), cudaSuccess);
    // NaN in every format: whatever a kernel leaves unwritten shows.
    EXPECT_EQ(cudaMemset(data_, 0xff, n * sizeof(T)), cudaSuccess);
  }
  explicit Device(const std::vector<T>& values) : Device(values.size()) {
    EXPECT_EQ(cudaMemcpy(data_, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice), cudaSuccess);
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device() { (void)cudaFree(data_); }
  [[nodiscard]] T* get() const { return static_cast<T*>(data_); }
  void zero() { EXPECT_EQ(cudaMemset(data_, 0, size_ * sizeof(T)), cudaSuccess); }
  [[nodiscard]] std::vector<T> read() const {
    std::vector<T> values(size_);
    EXPECT_EQ(cudaMemcpy(values.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost), cudaSuccess);
    return values;
  }

 private:
  void* data_ = nullptr;
  std::size_t size_;
};

class DeviceBf16 {
 public:
  explicit DeviceBf16(std::size_t n) : bits_(n) {}
  explicit DeviceBf16(const std::vector<float>& values) : bits_(narrow(values)) {}
  [[nodiscard]] __nv_bfloat16* get() const { return reinterpret_cast<__nv_bfloat16*>(bits_.get()); }
  void zero() { bits_.zero(); }
  [[nodiscard]] std::vector<float> read() const {
    std::vector<float> values;
    for (const std::uint16_t bits : bits_.read()) values.push_back(from_bf16(bits));
    return values;
  }

 private:
  static std::vector<std::uint16_t> narrow(const std::vector<float>& values) {
    std::vector<std::uint16_t> bits;
    for (const float v : values) bits.push_back(to_bf16(v));
    return bits;
  }
  Device<std::uint16_t> bits_;
};

// ‖out − reference‖ / ‖reference‖; NaN for any NaN.
inline double relative_error(const std::vector<float>& out, const std::vector<double>& reference) {
  EXPECT_EQ(out.size(), reference.size());
  double error = 0.0;
  double norm = 0.0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double difference = static_cast<double>(out[i]) - reference[i];
    error += difference * difference;
    norm += reference[i] * reference[i];
  }
  return std::sqrt(error / norm);
}

// bf16 keeps 8 bits: a rounded result is off by at most 2⁻⁹ of itself, 1.7e-3 in the mean square over a binade.
inline constexpr double kBf16Error = 3e-3;
inline constexpr double kF32Error = 1e-4;

class CudaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    (void)cudaGetLastError();
    if (status != cudaSuccess || count == 0) GTEST_SKIP() << "no NVIDIA GPU: " << cudaGetErrorString(status);
    ASSERT_EQ(cudaStreamCreate(&stream_), cudaSuccess);
  }
  void TearDown() override {
    if (stream_ != nullptr) (void)cudaStreamDestroy(stream_);
  }
  void finish() {
    ASSERT_EQ(cudaGetLastError(), cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  }
  cudaStream_t stream_ = nullptr;
};

}  // namespace lindos::kernels::cuda::test
