// Declares every kernel of cuda/kernels.def in one variant's namespace, as ../kernels.h does. (No include guard, on purpose.)
#include "../types.h"

namespace easting::EASTING_VARIANT {
using Stored = EASTING_STORED;
using Real = Arithmetic<Stored>;
#define KERNEL(name, arguments) void name arguments;
#include "kernels.def"
#undef KERNEL
}  // namespace easting::EASTING_VARIANT
