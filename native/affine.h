// BatchNorm of one channel as y = x * scale + shift.
#pragma once
#include "kernels.h"

namespace easting::EASTING_VARIANT {

struct Affine {
  Real scale, shift;
};

EASTING_BOTH inline Affine affine(Real weight, Real bias, Real mean, Real inverse_deviation) {
  const Real scale = weight * inverse_deviation;
  return {scale, bias - mean * scale};
}

}  // namespace easting::EASTING_VARIANT
