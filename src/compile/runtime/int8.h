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
} easting_row;

typedef struct {
  easting_code multiplier, shift, zero, bias, factor, input_zero, offset, floor;
} easting_codes;

typedef struct {
  easting_reader reader;
} easting_source;

static void easting_open(easting_source* source, const uint8_t* bits, uint32_t start, const int32_t* numbers) {
  (void)numbers;
  source->reader.bytes = bits;
  source->reader.at = start;
}

static void easting_read_codes(easting_source* source, easting_codes* codes) {
  easting_reader* reader = &source->reader;
  codes->multiplier = easting_read_code(reader);
  codes->shift = easting_read_code(reader);
  codes->zero = easting_read_code(reader);
  codes->bias = easting_read_code(reader);
  codes->factor = easting_read_code(reader);
  codes->input_zero = easting_read_code(reader);
  codes->offset = easting_read_code(reader);
  codes->floor = easting_read_code(reader);
}

static void easting_read_row(easting_source* source, const easting_codes* codes, uint32_t biases, easting_sum* buffer,
                             easting_row* row) {
  easting_reader* reader = &source->reader;
  uint32_t i;
  row->multiplier = easting_coded(reader, &codes->multiplier);
  row->shift = (uint32_t)easting_coded(reader, &codes->shift);
  row->half = row->shift > 0 ? (int32_t)1 << (row->shift - 1u) : 0;
  row->zero = easting_coded(reader, &codes->zero);
  row->bias = buffer;
  for (i = 0; i < biases; i++) buffer[i] = easting_coded(reader, &codes->bias);
}

static void easting_read_reading(easting_source* source, const easting_codes* codes, easting_reading* reading) {
  easting_reader* reader = &source->reader;
  reading->factor = easting_coded(reader, &codes->factor);
  reading->zero = easting_coded(reader, &codes->input_zero);
  reading->offset = easting_coded(reader, &codes->offset);
  reading->floor = easting_flag(reader) ? easting_coded(reader, &codes->floor) : INT32_MIN;
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
