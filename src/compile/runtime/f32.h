/* Numbers in f32: pixels, weights and sums alike. */

typedef float easting_value;
typedef float easting_weight;
typedef float easting_sum;
typedef float easting_number;

/* max(plane + offset, floor) */
typedef struct {
  const float* plane;
  float offset, floor;
} easting_reading;

typedef struct {
  const float* bias;
  float scale;
  int relu;
} easting_row;

typedef struct {
  easting_reader reader;
  const float* number; /* the next scale, bias, offset or floor */
  int relu, scaled;
} easting_source;

static void easting_open_source(easting_source* source, const easting_tables* tables, const float* numbers) {
  easting_open(&source->reader, tables);
  source->number = numbers;
}

static void easting_read_style(easting_source* source) {
  source->relu = easting_natural(&source->reader) != 0;
  source->scaled = easting_natural(&source->reader) != 0;
}

static void easting_read_row(easting_source* source, uint32_t biases, easting_sum* buffer, uint8_t zero, easting_row* row) {
  (void)buffer;
  (void)zero;
  row->relu = source->relu;
  row->scale = source->scaled ? *source->number++ : 1.0f;
  row->bias = source->number;
  source->number += biases;
}

static void easting_read_reading(easting_source* source, const easting_row* row, const float* arena,
                                 easting_reading* reading) {
  (void)row;
  reading->plane = arena + easting_input_plane(&source->reader, EASTING_SOURCE).at;
  reading->offset = 0.0f;
  reading->floor = -FLT_MAX;
  if (!easting_next(&source->reader, EASTING_CHANGED)) return;
  reading->offset = *source->number++;
  reading->floor = *source->number++;
}

static float easting_read(const easting_reading* reading, uint32_t i) {
  const float value = reading->plane[i] + reading->offset;
  return value > reading->floor ? value : reading->floor;
}

/* sums[x] += max(plane[x] + offset, floor), from pixel `from` of the plane on */
static void easting_add_reading(float* EASTING_RESTRICT sums, const easting_reading* reading, uint32_t from,
                                uint32_t count) {
  const float* EASTING_RESTRICT input = reading->plane + from;
  const float offset = reading->offset, floor = reading->floor;
  uint32_t x;
  for (x = 0; x < count; x++) {
    const float value = input[x] + offset;
    sums[x] += value > floor ? value : floor;
  }
}

static float easting_scaled(const easting_row* row, float weight) { return row->scale * weight; }

/* sums[x] += weight * input[x * stride] */
static void easting_add(float* EASTING_RESTRICT sums, const float* EASTING_RESTRICT input, uint32_t count, uint32_t stride,
                        float weight, uint8_t zero) {
  uint32_t x;
  (void)zero;
  if (stride == 1)
    for (x = 0; x < count; x++) sums[x] += weight * input[x];
  else
    for (x = 0; x < count; x++) sums[x] += weight * input[x * stride];
}

static void easting_store(const float* EASTING_RESTRICT sums, float* EASTING_RESTRICT out, uint32_t count, const easting_row* row) {
  uint32_t x;
  if (row->relu)
    for (x = 0; x < count; x++) out[x] = sums[x] > 0.0f ? sums[x] : 0.0f;
  else
    for (x = 0; x < count; x++) out[x] = sums[x];
}

static void easting_store_mean(float sum, uint32_t count, float* out, const easting_row* row) {
  (void)row;
  *out = sum / (float)count;
}
