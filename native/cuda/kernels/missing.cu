// Interim: kernels still to be written.
#include "../../kernels.h"
#include <stdexcept>
namespace easting::EASTING_VARIANT {
#define MISSING(name, arguments) __attribute__((weak)) void name arguments { throw std::runtime_error(#name ": expected a CUDA kernel, got none yet"); }
}
