// The runtime's kernels in the current variant's namespace: include it with EASTING_VARIANT and EASTING_REAL set.
// (No include guard, on purpose.)
#include "program.h"

namespace easting::EASTING_VARIANT {

// Runs `count` rows of a step.
void run_rows(const inference::Step& step, const inference::Row* rows, std::int64_t count, const inference::Tap* taps,
              std::int64_t pixel, float* arena);

// Writes one channel of one image, h × w pixels `pixel` floats apart in rows of `pitch` pixels: x · scale + shift of
// bytes that are `step` apart.
void write_bytes(const std::uint8_t* from, std::int64_t step, std::int64_t h, std::int64_t w, float scale, float shift,
                 float* to, std::int64_t pitch, std::int64_t pixel);

}  // namespace easting::EASTING_VARIANT
