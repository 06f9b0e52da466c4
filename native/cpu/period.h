// Planes [h][w][n] seen as rows of a few pixels: what is known per image is repeated along the row, so that loops run
// over whole vectors also where n is 1 or odd.
#pragma once
#include "vector.h"

namespace easting::EASTING_VARIANT {

// Length of a row: a multiple of `batch` and, where the plane is long enough, of `lanes`.
inline std::int64_t row_length(std::int64_t batch, std::int64_t plane) {
  std::int64_t length = batch;
  while (length < plane && (length % lanes != 0 || length < 8 * lanes)) length *= 2;
  return length;
}

// Repeats the first `batch` elements up to `length`.
inline void repeat(Real* row, std::int64_t batch, std::int64_t length) {
  for (std::int64_t i = batch; i < length; ++i) row[i] = row[i - batch];
}

// Adds every repetition in `row` to the `batch` totals, in order.
inline void fold(const Real* row, std::int64_t batch, std::int64_t length, double* total) {
  for (std::int64_t start = 0; start < length; start += batch)
    for (std::int64_t j = 0; j < batch; ++j) total[j] += static_cast<double>(row[start + j]);
}

// Rows summed in Real before the totals, which are double, take them.
inline constexpr std::int64_t rows_per_fold = 64;

}  // namespace easting::EASTING_VARIANT
