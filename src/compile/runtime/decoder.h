/* Decodes columns: the range coder of src/compile/model-file/range-coder.ts with the naturals of structure.ts. */

typedef struct {
  const uint8_t* next;
  uint32_t range, code;
} easting_decoder;

/* Probability of a 0, in 2^-15, and how many bits were seen, up to 5. */
typedef struct {
  uint16_t zero, seen;
} easting_probability;

static uint32_t easting_split(easting_decoder* decoder, uint32_t bound) {
  const uint32_t bit = decoder->code >= bound;
  decoder->code -= bit ? bound : 0;
  decoder->range = bit ? decoder->range - bound : bound;
  while (decoder->range < 1u << 24) {
    decoder->range <<= 8;
    decoder->code = decoder->code << 8 | *decoder->next++;
  }
  return bit;
}

static uint32_t easting_bit(easting_decoder* decoder, easting_probability* probability) {
  const uint32_t zero = probability->zero, bit = easting_split(decoder, (decoder->range >> 15) * zero);
  if (probability->seen < 5u) probability->seen++;
  probability->zero = (uint16_t)(bit ? zero - (zero >> probability->seen) : zero + ((32768u - zero) >> probability->seen));
  return bit;
}

/* For the lengths of naturals, and for the three bits below the highest of each length. */
#define EASTING_LENGTHS 33u

static uint32_t easting_decode_natural(easting_decoder* decoder, easting_probability* lengths) {
  uint32_t length = 0, value = 1, i;
  while (easting_bit(decoder, lengths + length)) length++;
  for (i = 0; i < length; i++)
    value = 2 * value + (i < 3 ? easting_bit(decoder, lengths + EASTING_LENGTHS + (length << 3) + value)
                               : easting_split(decoder, decoder->range >> 1));
  return value - 1;
}

/* Columns into memory that holds zeros behind `coded`, weights to where the program has them. */
static void easting_decode(const easting_tables* tables, int8_t* weights) {
  const uint32_t sums = 1u << EASTING_INPUT | 1u << EASTING_SOURCE;
  const uint32_t integers = sums | 1u << EASTING_OUTPUT | 1u << EASTING_BIAS | 1u << EASTING_OFFSET | 1u << EASTING_FLOOR |
                            1u << EASTING_WEIGHT;
  easting_decoder decoder = {tables->coded + 4, 0xffffffffu, 0};
  int32_t* to = tables->columns;
  uint32_t kind, i;
  for (i = 0; i < 4; i++) decoder.code = decoder.code << 8 | tables->coded[i];
  for (kind = 0; kind < EASTING_COLUMNS; kind++) {
    easting_probability probabilities[9 * EASTING_LENGTHS];
    int32_t last = 0;
    for (i = 0; i < 9 * EASTING_LENGTHS; i++) {
      probabilities[i].zero = 1u << 14;
      probabilities[i].seen = 0;
    }
    for (i = 0; i < tables->counts[kind]; i++) {
      const uint32_t natural = easting_decode_natural(&decoder, probabilities);
      const int32_t value = integers >> kind & 1u ? easting_unzigzag(natural) : (int32_t)natural;
      last = sums >> kind & 1u ? last + value : value;
      if (kind == EASTING_WEIGHT)
        *weights++ = (int8_t)last;
      else
        *to++ = last;
    }
  }
}
