// Scalar arithmetic, written once and compiled by g++ and nvcc alike. `y` is what stands at the output before the call.
#pragma once
#include "random.h"  // EASTING_BOTH

namespace easting::elementwise {

template <class T>
struct Add {
  EASTING_BOTH T operator()(T a, T b) const { return a + b; }
};
template <class T>
struct Multiply {
  EASTING_BOTH T operator()(T a, T b) const { return a * b; }
};
template <class T>
struct Scale {
  T factor;
  EASTING_BOTH T operator()(T x) const { return factor * x; }
};
// NaN passes: a ReLU that turned it into 0 would hide that training has failed.
template <class T>
struct Relu {
  EASTING_BOTH T operator()(T x) const { return x < T(0) ? T(0) : x; }
};
// Derivative 0 at 0: dead channels sit at exactly 0 and must stay without gradient.
template <class T>
struct ReluGradient {
  EASTING_BOTH T operator()(T y, T dy) const { return y > T(0) ? dy : T(0); }
};

}  // namespace easting::elementwise
