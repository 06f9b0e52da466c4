// The runtime's kernels in the current variant's namespace: include it with EASTING_VARIANT and EASTING_REAL set.
// (No include guard, on purpose.)
#include "program.h"

namespace easting::EASTING_VARIANT {

// Runs `count` rows of a step on tiles of `pixel` images.
void run_rows_f32(const inference::Step& step, const inference::Row* rows, std::int64_t count,
                  const inference::Tap* taps, std::int64_t pixel, float* arena);
void run_rows_i32(const inference::Step& step, const inference::Row* rows, std::int64_t count,
                  const inference::Tap* taps, std::int64_t pixel, std::int32_t* arena);

// Writes one channel of one image, h × w bytes that are `step` apart, into pixels of `pixel` numbers, rows of `pitch`
// pixels: as byte · scale + shift, or as byte − zero.
void write_bytes_f32(const std::uint8_t* from, std::int64_t step, std::int64_t h, std::int64_t w, float scale,
                     float shift, float* to, std::int64_t pitch, std::int64_t pixel);
void write_bytes_i32(const std::uint8_t* from, std::int64_t step, std::int64_t h, std::int64_t w, std::int32_t zero,
                     std::int32_t* to, std::int64_t pitch, std::int64_t pixel);

}  // namespace easting::EASTING_VARIANT
