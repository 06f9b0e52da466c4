// One spatial axis of a convolution or of its data gradient, which look alike: a grid of destination pixels first,
// first + step, ... and, for tap t, where grid pixel i reads the source: i * scale + shift + shift_step * t. That is weight
// tap tap_first + tap_step * t.
#pragma once
#include "types.h"

namespace easting {

struct Axis {
  int size, first, step, scale, source, taps, tap_first, tap_step, shift, shift_step;
  EASTING_BOTH int at(int i, int t) const {
    const int position = i * scale + shift + shift_step * t;
    return position >= 0 && position < source ? position : -1;
  }
};

inline Axis forward_axis(int out, int in, int kernel, int stride, int padding) {
  return {out, 0, 1, stride, in, kernel, 0, 1, -padding, 1};
}

// Input pixels of one phase (position % stride): output i feeds from tap t where i + padding - t divides by the stride.
inline Axis backward_axis(int in, int out, int kernel, int stride, int padding, int phase) {
  const int tap = (phase + padding) % stride;
  return {in > phase ? (in - phase + stride - 1) / stride : 0, phase, stride, 1, out,
          kernel > tap ? (kernel - tap + stride - 1) / stride : 0, tap, stride, (phase + padding - tap) / stride, -1};
}

}  // namespace easting
