// Compact activations to complete ones, for ops that know nothing of kinds.
#include "../../kernels.h"
#include "../../channels.h"
#include "../vector.h"

namespace easting::EASTING_VARIANT {

void expand_forward(In<Stored> x, In<int32_t> x_kind, In<Real> x_value, int32_t channels, Out<Stored> y) {
  const std::int64_t size = x.size / channels;
  parallel_for(channels, x.size > parallel_threshold, [&](std::int64_t c) {
    const Stored* from = x.data + c * size;
    Stored* to = y.data + c * size;
    const bool there = x_kind[c] == Kind::plane;
    const Real value = x_kind[c] == Kind::constant ? x_value[c] : Real(0);
    for (std::int64_t i = 0; i < size; ++i) to[i] = there ? from[i] : value;
  });
}

void expand_backward(In<Stored> dy, In<int32_t> x_kind, int32_t channels, Out<Stored> dx, Out<int32_t> dx_kind,
                     Out<Real> dx_value, bool accumulate) {
  const std::int64_t size = dy.size / channels;
  parallel_for(channels, dy.size > parallel_threshold, [&](std::int64_t c) {
    const Stored* from = dy.data + c * size;
    if (x_kind[c] == Kind::constant) {
      const double sum = blocked_sum(size, [&](std::int64_t i) { return load(from + i); },
                                     [&](std::int64_t i) { return from[i]; });
      return put_constant(dx_kind, dx_value, c, sum, accumulate);
    }
    const bool add = accumulate && dx_kind[c] == Kind::plane;
    dx_kind[c] = x_kind[c] == Kind::plane ? Kind::plane : Kind::zero;
    if (x_kind[c] != Kind::plane) return;
    Stored* to = dx.data + c * size;
    for (std::int64_t i = 0; i < size; ++i) to[i] = add ? to[i] + from[i] : from[i];
  });
}

}  // namespace easting::EASTING_VARIANT
