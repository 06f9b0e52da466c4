static void easting_put(uint32_t c, uint32_t i, uint8_t pixel) { easting_memory.arena[easting_image[c] + i] = pixel; }

static int easting_agrees(const int32_t* logits, const int32_t* wanted) {
  uint32_t i;
  for (i = 0; i < EASTING_CLASSES; i++)
    if (logits[i] != wanted[i]) return 0;
  return 1;
}
