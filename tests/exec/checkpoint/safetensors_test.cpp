// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include "exec/checkpoint/checkpoint.h"
#include "scenarios/error.h"
#include "tests/exec/checkpoint/safetensors_file.h"

namespace lindos::exec {
namespace {

using ::testing::HasSubstr;

std::vector<SafetensorsEntry> parse(const std::string& bytes) {
  return parse_safetensors_header(std::as_bytes(std::span(bytes)), bytes.size(),
                                  "model.safetensors");
}

template <typename Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "no error";
}

std::string message_of_header(const std::string& header, std::size_t data_size) {
  return message_of([&] { (void)parse(safetensors_bytes(header, data_size)); });
}

TEST(SafetensorsHeader, ReadsEntriesInFileOrder) {
  const std::string header =
      R"({"b":{"dtype":"F32","shape":[2],"data_offsets":[6,14]},"__metadata__":{"format":"pt"},)"
      R"("a":{"dtype":"BF16","shape":[3,1],"data_offsets":[0,6]},"scalar":{"dtype":"I64","shape":[],)"
      R"("data_offsets":[14,22]},"none":{"dtype":"F32","shape":[0,4],"data_offsets":[22,22]}}   )";
  const auto entries = parse(safetensors_bytes(header, 22));
  const std::uint64_t data = 8 + header.size();
  ASSERT_EQ(entries.size(), 4U);
  EXPECT_EQ(entries[0].info.name, "a");
  EXPECT_EQ(entries[0].info.dtype, Dtype::kBf16);
  EXPECT_EQ(entries[0].info.shape, (std::vector<std::int64_t>{3, 1}));
  EXPECT_EQ(entries[0].begin, data);
  EXPECT_EQ(entries[1].begin, data + 6) << "f32 data may lie unaligned";
  EXPECT_EQ(entries[2].info.foreign_dtype, "I64");
  EXPECT_EQ(entries[3].end, data + 22);
}

TEST(SafetensorsHeader, RefusesLyingLengths) {
  EXPECT_EQ(
      message_of([] { (void)parse("short"); }),
      "model.safetensors: has 5 bytes; a safetensors file begins with an 8-byte header length");
  EXPECT_EQ(message_of([] { (void)parse(safetensors_bytes("{}", 0, 3)); }),
            "model.safetensors: header says 3 bytes, but only 2 follow its length: the file is "
            "truncated or is not "
            "safetensors");
  EXPECT_THAT(message_of([] { (void)parse(safetensors_bytes("{}", 0, UINT64_MAX - 1)); }),
              HasSubstr("header says 18446744073709551614 bytes, but only 2 follow"));
  const std::string small = safetensors_bytes("{}", 0, 100'000'001);
  EXPECT_EQ(message_of([&] {
              (void)parse_safetensors_header(std::as_bytes(std::span(small)), 200'000'000,
                                             "model.safetensors");
            }),
            "model.safetensors: header says 100000001 bytes; the limit is 100000000");
  EXPECT_THAT(message_of([] { (void)parse(safetensors_bytes("", 4)); }),
              HasSubstr("does not begin with '{'"));
  EXPECT_THAT(message_of_header(" {}", 0), HasSubstr("does not begin with '{'"));
}

TEST(SafetensorsHeader, RefusesWrongSizesAndPlaces) {
  EXPECT_EQ(message_of_header(R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,20]}})", 20),
            "model.safetensors: /w: F32 [2, 3] needs 24 bytes, but data_offsets [0, 20] hold 20");
  EXPECT_EQ(message_of_header(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 6),
            "model.safetensors: /w: ends at byte 8 of the data, but the file holds 6: it is "
            "truncated or its header "
            "lies");
  EXPECT_EQ(message_of_header(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4),
            "model.safetensors: /w: data_offsets [4, 0] run backwards");
  EXPECT_EQ(message_of_header(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                              R"("b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
                              6),
            "model.safetensors: /b: begins at byte 2 of the data, inside \"a\"");
  EXPECT_EQ(
      message_of_header(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                        R"("b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}})",
                        6),
      "model.safetensors: /b: begins at byte 4 of the data; bytes 2 to 4 belong to no tensor");
  EXPECT_EQ(message_of_header(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 3),
            "model.safetensors: the tensors end at byte 2 of the data, but the file holds 3");
}

TEST(SafetensorsHeader, CountsWithoutOverflow) {
  // 2^32 × 2^32 × 32 bits = 0 modulo 2^64: an unchecked product would agree with the empty range.
  EXPECT_THAT(
      message_of_header(
          R"({"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0),
      HasSubstr("/w: F32 [4294967296, 4294967296] has more bits than a 64-bit number can count"));
  EXPECT_THAT(message_of_header(
                  R"({"w":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,0]}})", 0),
              HasSubstr("/w/shape: expected non-negative integers, saw 9223372036854775808"));
  EXPECT_THAT(message_of_header(R"({"w":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}})", 1),
              HasSubstr("does not fill whole bytes"));
}

TEST(SafetensorsHeader, RefusesMalformedHeaders) {
  EXPECT_EQ(message_of_header(R"({"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
                              R"("w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
                              0),
            "model.safetensors: /w: the name occurs twice");
  EXPECT_THAT(message_of_header(R"({"w":{"dtype":"F128","shape":[0],"data_offsets":[0,0]}})", 0),
              HasSubstr("/w/dtype: unknown type \"F128\"; known: F32, BF16, F16,"));
  EXPECT_EQ(message_of_header(R"({"w":{"dtype":"U8","shape":[0]}})", 0),
            "model.safetensors: /w: has no \"data_offsets\"");
  EXPECT_THAT(message_of_header(R"({"w":{"dtype":"U8","shape":[-1],"data_offsets":[0,0]}})", 0),
              HasSubstr("/w/shape: expected non-negative integers, saw -1"));
  EXPECT_THAT(message_of_header(R"({"w":{"dtype":"U8","shape":[1.5],"data_offsets":[0,0]}})", 0),
              HasSubstr("saw 1.5"));
  EXPECT_THAT(message_of_header(R"({"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0,0]}})", 0),
              HasSubstr("/w/data_offsets: expected two non-negative integers, saw 0"));
  EXPECT_THAT(message_of_header(R"({"w":{"dtype":"U8","shape":[0],"data_offsets":[0]}})", 0),
              HasSubstr("/w/data_offsets: expected two offsets"));
  EXPECT_THAT(
      message_of_header(R"({"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":1}})", 0),
      HasSubstr("/w/x: unknown key"));
  EXPECT_THAT(
      message_of_header(R"({"w":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}})", 0),
      HasSubstr("/w/dtype: the key occurs twice"));
  EXPECT_THAT(message_of_header(R"({"w":[1]})", 0),
              HasSubstr("/w: expected an object per tensor, saw an array"));
  EXPECT_THAT(message_of_header(R"({"w")", 0), HasSubstr("header is not JSON at byte"));
  EXPECT_THAT(message_of_header(R"({} {})", 0), HasSubstr("header is not JSON at byte"));
  EXPECT_THAT(message_of_header(R"({"__metadata__":{"a":1}})", 0),
              HasSubstr("/__metadata__/a: expected text, saw 1"));
  EXPECT_THAT(message_of_header("{\"w\xff\":{}}", 0), HasSubstr("header is not JSON"));
}

// Whatever one byte of a good file becomes, the answer is entries that tile the data, or an Error.
RC_GTEST_PROP(SafetensorsHeader, SurvivesAnyFlippedByte, ()) {
  std::string bytes =
      safetensors_bytes(R"({"a":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]},)"
                        R"("b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})",
                        12);
  bytes[*rc::gen::inRange<std::size_t>(0, bytes.size())] = *rc::gen::arbitrary<char>();
  try {
    for (const auto& entry : parse(bytes))
      RC_ASSERT(entry.begin <= entry.end && entry.end <= bytes.size());
  } catch (const Error&) {
    RC_SUCCEED();
  }
}

class SafetensorsFolderTest : public ::testing::Test {
 protected:
  // "w": f32 [2, 3] = 0 … 5, "v": bf16 [3] = 1, 2, 3 ("v" first, so that "w" lies at an odd
  // multiple of 2 bytes).
  static std::string two_tensors() {
    std::string bytes =
        safetensors_bytes(R"({"v":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]},)"
                          R"("w":{"dtype":"F32","shape":[2,3],"data_offsets":[6,30]}})",
                          30);
    const std::array<std::uint16_t, 3> v{0x3f80, 0x4000, 0x4040};
    const std::array<float, 6> w{0, 1, 2, 3, 4, 5};
    std::memcpy(bytes.data() + bytes.size() - 30, v.data(), sizeof v);
    std::memcpy(bytes.data() + bytes.size() - 24, w.data(), sizeof w);
    return bytes;
  }
  static std::string one_tensor(const std::string& name) {
    return safetensors_bytes(
        R"({")" + name + R"(":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})", 8);
  }
  [[nodiscard]] std::string message_of_open() const {
    return message_of([&] { (void)open_safetensors(folder_.path()); });
  }

  TemporaryFolder folder_{"lindos_safetensors_" + std::to_string(::getpid())};
};

TEST_F(SafetensorsFolderTest, ReadsSlices) {
  folder_.write("model.safetensors", two_tensors());
  const auto checkpoint = open_safetensors(folder_.path());
  std::vector<float> all(6);
  checkpoint->read("w", 0, 2, 0, 3, all);
  EXPECT_EQ(all, (std::vector<float>{0, 1, 2, 3, 4, 5}));
  std::vector<float> columns(4);
  checkpoint->read("w", 0, 2, 1, 3, columns);
  EXPECT_EQ(columns, (std::vector<float>{1, 2, 4, 5}));
  std::vector<float> row(3);
  checkpoint->read("w", 1, 2, 0, 3, row);
  EXPECT_EQ(row, (std::vector<float>{3, 4, 5}));
  std::vector<float> vector_part(2);
  checkpoint->read("v", 0, 1, 1, 3, vector_part);
  EXPECT_EQ(vector_part, (std::vector<float>{2, 3}));
  EXPECT_NO_THROW(checkpoint->read("w", 1, 1, 0, 3, std::span<float>()))
      << "a rank may own nothing";
  EXPECT_EQ(checkpoint->find("w")->shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(checkpoint->find("x"), nullptr);
  EXPECT_EQ(checkpoint->description(), folder_.path().string());

  EXPECT_THAT(message_of([&] { checkpoint->read("w", 0, 3, 0, 3, all); }),
              HasSubstr("/w: rows [0, 3) × columns [0, 3) leave the shape [2, 3]"));
  EXPECT_THAT(message_of([&] { checkpoint->read("w", 0, 1, 0, 3, all); }), HasSubstr("room for 6"));
  EXPECT_THAT(message_of([&] { checkpoint->read("x", 0, 1, 0, 1, all); }),
              HasSubstr("no tensor \"x\""));
}

TEST_F(SafetensorsFolderTest, RefusesToReadOtherTypesAsWeights) {
  folder_.write("model.safetensors", one_tensor("position_ids"));
  const auto checkpoint = open_safetensors(folder_.path());
  std::vector<float> out(1);
  EXPECT_THAT(
      message_of([&] { checkpoint->read("position_ids", 0, 1, 0, 1, out); }),
      HasSubstr("/position_ids: is stored as I64; weights are read from F32, F16 and BF16"));
}

TEST_F(SafetensorsFolderTest, FollowsTheIndexOfShards) {
  folder_.write("a.safetensors", two_tensors());
  folder_.write("b.safetensors", one_tensor("x"));
  folder_.write(
      "model.safetensors.index.json",
      R"({"metadata":{"total_size":38},"weight_map":{"v":"a.safetensors","w":"a.safetensors",)"
      R"("x":"b.safetensors"}})");
  const auto checkpoint = open_safetensors(folder_.path());
  EXPECT_EQ(checkpoint->tensors().size(), 3U);
  std::vector<float> row(3);
  checkpoint->read("w", 1, 2, 0, 3, row);
  EXPECT_EQ(row, (std::vector<float>{3, 4, 5}));
}

TEST_F(SafetensorsFolderTest, RefusesABadIndex) {
  folder_.write("a.safetensors", one_tensor("x"));
  const auto with_map = [&](const std::string& map) {
    folder_.write("model.safetensors.index.json", R"({"weight_map":)" + map + "}");
    return message_of_open();
  };
  EXPECT_THAT(with_map(R"({"x":"../a.safetensors"})"),
              HasSubstr("file name \"../a.safetensors\" is refused"));
  EXPECT_THAT(with_map(R"({"x":"/etc/passwd"})"), HasSubstr("is refused"));
  EXPECT_THAT(with_map(R"({"x":"sub\\a.safetensors"})"), HasSubstr("is refused"));
  EXPECT_THAT(with_map(R"({"x":""})"), HasSubstr("is refused"));
  EXPECT_THAT(with_map(R"({"x":7})"), HasSubstr("/weight_map/x: expected a file name"));
  EXPECT_THAT(with_map(R"([])"), HasSubstr("/weight_map: expected an object"));
  EXPECT_THAT(with_map(R"({"y":"a.safetensors"})"),
              HasSubstr("/weight_map/y: a.safetensors does not hold this"));
  EXPECT_THAT(with_map(R"({"x":"missing.safetensors"})"),
              HasSubstr("missing.safetensors: cannot be opened"));
  EXPECT_THAT(with_map(R"({"x":"a.safetensors","x":"a.safetensors"})"),
              HasSubstr("key \"x\" occurs twice"));
  EXPECT_THAT(with_map(R"({"x":)"), HasSubstr("model.safetensors.index.json:1:"));
  folder_.write("b.safetensors", one_tensor("x"));
  EXPECT_THAT(with_map(R"({"x":"a.safetensors","y":"b.safetensors"})"),
              HasSubstr("b.safetensors: /x: another shard holds this tensor too"));
}

TEST_F(SafetensorsFolderTest, SaysWhatAFolderLacks) {
  EXPECT_THAT(message_of_open(),
              HasSubstr("holds neither model.safetensors nor model.safetensors.index.json"));
  EXPECT_THAT(message_of([] { (void)open_safetensors("/nonexistent"); }),
              HasSubstr("/nonexistent: is not a folder"));
  folder_.write("model.safetensors", "");
  EXPECT_THAT(message_of_open(), HasSubstr("has 0 bytes"));
}

}  // namespace
}  // namespace lindos::exec
