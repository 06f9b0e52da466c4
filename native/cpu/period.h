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

// What every pixel of a channel receives of the gradients of its means, as a row of `length`.
inline Real* means_gradient(const Real* dmeans, std::int64_t batch, std::int64_t length, std::int64_t plane, int slot) {
  Real* row = static_cast<Real*>(scratch(slot, length * sizeof(Real)));
  const Real pixels = static_cast<Real>(plane / batch);
  for (std::int64_t j = 0; j < batch; ++j) row[j] = dmeans[j] / pixels;
  repeat(row, batch, length);
  return row;
}

// Adds every repetition in `row` to the `batch` totals, in order.
inline void fold(const Real* row, std::int64_t batch, std::int64_t length, double* total) {
  for (std::int64_t start = 0; start < length; start += batch)
    for (std::int64_t j = 0; j < batch; ++j) total[j] += static_cast<double>(row[start + j]);
}

// Rows summed in Real before the totals, which are double, take them.
inline constexpr std::int64_t rows_per_fold = 64;

// Sums per image over the pixels of a plane, which comes in runs of whole chunks.
class ImageSums {
 public:
  ImageSums(std::int64_t batch, std::int64_t plane, int slot)
      : batch_(batch), length_(row_length(batch, plane)), pixels_(static_cast<double>(plane / batch)) {
    total_ = static_cast<double*>(scratch(slot, batch_ * sizeof(double) + length_ * sizeof(Real)));
    part_ = reinterpret_cast<Real*>(total_ + batch_);
    for (std::int64_t j = 0; j < batch_; ++j) total_[j] = 0;
  }
  std::int64_t chunk() const { return rows_per_fold * length_; }
  // At most a chunk.
  void add(const Stored* run, std::int64_t size) {
    for (std::int64_t j = 0; j < length_; ++j) part_[j] = 0;
    for (std::int64_t i = 0; i < size; i += length_) {
      const std::int64_t count = i + length_ < size ? length_ : size - i;
      const Stored* row = run + i;
#pragma GCC ivdep
      for (std::int64_t j = 0; j < count; ++j) part_[j] += row[j];
    }
    fold(part_, batch_, length_, total_);
  }
  void means(Real* to) const {
    for (std::int64_t j = 0; j < batch_; ++j) to[j] = static_cast<Real>(total_[j] / pixels_);
  }

 private:
  std::int64_t batch_, length_;
  double pixels_;
  double* total_;
  Real* part_;
};

}  // namespace easting::EASTING_VARIANT
