// SPDX-License-Identifier: Apache-2.0
// Tests of CUDA kernels: data on the device, skips with the reason where there is none, poisoned outputs.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <utility>
#include <vector>

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include "kernels/cuda/element.h"
#include "kernels/e4m3.h"

namespace lindos::kernels::cuda::test {

// Floats as the reference sees them: rounded to the format in which the kernel takes them.
inline float rounded(Element element, float value) { return from_number(element, to_number(element, value)); }
inline std::vector<float> rounded(Element element, std::vector<float> values) {
  for (float& v : values) v = rounded(element, v);
  return values;
}

inline std::vector<float> random_values(Element element, std::size_t n, unsigned seed, float scale = 1.0F) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0F, scale);
  std::vector<float> values(n);
  for (float& v : values) v = normal(generator);
  return rounded(element, std::move(values));
}

// All numbers of E4M3, subnormal ones too, with scales that differ by row.
struct Fp8Matrix {
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;
  std::vector<float> values;   // what they stand for
};
inline Fp8Matrix random_fp8(std::size_t n, std::size_t k, unsigned seed) {
  std::mt19937 generator(seed);
  Fp8Matrix w;
  for (std::size_t r = 0; r < n; ++r) {
    w.scales.push_back(std::ldexp(0.5F + 0.001F * static_cast<float>(generator() % 500), -12));
    for (std::size_t i = 0; i < k; ++i) {
      auto code = static_cast<std::uint8_t>(generator());
      if ((code & 0x7f) == 0x7f) code = 0;
      w.codes.push_back(code);
      w.values.push_back(from_e4m3(code) * w.scales.back());
    }
  }
  return w;
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

class DeviceNumbers {
 public:
  DeviceNumbers(Element element, std::size_t n) : element_(element), numbers_(n) {}
  DeviceNumbers(Element element, const std::vector<float>& values) : element_(element), numbers_(narrow(element, values)) {}
  [[nodiscard]] Number* get() const { return numbers_.get(); }
  [[nodiscard]] std::vector<float> read() const {
    std::vector<float> values;
    for (const Number number : numbers_.read()) values.push_back(from_number(element_, number));
    return values;
  }

 private:
  static std::vector<Number> narrow(Element element, const std::vector<float>& values) {
    std::vector<Number> numbers;
    for (const float v : values) numbers.push_back(to_number(element, v));
    return numbers;
  }
  Element element_;
  Device<Number> numbers_;
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

// bf16 keeps 8 bits: a rounded result is off by at most 2⁻⁹ of itself, 1.7e-3 in the mean square over a binade. f16 keeps 11.
constexpr double error_of(Element element) { return element == Element::kF16 ? 3e-3 / 8.0 : 3e-3; }
inline constexpr double kF32Error = 1e-4;

// Skips without a device; `Base`: with a parameter or without.
template <class Base>
class OnDevice : public Base {
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
using CudaTest = OnDevice<::testing::Test>;

// Tests of kernels that take either 16-bit format.
class ElementTest : public OnDevice<::testing::TestWithParam<Element>> {};
#define LINDOS_FOR_BOTH_ELEMENTS(fixture)                                                        \
  INSTANTIATE_TEST_SUITE_P(Elements, fixture, ::testing::Values(Element::kBf16, Element::kF16),  \
                           [](const auto& test) { return test.param == Element::kF16 ? "f16" : "bf16"; })

}  // namespace lindos::kernels::cuda::test
