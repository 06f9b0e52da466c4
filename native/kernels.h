// Declares every kernel of kernels.def in one variant's namespace: include it with EASTING_VARIANT and EASTING_STORED set.
// Kernel sources are compiled once per variant; addon.cc includes this once for each. (No include guard, on purpose.)
#include "types.h"

namespace easting::EASTING_VARIANT {
using Stored = EASTING_STORED;
using Real = Arithmetic<Stored>;
#define KERNEL(name, arguments) void name arguments;
#include "kernels.def"
#undef KERNEL
}  // namespace easting::EASTING_VARIANT
