// BatchNorm on its own: one task per channel, so that a plane is read from memory once and reread from cache.
#include "../../kernels.h"
#include "../batch_norm.h"

namespace easting::EASTING_VARIANT {

void batch_norm_forward(In<Stored> x, In<int32_t> x_kind, int32_t channels, BatchNormForward<Stored> norm) {
  const std::int64_t size = x.size / channels;
  parallel_for(channels, x.size > parallel_threshold, [&](std::int64_t c) {
    normalize_channel(norm, c, kind_of(x_kind, c), x.data + c * size, size);
  });
}

void batch_norm_backward(int32_t channels, BatchNormBackward<Stored> norm) {
  const std::int64_t size = norm.x.size / channels;
  parallel_for(channels, norm.x.size > parallel_threshold,
               [&](std::int64_t c) { denormalize_channel(norm, c, size); });
}

}  // namespace easting::EASTING_VARIANT
