// SPDX-License-Identifier: Apache-2.0
#include "scenarios/csv_reader.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "scenarios/error.h"

namespace lindos {
namespace {

std::string complaint(const std::string& text) {
  try {
    CsvTable table("t.csv", text, {"name", "tokens"});
    while (table.next()) {
      static_cast<void>(table.count("tokens"));
      static_cast<void>(table.number("rate"));
    }
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "accepted";
}

TEST(Csv, FindsColumnsByName) {
  CsvTable table("t.csv", "tokens,other,name\r\n\r\n12,x,\"a, \"\"b\"\"\"\n,y,c", {"name", "tokens"});
  EXPECT_TRUE(table.has("other"));
  EXPECT_FALSE(table.has("tokes"));
  ASSERT_TRUE(table.next());
  EXPECT_EQ(table.where(), "t.csv:3");
  EXPECT_EQ(table.text("name"), "a, \"b\"");
  EXPECT_EQ(table.count("tokens"), 12);
  EXPECT_EQ(table.text("absent"), "");
  EXPECT_EQ(table.number("absent"), std::nullopt);
  ASSERT_TRUE(table.next());
  EXPECT_EQ(table.count("tokens"), std::nullopt);
  EXPECT_FALSE(table.next());
}

TEST(Csv, NamesTheLineOfWhatItRefuses) {
  EXPECT_EQ(complaint(""), "t.csv: the file has no header");
  EXPECT_EQ(complaint("name,token\n"), "t.csv:1: no column \"tokens\"; \"token\" is the nearest there is");
  EXPECT_EQ(complaint("name,tokens\na,1\nb\n"), "t.csv:3: 1 fields; the header names 2");
  EXPECT_EQ(complaint("name,tokens\n\"a,1\nb,2\n"), "t.csv:2: the quote that opens here does not end");
  EXPECT_EQ(complaint("name,tokens\n\"a\"b,1\n"), "t.csv:2: text after a closing quote");
  EXPECT_EQ(complaint("name,tokens\na,0\n"), "t.csv:2: tokens: expected a whole number from 1, saw \"0\"");
  EXPECT_EQ(complaint("name,tokens\na,1.5\n"), "t.csv:2: tokens: expected a whole number from 1, saw \"1.5\"");
  EXPECT_EQ(complaint("name,tokens\na,1e30\n"), "t.csv:2: tokens: expected a whole number from 1, saw \"1e30\"");
  EXPECT_EQ(complaint("name,tokens\na,nan\n"), "t.csv:2: tokens: expected a whole number from 1, saw \"nan\"");
  EXPECT_EQ(complaint("name,tokens,rate\na,1,-2\n"), "t.csv:2: rate: expected a number above 0, saw \"-2\"");
}

// What is quoted comes back as it was, whatever it holds; a record per line.
RC_GTEST_PROP(CsvProperty, QuotedFieldsComeBack, (const std::vector<std::string>& fields)) {
  RC_PRE(!fields.empty());
  std::string text;
  for (const std::string& field : fields) {
    text += text.empty() ? "\"" : ",\"";
    for (const char c : field) text += c == '"' ? "\"\"" : std::string(1, c);
    text += '"';
  }
  CsvReader reader(text, "t.csv");
  const auto record = reader.next();
  RC_ASSERT(record.has_value());
  RC_ASSERT(record->fields == fields);
  RC_ASSERT(!reader.next().has_value());
}

// Any bytes: records or an Error, never anything else.
RC_GTEST_PROP(CsvProperty, AnyBytesAreRecordsOrAnError, (const std::string& text)) {
  CsvReader reader(text, "t.csv");
  try {
    std::size_t fields = 0;
    while (const auto record = reader.next()) fields += record->fields.size();
    RC_ASSERT(fields <= text.size() + 1);
  } catch (const Error& error) {
    RC_ASSERT(error.kind() == ErrorKind::kInput);
  }
}

}  // namespace
}  // namespace lindos
