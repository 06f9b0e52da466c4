/* Numbers in int8, as docs/int8.md has them: pixels are bytes q that stand for q - zero of their plane. */

typedef uint8_t easting_value;
typedef int8_t easting_weight;
typedef int32_t easting_sum;
typedef int32_t easting_number;

/* max(factor * (q - zero) + offset, floor) */
typedef struct {
  const uint8_t* plane;
  int32_t factor, zero, offset, floor;
} easting_reading;

/* A sum becomes clamp(zero + ((sum * multiplier + half) >> shift), 0, 255), half being 2^(shift - 1), 0 for shift 0. */
typedef struct {
  const int32_t* bias;
  int32_t multiplier, zero, half;
  uint32_t shift;
  int32_t grain; /* unit of bias, offset and floor: biasGrain of int8-graph.ts */
} easting_row;

typedef struct {
  easting_reader reader;
} easting_source;

static void easting_open_source(easting_source* source, const easting_tables* tables, const int32_t* numbers) {
  (void)numbers;
  easting_open(&source->reader, tables);
}

static void easting_read_style(easting_source* source) { (void)source; }

static void easting_read_row(easting_source* source, uint32_t biases, easting_sum* buffer, uint8_t zero, easting_row* row) {
  easting_reader* reader = &source->reader;
  uint32_t i;
  row->multiplier = easting_next(reader, EASTING_MULTIPLIER);
  row->shift = (uint32_t)easting_next(reader, EASTING_SHIFT);
  row->half = row->shift > 0 ? (int32_t)1 << (row->shift - 1u) : 0;
  row->zero = zero;
  row->grain = 1;
  while (4 * row->multiplier * row->grain <= (int32_t)1 << row->shift) row->grain *= 2;
  row->bias = buffer;
  for (i = 0; i < biases; i++) buffer[i] = row->grain * easting_next(reader, EASTING_BIAS);
}

static void easting_read_reading(easting_source* source, const easting_row* row, const uint8_t* arena,
                                 easting_reading* reading) {
  easting_reader* reader = &source->reader;
  const easting_plane plane = easting_input_plane(reader, EASTING_SOURCE);
  reading->plane = arena + plane.at;
  reading->zero = plane.zero;
  reading->factor = easting_next(reader, EASTING_FACTOR);
  reading->offset = 0;
  reading->floor = INT32_MIN;
  if (!easting_next(reader, EASTING_CHANGED)) return;
  reading->offset = row->grain * easting_next(reader, EASTING_OFFSET);
  if (easting_next(reader, EASTING_FLOORED)) reading->floor = row->grain * easting_next(reader, EASTING_FLOOR);
}

static int32_t easting_read(const easting_reading* reading, uint32_t i) {
  const int32_t value = reading->factor * ((int32_t)reading->plane[i] - reading->zero) + reading->offset;
  return value > reading->floor ? value : reading->floor;
}

/* sums[x] += that, from pixel `from` of the plane on */
static void easting_add_reading(int32_t* EASTING_RESTRICT sums, const easting_reading* reading, uint32_t from,
                                uint32_t count) {
  const uint8_t* EASTING_RESTRICT input = reading->plane + from;
  const int32_t factor = reading->factor, zero = reading->zero, offset = reading->offset, floor = reading->floor;
  uint32_t x;
  for (x = 0; x < count; x++) {
    const int32_t value = factor * ((int32_t)input[x] - zero) + offset;
    sums[x] += value > floor ? value : floor;
  }
}

static int8_t easting_scaled(const easting_row* row, int8_t weight) {
  (void)row;
  return weight;
}

/* sums[x] += weight * (input[x * stride] - zero) */
static void easting_add(int32_t* EASTING_RESTRICT sums, const uint8_t* EASTING_RESTRICT input, uint32_t count, uint32_t stride,
                        int8_t weight, uint8_t zero) {
  uint32_t x;
  if (stride == 1)
    for (x = 0; x < count; x++) sums[x] += (int32_t)weight * ((int32_t)input[x] - (int32_t)zero);
  else
    for (x = 0; x < count; x++) sums[x] += (int32_t)weight * ((int32_t)input[x * stride] - (int32_t)zero);
}

/* A negative number's >> rounds down, as every compiler has it that this is built with; C leaves it open. */
static void easting_store(const int32_t* EASTING_RESTRICT sums, uint8_t* EASTING_RESTRICT out, uint32_t count,
                          const easting_row* row) {
  const int32_t multiplier = row->multiplier, half = row->half, zero = row->zero;
  const uint32_t shift = row->shift;
  uint32_t x;
  for (x = 0; x < count; x++) {
    const int32_t value = zero + ((sums[x] * multiplier + half) >> shift);
    out[x] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
  }
}

static void easting_store_mean(int32_t sum, uint32_t count, uint8_t* out, const easting_row* row) {
  (void)count;
  easting_store(&sum, out, 1, row);
}
