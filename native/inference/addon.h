#pragma once
#include <napi.h>

#include "model.h"

namespace easting::inference {

// Adds loadModel, runModel and closeModel to the addon.
void add_functions(Napi::Object exports, const Kernels& kernels);

}  // namespace easting::inference
